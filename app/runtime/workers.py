"""The threads behind the viewer: capture, analysis, recognition, player, and what they hand to the painting thread.

Nothing here waits for the painting thread: pictures pass through one slot, small records through inboxes.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from app.capture.frame_access import FrameAccess
from app.config import PipelineConfig, RecognitionConfig, SourceConfig
from app.datatypes import Candidate, Event, Frame, SourceInfo, StepResult
from app.errors import MmnetError
from app.runtime.capture import Capture, import_lock, open_any_source
from app.runtime.channels import Inbox, Mailbox
from app.runtime.metrics import LatencyWindow, RateMeter, memory_mib
from app.runtime.player import Player
from app.runtime.records import Fault, Figures, MotionPoint, RecognitionStatus, RunState
from app.runtime.track import ResultTrack, unanalysed

if TYPE_CHECKING:
    from app.capture.source import Source
    from app.pipeline import Pipeline, Recogniser
    from app.runtime.recording import Recording
    from app.session.writer import ModelRecord

logger = logging.getLogger("mmnet.runtime")

_SAVING_S = 5.0
_EVENTS = 50  # that the latency of events is taken from


def _build_pipeline(config: PipelineConfig) -> Pipeline:
    with import_lock:
        from app.pipeline import Pipeline
    return Pipeline(config)


def _build_recogniser(config: RecognitionConfig) -> Recogniser:
    with import_lock:
        from app.pipeline import Recogniser
    return Recogniser(config)


class LiveAnalysis:
    """One run over one source: `start`, `take` what is to be shown, read the channels, `stop`.

    A live source is shown as it is analysed. A recording is analysed as fast as it goes, and played beside that by
    `player`.

    Channels for the painting thread:
        motion: one MotionPoint per analysed frame;
        announced: candidates at their apex, not decided yet;
        events, rejected: recognised events and the candidates that a gate refused;
        faults: errors of any of the threads.

    Attributes:
        recording: of a live source once it is open: what keeps the last seconds and writes sessions.
        model: what recognition runs on, in the words of a session; None while the network is loaded.
        replay_s: so many of the last seconds of a live source are kept in memory; set it before `start`.
    """

    def __init__(
        self,
        spec: str,
        source_config: SourceConfig,
        pipeline_config: PipelineConfig,
        *,
        opener: Callable[[str, SourceConfig], Source] = open_any_source,
        build_pipeline: Callable[[PipelineConfig], Pipeline] = _build_pipeline,
        build_recogniser: Callable[[RecognitionConfig], Recogniser] = _build_recogniser,
    ) -> None:
        self.spec = spec
        self.motion: Inbox[MotionPoint] = Inbox()
        self.announced: Inbox[Candidate] = Inbox()
        self.events: Inbox[Event] = Inbox()
        self.rejected: Inbox[Candidate] = Inbox()
        self.faults: Inbox[Fault] = Inbox()
        self.recognition: RecognitionStatus | None = None
        self.recording: Recording | None = None
        self.model: ModelRecord | None = None
        self._recorded_size: tuple[int, int] | None = None
        self.replay_s = 0.0
        self._source_config = source_config
        self._config = pipeline_config
        self._build_pipeline, self._build_recogniser = build_pipeline, build_recogniser
        self._newest: Mailbox[StepResult] = Mailbox()
        self._track = ResultTrack()
        self._player = Player(lambda: FrameAccess(spec, source_config, opener), report=self._report_player)
        self._bare: Frame | None = None  # shown before it was analysed
        self._analysed_ns: int | None = None
        self._paused = threading.Event()
        self._capture = Capture(
            spec,
            source_config,
            paused=self._paused,
            opener=opener,
            report=self._report_capture,
            on_open=self._begin,
            returns=True,
        )
        self._wishes: queue.SimpleQueue[Callable[[Pipeline], None]] = queue.SimpleQueue()
        self._candidates: queue.SimpleQueue[Candidate | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._dropped_before = 0  # while the libraries were loaded
        self._analysed = RateMeter()
        self._stages, self._latency = LatencyWindow(), LatencyWindow()
        self._event_latency = LatencyWindow(_EVENTS)
        self._threads = [
            threading.Thread(target=self._analyse, name="analysis", daemon=True),
            threading.Thread(target=self._recognise, name="recognition", daemon=True),
        ]

    def start(self) -> None:
        self._capture.start()
        for thread in self._threads:
            thread.start()

    def take(self) -> StepResult | None:
        """What is to be shown now; None while that is what was taken last.

        Of a recording, a frame may come twice: before it is analysed, with the quality `track.NOT_ANALYSED`, and after.
        """
        if self.player is None:
            return self._newest.take()
        frame = self.player.take() or self._bare
        if frame is None:
            return None
        result = self._track.result_for(frame)
        if result is None and frame is self._bare:
            return None
        self._bare = frame if result is None else None
        return result or unanalysed(frame)

    def pause(self) -> None:
        """Recordings stop where they are; a live source goes on, unanalysed, and the pause becomes a gap."""
        self._paused.set()
        self._player.pause()

    def resume(self) -> None:
        self._paused.clear()
        self._player.play()

    @property
    def is_paused(self) -> bool:
        return self._paused.is_set() if self.player is None else not self.player.is_playing

    @property
    def speed(self) -> float:
        """Of a recording, media seconds per second."""
        return self._player.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._player.set_speed(speed)

    @property
    def player(self) -> Player | None:
        """What plays the recording; None for a live source, and until the source is open."""
        return self._player if self.info is not None and not self.info.is_live else None

    @property
    def analysed_ns(self) -> int | None:
        """Media time of the newest analysed frame; None before the first."""
        return self._analysed_ns

    @property
    def is_analysed(self) -> bool:
        """Whether the analysis is over."""
        return not (self._capture.is_alive or any(thread.is_alive() for thread in self._threads))

    def follow(self, x_px: float, y_px: float) -> None:
        """Track the face at this place of the picture instead, from the next frame on."""
        logger.info("another face is followed, at %.0f, %.0f px", x_px, y_px)
        self._wishes.put(lambda pipeline: pipeline.follow(x_px, y_px))

    def renew_reference(self) -> None:
        """Learn the resting face anew, from the next frame on."""
        logger.info("the resting face is learned anew")
        self._wishes.put(lambda pipeline: pipeline.renew_reference())

    def reopen(self, config: SourceConfig) -> None:
        """Open the same live source in another way (size, rate, rotation); faces, events and numbers go on."""
        self._source_config = config
        self._capture.reopen(config)

    @property
    def info(self) -> SourceInfo | None:
        """None until the source is open."""
        return self._capture.info_if_open

    @property
    def is_alive(self) -> bool:
        """Whether any of the threads still runs."""
        return not self.is_analysed or self._player.is_alive

    @property
    def state(self) -> RunState:
        if not self.is_alive:
            return RunState.ENDED
        if self.info is None:
            return RunState.OPENING
        if self._capture.is_lost:
            return RunState.LOST
        if not self.is_paused:
            return RunState.RUNNING
        return RunState.ENDED if self.player and self.player.is_at_end and self.is_analysed else RunState.PAUSED

    def figures(self) -> Figures:
        """Speed and losses now; cheap enough for several calls a second."""
        return Figures(
            captured_fps=self._capture.rate.rate_hz(),
            analysed_fps=self._analysed.rate_hz(),
            stage_ms=self._stages.percentiles(),
            latency_ms=self._latency.percentiles().get("latency"),
            event_latency_ms=self._event_latency.percentiles().get("event"),
            dropped=self._capture.dropped - self._dropped_before,
            queued=self._capture.queue.depth,
            silence_s=self._capture.silence_s,
            memory_mib=memory_mib(),
        )

    def request_stop(self) -> None:
        """Tell every thread to end, without waiting for any of them."""
        self._stopping.set()
        self._capture.request_stop()
        self._player.request_stop()
        if self.recording is not None:
            self.recording.request_stop()

    def stop(self, timeout_s: float = 1.5) -> tuple[str, ...]:
        """End the run. Returns the names of threads that are still busy after `timeout_s` (in a driver, mostly)."""
        self.request_stop()
        deadline_s = time.monotonic() + timeout_s
        late = [] if self._capture.join(timeout_s) else ["capture"]
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline_s - time.monotonic()))
            if thread.is_alive():
                late.append(thread.name)
        if not self._player.join(max(0.0, deadline_s - time.monotonic())):
            late.append("player")
        # What was recorded is worth a longer wait than a thread that hangs in a driver.
        if self.recording is not None and not self.recording.stop(_SAVING_S):
            late.append("recording")
        if late:
            logger.warning("still busy after %.1f s: %s", timeout_s, ", ".join(late))
        return tuple(late)

    def _analyse(self) -> None:
        try:
            with self._reporting("analysis"), self._build_pipeline(self._config) as pipeline:
                for frame in self._capture.queue:
                    while not self._wishes.empty():
                        self._wishes.get()(pipeline)
                    self._publish(pipeline.step(frame))
        finally:
            # Also after a failure: nobody would take the frames.
            self._capture.request_stop()
            self._candidates.put(None)

    def _publish(self, result: StepResult) -> None:
        if self._analysed_ns is None:
            self._dropped_before = self._capture.dropped
        if self.recording is not None and (self.replay_s > 0 or self.recording.status.folder is not None):
            self.recording.add_step(result)
        self._analysed.tick()
        self._stages.add({**result.stage_ms, "all": sum(result.stage_ms.values())})
        if self.info and self.info.is_live:
            self._latency.add({"latency": (time.perf_counter_ns() - result.frame.timestamp_ns) / 1e6})
        motion = result.motion
        self.motion.put(
            MotionPoint(
                frame_index=result.frame.index,
                timestamp_ns=result.frame.timestamp_ns,
                strength=motion.strength if motion else None,
                head_speed_percent_s=motion.head_speed_percent_s if motion else None,
                displacement_percent=motion.displacement_percent if motion else None,
                is_blink=bool(motion and motion.is_blink),
                is_gap=result.frame.dropped_before > 0,
                state=result.state,
            )
        )
        for candidate in result.announced:
            self.announced.put(candidate)
        for candidate in result.decided:
            self._candidates.put(candidate)
        if self.player is None:
            self._newest.put(result)
        else:
            self._track.put(result)
        self._analysed_ns = result.frame.timestamp_ns

    def _recognise(self) -> None:
        with contextlib.ExitStack() as stack:
            recogniser: Recogniser | None = None
            with import_lock:
                from app.evidence.clips import packed
                from app.pipeline import judge
            with self._reporting("recognition"):
                recogniser = stack.enter_context(self._build_recogniser(self._config.recognition))
            self.recognition = RecognitionStatus.of(recogniser)
            self.model = _model_record(recogniser, self.recognition)
            event_count = 0
            for candidate in iter(self._candidates.get, None):
                if self._stopping.is_set():
                    continue
                # Two hundred of each kind are kept, each with a dozen or more frames.
                candidate = packed(candidate)
                if candidate.rejection is not None:
                    self.rejected.put(candidate)
                    continue
                prediction = None
                with self._reporting("recognition"):
                    prediction = recogniser.recognise(candidate) if recogniser else None
                candidate = judge(candidate, prediction)
                if candidate.rejection is not None:
                    self.rejected.put(candidate)
                    if self.recording is not None:
                        self.recording.add_withdrawn(candidate)
                    continue
                event_count += 1
                # A network that fails leaves spotting working: the event is kept, without a class.
                event = Event(event_count, candidate, prediction)
                if self.info and self.info.is_live:
                    self._event_latency.add({"event": (time.perf_counter_ns() - candidate.offset_ns) / 1e6})
                self.events.put(event)
                if self.recording is not None:
                    self.recording.add_event(event)

    def _begin(self, info: SourceInfo) -> None:
        if self._stopping.is_set():
            return
        if not info.is_live:
            self._player.start()
        elif self.recording is None or (info.width, info.height) != self._recorded_size:
            # Another size needs another video.
            self._begin_recording(info)

    def _begin_recording(self, info: SourceInfo) -> None:
        with import_lock:
            from app.recording import RecordingConfig
            from app.runtime.recording import Recording
        if self.recording is not None:
            self.recording.request_stop()
        self._recorded_size = info.width, info.height
        self.recording = Recording(info, self._source_config, self._config, RecordingConfig(replay_s=self.replay_s))
        self.recording.start()

    def _report_player(self, error: Exception) -> None:
        if not self._stopping.is_set():
            self.faults.put(Fault("player", error))

    def _report_capture(self, error: Exception) -> None:
        if not self._stopping.is_set():
            self.faults.put(Fault("capture", error, is_passing=self._capture.is_lost))

    @contextlib.contextmanager
    def _reporting(self, thread: str) -> Iterator[None]:
        try:
            yield
        except MmnetError as error:
            self.faults.put(Fault(thread, error))
        except Exception as error:
            logger.exception("the %s thread failed", thread)
            self.faults.put(Fault(thread, error))


def _model_record(recogniser: Recogniser | None, status: RecognitionStatus) -> ModelRecord:
    with import_lock:
        from app.session.writer import ModelRecord
    return ModelRecord(status=status.status) if recogniser is None else ModelRecord.of(recogniser)


def on_uncaught(report: Callable[[BaseException, str], None]) -> Callable[[], None]:
    """Call `report(error, thread name)` for errors that nobody caught in any thread; returns what undoes it."""
    previous = threading.excepthook

    def _report(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            report(arguments.exc_value, arguments.thread.name if arguments.thread else "?")

    threading.excepthook = _report
    return lambda: setattr(threading, "excepthook", previous)
