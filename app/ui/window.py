"""The main window: a start page and a page to work on, menus, and the figures at the bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QByteArray, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PyQt6.QtWidgets import QApplication, QComboBox, QFileDialog, QMainWindow, QStackedWidget

from app.capture.inputs import IMAGE_SEPARATOR, short_name
from app.config import PipelineConfig, SourceConfig
from app.datatypes import SourceInfo
from app.runtime.devices import CameraChoice, CameraWatch
from app.runtime.metrics import LatencyWindow
from app.runtime.records import RunState
from app.runtime.workers import LiveAnalysis
from app.session.folder import METADATA
from app.settings import CameraSettings, Settings
from app.ui import theme
from app.ui.baseline import Baseline
from app.ui.commands import Commands, button
from app.ui.dialogs import KeySheet, ModelCardDialog, NoticeDialog
from app.ui.export_dialog import ExportDialog
from app.ui.overlays import OVERLAYS
from app.ui.preferences import Preferences
from app.ui.recorder import Recorder
from app.ui.review_tools import ReviewTools
from app.ui.settings_dialog import SettingsDialog
from app.ui.start_page import StartPage
from app.ui.status import StatusFigures
from app.ui.watchdog import BlockMeter
from app.ui.work_page import WorkPage
from app.ui.workspace import SPEEDS, RunFactory, Workspace

_VIDEO_FILTER = "Videos (*.mp4 *.m4v *.mov *.avi *.mkv *.webm *.wmv *.mpg *.mpeg);;All files (*)"
_CAMERA_TICK_MS = 250
_OVERLAY_KEYS = {"mesh": "V", "regions": "G", "heat": "H", "crop": "C"}
_OVERLAY_NAMES = {"mesh": "Mesh", "regions": "Regions", "heat": "Motion", "crop": "Crop"}


class MainWindow(QMainWindow):
    """The shell around a Workspace.

    Args:
        pipeline_config: what the user asked for on the command line; the settings say the rest.
        report: called with errors that are not expected failures, and the thread that met them.
        new_run: makes the threads of a run.
        watch: tells which cameras are there.

    Attributes:
        workspace: what is open; page: where it is shown; start_page; commands: the menus; meter: how long it blocks.

    Signals:
        closed: the window was closed and the run has ended.
    """

    closed = pyqtSignal()

    def __init__(
        self,
        pipeline_config: PipelineConfig,
        preferences: Preferences,
        *,
        report: Callable[[Exception, str], None],
        new_run: RunFactory = LiveAnalysis,
        watch: CameraWatch | None = None,
    ) -> None:
        super().__init__()
        self.late_threads: tuple[str, ...] = ()
        self.preferences, self._pipeline_config = preferences, pipeline_config
        settings = preferences.settings
        config = settings.pipeline_config(pipeline_config)
        self.workspace = Workspace(SourceConfig(), config, report=report, new_run=new_run, parent=self)
        self.meter = BlockMeter(self)
        self._on_screen = LatencyWindow()
        self.start_page = StartPage()
        self.page = WorkPage(self.workspace, config)
        self.status = StatusFigures(self.meter)
        self.commands = Commands(self)
        self._baseline = Baseline(self.workspace, self)
        self.workspace.replay_s = settings.replay_s
        self.recorder = Recorder(self.workspace, preferences, self)
        self._cameras: tuple[CameraChoice, ...] = ()
        self._mirrored_for = ""  # the live source whose mirroring is on screen
        self._pages = QStackedWidget()
        self._pages.addWidget(self.start_page)
        self._pages.addWidget(self.page)
        self.setCentralWidget(self._pages)
        self.setStatusBar(self.status)
        self.setWindowTitle("mmnet")
        self.setAnimated(False)  # it would make an animation of every change of a label
        self.setAcceptDrops(True)
        self.resize(1280, 720)
        self._build_commands(settings)
        self.tools = ReviewTools(self.workspace, self.page, self.commands, self)
        self._build_transport()
        self._listen()
        self._show_state()
        self.start_page.show_recent(settings.recent)
        self._watch = watch or CameraWatch()
        self._watch.start()
        self._camera_timer = QTimer(self, interval=_CAMERA_TICK_MS)
        self._camera_timer.timeout.connect(self._take_cameras)
        self._camera_timer.start()

    # Sources

    def open(self, spec: str, given: SourceConfig | None = None) -> None:
        """Open a source, a camera as it was used the last time unless `given` says otherwise."""
        if (Path(spec) / METADATA).is_file():
            self._pages.setCurrentWidget(self.page)
            self.tools.open_session(Path(spec))
            return
        name = next((c.device.name for c in self._cameras if str(c.device.index) == spec), spec)
        self.workspace.open_source(spec, self.preferences.settings.source_config(name, given or SourceConfig()))

    def show_start(self) -> None:
        """Back to the start page; what is open goes on meanwhile."""
        self._pages.setCurrentWidget(self.start_page)

    def choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a video", str(Path.home()), _VIDEO_FILTER)
        if path:
            self.open(path)

    def choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a folder of images, or a session", str(Path.home()))
        if path:
            self.open(path)

    def _take_cameras(self) -> None:
        if (found := self._watch.found.take()) is not None:
            self._cameras = found
            self.start_page.show_cameras(found)
            self.page.live.show_cameras(found)

    def _reopen(self, config: SourceConfig) -> None:
        """The same live source in another way, from now on."""
        info = self.workspace.info
        if info is None:
            return
        kept = replace(
            self._camera_settings(info),
            width=config.width,
            height=config.height,
            fps=config.fps,
            rotation_deg=config.rotation_deg,
        )
        self.preferences.take(self.preferences.settings.with_camera(info.label, kept))
        self.workspace.reopen(config)

    def _camera_settings(self, info: SourceInfo) -> CameraSettings:
        # People know their own face from the mirror; a network camera shows somebody else.
        return self.preferences.settings.cameras.get(info.label, CameraSettings(is_mirrored=info.kind == "camera"))

    # What the workspace tells

    def _listen(self) -> None:
        workspace, live = self.workspace, self.page.live
        self.start_page.chosen.connect(self.open)
        self.start_page.file_wanted.connect(self.choose_file)
        self.start_page.folder_wanted.connect(self.choose_folder)
        workspace.opening.connect(self._begin)
        self.page.face_view.painted.connect(self._measure_screen)
        workspace.figures_changed.connect(
            lambda *_: self.status.show_screen(self._on_screen.percentiles().get("screen"))
        )
        workspace.figures_changed.connect(self.status.show_run)
        workspace.state_changed.connect(lambda _: self._show_state())
        workspace.info_changed.connect(self._take_info)
        workspace.settled.connect(self.meter.restart)
        live.camera_chosen.connect(self.open)
        live.config_chosen.connect(self._reopen)
        live.baseline_wanted.connect(self._baseline.start)
        self._baseline.progressed.connect(self.page.face_view.set_instruction)
        self._baseline.measured.connect(self._tell_baseline)
        self._baseline.failed.connect(lambda why: workspace.noticed.emit("baseline", why, "", None))
        self.page.face_view.face_chosen.connect(lambda x, y: workspace.run and workspace.run.follow(x, y))
        self.preferences.changed.connect(self._take_settings)
        self.preferences.unsaved.connect(lambda why: workspace.noticed.emit("settings", why, "", None))

    def _begin(self, spec: str) -> None:
        self._pages.setCurrentWidget(self.page)
        self.setWindowTitle(f"{short_name(spec) or spec} – mmnet")
        self.status.clear_figures()
        self._on_screen = LatencyWindow()
        for problem in self.preferences.problems:
            self.workspace.noticed.emit("settings", f"Settings: {problem}", "", None)
        self.preferences.problems = ()
        self._mirrored_for = ""
        self._mirror.setChecked(False)

    def _take_info(self, info: SourceInfo) -> None:
        if self._mirrored_for == info.label:
            return
        self._mirrored_for = info.label
        if info.kind != "camera" and self.workspace.run is not None and IMAGE_SEPARATOR not in self.workspace.run.spec:
            self.preferences.take(self.preferences.settings.with_recent(self.workspace.run.spec))
        if not info.is_live:
            return
        self._mirror.setChecked(self._camera_settings(info).is_mirrored)
        # A camera that was opened by its number tells its name only now.
        wanted = self.preferences.settings.source_config(info.label, self.workspace.source_config)
        if wanted != self.workspace.source_config:
            self.workspace.reopen(wanted)

    def _measure_screen(self) -> None:
        newest = self.workspace.newest
        if newest is not None and self.workspace.is_live:
            self._on_screen.add({"screen": (time.perf_counter_ns() - newest.frame.timestamp_ns) / 1e6})

    def _tell_baseline(self, restlessness: float) -> None:
        threshold = self.workspace.pipeline_config.spotter.min_displacement_percent
        text = (
            f"The neutral face is learned: at rest it moves by {restlessness:.2f} % of the eye distance; "
            f"movements from {threshold:g} % on are looked for."
        )
        self.workspace.noticed.emit("baseline", text, "", None)

    def _show_state(self) -> None:
        state = self.workspace.state
        is_playing = state in (RunState.OPENING, RunState.RUNNING, RunState.LOST)
        self._play.setText("Pause" if is_playing else "Play")
        self._play.setEnabled(state is not None)
        self._restart.setEnabled(state is not None)
        self._speed.setVisible(not self.workspace.is_live)
        self._neutral.setEnabled(self.workspace.is_live and state is RunState.RUNNING)

    # Settings

    def _take_settings(self, settings: Settings, before: Settings) -> None:
        self.start_page.show_recent(settings.recent)
        self.workspace.replay_s = settings.replay_s
        application = QApplication.instance()
        if (settings.theme, settings.font_scale) != (before.theme, before.font_scale):
            assert isinstance(application, QApplication)
            theme.apply_theme(application, settings.theme, settings.font_scale)
        config = settings.pipeline_config(self._pipeline_config)
        if config != self.workspace.pipeline_config:
            self.workspace.pipeline_config = config
            if self.workspace.run is not None:
                text = "The new settings are used as soon as the source is opened again."
                self.workspace.noticed.emit("settings", text, "Open again", self.workspace.restart)

    def _edit_settings(self) -> None:
        from app.recognition.manifest import read_manifest

        models = tuple(entry.name for entry in read_manifest())
        SettingsDialog(self.preferences.settings, models, self.preferences.take, self).open()

    def _export(self) -> None:
        ExportDialog(self.recorder.last_folder, self.preferences.settings.sessions_path(), self).open()

    def _switch_theme(self) -> None:
        is_dark = theme.is_dark(self.preferences.settings.theme)
        self.preferences.change(theme="light" if is_dark else "dark")

    def _set_overlay(self, name: str, is_shown: bool) -> None:
        self.page.face_view.set_overlay(name, is_shown)
        shown = [n for n in OVERLAYS if (is_shown if n == name else n in self.preferences.settings.overlays)]
        self.preferences.change(overlays=tuple(shown))

    def _set_mirrored(self, is_mirrored: bool) -> None:
        self.page.face_view.set_mirrored(is_mirrored)
        info = self.workspace.info
        if info is not None and info.is_live and self._mirrored_for == info.label:
            kept = replace(self._camera_settings(info), is_mirrored=is_mirrored)
            self.preferences.take(self.preferences.settings.with_camera(info.label, kept))

    # Building

    def _build_commands(self, settings: Settings) -> None:
        commands, workspace = self.commands, self.workspace
        commands.add("File", "Start page", "Ctrl+N", "Choose another source", self.show_start)
        commands.add("File", "Open …", "Ctrl+O", "Open a video", self.choose_file)
        commands.add("File", "Open folder …", "Ctrl+Shift+O", "Open images or a session", self.choose_folder)
        commands.separate("File")
        commands.add("File", "Record", "R", "Record this live source, or end that", self.recorder.toggle)
        commands.add("File", "Save the last seconds", "B", "Keep what just happened", self.recorder.save_last)
        commands.add("File", "Export a session …", "Ctrl+E", "A saved session for other programs", self._export)
        commands.separate("File")
        commands.add("File", "Settings …", "Ctrl+,", "Settings", self._edit_settings)
        commands.separate("File")
        commands.add("File", "Quit", "Ctrl+Q", "Close the window", self.close)
        self._play = commands.add("Playback", "Pause", "Space", "Play or pause", workspace.toggle_pause)
        self._restart = commands.add("Playback", "Restart", "Ctrl+R", "Start again", workspace.restart)
        commands.add("Playback", "Slower", "[", "Play slower", lambda: workspace.change_speed(-1))
        commands.add("Playback", "Faster", "]", "Play faster", lambda: workspace.change_speed(1))
        commands.separate("Playback")
        self._neutral = commands.add(
            "Playback", "Neutral face …", "K", "Learn the neutral face anew: 3 s", self._baseline.start
        )
        self._overlays: list[QAction] = []
        for name, meaning in OVERLAYS.items():
            is_on = name in settings.overlays
            self.page.face_view.set_overlay(name, is_on)
            self._overlays.append(
                commands.add_switch(
                    "View", _OVERLAY_NAMES[name], _OVERLAY_KEYS[name], meaning, is_on,
                    lambda is_shown, name=name: self._set_overlay(name, is_shown),
                )
            )  # fmt: skip
        self._mirror = commands.add_switch(
            "View", "Mirror", "M", "Mirror the picture, not the data", False, self._set_mirrored
        )
        commands.separate("View")
        for dock in self.page.panels.values():
            commands.menu("View").addAction(dock.toggleViewAction())
        commands.add("View", "Default layout", (), "Put all panels where they belong", self.page.reset_layout)
        commands.separate("View")
        commands.add("View", "Light or dark", "Ctrl+T", "Switch between light and dark", self._switch_theme)
        commands.add("View", "Full screen", "F11", "Full screen", self._toggle_full_screen)
        commands.add("Help", "Keys", ("F1", "?"), "Show this sheet", lambda: KeySheet(commands.listed, self).open())
        commands.add("Help", "Model card", (), "What the network is and has seen", self._show_card)
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
        before, back, forth, after, loop = self.tools.buttons
        for widget in (before, back, button(self._play, 72), forth, after, loop, self.page.position):
            transport.addWidget(widget)
        transport.addStretch(1)
        transport.addWidget(self._speed)
        for action in (*self._overlays, self._mirror):
            self.page.header.addWidget(button(action))

    def _show_card(self) -> None:
        recognition = self.workspace.recognition
        name, card = (recognition.model_name, recognition.card) if recognition else ("no network loaded yet", "")
        ModelCardDialog(name, card, self).open()

    def _toggle_full_screen(self) -> None:
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)

    # Layout

    def restore_layout(self) -> None:
        """The window and its panels as they were left."""
        layout = self.preferences.settings.layout
        self.restoreGeometry(QByteArray.fromBase64(layout.get("window", "").encode("ascii", "ignore")))
        self.page.restore_layout(QByteArray.fromBase64(layout.get("panels", "").encode("ascii", "ignore")))

    def _save_layout(self) -> None:
        states = {"window": self.saveGeometry(), "panels": self.page.layout_state()}
        layout = {name: state.toBase64().data().decode("ascii") for name, state in states.items()}
        self.preferences.change(layout=layout)

    # Qt's own

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        assert event is not None
        data = event.mimeData()
        if data is not None and data.hasUrls():
            event.acceptProposedAction()
            self.start_page.set_drop_shown(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        self.start_page.set_drop_shown(False)

    def dropEvent(self, event: QDropEvent | None) -> None:
        assert event is not None
        self.start_page.set_drop_shown(False)
        data = event.mimeData()
        if data is not None and (urls := data.urls()):
            event.acceptProposedAction()
            self.open(urls[0].toLocalFile() or urls[0].toString())

    def closeEvent(self, event: QCloseEvent | None) -> None:
        self._watch.request_stop()
        self._camera_timer.stop()
        self._save_layout()
        self.hide()
        self.late_threads = self.workspace.close()
        if not self.tools.stop():
            self.late_threads += ("evidence",)
        if not self._watch.stop(0.3):
            self.late_threads += ("camera watch",)
        self.page.log.detach()
        super().closeEvent(event)
        self.closed.emit()
