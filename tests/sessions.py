"""Session folders made without a face tracker, for tests of what is done with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np

from app.config import PipelineConfig, SourceConfig
from app.datatypes import Event, Frame, MotionSample, Prediction, Rejection, SourceInfo, SpotState, StepResult
from app.face.topology import REGION_NAMES
from app.session.writer import Consent, ModelRecord, SessionWriter

FPS = 30.0
MODEL = ModelRecord(
    "tiny", "ab" * 32, fakes.CLASS_NAMES, "CPUExecutionProvider", {"training_data": "none: made for a test"}
)
EVENT_ENDS = (40, 80, 110)  # offset frames; each event begins nine frames earlier
WITHDRAWN_ENDS = (20, 60)


def begin(
    folder: Path,
    media_file: str = "talk.mp4",
    *,
    subject_id: str = "p1",
    model: ModelRecord = MODEL,
    is_live: bool = False,
    consent: Consent | None = None,
) -> SessionWriter:
    """A writer over a made-up source of 160×120 at 30 fps."""
    info = SourceInfo("fake", "camera" if is_live else "file", 160, 120, FPS, None, is_live)
    return SessionWriter(
        folder, info, media_file, model, SourceConfig(), PipelineConfig(), subject_id=subject_id, consent=consent
    )


def step(index: int, *, first_ns: int = 0, decided: tuple = (), has_face: bool = True) -> StepResult:
    """What is learned from a frame in which a face is in the middle."""
    frame = Frame(index, first_ns + round(index * 1e9 / FPS), fakes.picture(160, 120, index))
    if not has_face:
        return StepResult(frame, None, None, None, None, SpotState.OFF, (), decided)
    displacement_percent = np.full((len(REGION_NAMES), 2), 0.25)
    motion = MotionSample(
        index, frame.timestamp_ns, displacement_percent, 3.0, 0.4 + 0.8 * (index in EVENT_ENDS), False
    )
    return StepResult(frame, fakes.face(160, 120), None, None, motion, SpotState.IDLE, (), decided)


def event(event_id: int, end_frame: int, *, first_ns: int = 0, prediction: Prediction | None = None) -> Event:
    """A movement of nine frames with its peak in the middle."""
    found = _moved(fakes.candidate(first_ns + round(end_frame * 1e9 / FPS)), end_frame)
    return Event(event_id, found, prediction or fakes.prediction())


def withdrawn(candidate_id: int, end_frame: int, reason: str = "blink"):
    """The same movement, rejected."""
    found = _moved(fakes.candidate(round(end_frame * 1e9 / FPS), rejected_because=reason), end_frame)
    return replace(found, candidate_id=candidate_id, rejection=Rejection(reason, 0.42, 0.35, ""))


def _moved(found, end_frame: int):
    numbers = {"onset": end_frame - 9, "apex": end_frame - 5, "offset": end_frame}
    first_ns = found.offset.timestamp_ns - round(end_frame * 1e9 / FPS)
    moved = {}
    for name, number in numbers.items():
        key_frame = getattr(found, name)
        time_ns = first_ns + round(number * 1e9 / FPS)
        moved[name] = replace(
            key_frame, frame_index=number, timestamp_ns=time_ns, crop_bgr=fakes.picture(128, 128, number)
        )
        moved[f"{name}_ns"] = time_ns + 1_000_000
    return replace(found, **moved)


def write_session(folder: Path, media_file: str = "talk.mp4", *, frames: int = 120, **options) -> Path:
    """A whole session: three events, two withdrawn candidates, a stretch without a face at its start."""
    with begin(folder, media_file, **options) as writer:
        event_id = 0
        for index in range(frames):
            decided = ()
            if index in WITHDRAWN_ENDS:
                decided = (withdrawn(WITHDRAWN_ENDS.index(index) + 1, index),)
            writer.add_step(step(index, decided=decided, has_face=index >= 5))
            if index in EVENT_ENDS:
                event_id += 1
                writer.add_event(event(event_id, index))
    return folder
