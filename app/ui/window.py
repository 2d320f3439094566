"""The main window: a start page and a page to work on, menus, and the figures at the bottom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QComboBox, QFileDialog, QMainWindow, QStackedWidget

from app.config import PipelineConfig, SourceConfig
from app.runtime.workers import LiveAnalysis, RunState
from app.ui.commands import Commands, button
from app.ui.dialogs import KeySheet, NoticeDialog
from app.ui.start_page import StartPage
from app.ui.status import StatusFigures
from app.ui.work_page import WorkPage
from app.ui.workspace import SPEEDS, RunFactory, Workspace

_VIDEO_FILTER = "Videos (*.mp4 *.m4v *.mov *.avi *.mkv *.webm *.wmv *.mpg *.mpeg);;All files (*)"


class MainWindow(QMainWindow):
    """The shell around a Workspace.

    Args:
        report: called with errors that are not expected failures, and the thread that met them.
        new_run: makes the threads of a run.

    Attributes:
        workspace: what is open; page: where it is shown; commands: the menus.

    Signals:
        closed: the window was closed and the run has ended.
    """

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
        self.late_threads: tuple[str, ...] = ()
        self.workspace = Workspace(source_config, pipeline_config, report=report, new_run=new_run, parent=self)
        self.start_page = StartPage()
        self.page = WorkPage(self.workspace, pipeline_config)
        self.status = StatusFigures()
        self.commands = Commands(self)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.start_page)
        self._pages.addWidget(self.page)
        self.setCentralWidget(self._pages)
        self.setStatusBar(self.status)
        self.setWindowTitle("mmnet")
        self.resize(1280, 720)
        self._build_commands()
        self._build_transport()
        self.start_page.chosen.connect(self.workspace.open_source)
        self.start_page.file_wanted.connect(self.choose_file)
        self.workspace.opening.connect(self._show_work)
        self.workspace.figures_changed.connect(self.status.show_run)
        self.workspace.state_changed.connect(lambda _: self._show_state())
        self._show_state()

    def choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a video", str(Path.home()), _VIDEO_FILTER)
        if path:
            self.workspace.open_source(path)

    def _show_work(self, spec: str) -> None:
        self._pages.setCurrentWidget(self.page)
        self.setWindowTitle(f"{Path(spec).name or spec} – mmnet")

    def _show_state(self) -> None:
        state = self.workspace.state
        is_playing = state in (RunState.OPENING, RunState.RUNNING)
        self._play.setText("Pause" if is_playing else "Play")
        self._play.setEnabled(state is not None)
        self._restart.setEnabled(state is not None)
        self._speed.setVisible(not self.workspace.is_live)

    # Building

    def _build_commands(self) -> None:
        commands, workspace = self.commands, self.workspace
        commands.add("File", "Open …", "Ctrl+O", "Open a video", self.choose_file)
        commands.separate("File")
        commands.add("File", "Quit", "Ctrl+Q", "Close the window", self.close)
        self._play = commands.add("Playback", "Pause", "Space", "Play or pause", workspace.toggle_pause)
        self._restart = commands.add("Playback", "Restart", "Ctrl+R", "Start again", workspace.restart)
        commands.add("Playback", "Slower", "[", "Play slower", lambda: workspace.change_speed(-1))
        commands.add("Playback", "Faster", "]", "Play faster", lambda: workspace.change_speed(1))
        view = self.page.face_view
        self._mirror = commands.add_switch(
            "View", "Mirror", "M", "Mirror the picture, not the data", False, view.set_mirrored
        )
        self._mesh = commands.add_switch("View", "Mesh", "V", "Show the face mesh", True, view.set_mesh_shown)
        commands.separate("View")
        for dock in self.page.panels.values():
            commands.menu("View").addAction(dock.toggleViewAction())
        commands.separate("View")
        commands.add("View", "Full screen", "F11", "Full screen", self._toggle_full_screen)
        commands.add("Help", "Keys", ("F1", "?"), "Show this sheet", lambda: KeySheet(commands.listed, self).open())
        commands.add("Help", "About", (), "About", lambda: NoticeDialog(self, is_first_start=False).open())

    def _build_transport(self) -> None:
        self._speed = QComboBox()
        self._speed.addItems([f"{speed:g}×" for speed in SPEEDS])
        self._speed.setCurrentIndex(SPEEDS.index(self.workspace.speed))
        self._speed.setToolTip("Speed of playback ( [ and ] )")
        self._speed.setAccessibleName("Speed of playback")
        self._speed.currentIndexChanged.connect(lambda index: self.workspace.set_speed(SPEEDS[index]))
        self.workspace.speed_changed.connect(lambda speed: self._speed.setCurrentIndex(SPEEDS.index(speed)))
        transport = self.page.transport
        for widget in (button(self._play, 72), button(self._restart), self.page.position):
            transport.addWidget(widget)
        transport.addStretch(1)
        for widget in (self._speed, button(self._mirror), button(self._mesh)):
            transport.addWidget(widget)

    def _toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    # Qt's own

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self.hide()
        self.late_threads = self.workspace.close()
        super().closeEvent(event)
        self.closed.emit()
