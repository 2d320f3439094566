"""The dialog of settings, and settings that change while the window is open."""

from __future__ import annotations

import pytest
from PyQt6 import sip
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFileDialog, QMessageBox
from viewers import open_window
from widgets import button, dressed_and_tidy, visible  # noqa: F401 — the fixture

from app.config import PipelineConfig, SpotterConfig
from app.settings import Settings, load_settings, read_settings, write_settings
from app.ui import theme
from app.ui.preferences import Preferences
from app.ui.settings_dialog import GATES, SettingsDialog


@pytest.fixture
def dialog(qtbot):
    def open_dialog(settings: Settings) -> SettingsDialog:
        made = SettingsDialog(settings, ("synthetic_3class",), taken.append)
        made.show()
        opened.append(made)
        return made

    taken: list[Settings] = []
    opened: list[SettingsDialog] = []
    open_dialog.taken = taken
    yield open_dialog
    for made in opened:
        if not sip.isdeleted(made):  # it deletes itself when it is closed
            made.close()


CHOSEN = Settings(
    is_notice_seen=True, theme="light", font_scale=1.3, device="cuda:3", model="/weights/mine.onnx", replay_s=20.0,
    coder="Zoë", gates={"max_duration_ms": 400.0}, recent=("demo",),
)  # fmt: skip


class TestDialog:
    def test_what_is_not_touched_stays_as_it_was(self, qtbot, dialog):
        for settings in (Settings(), CHOSEN):
            made = dialog(settings)
            qtbot.mouseClick(button(made, "OK"), Qt.MouseButton.LeftButton)
        assert dialog.taken == [Settings(), CHOSEN]

    def test_choices_are_taken(self, dialog):
        made = dialog(Settings())
        made.theme.setCurrentText("light")
        made.font_scale.setCurrentText("150%")
        made.device.setCurrentText("CPU")
        made.model.setCurrentText("synthetic_3class")
        made.gates["min_duration_ms"].setValue(80)
        made.accept()
        (taken,) = dialog.taken
        assert (taken.theme, taken.font_scale, taken.device) == ("light", 1.5, "cpu")
        assert (taken.model, dict(taken.gates)) == ("synthetic_3class", {"min_duration_ms": 80.0})

    def test_every_gate_is_one_of_the_spotter_with_its_default_in_range(self):
        for gate in GATES:
            assert gate.low <= getattr(SpotterConfig(), gate.field) <= gate.high

    def test_cancel_takes_nothing(self, qtbot, dialog):
        made = dialog(Settings())
        made.theme.setCurrentText("light")
        qtbot.mouseClick(button(made, "Cancel"), Qt.MouseButton.LeftButton)
        assert dialog.taken == []

    def test_reset_shows_the_defaults_and_keeps_the_notice_seen(self, qtbot, dialog):
        made = dialog(CHOSEN)
        qtbot.mouseClick(button(made, "Reset"), Qt.MouseButton.LeftButton)
        made.accept()
        assert dialog.taken == [Settings(is_notice_seen=True, recent=("demo",))]

    def test_a_folder_that_is_not_there_is_refused(self, dialog, tmp_path):
        made = dialog(Settings())
        made.folder.setText(str(tmp_path / "nowhere"))
        made.accept()
        (box,) = visible(QMessageBox)
        assert "does not exist" in box.text()
        box.accept()
        assert dialog.taken == []

    def test_export_and_import(self, qtbot, dialog, tmp_path, monkeypatch):
        path = tmp_path / "mine.json"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
        qtbot.mouseClick(button(dialog(CHOSEN), "Export …"), Qt.MouseButton.LeftButton)
        assert read_settings(path).settings == CHOSEN
        made = dialog(Settings())
        qtbot.mouseClick(button(made, "Import …"), Qt.MouseButton.LeftButton)
        assert made.settings() == CHOSEN
        path.write_text("nonsense")
        qtbot.mouseClick(button(made, "Import …"), Qt.MouseButton.LeftButton)
        (box,) = visible(QMessageBox)
        assert "holds no settings" in box.text()
        box.accept()
        assert made.settings() == CHOSEN


class TestWhileOpen:
    def test_theme_and_text_size_change_at_once(self, qtbot, qapp, tmp_path):
        view, *_ = open_window(qtbot, tmp_path, spec=None)
        height = view.page.live.delivery.fontMetrics().height()
        qtbot.keyClick(view, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
        assert theme.colours() is theme.LIGHT
        view.preferences.change(font_scale=1.75)
        assert view.page.live.delivery.fontMetrics().height() > 1.5 * height
        assert load_settings(tmp_path / "settings.json").settings.theme == "light"
        qtbot.keyClick(view, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
        assert theme.colours() is theme.DARK
        theme.apply_theme(qapp)

    def test_gates_are_used_when_the_source_is_opened_again(self, qtbot, tmp_path):
        view, made, _ = open_window(qtbot, tmp_path, source={"count": 1000, "fps": 60, "is_live": True})
        qtbot.waitUntil(lambda: view.workspace.newest is not None, timeout=4000)
        view.preferences.change(gates={"max_duration_ms": 300.0})
        assert "used as soon as the source is opened again" in view.page.messages.texts["settings"]
        first = made.run
        qtbot.mouseClick(button(view.page.messages, "Open again"), Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: made.run is not first, timeout=4000)
        assert made.run._config.spotter.max_duration_ms == 300

    def test_overlays_are_remembered(self, qtbot, tmp_path):
        view, *_ = open_window(qtbot, tmp_path, spec=None)
        for key in (Qt.Key.Key_V, Qt.Key.Key_C, Qt.Key.Key_H):
            qtbot.keyClick(view, key)
        assert load_settings(tmp_path / "settings.json").settings.overlays == ("heat", "crop")
        again, *_ = open_window(qtbot, tmp_path, spec=None)
        assert [action.isChecked() for action in again._overlays] == [False, False, True, True]

    def test_window_and_panels_are_remembered(self, qtbot, tmp_path):
        view, *_ = open_window(qtbot, tmp_path, spec="fake")
        view.page.panels["Events"].close()
        view.page.panels["Log"].show()
        view.resize(1000, 640)
        view.close()
        again, *_ = open_window(qtbot, tmp_path, spec="fake")
        again.restore_layout()
        assert again.page.panels["Events"].isHidden()
        assert not again.page.panels["Log"].isHidden()
        assert again.height() == 640  # the width is cut to the small screen of the offscreen platform
        again.page.reset_layout()
        assert not again.page.panels["Events"].isHidden()
        assert again.page.panels["Log"].isHidden()

    def test_a_broken_settings_file_is_told_and_replaced(self, qtbot, tmp_path):
        write_settings(Settings(), tmp_path / "settings.json")
        text = (tmp_path / "settings.json").read_text().replace('"system"', '"pink"')
        (tmp_path / "settings.json").write_text(text)
        view, *_ = open_window(qtbot, tmp_path)
        assert "theme is 'pink'" in view.page.messages.texts["settings"]

    def test_a_folder_that_takes_no_settings_is_told(self, qtbot, tmp_path):
        (tmp_path / "file").touch()
        preferences = Preferences(tmp_path / "file" / "settings.json")
        with qtbot.waitSignal(preferences.unsaved, timeout=1000) as unsaved:
            preferences.change(theme="dark")
        assert "writable" in unsaved.args[0]
        assert preferences.settings.theme == "dark"
        assert preferences.settings.pipeline_config(PipelineConfig()) == PipelineConfig()
