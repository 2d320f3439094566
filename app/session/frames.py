"""The rows of frames.csv as records, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.datatypes import StepResult
from app.face.topology import REGION_NAMES
from app.session.records import Origin, read_float, read_int

_REGION_COLUMNS = tuple(f"{name.replace(' ', '_')}_{axis}" for name in REGION_NAMES for axis in "xy")
_FACE_BOX = ("face_x", "face_y", "face_width", "face_height")
FRAME_COLUMNS = (
    *("frame", "face_id", "timestamp", "confidence", "success", "pose_Rx", "pose_Ry", "pose_Rz"),
    *("motion", "spot_score", "blink", "state", "dropped_before", "head_motion", "quality", "face_count"),
    *(*_FACE_BOX, "video_frame", *_REGION_COLUMNS),
)


@dataclass(frozen=True, eq=False, slots=True)
class SessionFrame:
    """One row of frames.csv; what was not measured is None.

    `face_box_px` is x, y, width, height; `displacement_percent` (R, 2) float64: x right, y down of each motion region
    against the neutral reference; `video_frame` the frame's place in the session's own video.mp4.
    """

    frame: int
    timestamp_s: float
    is_success: bool
    state: str
    quality: str
    dropped_before: int
    face_id: int | None
    motion_percent: float | None
    spot_score: float | None
    head_motion_percent_s: float | None
    is_blink: bool
    face_count: int | None
    face_box_px: tuple[float, float, float, float] | None
    video_frame: int | None
    displacement_percent: np.ndarray | None


def frame_row(result: StepResult, origin: Origin, video_frame: int | None = None) -> dict[str, Any]:
    """What was learned from one frame as a row of frames.csv; frames without a usable face have success 0."""
    frame, face, motion = result.frame, result.face, result.motion
    row: dict[str, Any] = {
        "frame": frame.index - origin.index,
        "timestamp": origin.seconds(frame.timestamp_ns),
        "success": int(motion is not None),
        "state": result.state.value,
        "dropped_before": frame.dropped_before,
        "quality": (result.quality.reason or "ok") if result.quality is not None else "no face",
    }
    if video_frame is not None:
        row["video_frame"] = video_frame
    if face is not None:
        left, top = face.landmarks_px[:, :2].min(axis=0)
        right, bottom = face.landmarks_px[:, :2].max(axis=0)
        row |= {
            "face_id": face.face_id,
            "pose_Rx": round(math.radians(face.pose.pitch_deg), 4),
            "pose_Ry": round(math.radians(face.pose.yaw_deg), 4),
            "pose_Rz": round(math.radians(face.pose.roll_deg), 4),
            "face_count": face.face_count,
            "face_x": round(float(left), 1),
            "face_y": round(float(top), 1),
            "face_width": round(float(right - left), 1),
            "face_height": round(float(bottom - top), 1),
        }
    if motion is not None:
        row |= {
            "motion": round(motion.largest_percent, 4),
            "spot_score": round(motion.strength, 4),
            "blink": int(motion.is_blink),
            "head_motion": round(motion.head_speed_percent_s, 2),
        }
        row |= dict(zip(_REGION_COLUMNS, np.round(motion.displacement_percent, 3).ravel().tolist(), strict=True))
    return row


def region_columns(header: Iterable[str]) -> tuple[str, ...]:
    """The columns of a table of frames that hold the motion of regions: x and y of each, in their order."""
    return tuple(name for name in header if name.endswith(("_x", "_y")) and not name.startswith("face_"))


def read_frame(row: Mapping[str, str], regions: Sequence[str]) -> SessionFrame:
    """A frame from its row. Raises ValueError when a number is none.

    Args:
        regions: the `region_columns` of the table.
    """
    box = [read_float(row, name) for name in _FACE_BOX]
    has_regions = bool(regions) and bool(row[regions[0]])
    return SessionFrame(
        frame=int(row["frame"]),
        timestamp_s=float(row["timestamp"]),
        is_success=row.get("success") == "1",
        state=row.get("state", ""),
        quality=row.get("quality", ""),
        dropped_before=read_int(row, "dropped_before") or 0,
        face_id=read_int(row, "face_id"),
        motion_percent=read_float(row, "motion"),
        spot_score=read_float(row, "spot_score"),
        head_motion_percent_s=read_float(row, "head_motion"),
        is_blink=row.get("blink") == "1",
        face_count=read_int(row, "face_count"),
        face_box_px=None if None in box else (box[0], box[1], box[2], box[3]),
        video_frame=read_int(row, "video_frame"),
        displacement_percent=np.array([row[n] for n in regions], float).reshape(-1, 2) if has_regions else None,
    )
