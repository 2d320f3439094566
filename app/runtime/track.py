"""What the analysis learned of each frame of a recording, small enough to be kept for an hour of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np

from app.datatypes import AlignedCrop, FaceQuality, Frame, MotionSample, SpotState, StepResult, TrackedFace

MAX_FRAMES = 120_000  # an hour and six minutes at 30 fps; about 2.5 kB each
NOT_ANALYSED = "not analysed yet"
_STEPS_PER_PX = 8  # landmarks are kept as 16-bit numbers: to 1/8 px in pictures of up to 4096 px, enough to be painted
_LIMIT = np.iinfo(np.int16).max
_NO_PICTURE = np.zeros((0, 0, 3), np.uint8)
_NO_LANDMARKS = np.zeros((0, 3), np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class _Record:
    """A StepResult without pictures. `landmarks` is (L, 2) int16."""

    face: TrackedFace | None
    landmarks: np.ndarray | None
    quality: FaceQuality | None
    crop_from_frame: np.ndarray | None
    motion: MotionSample | None
    state: SpotState


class ResultTrack:
    """Results by the number of their frame; one thread adds, another asks. The oldest go when there are very many."""

    def __init__(self, max_frames: int = MAX_FRAMES) -> None:
        self._max_frames = max_frames
        self._records: dict[int, _Record] = {}
        self._lock = threading.Lock()

    def put(self, result: StepResult) -> None:
        """Keep a result without its pictures."""
        face = result.face
        landmarks = None
        if face is not None:
            scaled = np.rint(face.landmarks_px[:, :2] * _STEPS_PER_PX)
            landmarks = np.clip(scaled, -_LIMIT, _LIMIT).astype(np.int16)
            face = replace(face, landmarks_px=_NO_LANDMARKS)
        crop_from_frame = result.crop.crop_from_frame if result.crop is not None else None
        record = _Record(face, landmarks, result.quality, crop_from_frame, result.motion, result.state)
        with self._lock:
            self._records[result.frame.index] = record
            if len(self._records) > self._max_frames:
                del self._records[next(iter(self._records))]

    def result_for(self, frame: Frame) -> StepResult | None:
        """The result of a frame, without its crop's picture and its landmarks' depth; None before it is there."""
        with self._lock:
            record = self._records.get(frame.index)
        if record is None:
            return None
        face = record.face
        if face is not None and record.landmarks is not None:
            landmarks_px = np.zeros((len(record.landmarks), 3), np.float32)
            landmarks_px[:, :2] = record.landmarks / np.float32(_STEPS_PER_PX)
            face = replace(face, landmarks_px=landmarks_px)
        crop = None if record.crop_from_frame is None else AlignedCrop(_NO_PICTURE, record.crop_from_frame)
        return StepResult(frame, face, record.quality, crop, record.motion, record.state)


def unanalysed(frame: Frame) -> StepResult:
    """What is known of a frame that the analysis has not reached."""
    return StepResult(frame, None, FaceQuality(False, NOT_ANALYSED, 0.0, 0.0, 0.0), None, None, SpotState.OFF)
