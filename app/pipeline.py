"""The whole flow of data: a frame in, what was learned from it out. Without threads and without Qt.

Live view, replay, the headless command, the benchmark and the tests all call these lines, so they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter

from app.config import PipelineConfig, RecognitionConfig
from app.datatypes import Candidate, Frame, Prediction, Rejection, SpotState, StepResult, TrackedFace
from app.face.alignment import align
from app.face.quality import assess
from app.face.tracker import FaceTracker
from app.libraries import keep_to_calling_thread
from app.recognition.classifier import load_classifier
from app.resource import Resource
from app.spotting.motion import MotionAnalyser
from app.spotting.spotter import Spotter

NO_EXPRESSION = "none"  # the class of a network that tells expressions from blinks, speech and head motion


class Recogniser(Resource):
    """Names the expression class of accepted candidates. Build and use it on one thread.

    Attributes:
        classifier: the network, or None when only spotting is possible.
        status: why that is so, else "".

    Raises:
        ModelError, DeviceError: when a model is there but cannot be used as asked.
    """

    def __init__(self, config: RecognitionConfig | None = None) -> None:
        self.classifier, self.status = load_classifier(config or RecognitionConfig())

    def recognise(self, candidate: Candidate) -> Prediction | None:
        """The class of an accepted candidate; None without a network."""
        if self.classifier is None:
            return None
        return self.classifier.classify(candidate.onset.crop_bgr, candidate.apex.crop_bgr)

    def close(self) -> None:
        """Release the network."""
        if self.classifier is not None:
            self.classifier.close()


def judge(candidate: Candidate, prediction: Prediction | None) -> Candidate:
    """The candidate, withdrawn when a network that knows the class "none" sees no expression in it."""
    if prediction is None or prediction.label != NO_EXPRESSION:
        return candidate
    others = [
        p for name, p in zip(prediction.class_names, prediction.probabilities, strict=True) if name != NO_EXPRESSION
    ]
    return replace(candidate, rejection=Rejection("not an expression", prediction.confidence, float(max(others)), ""))


@dataclass(frozen=True, eq=False, slots=True)
class Tracking:
    """A frame with the face that was tracked in it, if any, and how long that took."""

    frame: Frame
    face: TrackedFace | None
    elapsed_ms: float


class Pipeline(Resource):
    """Track, register, measure, spot. Build, use and close it on one thread; see `track` for the exception."""

    def __init__(self, config: PipelineConfig | None = None) -> None:
        keep_to_calling_thread()
        self._config = config or PipelineConfig()
        self._tracker = FaceTracker(self._config.face)
        self._motion = MotionAnalyser()
        self._spotter = Spotter(self._config.spotter)
        self._previous_ns: int | None = None
        self._face_id: int | None = None
        self._is_renewing = False
        self._announced_ns: dict[int, int] = {}  # of candidates that are not decided yet

    def step(self, frame: Frame) -> StepResult:
        """Take in the next frame; `frame.dropped_before` > 0 or a jump in time keeps the sides apart."""
        return self.analyse(self.track(frame))

    def track(self, frame: Frame) -> Tracking:
        """The first half of a step. It may run on another thread than the second: it shares nothing with it."""
        started = perf_counter()
        face = self._tracker.track(frame)
        return Tracking(frame, face, (perf_counter() - started) * 1e3)

    def analyse(self, tracking: Tracking) -> StepResult:
        """The second half of a step, in the order of the frames."""
        return self._dated(self._analyse(tracking))

    def _analyse(self, tracking: Tracking) -> StepResult:
        frame, face = tracking.frame, tracking.face
        stage_ms = {"track": tracking.elapsed_ms}
        clock = perf_counter()

        def lap(stage: str) -> None:
            nonlocal clock
            now = perf_counter()
            stage_ms[stage] = (now - clock) * 1e3
            clock = now

        interrupted = self._forget() if self._has_gap(frame) or self._is_renewing else ()
        self._is_renewing = False
        if face is None:
            return StepResult(frame, None, None, None, None, SpotState.OFF, (), interrupted + self._forget(), stage_ms)
        if face.face_id != self._face_id:
            interrupted += self._forget()
            self._face_id = face.face_id
        motion = self._motion.measure(frame, face)
        lap("register")
        crop = motion.crop if motion is not None else align(frame.image_bgr, face.landmarks_px)
        quality = assess(face, crop.image_bgr, self._config.face)
        if motion is None or not quality.is_usable:
            return StepResult(
                frame, face, quality, crop, None, SpotState.OFF, (), interrupted + self._forget(), stage_ms
            )
        sample, announced, decided = self._spotter.update(frame, face, motion)
        lap("spot")
        return StepResult(
            frame, face, quality, crop, sample, self._spotter.state, announced, interrupted + decided, stage_ms
        )

    def follow(self, x_px: float, y_px: float) -> None:
        """Track the face at this place of the picture from the next frame on; no movement spans the change."""
        self._tracker.follow(x_px, y_px)

    def renew_reference(self) -> None:
        """Learn the resting face anew from the next frame on; a movement under way is withdrawn."""
        self._is_renewing = True

    def _dated(self, result: StepResult) -> StepResult:
        """The same result, whose candidates know when they were announced and decided."""
        if not result.announced and not result.decided:
            return result
        now_ns = result.frame.timestamp_ns
        self._announced_ns |= {candidate.candidate_id: now_ns for candidate in result.announced}
        announced = tuple(replace(c, announced_ns=now_ns) for c in result.announced)
        decided = tuple(
            replace(c, announced_ns=self._announced_ns.pop(c.candidate_id, None), decided_ns=now_ns)
            for c in result.decided
        )
        return replace(result, announced=announced, decided=decided)

    def _has_gap(self, frame: Frame) -> bool:
        previous_ns, self._previous_ns = self._previous_ns, frame.timestamp_ns
        if previous_ns is None:
            return False
        step_ms = (frame.timestamp_ns - previous_ns) / 1e6
        return frame.dropped_before > 0 or not 0 < step_ms <= self._config.spotter.max_gap_ms

    def _forget(self) -> tuple[Candidate, ...]:
        self._motion.reset()
        return self._spotter.reset()

    def close(self) -> None:
        """Release the tracker."""
        self._tracker.close()
