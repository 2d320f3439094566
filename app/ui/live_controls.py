"""The row above a live picture: which camera, what size and rate, turned how, and what can be seen with that."""

from __future__ import annotations

from dataclasses import replace

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QToolButton, QWidget

from app.config import SourceConfig
from app.datatypes import SourceInfo
from app.runtime.devices import CameraChoice
from app.runtime.records import Figures, RecognitionStatus
from app.settings import ROTATIONS_DEG
from app.ui.layouts import ElidedLabel, column, row
from app.ui.words import delivery_in_words
from app.ui.workspace import Workspace

# What cameras commonly offer, for systems that do not tell what this one does.
_COMMON_SIZES = ((1920, 1080), (1280, 720), (640, 480), (320, 240))
_COMMON_RATES = (30.0, 60.0, 90.0, 120.0, 200.0)
_SLOW_FPS = 24.5
_UNSET = "automatic"
_MIN_BOX_PX = 64


class LiveControls(QWidget):
    """Commands for a live source; hidden for recordings.

    Signals:
        camera_chosen(spec): another camera.
        config_chosen(SourceConfig): the same source in another way.
        baseline_wanted: measure the neutral face.
    """

    camera_chosen = pyqtSignal(str)
    config_chosen = pyqtSignal(object)
    baseline_wanted = pyqtSignal()

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._cameras: tuple[CameraChoice, ...] = ()
        self._shown: tuple[object, ...] | None = None  # what the boxes were filled for
        self.camera, self.size_box, self.rate = QComboBox(), QComboBox(), QComboBox()
        for box, name, tip in (
            (self.camera, "Camera", "Camera"),
            (self.size_box, "Picture size", "Picture size, in pixels; the face should be 150 pixels wide or more"),
            (self.rate, "Frames a second", "Frames a second; 60 or more show the shortest movements"),
        ):
            box.setAccessibleName(name)
            box.setToolTip(tip)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.camera.activated.connect(self._choose_camera)
        self.size_box.activated.connect(self._choose_mode)
        self.rate.activated.connect(self._choose_mode)
        self.rotate = QToolButton()
        self.rotate.setText("Rotate")
        self.rotate.setToolTip("Turn the picture by 90° clockwise, for a camera on its side")
        self.rotate.clicked.connect(self._rotate)
        self.baseline = QToolButton()
        self.baseline.setText("Neutral face …")
        self.baseline.setToolTip("Look neutral for 3 s: the resting face is learned anew")
        self.baseline.clicked.connect(self.baseline_wanted)
        self.delivery = ElidedLabel(name="muted")
        for box in (self.camera, self.size_box, self.rate):
            box.setMinimumWidth(_MIN_BOX_PX)
        layout = column(self, spacing=4)
        layout.addLayout(row(self.camera, self.size_box, self.rate, self.rotate, self.baseline, None))
        layout.addWidget(self.delivery)
        self.hide()
        workspace.info_changed.connect(self.show_info)
        workspace.figures_changed.connect(self._show_figures)
        workspace.opening.connect(lambda _: self.hide())

    def show_cameras(self, cameras: tuple[CameraChoice, ...]) -> None:
        """Which cameras are there now."""
        self._cameras, self._shown = cameras, None
        if (info := self._workspace.info) is not None:
            self.show_info(info)

    def show_info(self, info: SourceInfo) -> None:
        """Fill the boxes for this source."""
        self.setVisible(info.is_live)
        wanted = self._workspace.source_config
        state = (info.label, info.kind, wanted)
        if not info.is_live or state == self._shown:
            return
        self._shown = state
        is_camera = info.kind == "camera"
        for box in (self.camera, self.size_box, self.rate):
            box.setVisible(is_camera)
        if is_camera:
            self._fill(info, wanted)

    def _fill(self, info: SourceInfo, wanted: SourceConfig) -> None:
        blockers = [QSignalBlocker(box) for box in (self.camera, self.size_box, self.rate)]
        self.camera.clear()
        for choice in self._cameras:
            self.camera.addItem(choice.device.name, str(choice.device.index))
        if self.camera.findText(info.label) < 0:
            self.camera.addItem(info.label, self._workspace.run.spec if self._workspace.run else "")
        self.camera.setCurrentIndex(self.camera.findText(info.label))
        modes = next((choice.modes for choice in self._cameras if choice.device.name == info.label), ())
        sizes = [(mode.width, mode.height) for mode in modes] or list(_COMMON_SIZES)
        rates = sorted({mode.fps for mode in modes} | {30.0}) if modes else list(_COMMON_RATES)
        _fill_box(self.size_box, [(f"{w}×{h}", (w, h)) for w, h in sizes], _size_of(wanted))
        _fill_box(self.rate, [(f"{rate:g} fps", rate) for rate in rates], wanted.fps)
        del blockers

    def _choose_camera(self, index: int) -> None:
        self.camera_chosen.emit(self.camera.itemData(index))

    def _choose_mode(self) -> None:
        width, height = self.size_box.currentData() or (None, None)
        config = replace(self._workspace.source_config, width=width, height=height, fps=self.rate.currentData())
        self.config_chosen.emit(config)

    def _rotate(self) -> None:
        config = self._workspace.source_config
        turned = ROTATIONS_DEG[(ROTATIONS_DEG.index(config.rotation_deg) + 1) % len(ROTATIONS_DEG)]
        self.config_chosen.emit(replace(config, rotation_deg=turned))

    def _show_figures(self, figures: Figures, recognition: RecognitionStatus | None) -> None:
        if not self._workspace.is_live or figures.captured_fps <= 0:
            self.delivery.set_whole("")
            return
        words = delivery_in_words(self._workspace.source_config.fps, figures.captured_fps)
        is_slow = figures.captured_fps < _SLOW_FPS
        self.delivery.set_whole(words)
        self.delivery.setToolTip(
            f"{words[0].upper()}{words[1:]}.\nMore light, a smaller picture or another USB port help."
        )
        if (self.delivery.objectName() == "alarm") != is_slow:
            self.delivery.setObjectName("alarm" if is_slow else "muted")
            style = self.delivery.style()
            assert style is not None
            style.polish(self.delivery)


def _fill_box(box: QComboBox, items: list[tuple[str, object]], current: object) -> None:
    box.clear()
    box.addItem(_UNSET, None)
    for text, value in items:
        box.addItem(text, value)
    values = [None, *(value for _, value in items)]
    if current not in values:
        text = f"{current[0]}×{current[1]}" if isinstance(current, tuple) else f"{current:g} fps"
        box.addItem(text, current)
        values.append(current)
    box.setCurrentIndex(values.index(current))


def _size_of(config: SourceConfig) -> tuple[int, int] | None:
    return (config.width, config.height) if config.width and config.height else None
