"""The rows of events.csv and candidates.csv as records, and back; those of frames.csv are in `frames`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app import __version__
from app.datatypes import Candidate, Event, RegionMovement
from app.session.folder import KEY_FRAMES

LOW_FPS_HZ = 25.0  # below it a movement of 80 ms has two frames or fewer
_SEPARATOR = ";"
_TIMES = tuple(f"{name}_{unit}" for unit in ("frame", "s") for name in KEY_FRAMES)
_OTHER_TIMES = (*(f"{name}_exact_s" for name in KEY_FRAMES), "announced_s", "decided_s")
CANDIDATE_COLUMNS = (
    *("candidate_id", "face_id", "media_file", *_TIMES, "duration_s", "reason", "measured", "limit", "unit"),
    *("regions", "spot_score", "head_motion", "blink", "fps_effective", "action_units", "movements", *_OTHER_TIMES),
)
_TEXTS = ("subject_id", "media_file", "label", "quality", "source", "review", "coder", "comment")
_TEXTS += ("model", "model_sha256", "app_version")


def event_columns(class_names: tuple[str, ...]) -> tuple[str, ...]:
    """Header of events.csv for a network with these classes (none when only spotting was available)."""
    return (
        *("event_id", "subject_id", "face_id", "media_file", *_TIMES),
        *("duration_s", "label", "confidence", *(f"p_{name}" for name in class_names)),
        *("regions", "spot_score", "head_motion", "blink", "quality", "fps_effective", "source", "review", "coder"),
        *("comment", "model", "model_sha256", "app_version", "action_units", "movements", *_OTHER_TIMES),
    )


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One row of events.csv, or of a review. Frames are 0-based in decode order; seconds are from the video's start.

    `onset_s` … are the times of the frames; the `_exact_s` are as the spotter measured them, finer than the frame rate.
    `announced_s` and `decided_s` are the times of the frames that the analysis had seen when it said so.
    """

    event_id: int
    onset_frame: int
    apex_frame: int
    offset_frame: int
    onset_s: float
    apex_s: float
    offset_s: float
    subject_id: str = ""
    face_id: int | None = None
    media_file: str = ""
    label: str = ""
    confidence: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    regions: tuple[str, ...] = ()
    spot_score: float | None = None
    head_motion: float | None = None  # percent of the inter-ocular distance a second
    has_blink: bool = False
    quality: str = ""
    fps_effective: float | None = None
    source: str = "auto"  # "auto" | "corrected" by a coder | "manual": added by a coder
    review: str = ""  # "" | "accepted" | "rejected"
    coder: str = ""
    comment: str = ""
    model: str = ""
    model_sha256: str = ""
    app_version: str = __version__
    action_units: tuple[str, ...] = ()
    movements: tuple[RegionMovement, ...] = ()
    onset_exact_s: float | None = None
    apex_exact_s: float | None = None
    offset_exact_s: float | None = None
    announced_s: float | None = None
    decided_s: float | None = None

    @property
    def duration_s(self) -> float:
        """From the onset frame to the offset frame."""
        return self.offset_s - self.onset_s


@dataclass(frozen=True, slots=True)
class SessionCandidate:
    """One row of candidates.csv: a movement that was withdrawn, with the gate's measured value and its limit."""

    candidate_id: int
    face_id: int | None
    onset_frame: int
    apex_frame: int
    offset_frame: int
    onset_s: float
    apex_s: float
    offset_s: float
    reason: str
    measured: float | None
    limit: float | None
    unit: str
    media_file: str = ""
    regions: tuple[str, ...] = ()
    spot_score: float | None = None
    head_motion: float | None = None
    has_blink: bool = False
    fps_effective: float | None = None
    action_units: tuple[str, ...] = ()
    movements: tuple[RegionMovement, ...] = ()
    onset_exact_s: float | None = None
    apex_exact_s: float | None = None
    offset_exact_s: float | None = None
    announced_s: float | None = None
    decided_s: float | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The first frame and moment of a session's medium: what its frames and seconds count from."""

    index: int
    timestamp_ns: int

    def seconds(self, timestamp_ns: int) -> float:
        """Seconds since the origin, to the microsecond."""
        return round((timestamp_ns - self.timestamp_ns) / 1e9, 6)


def session_event(event: Event, origin: Origin, **about: Any) -> SessionEvent:
    """The record of a detected event; `about` gives fields that the event does not know (subject_id, media_file, …)."""
    found, prediction = event.candidate, event.prediction
    named: dict[str, Any] = {}
    if prediction is not None:
        named = {
            "label": prediction.label,
            "confidence": round(prediction.confidence, 4),
            "probabilities": {
                name: round(float(p), 4)
                for name, p in zip(prediction.class_names, prediction.probabilities, strict=True)
            },
        }
    return SessionEvent(
        event_id=event.event_id,
        face_id=found.face_id,
        **_times(found, origin),
        regions=found.regions,
        spot_score=round(found.spot_score, 3),
        head_motion=round(found.head_motion, 2),
        has_blink=found.has_blink,
        quality="low fps" if found.fps_effective < LOW_FPS_HZ else "ok",
        fps_effective=round(found.fps_effective, 2),
        action_units=found.action_units,
        movements=found.movements,
        **_other_times(found, origin),
        **named,
        **about,
    )


def event_row(event: SessionEvent) -> dict[str, Any]:
    """An event as a row by column name; what is missing is ""."""
    row: dict[str, Any] = {
        "event_id": event.event_id,
        "face_id": event.face_id,
        **{name: getattr(event, name) for name in _TIMES},
        "duration_s": round(event.duration_s, 6),
        "confidence": event.confidence,
        **{f"p_{name}": value for name, value in event.probabilities.items()},
        "regions": _SEPARATOR.join(event.regions),
        "spot_score": event.spot_score,
        "head_motion": event.head_motion,
        "blink": int(event.has_blink),
        "fps_effective": event.fps_effective,
        **{name: getattr(event, name) for name in _TEXTS},
        "action_units": _SEPARATOR.join(event.action_units),
        "movements": _movement_text(event.movements),
        **{name: getattr(event, name) for name in _OTHER_TIMES},
    }
    return {name: "" if value is None else value for name, value in row.items()}


def read_event(row: Mapping[str, str]) -> SessionEvent:
    """An event from its row. Raises ValueError when a number is none, or the key frames are not in order."""
    probabilities = {name[2:]: float(value) for name, value in row.items() if name.startswith("p_") and value}
    event = SessionEvent(
        event_id=int(row["event_id"]),
        **_read_times(row),
        face_id=read_int(row, "face_id"),
        confidence=read_float(row, "confidence"),
        probabilities=probabilities,
        regions=_split(row.get("regions", "")),
        spot_score=read_float(row, "spot_score"),
        head_motion=read_float(row, "head_motion"),
        has_blink=row.get("blink") == "1",
        fps_effective=read_float(row, "fps_effective"),
        action_units=_split(row.get("action_units", "")),
        movements=_read_movements(row.get("movements", "")),
        **{name: read_float(row, name) for name in _OTHER_TIMES},
        **{name: row.get(name, "") for name in _TEXTS},
    )
    if not event.onset_frame <= event.apex_frame <= event.offset_frame:
        raise ValueError("onset, apex and offset are not in order")
    return event


def session_candidate(candidate: Candidate, origin: Origin, media_file: str) -> SessionCandidate:
    """The record of a withdrawn candidate. Raises ValueError for one that was accepted."""
    rejection = candidate.rejection
    if rejection is None:
        raise ValueError("this candidate was accepted: it is an event")
    return SessionCandidate(
        candidate_id=candidate.candidate_id,
        face_id=candidate.face_id,
        media_file=media_file,
        **_times(candidate, origin),
        reason=rejection.reason,
        measured=_finite(rejection.measured),
        limit=_finite(rejection.limit),
        unit=rejection.unit,
        regions=candidate.regions,
        spot_score=round(candidate.spot_score, 3),
        head_motion=round(candidate.head_motion, 2),
        has_blink=candidate.has_blink,
        fps_effective=round(candidate.fps_effective, 2),
        action_units=candidate.action_units,
        movements=candidate.movements,
        **_other_times(candidate, origin),
    )


def candidate_row(candidate: SessionCandidate) -> dict[str, Any]:
    """A withdrawn candidate as a row of candidates.csv; what is missing is ""."""
    row = {
        **{name: getattr(candidate, name) for name in ("candidate_id", "face_id", "media_file", *_TIMES)},
        "duration_s": round(candidate.offset_s - candidate.onset_s, 6),
        **{name: getattr(candidate, name) for name in ("reason", "measured", "limit", "unit")},
        "regions": _SEPARATOR.join(candidate.regions),
        **{name: getattr(candidate, name) for name in ("spot_score", "head_motion", "fps_effective")},
        "blink": int(candidate.has_blink),
        "action_units": _SEPARATOR.join(candidate.action_units),
        "movements": _movement_text(candidate.movements),
        **{name: getattr(candidate, name) for name in _OTHER_TIMES},
    }
    return {name: "" if value is None else value for name, value in row.items()}


def read_candidate(row: Mapping[str, str]) -> SessionCandidate:
    """A withdrawn candidate from its row. Raises ValueError when a number is none."""
    return SessionCandidate(
        candidate_id=int(row["candidate_id"]),
        face_id=read_int(row, "face_id"),
        **_read_times(row),
        reason=row["reason"],
        measured=read_float(row, "measured"),
        limit=read_float(row, "limit"),
        unit=row.get("unit", ""),
        media_file=row.get("media_file", ""),
        regions=_split(row.get("regions", "")),
        **{name: read_float(row, name) for name in ("spot_score", "head_motion", "fps_effective")},
        **{name: read_float(row, name) for name in _OTHER_TIMES},
        has_blink=row.get("blink") == "1",
        action_units=_split(row.get("action_units", "")),
        movements=_read_movements(row.get("movements", "")),
    )


def _times(found: Candidate, origin: Origin) -> dict[str, Any]:
    key_frames = [getattr(found, name) for name in KEY_FRAMES]
    return {
        **{f"{n}_frame": k.frame_index - origin.index for n, k in zip(KEY_FRAMES, key_frames, strict=True)},
        **{f"{n}_s": origin.seconds(k.timestamp_ns) for n, k in zip(KEY_FRAMES, key_frames, strict=True)},
    }


def _other_times(found: Candidate, origin: Origin) -> dict[str, float | None]:
    times_ns = {name: getattr(found, f"{name.removesuffix('_s').removesuffix('_exact')}_ns") for name in _OTHER_TIMES}
    return {name: None if time_ns is None else origin.seconds(time_ns) for name, time_ns in times_ns.items()}


def _read_times(row: Mapping[str, str]) -> dict[str, Any]:
    frames = {f"{name}_frame": int(row[f"{name}_frame"]) for name in KEY_FRAMES}
    seconds = {f"{name}_s": float(row[f"{name}_s"]) for name in KEY_FRAMES}
    if not all(map(math.isfinite, seconds.values())):
        raise ValueError("a time is not a number")
    return frames | seconds


def _movement_text(movements: tuple[RegionMovement, ...]) -> str:
    return _SEPARATOR.join(
        f"{m.region} {m.x_percent:.2f} {m.y_percent:.2f} {m.uncertainty_percent:.2f}" for m in movements
    )


def _read_movements(text: str) -> tuple[RegionMovement, ...]:
    movements = []
    for part in _split(text):
        region, *numbers = part.rsplit(" ", 3)
        movements.append(RegionMovement(region, *map(float, numbers)))
    return tuple(movements)


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split(_SEPARATOR)) if text else ()


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def read_float(row: Mapping[str, str], name: str) -> float | None:
    """A number of a row; None when it is missing. Raises ValueError when it is none."""
    text = row.get(name)
    return float(text) if text else None


def read_int(row: Mapping[str, str], name: str) -> int | None:
    """A whole number of a row; None when it is missing. Raises ValueError when it is none."""
    text = row.get(name)
    return int(text) if text else None
