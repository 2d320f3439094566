"""The main window. It pulls what the threads have ready thirty times a second; nobody pushes anything at it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QCloseEvent, QKeySequence
from PyQt6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.config import PipelineConfig, SourceConfig
from app.datatypes import SourceInfo
from app.errors import MmnetError
from app.runtime.workers import Fault, LiveAnalysis, RunState
from app.ui.dialogs import KeySheet, NoticeDialog
from app.ui.event_list import EventList
from app.ui.face_view import FaceView
from app.ui.messages import MessageArea
from app.ui.motion_plot import LEGEND, MotionPlot
from app.ui.status import StatusFigures
from app.ui.words import clock, rejection_meanings, rejections_in_words

_TICK_MS = 33
_PLOT_EVERY, _FIGURES_EVERY = 2, 15  # ticks
_SILENCE_S = 2.0
_SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
_VIDEO_FILTER = "Videos (*.mp4 *.m4v *.mov *.avi *.mkv *.webm *.wmv *.mpg *.mpeg);;All files (*)"

RunFactory = Callable[[str, SourceConfig, PipelineConfig], LiveAnalysis]


class MainWindow(QMainWindow):
    """One source at a time: picture, motion, events.

    Args:
        report: called with errors that are not expected failures, and the thread that met them.
        new_run: makes the threads of a run.

    Signals:
        settled: the first picture is there and every library is loaded; once.
        closed: the window was closed and the run has ended.
    """

    settled = pyqtSignal()
    closed = pyqtSignal()

    def __init__(
        self,
        source_config: SourceConfig,
        pipeline_config: PipelineConfig,
        *,
        report: Callable[[Exception, str], None],
        new_run: RunFactory = LiveAnalysis,
    ) -> None:
        super().__init__()
        self._source_config, self._pipeline_config = source_config, pipeline_config
        self._report, self._new_run = report, new_run
        self._run: LiveAnalysis | None = None
        self._next: str | None = None  # opened as soon as the run before has let go of its source
        self._next_since_s = 0.0
        self._origin_ns: int | None = None
        self._rejected: Counter[str] = Counter()
        self._event_count = 0
        self._warning_count = 0
        self._has_failed = self._is_settled = False
        self._ticks = 0
        self.late_threads: tuple[str, ...] = ()
        self.setWindowTitle("mmnet")
        self.resize(1280, 720)
        self._build_widgets()
        self._build_actions()
        self._show_state()
        self._timer = QTimer(self, interval=_TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        self._timer.start()

    # Sources

    def open_source(self, spec: str) -> None:
        """Analyse another source; the one before is given up first."""
        self._next, self._next_since_s = spec, time.monotonic()
        if self._run is not None:
            self._run.request_stop()
        self.tick()

    def restart(self) -> None:
        """The same source from its start."""
        if self._run is not None:
            self.open_source(self._run.spec)

    def toggle_pause(self) -> None:
        if self._run is None:
            return
        if self._run.state is RunState.ENDED:
            self.restart()
        elif self._run.is_paused:
            self._run.resume()
        else:
            self._run.pause()
        self._show_state()

    def change_speed(self, steps: int) -> None:
        """Faster or slower by so many steps; recordings only."""
        self._speed.setCurrentIndex(min(max(0, self._speed.currentIndex() + steps), len(_SPEEDS) - 1))

    def choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a video", str(Path.home()), _VIDEO_FILTER)
        if path:
            self.open_source(path)

    # Once every 33 ms

    def tick(self) -> None:
        """Take what the threads have ready and show it."""
        self._begin_next()
        run = self._run
        if run is None:
            return
        self._ticks += 1
        for fault in run.faults.take_all():
            self._show_fault(fault)
        if (result := run.newest.take()) is not None:
            if self._origin_ns is None:
                is_live = run.info is not None and run.info.is_live
                self._origin_ns = result.frame.timestamp_ns if is_live else 0
            self.face_view.set_result(result)
            if not self._is_settled and run.recognition is not None:
                self._is_settled = True
                self.settled.emit()
            self._show_position(result.frame.timestamp_ns)
        if self._ticks % _PLOT_EVERY == 0:
            self._show_results(run)
        if self._ticks % _FIGURES_EVERY == 0:
            self._show_figures(run)
        self._show_state()

    def _begin_next(self) -> None:
        if self._next is None:
            return
        # A thread blocked in a driver must not keep the user from another source.
        is_late = time.monotonic() - self._next_since_s > 2.0
        if self._run is not None and self._run.is_alive and not is_late:
            return
        spec, self._next = self._next, None
        self.messages.dismiss_all()
        self.event_list.events.clear()
        self.motion_plot.clear_motion()
        self.face_view.clear(f"Opening {spec} …")
        self._rejected.clear()
        self._origin_ns, self._event_count, self._warning_count, self._has_failed = None, 0, 0, False
        self._show_counts()
        self._position.setText("")
        self.setWindowTitle(f"{Path(spec).name or spec} – mmnet")
        self._run = self._new_run(spec, self._source_config, self._pipeline_config)
        self._run.speed = _SPEEDS[self._speed.currentIndex()]
        self._run.start()

    def _show_results(self, run: LiveAnalysis) -> None:
        self.motion_plot.add(run.motion.take_all())
        for event in run.events.take_all():
            self._event_count += 1
            self.event_list.events.add(event, self._seconds(event.candidate.apex.timestamp_ns))
            self.motion_plot.add_event(event)
            self._show_counts()
        for candidate in run.rejected.take_all():
            self._rejected[candidate.rejected_because] += 1
            self.motion_plot.add_rejected(candidate)
            self._show_counts()

    def _show_figures(self, run: LiveAnalysis) -> None:
        figures = run.figures()
        self.status.show_figures(figures)
        self.status.show_recognition(run.recognition)
        info = run.info
        if info is None:
            return
        self._show_source(info)
        for warning in info.warnings[self._warning_count :]:
            self.messages.post(f"warning {warning}", warning)
        self._warning_count = len(info.warnings)
        is_silent = info.is_live and run.state is not RunState.ENDED and figures.silence_s > _SILENCE_S
        if is_silent:
            self.messages.post(
                "silence", f"No picture from {info.label} for {figures.silence_s:.0f} s.", "Retry", self.restart
            )
        else:
            self.messages.dismiss("silence")

    def _show_fault(self, fault: Fault) -> None:
        if not isinstance(fault.error, MmnetError):
            self._report(fault.error, fault.thread)
            if fault.thread != "recognition":
                self._has_failed = True
                self.messages.post("source", f"A fault of the program ended the {fault.thread}.", "Retry", self.restart)
        elif fault.thread == "recognition":
            self.messages.post("recognition", f"{fault.error} Spotting goes on; events get no class.")
        else:
            self._has_failed = True
            if self.face_view.result is None:
                self.face_view.clear("No picture")
            self.messages.post("source", str(fault.error), "Retry", self.restart)

    def _show_state(self) -> None:
        run = self._run
        if run is None:
            words, tone, self.event_list.placeholder = "NO SOURCE", "", "Open a video with Ctrl+O."
        else:
            is_live = run.info is not None and run.info.is_live
            words, tone = {
                RunState.OPENING: ("OPENING", ""),
                RunState.RUNNING: ("LIVE", "live") if is_live else ("PLAYING", "active"),
                RunState.PAUSED: ("PAUSED", "warning"),
                RunState.ENDED: ("STOPPED", "warning") if self._has_failed else ("ENDED", ""),
            }[run.state]
            found = "found" if run.state is RunState.ENDED else "yet"
            self.event_list.placeholder = (
                f"No candidate micro-expressions {found}.\n\nThey are rare: most recordings hold few or none."
            )
        self._set_badge(self._state_badge, words, tone)
        self.face_view.set_running(run is not None and run.state is not RunState.ENDED)
        is_spotting_only = run is not None and run.recognition is not None and not run.recognition.provider
        self._spotting_badge.setVisible(is_spotting_only)
        if is_spotting_only:
            self._spotting_badge.setToolTip(run.recognition.status)
        is_playing = run is not None and run.state in (RunState.OPENING, RunState.RUNNING)
        self._play.setText("Pause" if is_playing else "Play")
        self._play.setEnabled(run is not None)
        self._restart.setEnabled(run is not None)
        self._speed.setVisible(run is None or run.info is None or not run.info.is_live)

    def _show_source(self, info: SourceInfo) -> None:
        details = [f"{info.width}×{info.height}"]
        if info.fps:
            details.append(f"{info.fps:.3g} fps")
        if info.codec:
            details.append(info.codec)
        if info.requested:
            details.append(f"requested {info.requested}")
        self._source_name.setText(info.label)
        self._source_details.setText(" · ".join(details))

    def _show_position(self, timestamp_ns: int) -> None:
        words = clock(self._seconds(timestamp_ns), decimals=1)
        info = self._run.info if self._run else None
        if info is not None and info.frame_count and info.fps:
            words += f" / {clock(info.frame_count / info.fps, decimals=1)}"
        self._position.setText(words)

    def _show_counts(self) -> None:
        self._heading.setText(f"Events {self._event_count}" if self._event_count else "Events")
        words = rejections_in_words(self._rejected)
        self._not_counted.setText(f"Not counted: {words}" if words else "")
        self._not_counted.setToolTip(rejection_meanings(self._rejected) if words else "")

    def _seconds(self, timestamp_ns: int) -> float:
        """Since the start of the recording, or since the first frame of a live source."""
        return (timestamp_ns - (self._origin_ns or 0)) / 1e9

    @staticmethod
    def _set_badge(badge: QLabel, words: str, tone: str) -> None:
        if badge.text() == words and badge.property("tone") == tone:
            return
        badge.setText(words)
        badge.setProperty("tone", tone)
        style = badge.style()
        assert style is not None
        style.unpolish(badge)
        style.polish(badge)

    # Building

    def _build_widgets(self) -> None:
        self.messages = MessageArea()
        self.face_view = FaceView()
        self.face_view.clear("No source")
        self.motion_plot = MotionPlot(self._pipeline_config.spotter.max_head_speed_percent_s)
        self.event_list = EventList()
        self.status = StatusFigures()
        self.setStatusBar(self.status)
        self._state_badge, self._spotting_badge = _label("badge"), _label("badge")
        self._set_badge(self._spotting_badge, "SPOTTING ONLY", "warning")
        self._source_name, self._source_details = _label("heading"), _label("muted")
        self._heading, self._not_counted = _label("heading", "Events"), _label("muted")
        self._not_counted.setWordWrap(True)
        self._position = _label("muted")
        self._speed = QComboBox()
        self._speed.addItems([f"{speed:g}×" for speed in _SPEEDS])
        self._speed.setCurrentIndex(_SPEEDS.index(1.0))
        self._speed.setToolTip("Speed of playback ( [ and ] )")
        self._speed.setAccessibleName("Speed of playback")
        self._speed.currentIndexChanged.connect(self._set_speed)

        header = _row(self._state_badge, self._spotting_badge, self._source_name, self._source_details, None)
        self._transport = _row()
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.face_view, 1)
        column.addLayout(self._transport)
        column.addLayout(_row(_label("heading", "Motion"), _label("muted", LEGEND), None))
        column.addWidget(self.motion_plot)
        self.motion_plot.setFixedHeight(150)
        right = QWidget()
        column = QVBoxLayout(right)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self._heading)
        column.addWidget(self.event_list, 1)
        column.addWidget(self._not_counted)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(left)
        splitter.addWidget(right)
        splitter.setStretchFactor(0, 1)
        splitter.setSizes([790, 470])
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(10)
        right.setMinimumWidth(380)
        central = QWidget()
        column = QVBoxLayout(central)
        column.setContentsMargins(10, 6, 10, 8)
        column.setSpacing(6)
        column.addLayout(header)
        column.addWidget(self.messages)
        column.addWidget(splitter, 1)
        self.setCentralWidget(central)

    def _build_actions(self) -> None:
        menu = self.menuBar()
        assert menu is not None
        file, playback, view, help_ = (menu.addMenu(name) for name in ("&File", "&Playback", "&View", "&Help"))
        self._keys: list[tuple[str, str]] = []
        self._add(file, "Open …", "Ctrl+O", "Open a video", self.choose_file)
        file.addSeparator()
        self._add(file, "Quit", "Ctrl+Q", "Close the window", self.close)
        self._play = self._add(playback, "Pause", "Space", "Play or pause", self.toggle_pause)
        self._restart = self._add(playback, "Restart", "Ctrl+R", "Start again", self.restart)
        self._add(playback, "Slower", "[", "Play slower", lambda: self.change_speed(-1))
        self._add(playback, "Faster", "]", "Play faster", lambda: self.change_speed(1))
        mirror = self._add(view, "Mirror", "M", "Mirror the picture, not the data", self.face_view.set_mirrored)
        mesh = self._add(view, "Mesh", "V", "Show the face mesh", self.face_view.set_mesh_shown)
        for action, is_on in ((mirror, False), (mesh, True)):
            action.setCheckable(True)
            action.setChecked(is_on)
        self._add(view, "Full screen", "F11", "Full screen", self._toggle_full_screen)
        self._add(help_, "Keys", "F1", "Show this sheet", self._show_keys)
        about = help_.addAction("About")
        about.triggered.connect(lambda: NoticeDialog(self, is_first_start=False).open())
        for widget in (_button(self._play, 72), _button(self._restart), self._position):
            self._transport.addWidget(widget)
        self._transport.addStretch(1)
        for widget in (self._speed, _button(mirror), _button(mesh)):
            self._transport.addWidget(widget)

    def _add(self, menu, name: str, key: str, meaning: str, on_trigger: Callable[..., object]) -> QAction:
        action = menu.addAction(name)
        action.setShortcut(QKeySequence(key))
        action.setToolTip(f"{meaning} ({key})")
        action.triggered.connect(on_trigger)
        self._keys.append((key, meaning))
        return action

    def _set_speed(self, index: int) -> None:
        if self._run is not None:
            self._run.speed = _SPEEDS[index]

    def _toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _show_keys(self) -> None:
        KeySheet(self._keys, self).open()

    # Qt's own

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._timer.stop()
        self._next = None
        self.hide()
        if self._run is not None:
            self.late_threads = self._run.stop()
        super().closeEvent(event)
        self.closed.emit()


def _label(name: str, text: str = "") -> QLabel:
    label = QLabel(text)
    label.setObjectName(name)
    return label


def _row(*widgets: QWidget | None) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    for widget in widgets:
        if widget is None:
            row.addStretch(1)
        else:
            row.addWidget(widget)
    return row


def _button(action: QAction, width: int = 0) -> QToolButton:
    button = QToolButton()
    button.setDefaultAction(action)
    button.setMinimumWidth(width)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button
