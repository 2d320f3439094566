"""Movement of facial regions against a neutral reference, rigid head motion removed."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from app.datatypes import AlignedCrop, Frame, TrackedFace
from app.face import geometry, topology
from app.face.alignment import Reference

# The reference is renewed when the face looks different enough for optical flow to suffer.
_RENEW_TURN_DEG = 4.0
_RENEW_SCALE = 1.06
_RENEW_AGE_S = 8.0
_RENEW_RESIDUAL_PX = 0.35
_WORN_OUT = 2.5
# A registration this bad is a lost face: a hand before it, a cut to another scene.
_LOST_RESIDUAL_PX = 2.0
# A face is calm when no region has moved further than this within this time.
_CALM_PERCENT = 0.35
_CALM_S = 0.4
# Where brightness is read, crop pixels: every fourth from brows to chin.
_INNER_FACE = (slice(40, 190, 4), slice(50, 175, 4))
_HEAD_SPAN_S = 0.06  # the speed of the head is a mean over this; a single step at 200 fps is mostly tracker jitter
# Where the speed of the head is read, crop pixels: eye corners and chin.
_HEAD_POINTS_PX = np.array([(56.0, 84.0), (168.0, 84.0), (112.0, 190.0)]).T


@dataclass(frozen=True, eq=False, slots=True)
class RegionalMotion:
    """One frame's movement, free of NaN; percent is of the inter-ocular distance.

    `displacement_percent` (R, 2) and `gaze_percent` (2,), the irises between the eye corners: x right, y down.
    `mouth_opening_percent`: gap between the inner lips. `brightness`: mean grey level of the face, 0–255.
    """

    crop: AlignedCrop
    displacement_percent: np.ndarray
    head_speed_percent_s: float
    residual_px: float
    gaze_percent: np.ndarray
    mouth_opening_percent: float
    brightness: float


class MotionAnalyser:
    """Registers each frame on a reference and reads the regions' displacement. One face at a time."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the reference: the next frame becomes the new one."""
        self._reference: Reference | None = None
        self._offset = np.zeros((len(topology.REGION_NAMES), 2))
        self._latest = self._offset
        self._head: deque[tuple[int, np.ndarray]] = deque()
        self._recent: deque[tuple[int, np.ndarray]] = deque()  # what the regions did within `_CALM_S`

    def measure(self, frame: Frame, face: TrackedFace) -> RegionalMotion | None:
        """Measure one frame.

        Args:
            frame: the frame the face was tracked in.
            face: the face; must be the same person as in the frames since the last `reset`.

        Returns:
            None when the registration failed; the caller should treat the face as lost.
        """
        if self._reference is None:
            self._renew(frame, face, None)
        assert self._reference is not None
        registered = self._reference.register(frame.image_bgr, face.landmarks_px)
        if not registered.residual_px < _LOST_RESIDUAL_PX:
            return None
        regional = self._offset + self._reference.regional(registered.displacement_px)
        # A region that was not seen keeps its last value rather than jumping to zero.
        self._latest = np.where(np.isnan(regional), self._latest, regional)
        self._remember(frame.timestamp_ns)
        head_speed = self._head_speed(frame, face, registered.crop)
        # In mid-movement a renewal would freeze the movement into the reference: only a worn-out one is replaced.
        wear = self._wear(frame, face, registered.crop, registered.residual_px)
        if wear > _WORN_OUT or (wear > 1.0 and self._is_calm()):
            # Continuing from the registered crop keeps crops before and after the renewal on each other.
            self._renew(frame, face, registered.crop.crop_from_frame)
        return RegionalMotion(
            crop=registered.crop,
            displacement_percent=self._latest,
            head_speed_percent_s=head_speed,
            residual_px=registered.residual_px,
            gaze_percent=geometry.gaze_percent(face.landmarks_px),
            mouth_opening_percent=geometry.mouth_opening_percent(face.landmarks_px),
            brightness=float(registered.crop.image_bgr[_INNER_FACE].mean()),
        )

    def _remember(self, now_ns: int) -> None:
        self._recent.append((now_ns, self._latest))
        while now_ns - self._recent[0][0] > _CALM_S * 1e9:
            self._recent.popleft()

    def _is_calm(self) -> bool:
        """Whether no region has moved lately; blinks move the lids."""
        recent = np.stack([displacement for _, displacement in self._recent])
        return bool(np.ptp(recent, axis=0).max() < _CALM_PERCENT)

    def _wear(self, frame: Frame, face: TrackedFace, crop: AlignedCrop, residual_px: float) -> float:
        """How far the face is from looking like the reference; above 1 a renewal pays."""
        turn_deg = max(
            abs(face.pose.yaw_deg - self._pose.yaw_deg),
            abs(face.pose.pitch_deg - self._pose.pitch_deg),
            abs(face.pose.roll_deg - self._pose.roll_deg),
        )
        return max(
            turn_deg / _RENEW_TURN_DEG,
            abs(math.log(_scale(crop) / self._scale)) / math.log(_RENEW_SCALE),
            residual_px / _RENEW_RESIDUAL_PX,
            (frame.timestamp_ns - self._born_ns) / (_RENEW_AGE_S * 1e9),
        )

    def _renew(self, frame: Frame, face: TrackedFace, crop_from_frame: np.ndarray | None) -> None:
        """Make this frame the reference; displacement goes on from where it is, so nothing jumps."""
        self._reference = Reference(frame.image_bgr, face.landmarks_px, crop_from_frame)
        self._offset = self._latest
        self._pose = face.pose
        self._scale = _scale(self._reference.crop)
        self._born_ns = frame.timestamp_ns

    def _head_speed(self, frame: Frame, face: TrackedFace, crop: AlignedCrop) -> float:
        """Rigid motion over the last `_HEAD_SPAN_S`, percent of the inter-ocular distance a second."""
        frame_from_crop = cv2.invertAffineTransform(crop.crop_from_frame)
        head_px = frame_from_crop[:, :2] @ _HEAD_POINTS_PX + frame_from_crop[:, 2:]
        while len(self._head) > 1 and frame.timestamp_ns - self._head[1][0] >= _HEAD_SPAN_S * 1e9:
            self._head.popleft()
        speed = 0.0
        if self._head and frame.timestamp_ns > self._head[0][0]:
            earlier_ns, earlier_px = self._head[0]
            moved_px = float(np.hypot(*(head_px - earlier_px)).mean())
            speed = 100 * moved_px / face.inter_ocular_px / ((frame.timestamp_ns - earlier_ns) / 1e9)
        self._head.append((frame.timestamp_ns, head_px))
        return speed


def _scale(crop: AlignedCrop) -> float:
    """Crop pixels per frame pixel."""
    (a, b, _), _ = crop.crop_from_frame.tolist()
    return math.hypot(a, b)
