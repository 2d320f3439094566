"""Every setting on one dialog: what is seen, what the network runs on, what counts as a movement, where files go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QTabWidget,
    QWidget,
)

from app.config import SpotterConfig
from app.errors import SettingsError
from app.settings import Settings, read_settings, write_settings
from app.ui.layouts import column, label, row
from app.ui.theme import FONT_SCALES, THEMES

_EXPORTED = "mmnet-settings.json"
_FILTER = "Settings (*.json);;All files (*)"
_MODEL_FILTER = "Networks (*.onnx);;All files (*)"
_DEVICES = (("auto", "GPU if there is one"), ("cpu", "CPU"), ("cuda", "GPU"), ("cuda:1", "second GPU"))


@dataclass(frozen=True, slots=True)
class Gate:
    """A threshold of SpotterConfig that users may set, between `low` and `high`."""

    field: str
    name: str
    unit: str
    low: float
    high: float
    step: float
    meaning: str


_EYES = "% of eye distance"
GATES = (
    Gate("false_alarms_per_min", "False alarms", "a minute", 0.25, 8, 0.25, "More of them find weaker movements too"),
    Gate("min_displacement_percent", "Smallest movement", _EYES, 0.1, 5, 0.05, "Weaker movements are noise"),
    Gate("min_duration_ms", "Shortest movement", "ms", 20, 300, 10, "Shorter ones are flicker"),
    Gate("max_duration_ms", "Longest movement", "ms", 200, 1000, 50, "Longer ones are macro-expressions"),
    Gate("max_head_speed_percent_s", "Fastest head", f"{_EYES} a second", 10, 500, 10, "Faster, and faces blur"),
)


class SettingsDialog(QDialog):
    """Edits a copy; `take` gets the result when the user agrees.

    Args:
        settings: as they are now.
        models: names of the networks that come with the program.
        take: called with the new settings.
    """

    def __init__(
        self,
        settings: Settings,
        models: tuple[str, ...],
        take: Callable[[Settings], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Settings")
        self.setMinimumWidth(620)
        self._settings, self._models, self._take = settings, models, take
        self.theme, self.font_scale, self.device, self.model = QComboBox(), QComboBox(), QComboBox(), QComboBox()
        self.folder, self.replay, self.coder = QLineEdit(), QDoubleSpinBox(), QLineEdit()
        self.gates = {gate.field: QDoubleSpinBox() for gate in GATES}
        self.model.setEditable(True)
        tabs = QTabWidget()
        for name, page in (
            ("View", self._view_page()),
            ("Recognition", self._recognition_page()),
            ("Spotting", self._spotting_page()),
            ("Files", self._files_page()),
        ):
            tabs.addTab(page, name)
        layout = column(self, margins=(16, 16, 16, 12), spacing=12)
        layout.addWidget(tabs)
        layout.addLayout(self._buttons())
        self._show(settings)

    # Pages

    def _view_page(self) -> QWidget:
        for theme, name in zip(THEMES, ("as the system", "light", "dark"), strict=True):
            self.theme.addItem(name, theme)
        for scale in FONT_SCALES:
            self.font_scale.addItem(f"{scale:.0%}", scale)
        page, form = _page()
        form.addRow("Theme", self.theme)
        form.addRow("Text size", self.font_scale)
        form.addRow("", _hint("Dates and numbers are written as the system writes them."))
        return page

    def _recognition_page(self) -> QWidget:
        for device, name in _DEVICES:
            self.device.addItem(name, device)
        self.model.addItem("the one that comes with the program", "")
        for name in self._models:
            self.model.addItem(name, name)
        choose = QPushButton("Choose …")
        choose.setToolTip("A network from `mmnet export`")
        choose.clicked.connect(self._choose_model)
        model = row(self.model, choose)
        model.setStretch(0, 1)
        page, form = _page()
        form.addRow("Network runs on", self.device)
        form.addRow("Network", model)
        form.addRow("", _hint("What is really used is shown at the lower right of the window, red when it fell back."))
        return page

    def _spotting_page(self) -> QWidget:
        page, form = _page()
        for gate in GATES:
            box = self.gates[gate.field]
            box.setRange(gate.low, gate.high)
            box.setSingleStep(gate.step)
            box.setDecimals(0 if gate.step >= 1 else 2)
            box.setSuffix(f" {gate.unit}")
            box.setToolTip(f"{gate.meaning}. Default: {_default(gate):g} {gate.unit}")
            form.addRow(gate.name, box)
        form.addRow("", _hint("What a gate refuses is listed with its measured value; nothing disappears silently."))
        return page

    def _files_page(self) -> QWidget:
        self.coder.setPlaceholderText("your name or initials")
        self.coder.setToolTip("Under this name your reviews of sessions are kept")
        self.folder.setPlaceholderText("mmnet in your documents")
        choose = QPushButton("Choose …")
        choose.clicked.connect(self._choose_folder)
        self.replay.setRange(0, 60)
        self.replay.setDecimals(0)
        self.replay.setSpecialValueText("off")
        self.replay.setSuffix(" s")
        folder = row(self.folder, choose)
        page, form = _page()
        form.addRow("Sessions go to", folder)
        form.addRow("“Save the last …” saves", self.replay)
        form.addRow(
            "", _hint("Those seconds are only in memory, and only while a live source is open, until they are saved.")
        )
        return page

    def _buttons(self):
        imported, exported, reset = QPushButton("Import …"), QPushButton("Export …"), QPushButton("Reset")
        reset.setToolTip("Everything as it was at the first start, but for the notice")
        imported.clicked.connect(self._import)
        exported.clicked.connect(self._export)
        reset.clicked.connect(
            lambda: self._show(Settings(is_notice_seen=self._settings.is_notice_seen, recent=self._settings.recent))
        )
        buttons = QDialogButtonBox()
        buttons.addButton("OK", QDialogButtonBox.ButtonRole.AcceptRole).setDefault(True)
        buttons.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        return row(imported, exported, reset, None, buttons)

    # To and from Settings

    def _show(self, settings: Settings) -> None:
        self._settings = settings
        self.theme.setCurrentIndex(self.theme.findData(settings.theme))
        scales = [abs(scale - settings.font_scale) for scale in FONT_SCALES]
        self.font_scale.setCurrentIndex(scales.index(min(scales)))
        if self.device.findData(settings.device) < 0:
            self.device.addItem(settings.device, settings.device)
        self.device.setCurrentIndex(self.device.findData(settings.device))
        if (known := self.model.findData(settings.model)) >= 0:
            self.model.setCurrentIndex(known)
        else:
            self.model.setEditText(settings.model)
        self.folder.setText(settings.session_folder)
        self.replay.setValue(settings.replay_s)
        self.coder.setText(settings.coder)
        for gate in GATES:
            self.gates[gate.field].setValue(settings.gates.get(gate.field, _default(gate)))

    def settings(self) -> Settings:
        """What the dialog shows now."""
        values = {gate.field: round(self.gates[gate.field].value(), 3) for gate in GATES}
        text = self.model.currentText().strip()
        known = self.model.findText(text)
        return replace(
            self._settings,
            theme=self.theme.currentData(),
            font_scale=self.font_scale.currentData(),
            device=self.device.currentData(),
            model=self.model.itemData(known) if known >= 0 else text,
            session_folder=self.folder.text().strip(),
            replay_s=self.replay.value(),
            coder=self.coder.text().strip(),
            gates={gate.field: values[gate.field] for gate in GATES if values[gate.field] != _default(gate)},
        )

    def accept(self) -> None:
        settings = self.settings()
        if settings.session_folder and not Path(settings.session_folder).is_dir():
            self._complain(f"The folder {settings.session_folder} does not exist. Choose another, or leave it empty.")
            return
        self._take(settings)
        super().accept()

    def _import(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Import settings", str(Path.home()), _FILTER)
        if not path:
            return
        try:
            loaded = read_settings(Path(path))
        except (OSError, SettingsError) as error:
            self._complain(str(error))
            return
        self._show(loaded.settings)
        if loaded.problems:
            self._complain("Not all of it could be used:\n" + "\n".join(loaded.problems))

    def _export(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Export settings", str(Path.home() / "mmnet-settings.json"), _FILTER
        )
        if not path:
            return
        try:
            write_settings(self.settings(), Path(path))
        except SettingsError as error:
            self._complain(str(error))

    def _choose_model(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose a network", str(Path.home()), _MODEL_FILTER)
        if path:
            self.model.setEditText(path)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Where sessions go", self.folder.text() or str(Path.home()))
        if path:
            self.folder.setText(path)

    def _complain(self, text: str) -> None:
        box = QMessageBox(QMessageBox.Icon.Warning, "Settings", text, QMessageBox.StandardButton.Ok, self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()


def _default(gate: Gate) -> float:
    return float(getattr(SpotterConfig(), gate.field))


def _page() -> tuple[QWidget, QFormLayout]:
    page = QWidget()
    form = QFormLayout(page)
    form.setContentsMargins(18, 18, 18, 18)
    form.setHorizontalSpacing(18)
    form.setVerticalSpacing(10)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return page, form


def _hint(text: str):
    hint = label("muted", text)
    hint.setWordWrap(True)
    return hint
