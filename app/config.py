"""Every setting once, with its unit in the name. The command line is a thin skin over these records."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """How a source is opened. Sizes and rate are wishes to a camera; `fps` is the time base of a folder of images.

    `rotation_deg` turns a live source's pictures clockwise, for a camera that is mounted on its side: 0, 90, 180, 270.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    start_s: float = 0.0
    end_s: float | None = None
    seed: int = 0  # of the built-in demo's noise and head motion
    rotation_deg: int = 0


@dataclass(frozen=True, slots=True)
class RecognitionConfig:
    """Which network runs on which device. `model` is a file, a name in the manifest, or None for the default."""

    model: Path | str | None = None
    device: str = "auto"  # "auto" | "cpu" | "cuda" | "cuda:N"
    require_gpu: bool = False
    threads: int = 2  # of the CPU provider: a pair takes 0.09 s, with one thread 0.17; a live event waits for it


@dataclass(frozen=True, slots=True)
class FaceConfig:
    """Limits of the usability check."""

    min_inter_ocular_px: float = 28.0
    max_yaw_deg: float = 35.0
    max_pitch_deg: float = 30.0
    min_brightness: float = 30.0
    min_sharpness: float = 5.5  # about a blur of 6 % of the inter-ocular distance
    count_period_s: float = 1.0  # how often all faces in the frame are counted


FALSE_ALARMS_PER_MIN = (0.25, 8.0)  # the range in which sensitivity was measured


@dataclass(frozen=True, slots=True)
class SpotterConfig:
    """Sensitivity and gates of the spotter; percent is of the inter-ocular distance unless said otherwise."""

    false_alarms_per_min: float = 1.0  # that a quiet face may be expected to give
    warmup_s: float = 0.9
    min_displacement_percent: float = 0.25
    max_displacement_percent: float = 4.5
    min_duration_ms: float = 60.0
    max_duration_ms: float = 500.0
    duration_tolerance_ms: float = 100.0  # that onset and offset may be off together
    min_explained: float = 0.6  # share of the motion that a pulse explains
    max_around: float = 1.6  # motion just before or after, as a fraction of the movement
    max_mouth_before: float = 2.0  # motion of lips and chin before a movement of the mouth, as a multiple of it
    max_head_speed_percent_s: float = 250.0
    max_eye_drop_percent: float = 18.0  # of the usual eye opening
    max_gaze_percent: float = 2.5
    max_light_percent: float = 6.0  # of the brightness
    max_gap_ms: float = 250.0  # frames further apart than this are not joined

    @property
    def longest_ms(self) -> float:
        """What a movement may measure, the tolerance included."""
        return self.max_duration_ms + self.duration_tolerance_ms


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """One record for a whole run."""

    face: FaceConfig = field(default_factory=FaceConfig)
    spotter: SpotterConfig = field(default_factory=SpotterConfig)
    recognition: RecognitionConfig = field(default_factory=RecognitionConfig)
