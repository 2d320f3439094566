"""Sources, pipelines and recognisers with a will of their own, for tests of threads and windows."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np

from app.config import PipelineConfig, SourceConfig
from app.datatypes import (
    Candidate,
    FaceQuality,
    Frame,
    HeadPose,
    KeyFrame,
    MotionSample,
    Prediction,
    RegionMovement,
    Rejection,
    SourceInfo,
    SpotState,
    StepResult,
    TrackedFace,
)
from app.face.topology import REGION_NAMES
from app.runtime.workers import LiveAnalysis

CLASS_NAMES = ("negative", "positive", "surprise")


class _Closable:
    def __init__(self) -> None:
        self.closed_on = ""

    def close(self) -> None:
        self.closed_on = threading.current_thread().name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class FakeSource(_Closable):
    """`count` frames at `fps`: as fast as they are taken for a recording, on the monotonic clock for a live source.

    `fails_at` raises `error` in place of that frame; `blocks_at` waits there for `release`, like a driver that hangs.
    """

    def __init__(
        self, count=30, fps=30.0, *, is_live=False, fails_at=None, error=None, blocks_at=None, size=(160, 120)
    ):
        super().__init__()
        self.info = SourceInfo("fake", "camera" if is_live else "file", *size, fps, count, is_live)
        self.release = threading.Event()
        self.opened_on = threading.current_thread().name
        self.delivered = 0
        self._fails_at, self._error, self._blocks_at = fails_at, error, blocks_at
        self._is_paced = is_live

    def __iter__(self) -> Iterator[Frame]:
        start_ns = time.monotonic_ns()
        for index in range(self.info.frame_count):
            if index == self._fails_at:
                raise self._error
            if index == self._blocks_at:
                self.release.wait(30)
            timestamp_ns = int(index * 1e9 / self.info.fps)
            if self._is_paced:
                time.sleep(max(0.0, (start_ns + timestamp_ns - time.monotonic_ns()) / 1e9))
            if self.info.is_live:
                timestamp_ns = time.monotonic_ns()
            self.delivered += 1
            yield Frame(index, timestamp_ns, picture(self.info.width, self.info.height, index))


class FakePipeline(_Closable):
    """A face in the middle of every frame; candidates end at the frames in `decides`, which maps to the gate or ""."""

    def __init__(self, *, step_s=0.0, decides=None, fails_at=None, error=None, reason=""):
        super().__init__()
        self.built_on = threading.current_thread().name
        self.frames: list[Frame] = []
        self._step_s, self._decides, self._fails_at, self._error = step_s, decides or {}, fails_at, error
        self._reason = reason
        self.wishes: list[tuple] = []  # (name, frames seen before it, …)

    def follow(self, x_px: float, y_px: float) -> None:
        self.wishes.append(("follow", len(self.frames), x_px, y_px))

    def renew_reference(self) -> None:
        self.wishes.append(("renew_reference", len(self.frames)))

    def step(self, frame: Frame) -> StepResult:
        if frame.index == self._fails_at:
            raise self._error
        time.sleep(self._step_s)
        self.frames.append(frame)
        height, width = frame.image_bgr.shape[:2]
        decided = ()
        if frame.index in self._decides:
            decided = (candidate(frame.timestamp_ns, rejected_because=self._decides[frame.index]),)
        is_usable = not self._reason
        motion = MotionSample(
            frame.index,
            frame.timestamp_ns,
            np.zeros((len(REGION_NAMES), 2)),
            3.0,
            0.4 + 0.8 * (frame.index % 30 > 24),
            frame.index % 50 == 10,
        )
        return StepResult(
            frame,
            face(width, height),
            FaceQuality(is_usable, self._reason, width / 5, 10.0, 120.0),
            None,
            motion if is_usable else None,
            SpotState.IDLE if is_usable else SpotState.OFF,
            (),
            decided,
            {"track": 1.0 + self._step_s * 1e3, "register": 2.0, "spot": 0.5},
        )


class FakeRecogniser(_Closable):
    """Always the same answer, after `takes_s`; `has_model` False gives events without a class."""

    def __init__(self, *, has_model=True, note="", fails=None, takes_s=0.0):
        super().__init__()
        self.built_on = threading.current_thread().name
        network = SimpleNamespace(
            provider="CPUExecutionProvider",
            model_name="fake",
            provider_note=note,
            sha256="0" * 64,
            class_names=CLASS_NAMES,
            card="# fake",
            metadata={"training_data": "synthetic pairs"},
        )
        self.classifier = network if has_model else None
        self.status = "fake on CPU" if has_model else "spotting only: no model is installed"
        self._fails, self._takes_s = fails, takes_s

    def recognise(self, candidate: Candidate) -> Prediction | None:
        time.sleep(self._takes_s)
        if self._fails:
            raise self._fails
        return prediction() if self.classifier else None


def fake_runs(source=None, pipeline=None, recogniser=None, opener=None, build_recogniser=None):
    """What makes a LiveAnalysis over fakes with these arguments, and a namespace with the newest fakes."""
    made = SimpleNamespace(source=None, pipeline=None, recogniser=None, run=None)

    def open_source(spec, config):
        opened = FakeSource(**(source or {}))
        if threading.current_thread().name != "player":
            made.source = opened
        return opened

    def build_pipeline(config):
        made.pipeline = FakePipeline(**(pipeline or {}))
        return made.pipeline

    def build_fake_recogniser(config):
        made.recogniser = FakeRecogniser(**(recogniser or {}))
        return made.recogniser

    def new_run(spec="fake", source_config=None, pipeline_config=None):
        made.run = LiveAnalysis(
            spec,
            source_config or SourceConfig(),
            pipeline_config or PipelineConfig(),
            opener=opener or open_source,
            build_pipeline=build_pipeline,
            build_recogniser=build_recogniser or build_fake_recogniser,
        )
        return made.run

    return new_run, made


def picture(width: int, height: int, index: int = 0) -> np.ndarray:
    """(height, width, 3) uint8: blue grows to the right, red downwards, green with the index."""
    image_bgr = np.zeros((height, width, 3), np.uint8)
    image_bgr[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)
    image_bgr[..., 1] = index % 256
    image_bgr[..., 2] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    return image_bgr


def face(width: int, height: int) -> TrackedFace:
    """478 landmarks on an ellipse in the middle of the frame."""
    angles = np.linspace(0, 2 * np.pi, 478, endpoint=False)
    landmarks_px = np.stack(
        [width * (0.5 + 0.2 * np.cos(angles)), height * (0.5 + 0.3 * np.sin(angles)), np.zeros(478)], axis=1
    ).astype(np.float32)
    return TrackedFace(1, landmarks_px, HeadPose(0, 0, 0), 0.3, width / 5, 1)


def candidate(end_ns: int = 1_000_000_000, *, rejected_because: str = "") -> Candidate:
    """A movement of 300 ms that ends at `end_ns`."""

    def key_frame(before_ms: int, grey: int) -> KeyFrame:
        timestamp_ns = end_ns - before_ms * 1_000_000
        return KeyFrame(int(timestamp_ns * 30 / 1e9), timestamp_ns, np.full((128, 128, 3), grey, np.uint8))

    onset, apex, offset = key_frame(300, 90), key_frame(150, 160), key_frame(0, 90)
    return Candidate(
        candidate_id=end_ns // 1_000_000,
        face_id=1,
        onset=onset,
        apex=apex,
        offset=offset,
        onset_ns=onset.timestamp_ns,
        apex_ns=apex.timestamp_ns - 20_000_000,  # the exact time is not that of its frame
        offset_ns=offset.timestamp_ns,
        movements=(
            RegionMovement("left mouth corner", 1.1, -0.9, 0.1),
            RegionMovement("right mouth corner", -1.0, -0.9, 0.1),
            RegionMovement("left cheek", 0.2, -0.6, 0.1),
        ),
        action_units=("12",),
        spot_score=2.4,
        head_motion=5.0,
        has_blink=False,
        fps_effective=30.0,
        rejection=Rejection(rejected_because, 1.0, 0.0, "") if rejected_because else None,
        announced_ns=end_ns - 50_000_000,
        decided_ns=end_ns + 100_000_000,
    )


def prediction() -> Prediction:
    """Positive with 0.7."""
    return Prediction(CLASS_NAMES, np.array([0.1, 0.7, 0.2]), np.zeros((112, 112), np.float32), 40.0)
