"""The window with real widgets: what it shows, what its keys do, and that it always goes on and always closes."""

from __future__ import annotations

import re
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from fakes import FakeSource
from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QLabel
from viewers import open_window
from widgets import array_of, button, dressed_and_tidy, headline, visible  # noqa: F401 — the fixture

from app.config import PipelineConfig
from app.datatypes import Frame, SpotState, StepResult
from app.errors import CameraError, ModelError
from app.runtime import capture
from app.runtime.records import RunState
from app.ui import window, words, workspace
from app.ui.dialogs import FaultDialog, KeySheet
from app.ui.faults import FaultReporter
from app.ui.preferences import Preferences
from app.ui.window import MainWindow


@pytest.fixture
def opened(qtbot, tmp_path):
    """`opened(source={…}, pipeline={…})` → (window, fakes, reports); see `open_window`."""
    return partial(open_window, qtbot, tmp_path)


def state_of(made) -> RunState:
    return made.run.state


def badge_of(view) -> str:
    return view.page.state_badge.text()


def wait_until_ended(qtbot, view, made):
    qtbot.waitUntil(lambda: state_of(made) is RunState.ENDED, timeout=8000)
    for _ in range(2 * workspace.FIGURES_EVERY):
        view.workspace.tick()


def pixel(widget, x: float, y: float) -> tuple[int, int, int]:
    """Red, green, blue at a place given as fractions of the widget."""
    image = widget.grab().toImage()
    colour = image.pixelColor(int(x * (image.width() - 1)), int(y * (image.height() - 1)))
    return colour.red(), colour.green(), colour.blue()


class TestRecording:
    def test_it_plays_to_the_end_and_the_results_remain(self, qtbot, opened):
        view, made, reports = opened(
            source={"count": 40, "fps": 60},
            pipeline={"decides": {15: "", 20: "blink", 25: "blink", 30: "", 32: "too long"}},
        )
        qtbot.waitUntil(lambda: badge_of(view) == "PLAYING", timeout=3000)
        wait_until_ended(qtbot, view, made)
        assert badge_of(view) == "ENDED"
        assert view.page.face_view.result.frame.index == 39
        assert view.page.position.text() == "0:00.6 / 0:00.7"
        rows = view.page.event_list.events
        assert [rows.index(i).data(Qt.ItemDataRole.UserRole).event.event_id for i in range(rows.rowCount())] == [2, 1]
        assert view.page.counts.text() == "2 events · not counted: blink 2 · too long 1"
        assert "the eyes closed" in view.page.counts.toolTip()
        assert (len(view.page.timeline.events), len(view.page.timeline.withdrawn)) == (2, 3)
        assert reports == []
        assert view.page.messages.texts == {}

    def test_space_pauses_and_plays(self, qtbot, opened):
        view, *_ = opened(source={"count": 300, "fps": 60})
        qtbot.waitUntil(lambda: view.page.face_view.result is not None, timeout=3000)
        qtbot.keyClick(view, Qt.Key.Key_Space)
        assert badge_of(view) == "PAUSED"
        assert view._play.text() == "Play"
        qtbot.wait(100)
        shown = view.page.face_view.result.frame.index
        qtbot.wait(200)
        assert view.page.face_view.result.frame.index == shown
        qtbot.keyClick(view, Qt.Key.Key_Space)
        qtbot.waitUntil(lambda: view.page.face_view.result.frame.index > shown + 5, timeout=3000)
        assert badge_of(view) == "PLAYING"

    def test_space_at_the_end_starts_again(self, qtbot, opened):
        view, made, _ = opened(source={"count": 10, "fps": 60}, pipeline={"decides": {5: ""}})
        wait_until_ended(qtbot, view, made)
        assert view.page.event_list.events.rowCount() == 1
        first = made.run
        qtbot.keyClick(view, Qt.Key.Key_Space)
        qtbot.waitUntil(lambda: view.page.face_view.result.frame.index < 9, timeout=3000)
        wait_until_ended(qtbot, view, made)
        assert made.run is first  # what was analysed is not analysed again
        assert view.page.event_list.events.rowCount() == 1

    def test_restart_in_the_middle(self, qtbot, opened):
        view, made, _ = opened(source={"count": 600, "fps": 60})
        qtbot.waitUntil(lambda: view.page.face_view.result is not None, timeout=3000)
        first = made.run
        view._restart.trigger()
        qtbot.waitUntil(lambda: made.run is not first, timeout=3000)
        assert not first.is_alive
        qtbot.waitUntil(lambda: badge_of(view) == "PLAYING", timeout=3000)

    def test_brackets_change_the_speed_and_keep_it(self, qtbot, opened):
        view, made, _ = opened(source={"count": 600, "fps": 60})
        for _ in range(5):
            qtbot.keyClick(view, Qt.Key.Key_BracketRight)
        assert made.run.speed == 4.0
        qtbot.keyClick(view, Qt.Key.Key_BracketLeft)
        assert made.run.speed == 2.0
        first = made.run
        view.workspace.restart()
        qtbot.waitUntil(lambda: made.run is not first, timeout=3000)
        assert made.run.speed == 2.0


class TestLive:
    def test_live_shows_its_figures(self, qtbot, opened):
        view, *_ = opened(source={"count": 400, "fps": 40, "is_live": True})
        qtbot.waitUntil(lambda: badge_of(view) == "LIVE" and "latency" in view.status.text("latency"), timeout=5000)
        qtbot.wait(600)
        assert re.fullmatch(r"\d\d\.\d / \d\d\.\d fps", view.status.text("rate"))
        assert view.status.text("stages") == "track 1.0 · register 2.0 · spot 0.5 ms"
        assert view.status.text("losses") == "lost 0"
        assert view.status.text("provider") == "fake (synthetic) on CPU"
        assert view.status.text("memory").endswith("MiB")
        assert not view._speed.isVisible()
        assert view.page.source_details.whole == "160×120 · 40 fps"

    def test_a_lost_camera_says_so_and_comes_back_by_itself(self, qtbot, opened, monkeypatch):
        monkeypatch.setattr(capture, "_RETRY_S", 0.1)
        error = CameraError("The camera vanished.")
        live = {"count": 100, "fps": 100, "is_live": True}
        away = threading.Event()
        opening = iter([live | {"fails_at": 20, "error": error}, None, live | {"count": 3000}])

        def open_source(spec, config):
            if (fake := next(opening)) is None:
                away.wait(10)
                raise error
            return FakeSource(**fake)

        view, made, reports = opened(opener=open_source, pipeline={"decides": {10: "", 30: ""}})
        qtbot.waitUntil(lambda: badge_of(view) == "LOST", timeout=4000)
        said = view.page.messages.texts
        assert said == {"lost": "The camera vanished. It is opened again by itself as soon as it is back."}
        qtbot.waitUntil(lambda: view.page.event_list.events.rowCount() == 1, timeout=4000)
        away.set()
        qtbot.waitUntil(lambda: badge_of(view) == "LIVE", timeout=4000)
        assert view.page.messages.texts == {}
        qtbot.waitUntil(lambda: view.page.event_list.events.rowCount() == 2, timeout=4000)
        gaps = [frame.index for frame in made.pipeline.frames if frame.dropped_before]
        assert gaps == [20]
        assert reports == []

    def test_silence_is_announced_and_withdrawn(self, qtbot, opened, monkeypatch):
        monkeypatch.setattr(workspace, "SILENCE_S", 0.3)
        view, made, _ = opened(source={"count": 60, "fps": 60, "is_live": True, "blocks_at": 5})
        qtbot.waitUntil(lambda: "silence" in view.page.messages.texts, timeout=4000)
        assert view.page.messages.texts["silence"].startswith("No picture from fake")
        made.source.release.set()
        qtbot.waitUntil(lambda: "silence" not in view.page.messages.texts, timeout=4000)

    def test_a_camera_that_does_not_open(self, qtbot, opened):
        def refuse(spec, config):
            raise CameraError("Camera 7 is busy.")

        view, made, _ = opened(opener=refuse)
        wait_until_ended(qtbot, view, made)
        assert view.page.messages.texts == {"source": "Camera 7 is busy."}
        assert badge_of(view) == "STOPPED"


class TestRecognition:
    def test_without_a_model_it_says_spotting_only(self, qtbot, opened):
        view, made, _ = opened(source={"fps": 100}, pipeline={"decides": {5: ""}}, recogniser={"has_model": False})
        wait_until_ended(qtbot, view, made)
        assert view.page.spotting_badge.isVisible()
        assert view.page.spotting_badge.toolTip() == "spotting only: no model is installed"
        assert view.status.text("provider") == "no network"
        spoken = view.page.event_list.events.index(0).data()
        assert "Candidate micro-expression" in spoken
        assert "positive" not in spoken

    def test_with_a_model_there_is_no_such_badge(self, qtbot, opened):
        view, made, _ = opened(source={"fps": 100}, pipeline={"decides": {5: ""}})
        wait_until_ended(qtbot, view, made)
        assert not view.page.spotting_badge.isVisible()
        spoken = view.page.event_list.events.index(0).data()
        assert "Expression consistent with positive" in spoken
        assert "negative 10 %, positive 70 %, surprise 20 %" in spoken

    def test_a_damaged_model_leaves_spotting_working(self, qtbot, opened):
        def refuse(config):
            raise ModelError("The network is damaged: its sha256 differs.")

        view, made, reports = opened(source={"fps": 100}, pipeline={"decides": {5: ""}}, build_recogniser=refuse)
        wait_until_ended(qtbot, view, made)
        assert "sha256 differs. Spotting goes on" in view.page.messages.texts["recognition"]
        assert view.page.spotting_badge.isVisible()
        assert badge_of(view) == "ENDED"
        assert view.page.event_list.events.rowCount() == 1
        assert reports == []


class TestPicture:
    def test_colours_letterbox_and_mirror(self, qtbot, opened):
        view, made, _ = opened(source={"count": 30, "fps": 100, "size": (400, 100)})
        wait_until_ended(qtbot, view, made)
        view.page.face_view.set_overlay("mesh", False)
        assert pixel(view.page.face_view, 0.5, 0.05) == (0x0B, 0x0D, 0x0F)
        red, green, blue = pixel(view.page.face_view, 0.03, 0.5)
        assert (green, blue) == (29, pytest.approx(8, abs=6))
        assert red == pytest.approx(128, abs=12)
        assert pixel(view.page.face_view, 0.97, 0.5)[2] == pytest.approx(247, abs=6)
        qtbot.keyClick(view, Qt.Key.Key_M)
        assert pixel(view.page.face_view, 0.03, 0.5)[2] == pytest.approx(247, abs=6)
        assert view.page.face_view.result.frame.image_bgr[50, 0, 0] == 0

    @pytest.mark.parametrize("is_mirrored", [False, True])
    def test_the_mesh_lies_on_the_face_of_the_same_frame(self, qtbot, opened, is_mirrored):
        view, made, _ = opened(source={"count": 5, "fps": 100})
        wait_until_ended(qtbot, view, made)
        picture = view.page.face_view
        picture.set_mirrored(is_mirrored)
        with_mesh = picture.grab().toImage()
        qtbot.keyClick(view, Qt.Key.Key_V)
        without = picture.grab().toImage()
        differs = np.argwhere(array_of(without) != array_of(with_mesh))[:, :2]
        x, y = picture.result.face.landmarks_px[:, :2].T
        corners = [
            picture.widget_from_frame().map(float(u), float(v)) for u in (x.min(), x.max()) for v in (y.min(), y.max())
        ]
        expected = np.array(corners)
        assert differs.min(axis=0)[::-1] == pytest.approx(expected.min(axis=0), abs=3)
        assert differs.max(axis=0)[::-1] == pytest.approx(expected.max(axis=0), abs=3)

    def test_why_a_face_is_not_analysed_is_painted(self, qtbot, opened):
        view, made, _ = opened(source={"count": 300, "fps": 100}, pipeline={"reason": "too small"})
        assert words.reason_in_words("too small") == "too small: come closer"

        def amber():
            image = array_of(view.page.face_view.grab().toImage()).astype(int)
            is_amber = np.abs(image[..., :3] - (0x4B, 0xA8, 0xE5)).sum(axis=2) < 30
            return is_amber[:-38].sum(), is_amber[-38:].sum()  # the box, the words at the lower edge

        qtbot.waitUntil(lambda: amber()[0] > 200, timeout=3000)
        assert amber()[1] > 50
        wait_until_ended(qtbot, view, made)
        assert amber()[0] > 200
        assert amber()[1] == 0

    def test_a_frame_without_a_face(self, qtbot, opened):
        view, *_ = opened()
        frame = Frame(0, 0, np.full((90, 120, 3), 200, np.uint8))
        view.page.face_view.set_result(StepResult(frame, None, None, None, None, SpotState.OFF))
        assert pixel(view.page.face_view, 0.5, 0.5) == (200, 200, 200)

    def test_only_the_newest_picture_is_painted(self, qtbot, opened):
        view, made, _ = opened(source={"count": 100_000, "fps": 300, "is_live": True})
        qtbot.waitUntil(lambda: view.page.face_view.result is not None, timeout=3000)
        view.workspace._timer.stop()
        time.sleep(0.5)
        analysed = made.pipeline.frames[-1].index
        painted = view.page.face_view.result.frame.index
        view.workspace.tick()
        assert view.page.face_view.result.frame.index >= analysed > painted + 60
        view.workspace._timer.start()


class TestFaults:
    def test_a_fault_of_the_pipeline_reaches_the_reporter(self, qtbot, opened, caplog):
        error = KeyError("brow")
        view, _, reports = opened(source={"count": 1000}, pipeline={"fails_at": 5, "error": error})
        qtbot.waitUntil(lambda: bool(reports), timeout=5000)
        assert reports == [(error, "analysis")]
        assert "analysis" in view.page.messages.texts["source"]
        qtbot.waitUntil(lambda: view.page.face_view.result.frame.index > 10, timeout=5000)  # it can still be looked at

    def test_one_dialog_for_all_faults_and_the_details_can_be_copied(self, qtbot, caplog):
        reporter = FaultReporter()
        reporter.install()
        try:
            QTimer.singleShot(0, lambda: {}["slot"])
            QTimer.singleShot(10, lambda: {}["again"])
            qtbot.waitUntil(lambda: reporter.dialog is not None and "1 more" in headline(reporter.dialog), timeout=3000)
            assert len(visible(FaultDialog)) == 1
            assert "KeyError: 'slot'" in reporter.dialog.details
            qtbot.mouseClick(button(reporter.dialog, "Copy details"), Qt.MouseButton.LeftButton)
            assert QGuiApplication.clipboard().text() == reporter.dialog.details
            qtbot.mouseClick(button(reporter.dialog, "Close"), Qt.MouseButton.LeftButton)
            assert reporter.dialog is None
            thread = threading.Thread(target=lambda: {}["thread"], name="stray")
            thread.start()
            thread.join()
            qtbot.waitUntil(lambda: reporter.dialog is not None, timeout=3000)
            assert "thread stray" in reporter.dialog.details
            reporter.dialog.accept()
        finally:
            reporter.uninstall()
        assert "uncaught error" in caplog.text

    def test_hooks_are_given_back(self, qapp):
        before = sys.excepthook, threading.excepthook
        reporter = FaultReporter()
        reporter.install()
        assert sys.excepthook is not before[0]
        reporter.uninstall()
        assert (sys.excepthook, threading.excepthook) == before


class TestClosing:
    def test_close_while_running(self, qtbot, opened):
        view, made, _ = opened(source={"count": 10_000, "fps": 60, "is_live": True}, pipeline={"step_s": 0.05})
        qtbot.waitUntil(lambda: view.page.face_view.result is not None, timeout=3000)
        start_s = time.monotonic()
        view.close()
        assert time.monotonic() - start_s < 1
        assert view.late_threads == ()
        assert not made.run.is_alive
        assert made.source.closed_on == "capture"

    def test_close_during_a_blocked_read_ends_within_two_seconds(self, qtbot, opened, caplog):
        view, made, _ = opened(source={"count": 100, "fps": 60, "is_live": True, "blocks_at": 5})
        qtbot.waitUntil(lambda: made.source is not None and made.source.delivered == 5, timeout=3000)
        start_s = time.monotonic()
        view.close()
        assert time.monotonic() - start_s < 2
        assert view.late_threads == ("capture",)
        made.source.release.set()
        made.run.stop()

    def test_another_source_does_not_wait_for_a_blocked_one(self, qtbot, opened):
        view, made, _ = opened(source={"count": 100, "fps": 60, "is_live": True, "blocks_at": 5})
        qtbot.waitUntil(lambda: made.source is not None and made.source.delivered == 5, timeout=3000)
        blocked, first = made.source, made.run
        view.workspace.open_source("another")
        qtbot.waitUntil(lambda: made.run is not first, timeout=4000)
        blocked.release.set()
        assert "another" in view.windowTitle()
        made.source.release.set()

    def test_close_before_anything_was_opened(self, qtbot, tmp_path):
        view = MainWindow(PipelineConfig(), Preferences(tmp_path / "settings.json"), report=lambda *_: None)
        qtbot.addWidget(view)
        view.show()
        view.close()
        assert view.late_threads == ()


class TestKeys:
    def test_the_sheet_names_every_key_of_the_menus(self, qtbot, opened):
        view, *_ = opened()
        qtbot.keyClick(view, Qt.Key.Key_F1)
        (sheet,) = visible(KeySheet)
        said = {key for label in sheet.findChildren(QLabel) for key in label.text().split(" or ")}
        actions = [action for menu in view.menuBar().actions() for action in menu.menu().actions()]
        shortcuts = {key.toString() for action in actions for key in action.shortcuts()}
        assert shortcuts <= said
        assert {"Space", "Ctrl+O", "F11", "F1"} <= shortcuts
        sheet.close()

    def test_f11_is_full_screen_and_back(self, qtbot, opened):
        view, *_ = opened()
        qtbot.keyClick(view, Qt.Key.Key_F11)
        assert view.isFullScreen()
        qtbot.keyClick(view, Qt.Key.Key_F11)
        assert not view.isFullScreen()

    def test_ctrl_o_opens_a_file(self, qtbot, opened, monkeypatch):
        view, made, _ = opened(source={"count": 10})
        monkeypatch.setattr(window.QFileDialog, "getOpenFileName", lambda *_: ("/videos/talk.mp4", ""))
        first = made.run
        qtbot.keyClick(view, Qt.Key.Key_O, Qt.KeyboardModifier.ControlModifier)
        qtbot.waitUntil(lambda: made.run is not first, timeout=3000)
        assert made.run.spec == "/videos/talk.mp4"
        assert view.windowTitle() == "talk.mp4 – mmnet"
