"""R and B in the window: consent first, a light while it lasts, and a session that can be read and exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from viewers import open_window
from widgets import button, dressed_and_tidy, visible  # noqa: F401 — the fixture

from app.session.reader import read_session
from app.ui.export_dialog import ExportDialog
from app.ui.recorder import ConsentDialog

LIVE = {"count": 3000, "fps": 60, "is_live": True}


@pytest.fixture
def opened(qtbot, tmp_path):
    def open_live(**changes):
        decides = {40: "", 60: ""}
        view, made, _ = open_window(qtbot, tmp_path, source=LIVE | changes, pipeline={"decides": decides})
        sessions = tmp_path / "sessions"
        view.preferences.take(replace(view.preferences.settings, session_folder=str(sessions)))
        qtbot.waitUntil(lambda: made.run.recording is not None or not changes.get("is_live", True), timeout=4000)
        qtbot.waitUntil(lambda: made.run.model is not None and view.workspace.newest is not None, timeout=4000)
        return view, made, sessions

    return open_live


def press(qtbot, view, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    view.activateWindow()  # without a window manager, nobody gives the focus back when a dialog closes
    qtbot.waitUntil(view.isActiveWindow, timeout=3000)
    qtbot.keyClick(view, key, modifier)


def agree(qtbot, participant: str = "P 07/ä") -> None:
    (dialog,) = visible(ConsentDialog)
    record = button(dialog, "Record")
    assert not record.isEnabled()
    dialog.participant.setText(participant)  # keyClicks knows only ASCII
    assert not record.isEnabled()
    dialog.agrees.setChecked(True)
    qtbot.mouseClick(record, Qt.MouseButton.LeftButton)


def saved(qtbot, view) -> Path:
    qtbot.waitUntil(lambda: view.recorder.last_folder is not None, timeout=8000)
    assert view.page.messages.texts["recording"] == f"Saved: {view.recorder.last_folder}"
    return view.recorder.last_folder


class TestRecording:
    def test_consent_then_a_light_then_a_session(self, qtbot, opened):
        view, _, sessions = opened()
        press(qtbot, view, Qt.Key.Key_R)
        assert not view.recorder.is_recording
        agree(qtbot)
        qtbot.waitUntil(lambda: view.recorder.light.isVisible(), timeout=4000)
        assert view.recorder.light.text().startswith("● REC")
        view.show_start()
        assert view.recorder.light.isVisible()
        qtbot.waitUntil(lambda: view.workspace.event_count == 2, timeout=4000)
        qtbot.wait(300)
        press(qtbot, view, Qt.Key.Key_R)
        folder = saved(qtbot, view)
        assert not view.recorder.light.isVisible()
        assert folder.parent == sessions
        assert folder.name.endswith("_P_07_ä")
        session = read_session(folder)
        assert session.subject_id == "P 07/ä"
        assert session.is_complete
        assert (folder / "video.mp4").stat().st_size > 1000
        assert len(session.events) >= 1
        # The same person goes on: nobody is asked twice.
        press(qtbot, view, Qt.Key.Key_R)
        assert visible(ConsentDialog) == []
        qtbot.waitUntil(lambda: view.recorder.is_recording, timeout=4000)
        view.close()
        assert view.late_threads == ()
        assert all(read_session(path).is_complete for path in sessions.iterdir())

    def test_who_does_not_agree_is_not_recorded(self, qtbot, opened):
        view, _, sessions = opened()
        press(qtbot, view, Qt.Key.Key_R)
        (dialog,) = visible(ConsentDialog)
        qtbot.mouseClick(button(dialog, "Cancel"), Qt.MouseButton.LeftButton)
        assert not view.recorder.is_recording
        assert not sessions.exists()

    def test_another_source_needs_another_consent(self, qtbot, opened):
        view, made, _ = opened()
        press(qtbot, view, Qt.Key.Key_R)
        agree(qtbot)
        qtbot.waitUntil(lambda: view.recorder.is_recording, timeout=4000)
        first = made.run
        view.open("another")
        qtbot.waitUntil(lambda: made.run is not first, timeout=6000)
        qtbot.waitUntil(lambda: None not in (made.run.recording, made.run.model), timeout=6000)
        saved(qtbot, view)
        press(qtbot, view, Qt.Key.Key_R)
        assert len(visible(ConsentDialog)) == 1
        visible(ConsentDialog)[0].reject()

    def test_a_folder_that_takes_no_files(self, qtbot, opened, tmp_path):
        view, *_ = opened()
        (tmp_path / "file").touch()
        view.preferences.change(session_folder=str(tmp_path / "file"))
        press(qtbot, view, Qt.Key.Key_R)
        agree(qtbot)
        qtbot.waitUntil(lambda: "recording fault" in view.page.messages.texts, timeout=4000)
        assert not view.recorder.is_recording

    def test_recordings_are_not_recorded(self, qtbot, opened):
        view, *_ = opened(is_live=False)
        press(qtbot, view, Qt.Key.Key_R)
        assert view.page.messages.texts["recording"].startswith("Only a live source can be recorded")


class TestLastSeconds:
    def test_what_just_happened_is_saved(self, qtbot, opened):
        view, *_ = opened()
        qtbot.waitUntil(lambda: view.workspace.event_count == 2, timeout=4000)
        press(qtbot, view, Qt.Key.Key_B)
        agree(qtbot)
        session = read_session(saved(qtbot, view))
        assert len(session.events) == 2
        assert not view.recorder.light.isVisible()

    def test_when_it_is_switched_off_nothing_is_kept(self, qtbot, tmp_path):
        view, made, _ = open_window(qtbot, tmp_path, spec=None, source=LIVE)
        view.preferences.change(replay_s=0.0)
        view.open("fake")
        qtbot.waitUntil(lambda: made.pipeline is not None and len(made.pipeline.frames) > 30, timeout=4000)
        assert made.run.recording.status.replay_bytes == 0
        press(qtbot, view, Qt.Key.Key_B)
        assert "switched off" in view.page.messages.texts["recording"]


class TestExport:
    def test_a_saved_session_is_exported(self, qtbot, opened, tmp_path):
        view, *_ = opened()
        qtbot.waitUntil(lambda: view.workspace.event_count == 2, timeout=4000)
        press(qtbot, view, Qt.Key.Key_B)
        agree(qtbot)
        folder = saved(qtbot, view)
        press(qtbot, view, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
        (dialog,) = visible(ExportDialog)
        assert dialog.session.text() == str(folder)
        dialog.write(tmp_path / "out.csv")
        qtbot.waitUntil(lambda: dialog.export.isEnabled(), timeout=8000)
        assert dialog.said.text() == f"Written: {tmp_path / 'out.csv'}"
        assert (tmp_path / "out.csv").read_text(encoding="utf-8").count("\n") == 3
        dialog.reject()

    def test_a_folder_that_is_no_session_says_so(self, qtbot, tmp_path):
        dialog = ExportDialog(tmp_path, tmp_path)
        qtbot.addWidget(dialog)
        dialog.write(tmp_path / "out.csv")
        qtbot.waitUntil(lambda: dialog.export.isEnabled(), timeout=8000)
        assert dialog.said.text() not in ("", "Writing …")
        assert not (tmp_path / "out.csv").exists()
