"""What a run tells the window: small frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from app.datatypes import SpotState
from app.runtime.metrics import Percentiles

if TYPE_CHECKING:
    from app.pipeline import Recogniser


class RunState(StrEnum):
    """Where a run is; ENDED also after an error, which is then in `faults`. LOST: waiting for the source to return.

    A recording that was played to its end and is analysed whole has ENDED, and can be played again all the same.
    """

    OPENING = "opening"
    RUNNING = "running"
    PAUSED = "paused"
    LOST = "lost"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong in which thread. An `MmnetError` is an expected failure, anything else a bug.

    `is_passing`: the source is opened again as soon as it is back.
    """

    thread: str
    error: Exception
    is_passing: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class MotionPoint:
    """What the timeline shows of one frame. The motion of a frame without a usable face is None.

    `displacement_percent` (R, 2) float64: see MotionSample.
    """

    frame_index: int
    timestamp_ns: int
    strength: float | None
    head_speed_percent_s: float | None
    displacement_percent: np.ndarray | None
    is_blink: bool
    is_gap: bool
    state: SpotState


@dataclass(frozen=True, slots=True)
class RecognitionStatus:
    """What recognition really runs on: `provider` is "" while no network is loaded, and `status` says why.

    With a network, `status` says why it does not run on a GPU that would have been taken. `card` is Markdown.
    """

    provider: str
    model_name: str
    status: str
    card: str = ""
    training_data: str = ""

    @classmethod
    def of(cls, recogniser: Recogniser | None) -> RecognitionStatus:
        """That of a recogniser; of None where it could not be built."""
        if recogniser is None:
            return cls("", "", "spotting only: the network could not be loaded")
        if recogniser.classifier is None:
            return cls("", "", recogniser.status)
        network = recogniser.classifier
        return cls(
            network.provider,
            network.model_name,
            network.provider_note,
            network.card,
            network.metadata.get("training_data", ""),
        )

    @property
    def has_fallen_back(self) -> bool:
        """Whether the CPU is used because the GPU could not be."""
        return bool(self.provider and self.status)

    @property
    def is_synthetic(self) -> bool:
        """Whether the network says of itself that it has seen no real person's movements."""
        return "synthetic" in self.training_data.casefold()


@dataclass(frozen=True, slots=True)
class Figures:
    """Speed and losses of a run since its analysis was ready.

    `latency_ms` (live sources): from the grab of a frame to its result. `event_latency_ms` (live sources): from the
    offset of a movement until it is an event, of the last 50 events; None before the first.
    """

    captured_fps: float
    analysed_fps: float
    stage_ms: dict[str, Percentiles]
    latency_ms: Percentiles | None
    event_latency_ms: Percentiles | None
    dropped: int
    queued: int
    silence_s: float
    memory_mib: float
