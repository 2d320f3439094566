"""What the window knows: one source at a time, its results and what is selected. Widgets listen to it and command it.

It pulls what the threads have ready sixty times a second; nobody pushes anything at it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from app.config import PipelineConfig, SourceConfig
from app.datatypes import Candidate, Event, SourceInfo, StepResult
from app.errors import MmnetError
from app.runtime.records import Fault, RecognitionStatus, RunState
from app.runtime.workers import LiveAnalysis

logger = logging.getLogger("mmnet.ui")

TICK_MS = 16
RESULTS_EVERY, FIGURES_EVERY = 6, 30  # ticks
_MIN_SHOWN_S = 0.024  # between two pictures: every one of a camera of 30 fps, however unevenly they come
SILENCE_S = 2.0
KEPT = 200  # events and withdrawn candidates with their pictures, about 0.5 MB each
SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)

RunFactory = Callable[[str, SourceConfig, PipelineConfig], LiveAnalysis]


class Workspace(QObject):
    """The open source and what was found in it.

    Args:
        report: called with errors that are not expected failures, and the thread that met them.
        new_run: makes the threads of a run.

    Attributes:
        run: the threads of the open source, None before the first.
        newest: the newest StepResult of this source.
        events, withdrawn: what was decided so far, oldest first; the newest `KEPT` of each.
        event_count, withdrawn_counts: of the whole run; the latter by reason.
        selected: the Event or withdrawn Candidate that is looked at.
        replay_s: how much of the next live source is kept in memory.

    Signals:
        opening(spec): a source begins, everything of the one before is forgotten.
        stepped(StepResult): what is to be shown, at most forty a second: the newest result, of a recording the played
            frame (not analysed yet: without a face, its quality says so).
        motion_added(list of MotionPoint): one per analysed frame.
        announced(Candidate): a movement has passed its apex and is not decided yet.
        event_added(Event), candidate_withdrawn(Candidate): it is decided.
        selection_changed(Event | Candidate | None).
        state_changed(RunState | None): also when `has_failed` changes.
        speed_changed(float).
        figures_changed(Figures, RecognitionStatus | None), info_changed(SourceInfo): twice a second.
        noticed(topic, text, button, slot), settled_notice(topic): what the user should know, and that it is over.
        settled: the first picture is there and every library is loaded; once.
    """

    opening = pyqtSignal(str)
    stepped = pyqtSignal(object)
    motion_added = pyqtSignal(list)
    announced = pyqtSignal(object)
    event_added = pyqtSignal(object)
    candidate_withdrawn = pyqtSignal(object)
    selection_changed = pyqtSignal(object)
    state_changed = pyqtSignal(object)
    speed_changed = pyqtSignal(float)
    figures_changed = pyqtSignal(object, object)
    info_changed = pyqtSignal(object)
    noticed = pyqtSignal(str, str, str, object)
    settled_notice = pyqtSignal(str)
    settled = pyqtSignal()

    def __init__(
        self,
        source_config: SourceConfig,
        pipeline_config: PipelineConfig,
        *,
        report: Callable[[Exception, str], None],
        new_run: RunFactory = LiveAnalysis,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.source_config, self.pipeline_config = source_config, pipeline_config
        self.replay_s = 0.0
        self._report, self._new_run = report, new_run
        self.run: LiveAnalysis | None = None
        self.newest: StepResult | None = None
        self.events: deque[Event] = deque(maxlen=KEPT)
        self.withdrawn: deque[Candidate] = deque(maxlen=KEPT)
        self.event_count, self.withdrawn_counts = 0, Counter[str]()
        self.selected: Event | Candidate | None = None
        self.has_failed = False
        self._next: str | None = None  # opened as soon as the run before has let go of its source
        self._next_since_s = 0.0
        self._origin_ns: int | None = None
        self._shown_s = 0.0
        self._speed = 1.0
        self._warning_count = 0
        self._is_settled = False
        self._ticks = 0
        self._shown_state: tuple[RunState | None, bool] = (None, False)
        self._timer = QTimer(self, interval=TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        self._timer.start()

    # What is open

    @property
    def info(self) -> SourceInfo | None:
        """None until the source is open."""
        return self.run.info if self.run is not None else None

    @property
    def is_live(self) -> bool:
        return self.info is not None and self.info.is_live

    @property
    def state(self) -> RunState | None:
        return self.run.state if self.run is not None else None

    @property
    def recognition(self) -> RecognitionStatus | None:
        """None while the network is being loaded."""
        return self.run.recognition if self.run is not None else None

    def seconds(self, timestamp_ns: int) -> float:
        """Since the start of the recording, or since the first frame of a live source."""
        return (timestamp_ns - (self._origin_ns or 0)) / 1e9

    # Commands

    def open_source(self, spec: str, config: SourceConfig | None = None) -> None:
        """Analyse another source, opened as before or as `config` says; the one before is given up first."""
        if config is not None:
            self.source_config = config
        self._next, self._next_since_s = spec, time.monotonic()
        if self.run is not None:
            self.run.request_stop()
        self.tick()

    def restart(self) -> None:
        """The same source from its start."""
        if self.run is not None:
            self.open_source(self.run.spec)

    def reopen(self, config: SourceConfig) -> None:
        """Open the same live source in another way; what was found stays."""
        self.source_config = config
        if self.run is not None:
            self.run.reopen(config)

    def toggle_pause(self) -> None:
        if self.run is None:
            return
        if not self.run.is_alive:
            self.restart()
        elif self.run.is_paused:
            self.run.resume()
        else:
            self.run.pause()
        self._tell_state()

    @property
    def speed(self) -> float:
        """Of playback, media seconds per second; one of SPEEDS."""
        return self._speed

    def set_speed(self, speed: float) -> None:
        self._speed = speed
        if self.run is not None:
            self.run.speed = speed
        self.speed_changed.emit(speed)

    def change_speed(self, steps: int) -> None:
        """Faster or slower by so many of SPEEDS."""
        self.set_speed(SPEEDS[min(max(0, SPEEDS.index(self._speed) + steps), len(SPEEDS) - 1)])

    def select(self, item: Event | Candidate | None) -> None:
        """Look at an event or a withdrawn candidate."""
        if item is not self.selected:
            self.selected = item
            self.selection_changed.emit(item)

    def close(self) -> tuple[str, ...]:
        """End the run; returns the names of threads that are still busy."""
        self._timer.stop()
        self._next = None
        return self.run.stop() if self.run is not None else ()

    # Once every 16 ms

    def tick(self) -> None:
        """Take what the threads have ready and tell of it."""
        self._begin_next()
        run = self.run
        if run is None:
            return
        self._ticks += 1
        for fault in run.faults.take_all():
            self._tell_fault(fault)
        if time.monotonic() - self._shown_s >= _MIN_SHOWN_S:
            self.show_newest()
        if not self._is_settled and self.newest is not None and run.recognition is not None:
            self._is_settled = True
            self.settled.emit()
        if self._ticks % RESULTS_EVERY == 0:
            self._tell_results(run)
        if self._ticks % FIGURES_EVERY == 0:
            self._tell_figures(run)
        self._tell_state()

    def show_newest(self) -> None:
        """Tell of the picture that is to be shown, when it is another one than before."""
        run = self.run
        if run is None or (result := run.take()) is None:
            return
        if self._origin_ns is None:
            self._origin_ns = result.frame.timestamp_ns if self.is_live else 0
        self.newest, self._shown_s = result, time.monotonic()
        self.stepped.emit(result)

    def _begin_next(self) -> None:
        if self._next is None:
            return
        # A thread blocked in a driver must not keep the user from another source.
        is_late = time.monotonic() - self._next_since_s > 2.0
        if self.run is not None and self.run.is_alive and not is_late:
            return
        spec, self._next = self._next, None
        self.newest, self._origin_ns, self._warning_count, self.has_failed = None, None, 0, False
        self.events.clear()
        self.withdrawn.clear()
        self.withdrawn_counts.clear()
        self.event_count = 0
        self.select(None)
        self.run = self._new_run(spec, self.source_config, self.pipeline_config)
        self.opening.emit(spec)
        self.run.speed, self.run.replay_s = self._speed, self.replay_s
        self.run.start()

    def _tell_results(self, run: LiveAnalysis) -> None:
        if points := run.motion.take_all():
            self.motion_added.emit(points)
        for candidate in run.announced.take_all():
            self.announced.emit(candidate)
        for event in run.events.take_all():
            self.event_count += 1
            self.events.append(event)
            moment_s = self.seconds(event.candidate.apex.timestamp_ns)
            label = event.prediction.label if event.prediction else "no class"
            logger.info("event %d at %.2f s: %s", event.event_id, moment_s, label)
            self.event_added.emit(event)
        for candidate in run.rejected.take_all():
            self.withdrawn_counts[candidate.rejected_because] += 1
            self.withdrawn.append(candidate)
            moment_s = self.seconds(candidate.apex.timestamp_ns)
            logger.info("withdrawn at %.2f s: %s", moment_s, candidate.rejected_because)
            self.candidate_withdrawn.emit(candidate)

    def _tell_figures(self, run: LiveAnalysis) -> None:
        figures = run.figures()
        self.figures_changed.emit(figures, run.recognition)
        info = run.info
        if info is None:
            return
        self.info_changed.emit(info)
        for warning in info.warnings[self._warning_count :]:
            self.noticed.emit(f"warning {warning}", warning, "", None)
        self._warning_count = len(info.warnings)
        if info.is_live and run.state in (RunState.RUNNING, RunState.PAUSED) and figures.silence_s > SILENCE_S:
            text = f"No picture from {info.label} for {figures.silence_s:.0f} s."
            self.noticed.emit("silence", text, "Retry", self.restart)
        else:
            self.settled_notice.emit("silence")

    def _tell_fault(self, fault: Fault) -> None:
        if not isinstance(fault.error, MmnetError):
            self._report(fault.error, fault.thread)
            if fault.thread != "recognition":
                self.has_failed = True
                text = f"A fault of the program ended the {fault.thread}."
                self.noticed.emit("source", text, "Retry", self.restart)
        elif fault.thread == "recognition":
            self.noticed.emit("recognition", f"{fault.error} Spotting goes on; events get no class.", "", None)
        elif fault.is_passing:
            self.noticed.emit("lost", f"{fault.error} It is opened again by itself as soon as it is back.", "", None)
        else:
            self.has_failed = True
            self.noticed.emit("source", str(fault.error), "Retry", self.restart)

    def _tell_state(self) -> None:
        shown = (self.state, self.has_failed)
        if shown != self._shown_state:
            self._shown_state = shown
            if self.state is not RunState.LOST:
                self.settled_notice.emit("lost")
            self.state_changed.emit(self.state)
