"""The page on which a source is watched: the picture in the middle, panels around it that can be moved and closed."""

from __future__ import annotations

from PyQt6.QtCore import QByteArray, Qt, QTimer
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QVBoxLayout, QWidget

from app.config import PipelineConfig
from app.datatypes import Event, SourceInfo, StepResult
from app.runtime.records import RunState
from app.ui.event_list import EventList
from app.ui.evidence_panel import EvidencePanel
from app.ui.face_view import FaceView
from app.ui.layouts import ElidedLabel, column, label, row, set_tone
from app.ui.live_controls import LiveControls
from app.ui.log_panel import LogPanel
from app.ui.messages import MessageArea
from app.ui.timeline import Timeline
from app.ui.words import clock, rejection_meanings, rejections_in_words
from app.ui.workspace import Workspace

_RIGHT_PX, _BOTTOM_PX = 430, 240
LAYOUT_VERSION = 2  # a layout saved by another version is not taken


class WorkPage(QMainWindow):
    """Header, messages, picture and transport in the middle; docks for everything else.

    Attributes:
        live: commands for a live source, above the picture.
        header: the row over the picture, what is shown in it at the right.
        transport: the row of buttons under the picture.
        panels: docks by their name, e.g. "Timeline" at the bottom, "Events" at the right.
    """

    def __init__(self, workspace: Workspace, pipeline_config: PipelineConfig, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Widget)
        self._workspace = workspace
        self.messages = MessageArea()
        self.face_view = FaceView()
        spotter = pipeline_config.spotter
        self.timeline = Timeline(spotter.max_head_speed_percent_s, spotter.min_displacement_percent)
        self.evidence = EvidencePanel(spotter, workspace.seconds)
        self.event_list = EventList()
        self.state_badge, self.spotting_badge = label("badge"), label("badge")
        self.spotting_badge.hide()
        set_tone(self.spotting_badge, "SPOTTING ONLY", "warning")
        self.source_name, self.source_details = ElidedLabel(name="heading"), ElidedLabel(name="muted")
        self.position = label("muted")
        self.counts = label("muted")
        self.counts.setWordWrap(True)
        self.header = row(self.state_badge, self.spotting_badge, self.source_name, self.source_details, None)
        self.transport = row(spacing=6)
        self.live = LiveControls(workspace)
        self.log = LogPanel()
        self.panels: dict[str, QDockWidget] = {}
        self._homes: dict[str, tuple[Qt.DockWidgetArea, bool]] = {}
        self._is_placed = False
        self._build()
        self._listen()

    def add_panel(self, name: str, widget: QWidget, area: Qt.DockWidgetArea, *, is_open: bool = True) -> QDockWidget:
        """A panel that the user can move, float and close; its place is remembered under `name`.

        It begins at `area`, below or beside those that are there already.
        """
        dock = QDockWidget(name, self)
        dock.setObjectName(name)
        dock.setWidget(widget)
        self.panels[name] = dock
        self._homes[name] = (area, is_open)
        return dock

    def reset_layout(self) -> None:
        """Put every panel where it was at the first start."""
        for name, dock in self.panels.items():
            area, is_open = self._homes[name]
            dock.setFloating(False)
            self.addDockWidget(area, dock)
            dock.setVisible(is_open)
        self.tabifyDockWidget(self.panels["Timeline"], self.panels["Log"])
        self.resizeDocks([self.panels["Events"]], [_RIGHT_PX], Qt.Orientation.Horizontal)
        self.resizeDocks([self.panels["Timeline"]], [_BOTTOM_PX], Qt.Orientation.Vertical)
        right = [self.panels["Events"], self.panels["Evidence"]]
        self.resizeDocks(right, [1, 2], Qt.Orientation.Vertical)

    def layout_state(self) -> QByteArray:
        """Where the panels are."""
        return self.saveState(LAYOUT_VERSION)

    def restore_layout(self, state: QByteArray) -> bool:
        """Put the panels where they were; False when `state` cannot be understood."""
        self._is_placed = self.restoreState(state, LAYOUT_VERSION)
        return self._is_placed

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        if not self._is_placed:
            self._is_placed = True
            # Sizes are taken only from a page that has its own size.
            QTimer.singleShot(0, self.reset_layout)

    # Building

    def _build(self) -> None:
        middle = QWidget()
        layout = column(middle, margins=(10, 6, 10, 8))
        layout.addLayout(self.header)
        layout.addWidget(self.live)
        layout.addWidget(self.messages)
        layout.addWidget(self.face_view, 1)
        layout.addLayout(self.transport)
        self.setCentralWidget(middle)
        self.setDockNestingEnabled(True)
        # Without AnimatedDocks: it would make an animation of every change of a label.
        self.setDockOptions(QMainWindow.DockOption.AllowNestedDocks | QMainWindow.DockOption.AllowTabbedDocks)
        self.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self.add_panel("Timeline", self._timeline(), Qt.DockWidgetArea.BottomDockWidgetArea)
        self.add_panel("Log", self.log, Qt.DockWidgetArea.BottomDockWidgetArea, is_open=False)
        self.add_panel("Events", self._events(), Qt.DockWidgetArea.RightDockWidgetArea)
        self.add_panel("Evidence", self.evidence, Qt.DockWidgetArea.RightDockWidgetArea)
        self.reset_layout()

    def _timeline(self) -> QWidget:
        panel = QWidget()
        layout = column(panel, margins=(10, 0, 10, 8))
        layout.addWidget(self.timeline)
        return panel

    def _events(self) -> QWidget:
        panel = QWidget()
        layout: QVBoxLayout = column(panel, margins=(0, 0, 10, 8))
        layout.addWidget(self.event_list, 1)
        layout.addWidget(self.counts)
        panel.setMinimumWidth(320)
        return panel

    # Showing

    def _listen(self) -> None:
        workspace = self._workspace
        workspace.opening.connect(self._begin)
        workspace.stepped.connect(self._show_result)
        workspace.event_added.connect(self._show_event)
        workspace.candidate_withdrawn.connect(lambda _: self._show_counts())
        workspace.state_changed.connect(self.show_state)
        workspace.info_changed.connect(self._show_source)
        workspace.figures_changed.connect(lambda *_: self._show_recognition())
        workspace.noticed.connect(self._post)
        workspace.settled_notice.connect(self.messages.dismiss)
        selection = self.event_list.selectionModel()
        assert selection is not None
        selection.currentChanged.connect(
            lambda current: workspace.select(row.event if (row := self.event_list.events.row(current)) else None)
        )
        self.show_state()

    def _begin(self, spec: str) -> None:
        self.messages.dismiss_all()
        self.event_list.events.clear()
        self.face_view.clear(f"Opening {spec} …")
        self.source_name.set_whole("")
        self.source_details.set_whole("")
        self.position.setText("")
        self._show_counts()

    def _post(self, topic: str, text: str, button: str, slot: object) -> None:
        if topic == "source" and self.face_view.result is None:
            self.face_view.clear("No picture")
        self.messages.post(topic, text, button, slot)

    def _show_result(self, result: StepResult) -> None:
        self.face_view.set_result(result)
        words = clock(self._workspace.seconds(result.frame.timestamp_ns), decimals=1)
        info = self._workspace.info
        if info is not None and info.frame_count and info.fps:
            words += f" / {clock(info.frame_count / info.fps, decimals=1)}"
        self.position.setText(words)

    def _show_event(self, event: Event) -> None:
        self.event_list.events.add(event, self._workspace.seconds(event.candidate.apex.timestamp_ns))
        self._show_counts()

    def _show_counts(self) -> None:
        count, withdrawn = self._workspace.event_count, self._workspace.withdrawn_counts
        words = rejections_in_words(withdrawn)
        found = f"{count} event{'s' if count != 1 else ''}" if count or words else ""
        self.counts.setText(f"{found} · not counted: {words}" if words else found)
        self.counts.setToolTip(rejection_meanings(withdrawn) if words else "")

    def show_state(self) -> None:
        """LIVE, PLAYING, PAUSED …, and what the empty list of events waits for."""
        state = self._workspace.state
        if state is None:
            words, tone, self.event_list.placeholder = "NO SOURCE", "", "Open a video with Ctrl+O."
        else:
            words, tone = {
                RunState.OPENING: ("OPENING", ""),
                RunState.RUNNING: ("LIVE", "live") if self._workspace.is_live else ("PLAYING", "active"),
                RunState.PAUSED: ("PAUSED", "warning"),
                RunState.LOST: ("LOST", "warning"),
                RunState.ENDED: ("STOPPED", "warning") if self._workspace.has_failed else ("ENDED", ""),
            }[state]
            found = "found" if state is RunState.ENDED else "yet"
            self.event_list.placeholder = (
                f"No candidate micro-expressions {found}.\n\nThey are rare: most recordings hold few or none."
            )
        set_tone(self.state_badge, words, tone)
        self.face_view.set_running(state not in (None, RunState.LOST, RunState.ENDED))

    def _show_recognition(self) -> None:
        recognition = self._workspace.recognition
        is_spotting_only = recognition is not None and not recognition.provider
        self.spotting_badge.setVisible(is_spotting_only)
        if is_spotting_only:
            self.spotting_badge.setToolTip(recognition.status)

    def _show_source(self, info: SourceInfo) -> None:
        details = [f"{info.width}×{info.height}"]
        if info.fps:
            details.append(f"{info.fps:.3g} fps")
        if info.codec:
            details.append(info.codec)
        self.source_name.set_whole(info.label)
        self.source_details.set_whole(" · ".join(details))
