"""What passes between the stages: frozen records with units and shapes, and nothing else.

Legend for shapes: H, W frame size in pixels; S crop size in pixels; L = 478 landmarks; R motion regions; C classes.
Times are integer nanoseconds: the monotonic clock for live sources, media time from the first frame for recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source says of itself once it is open.

    `fps` is the nominal or reported rate (None when unknown); `frame_count` may be an estimate of the container.
    """

    label: str
    kind: str  # "camera" | "file" | "images" | "stream" | "demo"
    width: int
    height: int
    fps: float | None
    frame_count: int | None
    is_live: bool
    codec: str = ""
    requested: str = ""  # what was asked of a camera, e.g. "1280x720 60 fps MJPG"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One picture. `image_bgr` is (H, W, 3) uint8 and must not be written to."""

    index: int  # 0-based, decode order
    timestamp_ns: int
    image_bgr: np.ndarray
    dropped_before: int = 0  # frames known to be lost between the previous frame and this one


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Head rotation in degrees. Positive pitch: nose down; yaw: nose to image right; roll: clockwise in the image."""

    pitch_deg: float
    yaw_deg: float
    roll_deg: float


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """Whether a tracked face can be analysed, with the measurements behind it."""

    is_usable: bool
    reason: str  # "" when usable, else one of face.quality.REASONS
    inter_ocular_px: float
    sharpness: float  # detail of 1.5–3 px, percent of the crop's own contrast
    brightness: float  # mean grey level of the crop, 0–255


@dataclass(frozen=True, eq=False, slots=True)
class TrackedFace:
    """The tracked face in one frame. `landmarks_px` is (L, 3) float32: x, y in frame pixels, z in the same scale.

    `other_boxes_px`: left, top, width and height of the faces that are not tracked, at the last count.
    """

    face_id: int  # changes when the tracker may have moved to another person
    landmarks_px: np.ndarray
    pose: HeadPose
    eye_opening: float  # lid distance / eye width, mean of both eyes; about 0.3 open, below 0.15 shut
    inter_ocular_px: float  # distance between the outer eye corners, frame pixels
    face_count: int  # faces seen at the last count, the tracked one included
    other_boxes_px: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class AlignedCrop:
    """A face cut out of a frame by one sub-pixel warp.

    `image_bgr` (S, S, 3) uint8; `crop_from_frame` (2, 3) float64 maps frame pixels to crop pixels.
    """

    image_bgr: np.ndarray
    crop_from_frame: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class MotionSample:
    """Facial movement at one frame, rigid head motion removed.

    `displacement_percent` (R, 2) float64: x (image right), y (down) against the neutral reference, in percent of the
    inter-ocular distance. `head_speed_percent_s`: rigid motion in percent of the inter-ocular distance a second.
    `strength`: the fused spot score, 1.0 = at the detection threshold.
    """

    frame_index: int
    timestamp_ns: int
    displacement_percent: np.ndarray
    head_speed_percent_s: float
    strength: float
    is_blink: bool

    @property
    def largest_percent(self) -> float:
        """Displacement of the region that moved furthest, percent of the inter-ocular distance."""
        return float(np.linalg.norm(self.displacement_percent, axis=1).max())


class SpotState(StrEnum):
    """States of the spotter.

    OFF: no usable face. WARMUP: baseline not known yet. HOLDING: a movement already longer than a micro-expression.
    """

    OFF = "off"
    WARMUP = "warmup"
    IDLE = "idle"
    RISING = "rising"
    FALLING = "falling"
    HOLDING = "holding"


@dataclass(frozen=True, eq=False, slots=True)
class KeyFrame:
    """One moment of a movement with its registered crop ((S, S, 3) uint8 BGR)."""

    frame_index: int
    timestamp_ns: int
    crop_bgr: np.ndarray


@dataclass(frozen=True, slots=True)
class RegionMovement:
    """How far one region moved from onset to apex: image right and down, percent of the inter-ocular distance.

    `uncertainty_percent` is one standard deviation of what the region does at rest.
    """

    region: str
    x_percent: float
    y_percent: float
    uncertainty_percent: float

    @property
    def distance_percent(self) -> float:
        """Length of the movement, percent of the inter-ocular distance."""
        return float(np.hypot(self.x_percent, self.y_percent))


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a candidate was withdrawn: the gate (a key of spotting.spotter.REJECTIONS), what it measured, its limit."""

    reason: str
    measured: float
    limit: float
    unit: str  # "ms", "%", "%/s", "" for a ratio


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """A spotted movement: announced at its apex, decided at its offset. `rejection` is None when it was accepted.

    `onset_ns`, `apex_ns` and `offset_ns` are finer than the frame rate; the key frames are the frames nearest to them.
    `movements` has the strongest first; `action_units` are those that fit them (FACS numbers, "12L" for one side).
    `crops` are the frames from onset to offset, in order, thinned evenly when there are very many.
    `announced_ns` and `decided_ns` are the times of the frames with which that was said; None where it was not.
    """

    candidate_id: int  # the same when announced and when decided; unique within a pipeline
    face_id: int
    onset: KeyFrame
    apex: KeyFrame
    offset: KeyFrame
    onset_ns: int
    apex_ns: int
    offset_ns: int
    movements: tuple[RegionMovement, ...]
    action_units: tuple[str, ...]
    spot_score: float  # peak strength, 1.0 = at the threshold
    head_motion: float  # largest head speed during the movement, percent of the inter-ocular distance a second
    has_blink: bool
    fps_effective: float  # frame rate around the movement, Hz
    rejection: Rejection | None = None
    crops: Sequence[KeyFrame] = ()
    announced_ns: int | None = None
    decided_ns: int | None = None

    @property
    def rejected_because(self) -> str:
        """The gate that closed, or "" for a micro-expression candidate."""
        return self.rejection.reason if self.rejection is not None else ""

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions that moved, strongest first."""
        return tuple(movement.region for movement in self.movements)

    @property
    def duration_ms(self) -> float:
        """Onset to offset in milliseconds."""
        return (self.offset_ns - self.onset_ns) / 1e6


@dataclass(frozen=True, eq=False, slots=True)
class Prediction:
    """What the network says of one onset/apex pair.

    `probabilities` (C,) float64, sums to 1; `attention` (112, 112) float32 in 0–1: the first continuous-attention
    block's map over the crop.
    """

    class_names: tuple[str, ...]
    probabilities: np.ndarray
    attention: np.ndarray
    elapsed_ms: float

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return self.class_names[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """Probability of the most probable class."""
        return float(np.max(self.probabilities))


@dataclass(frozen=True, eq=False, slots=True)
class Event:
    """A micro-expression candidate with its class; `prediction` is None when only spotting is available."""

    event_id: int  # 1-based within a session
    candidate: Candidate
    prediction: Prediction | None


@dataclass(frozen=True, eq=False, slots=True)
class StepResult:
    """Everything `Pipeline.step` learned from one frame; later fields are None when an earlier stage gave nothing.

    `announced` holds movements that have just passed their apex, with the newest frame for an offset; whether each is a
    micro-expression is said later, in the `decided` of the frame at which it ended. `stage_ms` maps a stage's name to
    the milliseconds it took.
    """

    frame: Frame
    face: TrackedFace | None
    quality: FaceQuality | None
    crop: AlignedCrop | None
    motion: MotionSample | None
    state: SpotState
    announced: tuple[Candidate, ...] = ()
    decided: tuple[Candidate, ...] = ()
    stage_ms: dict[str, float] = field(default_factory=dict)
