"""How fast is it here: milliseconds per stage, and the whole beside a bare face-mesh loop over the same frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from time import perf_counter

import cv2
import numpy as np

from app.capture.source import open_source
from app.config import PipelineConfig, SourceConfig
from app.datatypes import Frame
from app.errors import SourceError
from app.face.tracker import open_face_mesh, silenced_stderr
from app.pipeline import Pipeline, Recogniser
from app.runtime.overlap import steps

# The two loops take turns in blocks of this many frames, so that a machine that slows down slows both. Not fewer: at
# the end of a block nothing overlaps.
_BLOCK = 100
_WARM_UP = 10
_PAIRS = 20  # that the network is timed on


@dataclass(frozen=True, slots=True)
class StageFigures:
    """Milliseconds of one stage over the frames (or candidates) that reached it."""

    stage: str
    count: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class BenchReport:
    """`ratio` is pipeline frames per second over those of a bare face-mesh loop.

    The pipeline runs as it does on recordings: tracking on one thread, the rest on another. The bare loop has all of
    OpenCV's own threads, which a pipeline does without.
    """

    source: str
    width: int
    height: int
    frame_count: int
    stages: tuple[StageFigures, ...]
    mesh_fps: float
    pipeline_fps: float
    provider: str

    @property
    def ratio(self) -> float:
        """Throughput of the whole pipeline relative to tracking alone."""
        return self.pipeline_fps / self.mesh_fps


def bench(spec: str, frame_count: int, source_config: SourceConfig, config: PipelineConfig) -> BenchReport:
    """Measure on frames held in memory, decoding left out.

    Raises:
        MmnetError: when the source, the model or the device cannot be used.
    """
    with open_source(spec, source_config) as source:
        info = source.info
        frames = list(islice(source, frame_count))
    if len(frames) <= _WARM_UP:
        raise SourceError(f"{spec} has {len(frames)} frames; at least {_WARM_UP + 1} are needed to measure.")
    stage_ms: dict[str, list[float]] = {}
    mesh_s = pipeline_s = 0.0
    crops_bgr: list[np.ndarray] = []
    with open_face_mesh() as mesh, Pipeline(config) as pipeline, Recogniser(config.recognition) as recogniser:
        with silenced_stderr():
            for frame in frames[:_WARM_UP]:
                mesh.process(cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2RGB))
                pipeline.step(frame)
        measured = frames[_WARM_UP:]
        for start in range(0, len(measured), _BLOCK):
            block: list[Frame] = measured[start : start + _BLOCK]
            with _all_opencv_threads():
                began = perf_counter()
                for frame in block:
                    mesh.process(cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2RGB))
                mesh_s += perf_counter() - began
            began = perf_counter()
            for result in steps(pipeline, block):
                if result.crop is not None:
                    crops_bgr = [*crops_bgr[-_PAIRS:], result.crop.image_bgr]
                for stage, elapsed_ms in result.stage_ms.items():
                    stage_ms.setdefault(stage, []).append(elapsed_ms)
            pipeline_s += perf_counter() - began
        provider = recogniser.classifier.provider if recogniser.classifier is not None else recogniser.status
        if recogniser.classifier is not None:
            predictions = [recogniser.classifier.classify(onset, apex) for onset, apex in pairwise(crops_bgr)]
            stage_ms["recognise a pair"] = [prediction.elapsed_ms for prediction in predictions]
    stages = tuple(
        StageFigures(stage, len(values), float(np.percentile(values, 50)), float(np.percentile(values, 95)))
        for stage, values in stage_ms.items()
        if values
    )
    count = len(frames) - _WARM_UP
    return BenchReport(spec, info.width, info.height, count, stages, count / mesh_s, count / pipeline_s, provider)


@contextmanager
def _all_opencv_threads() -> Iterator[None]:
    kept = cv2.getNumThreads()
    cv2.setNumThreads(-1)
    try:
        yield
    finally:
        cv2.setNumThreads(kept)
