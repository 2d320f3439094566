"""The window with real widgets: what it shows, what its keys do, and that it always goes on and always closes."""

from __future__ import annotations

import gc
import os
import re
import select
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from fakes import candidate, fake_runs, prediction
from PyQt6.QtCore import QPoint, Qt, QTimer
from PyQt6.QtGui import QGuiApplication, QImage
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton

from app.config import PipelineConfig, SourceConfig
from app.datatypes import Event, Frame, SpotState, StepResult
from app.errors import CameraError, DisplayError, ModelError, OutputError
from app.runtime.workers import MotionPoint, RunState
from app.ui import application, display, event_list, window, words
from app.ui.dialogs import FaultDialog, KeySheet, NoticeDialog
from app.ui.faults import FaultReporter
from app.ui.garbage import GarbageTimer
from app.ui.motion_plot import MotionPlot
from app.ui.theme import apply_theme
from app.ui.window import MainWindow


@pytest.fixture(scope="session")
def qapp(qapp):
    apply_theme(qapp)
    return qapp


@pytest.fixture(autouse=True)
def _widgets_are_freed_in_this_thread():
    """As in the application: a widget freed by a collection in a worker's thread crashes Qt."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture
def opened(qtbot):
    """A function that opens a window on fakes: `opened(source={…}, pipeline={…})` → (window, fakes, reports)."""

    def open_window(**fakes):
        reports = []
        new_run, made = fake_runs(**fakes)
        view = MainWindow(
            SourceConfig(),
            PipelineConfig(),
            report=lambda error, thread: reports.append((error, thread)),
            new_run=new_run,
        )
        qtbot.addWidget(view)
        view.show()
        view.activateWindow()
        qtbot.waitUntil(view.isActiveWindow, timeout=3000)
        view.open_source("fake")
        return view, made, reports

    return open_window


def state_of(made) -> RunState:
    return made.run.state


def badge_of(view) -> str:
    return view._state_badge.text()


def wait_until_ended(qtbot, view, made):
    qtbot.waitUntil(lambda: state_of(made) is RunState.ENDED, timeout=8000)
    for _ in range(2 * window._FIGURES_EVERY):
        view.tick()


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
        assert view.face_view.result.frame.index == 39
        assert view._position.text() == "0:00.6 / 0:00.7"
        rows = view.event_list.events
        assert [rows.index(i).data(Qt.ItemDataRole.UserRole).event.event_id for i in range(rows.rowCount())] == [2, 1]
        assert view._heading.text() == "Events 2"
        assert view._not_counted.text() == "Not counted: blink 2 · too long 1"
        assert "the eyes closed" in view._not_counted.toolTip()
        assert view.motion_plot.span_count == 5
        assert reports == []
        assert view.messages.texts == {}

    def test_space_pauses_and_plays(self, qtbot, opened):
        view, *_ = opened(source={"count": 300, "fps": 60})
        qtbot.waitUntil(lambda: view.face_view.result is not None, timeout=3000)
        qtbot.keyClick(view, Qt.Key.Key_Space)
        assert badge_of(view) == "PAUSED"
        assert view._play.text() == "Play"
        qtbot.wait(100)
        shown = view.face_view.result.frame.index
        qtbot.wait(200)
        assert view.face_view.result.frame.index == shown
        qtbot.keyClick(view, Qt.Key.Key_Space)
        qtbot.waitUntil(lambda: view.face_view.result.frame.index > shown + 5, timeout=3000)
        assert badge_of(view) == "PLAYING"

    def test_space_at_the_end_starts_again(self, qtbot, opened):
        view, made, _ = opened(source={"count": 10, "fps": 60}, pipeline={"decides": {5: ""}})
        wait_until_ended(qtbot, view, made)
        assert view.event_list.events.rowCount() == 1
        first = made.run
        qtbot.keyClick(view, Qt.Key.Key_Space)
        qtbot.waitUntil(lambda: made.run is not first, timeout=3000)
        assert view.event_list.events.rowCount() == 0
        wait_until_ended(qtbot, view, made)
        assert view.event_list.events.rowCount() == 1

    def test_restart_in_the_middle(self, qtbot, opened):
        view, made, _ = opened(source={"count": 600, "fps": 60})
        qtbot.waitUntil(lambda: view.face_view.result is not None, timeout=3000)
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
        view.restart()
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
        assert view.status.text("provider") == "fake on CPU"
        assert view.status.text("memory").endswith("MiB")
        assert not view._speed.isVisible()
        assert view._source_details.text() == "160×120 · 40 fps"

    def test_a_lost_camera_says_so_and_can_be_tried_again(self, qtbot, opened):
        view, made, reports = opened(
            source={
                "count": 100,
                "fps": 100,
                "is_live": True,
                "fails_at": 20,
                "error": CameraError("The camera vanished."),
            },
            pipeline={"decides": {10: ""}},
        )
        wait_until_ended(qtbot, view, made)
        assert badge_of(view) == "STOPPED"
        assert view.messages.texts == {"source": "The camera vanished."}
        assert view.event_list.events.rowCount() == 1
        assert view.face_view.result is not None
        first = made.run
        retry = next(b for b in view.messages.findChildren(QPushButton) if b.text() == "Retry")
        qtbot.mouseClick(retry, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: made.run is not first, timeout=3000)
        assert view.messages.texts == {}
        assert reports == []

    def test_silence_is_announced_and_withdrawn(self, qtbot, opened, monkeypatch):
        monkeypatch.setattr(window, "_SILENCE_S", 0.3)
        view, made, _ = opened(source={"count": 60, "fps": 60, "is_live": True, "blocks_at": 5})
        qtbot.waitUntil(lambda: "silence" in view.messages.texts, timeout=4000)
        assert view.messages.texts["silence"].startswith("No picture from fake")
        made.source.release.set()
        qtbot.waitUntil(lambda: "silence" not in view.messages.texts, timeout=4000)

    def test_a_camera_that_does_not_open(self, qtbot, opened):
        def refuse(spec, config):
            raise CameraError("Camera 7 is busy.")

        view, made, _ = opened(opener=refuse)
        wait_until_ended(qtbot, view, made)
        assert view.messages.texts == {"source": "Camera 7 is busy."}
        assert badge_of(view) == "STOPPED"


class TestRecognition:
    def test_without_a_model_it_says_spotting_only(self, qtbot, opened):
        view, made, _ = opened(source={"fps": 100}, pipeline={"decides": {5: ""}}, recogniser={"has_model": False})
        wait_until_ended(qtbot, view, made)
        assert view._spotting_badge.isVisible()
        assert view._spotting_badge.toolTip() == "spotting only: no model is installed"
        assert view.status.text("provider") == "no network"
        spoken = view.event_list.events.index(0).data()
        assert "Candidate micro-expression" in spoken
        assert "positive" not in spoken

    def test_with_a_model_there_is_no_such_badge(self, qtbot, opened):
        view, made, _ = opened(source={"fps": 100}, pipeline={"decides": {5: ""}})
        wait_until_ended(qtbot, view, made)
        assert not view._spotting_badge.isVisible()
        spoken = view.event_list.events.index(0).data()
        assert "Expression consistent with positive" in spoken
        assert "negative 10 %, positive 70 %, surprise 20 %" in spoken

    def test_a_damaged_model_leaves_spotting_working(self, qtbot, opened):
        def refuse(config):
            raise ModelError("The network is damaged: its sha256 differs.")

        view, made, reports = opened(source={"fps": 100}, pipeline={"decides": {5: ""}}, build_recogniser=refuse)
        wait_until_ended(qtbot, view, made)
        assert "sha256 differs. Spotting goes on" in view.messages.texts["recognition"]
        assert view._spotting_badge.isVisible()
        assert badge_of(view) == "ENDED"
        assert view.event_list.events.rowCount() == 1
        assert reports == []


class TestPicture:
    def test_colours_letterbox_and_mirror(self, qtbot, opened):
        view, made, _ = opened(source={"count": 30, "fps": 100, "size": (400, 100)})
        wait_until_ended(qtbot, view, made)
        view.face_view.set_mesh_shown(False)
        assert pixel(view.face_view, 0.5, 0.05) == (0x0B, 0x0D, 0x0F)
        red, green, blue = pixel(view.face_view, 0.03, 0.5)
        assert (green, blue) == (29, pytest.approx(8, abs=6))
        assert red == pytest.approx(128, abs=12)
        assert pixel(view.face_view, 0.97, 0.5)[2] == pytest.approx(247, abs=6)
        qtbot.keyClick(view, Qt.Key.Key_M)
        assert pixel(view.face_view, 0.03, 0.5)[2] == pytest.approx(247, abs=6)
        assert view.face_view.result.frame.image_bgr[50, 0, 0] == 0

    @pytest.mark.parametrize("is_mirrored", [False, True])
    def test_the_mesh_lies_on_the_face_of_the_same_frame(self, qtbot, opened, is_mirrored):
        view, made, _ = opened(source={"count": 5, "fps": 100})
        wait_until_ended(qtbot, view, made)
        picture = view.face_view
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
            image = array_of(view.face_view.grab().toImage()).astype(int)
            is_amber = np.abs(image[..., :3] - (0x4B, 0xA8, 0xE5)).sum(axis=2) < 30
            return is_amber[:-60].sum(), is_amber[-60:].sum()  # the box, the words at the lower edge

        qtbot.waitUntil(lambda: amber()[0] > 200, timeout=3000)
        assert amber()[1] > 50
        wait_until_ended(qtbot, view, made)
        assert amber()[0] > 200
        assert amber()[1] == 0

    def test_a_frame_without_a_face(self, qtbot, opened):
        view, *_ = opened()
        frame = Frame(0, 0, np.full((90, 120, 3), 200, np.uint8))
        view.face_view.set_result(StepResult(frame, None, None, None, None, SpotState.OFF))
        assert pixel(view.face_view, 0.5, 0.5) == (200, 200, 200)

    def test_only_the_newest_picture_is_painted(self, qtbot, opened):
        view, made, _ = opened(source={"count": 100_000, "fps": 1000})
        qtbot.waitUntil(lambda: view.face_view.result is not None, timeout=3000)
        view._timer.stop()
        time.sleep(0.5)
        analysed = made.pipeline.frames[-1].index
        painted = view.face_view.result.frame.index
        view.tick()
        assert view.face_view.result.frame.index >= analysed > painted + 100
        view._timer.start()


class TestFaults:
    def test_a_fault_of_the_pipeline_reaches_the_reporter(self, qtbot, opened, caplog):
        error = KeyError("brow")
        view, made, reports = opened(source={"count": 1000}, pipeline={"fails_at": 5, "error": error})
        wait_until_ended(qtbot, view, made)
        assert reports == [(error, "analysis")]
        assert badge_of(view) == "STOPPED"
        assert "analysis" in view.messages.texts["source"]

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


class Knot:
    """Garbage that only a collection finds; remembers the thread that freed it."""

    freed_on: ClassVar[list[str]] = []

    def __init__(self):
        self.itself = self

    def __del__(self):
        self.freed_on.append(threading.current_thread().name)


class TestGarbage:
    @pytest.fixture
    def timer(self, qapp):
        Knot.freed_on.clear()
        timer = GarbageTimer()
        timer.start()
        yield timer
        timer.stop()

    def test_no_other_thread_collects(self, timer):
        def allocate():
            for _ in range(3 * gc.get_threshold()[0]):
                kept.append(Knot())
            kept.clear()
            kept.extend([] for _ in range(3 * gc.get_threshold()[0]))

        kept = []
        thread = threading.Thread(target=allocate)
        thread.start()
        thread.join()
        assert Knot.freed_on == []
        timer.collect()
        assert set(Knot.freed_on) == {"MainThread"}

    def test_what_settled_is_not_looked_at_again(self, timer):
        timer.settle()
        assert gc.get_freeze_count() > 10_000
        timer.stop()
        assert gc.get_freeze_count() == 0
        assert gc.isenabled()


class TestClosing:
    def test_close_while_running(self, qtbot, opened):
        view, made, _ = opened(source={"count": 10_000, "fps": 60, "is_live": True}, pipeline={"step_s": 0.05})
        qtbot.waitUntil(lambda: view.face_view.result is not None, timeout=3000)
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
        view.open_source("another")
        qtbot.waitUntil(lambda: made.run is not first, timeout=4000)
        blocked.release.set()
        assert "another" in view.windowTitle()
        made.source.release.set()

    def test_close_before_anything_was_opened(self, qtbot):
        view = MainWindow(SourceConfig(), PipelineConfig(), report=lambda *_: None)
        qtbot.addWidget(view)
        view.show()
        view.close()
        assert view.late_threads == ()


class TestPlot:
    def point(self, index: int, **changes) -> MotionPoint:
        values = {
            "strength": 0.5,
            "head_speed_percent_s": 8.0,
            "is_blink": False,
            "is_gap": False,
            "state": SpotState.IDLE,
        }
        return MotionPoint(timestamp_ns=5_000_000_000 + index * 33_333_333, **(values | changes))

    def test_ten_seconds_are_kept(self, qtbot):
        plot = MotionPlot(80.0)
        qtbot.addWidget(plot)
        plot.add_event(Event(1, candidate(5_300_000_000), prediction()))
        plot.add_rejected(candidate(20_000_000_000, rejected_because="blink"))
        for start in range(0, 600, 5):
            plot.add([self.point(index) for index in range(start, start + 5)])
        seconds, _ = plot._strength.getData()
        assert seconds[-1] - seconds[0] == pytest.approx(10, abs=0.1)
        assert seconds[-1] == pytest.approx(599 / 30, abs=0.01)
        assert plot.span_count == 1
        (left, right), (bottom, top) = plot.viewRange()
        assert (left, right) == pytest.approx((seconds[-1] - 10, seconds[-1]), abs=0.01)
        assert (bottom, top) == pytest.approx((0, 2.5))

    def test_gaps_lost_faces_blinks_and_high_peaks(self, qtbot):
        plot = MotionPlot(80.0)
        qtbot.addWidget(plot)
        plot.add([self.point(0), self.point(1, is_gap=True), self.point(2, is_blink=True), self.point(3, strength=6.0)])
        plot.add([self.point(4, strength=None, head_speed_percent_s=None)])
        _, strength = plot._strength.getData()
        assert np.isnan(strength).tolist() == [False, True, False, False, True]
        assert plot._head.getData()[1][0] == pytest.approx(0.1)
        assert plot._blinks.getData()[0] == pytest.approx([2 / 30], abs=1e-6)
        assert plot.viewRange()[1][1] == pytest.approx(6.9)
        plot.clear_motion()
        assert plot._strength.getData()[0] is None or len(plot._strength.getData()[0]) == 0


class TestEventList:
    def test_rows_are_bounded_and_painted_with_five_classes(self, qtbot, monkeypatch):
        monkeypatch.setattr(event_list, "_KEPT", 3)
        events = event_list.EventList()
        qtbot.addWidget(events)
        events.resize(460, 600)
        events.show()
        for index in range(1, 6):
            events.events.add(Event(index, candidate(), prediction()), apex_s=index)
        assert events.events.rowCount() == 3
        assert "Event 5 at 0:05.000" in events.events.index(0).data()
        row = events.visualRect(events.events.index(0))
        assert 120 < row.height() < 180
        image = array_of(events.viewport().grab(row).toImage()).astype(int)
        green = np.abs(image[..., :3] - (0x9B, 0xBF, 0x3F)).sum(axis=2) < 30
        blue = np.abs(image[..., :3] - (0xF0, 0xB9, 0x6C)).sum(axis=2) < 30
        assert green.sum() > 2 * blue.sum() > 0  # 70 % against 20 %

    def test_the_keyboard_walks_through_the_events(self, qtbot):
        events = event_list.EventList()
        qtbot.addWidget(events)
        for index in (1, 2):
            events.events.add(Event(index, candidate(), None), apex_s=index)
        events.show()
        events.setFocus()
        qtbot.keyClick(events, Qt.Key.Key_Home)
        qtbot.keyClick(events, Qt.Key.Key_Down)
        assert events.currentIndex().row() == 1


class TestWords:
    @pytest.mark.parametrize(
        ("regions", "expected"),
        [
            (("left mouth corner", "chin", "right mouth corner"), "both mouth corners, chin"),
            (("left mouth corner",), "left mouth corner"),
            (("left cheek", "chin", "upper lip", "lower lip"), "left cheek, chin, upper lip +1"),
            ((), ""),
        ],
    )
    def test_regions(self, regions, expected):
        assert words.regions_in_words(regions) == expected

    @pytest.mark.parametrize(
        ("seconds", "expected"), [(0, "0:00.000"), (59.9996, "1:00.000"), (75.25, "1:15.250"), (3661.5, "1:01:01.500")]
    )
    def test_clock(self, seconds, expected):
        assert words.clock(seconds) == expected

    def test_every_state_of_the_spotter_has_words(self):
        assert set(words.SPOT_STATES) == set(SpotState)

    def test_no_promise_about_feelings(self):
        said = " ".join(words.NOTICE) + words.consistent_with(Event(1, candidate(), prediction()))
        assert not re.search(r"\b(stress|hidden|lying)\b", said)
        assert all(part in said for part in ("cannot read thoughts or detect lies", "consent", "0.10", "Art. 5(1)(f)"))


class TestKeys:
    def test_the_sheet_names_every_key_of_the_menus(self, qtbot, opened):
        view, *_ = opened()
        qtbot.keyClick(view, Qt.Key.Key_F1)
        (sheet,) = visible(KeySheet)
        said = {label.text() for label in sheet.findChildren(QLabel)}
        shortcuts = {a.shortcut().toString() for m in view.menuBar().actions() for a in m.menu().actions()} - {""}
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


class TestRunViewer:
    @pytest.fixture
    def faked(self, monkeypatch, tmp_path):
        new_run, made = fake_runs(source={"count": 3000, "fps": 30})
        monkeypatch.setattr(application, "user_config_path", lambda *_: tmp_path)
        monkeypatch.setattr(
            application, "MainWindow", lambda *args, **kwargs: MainWindow(*args, new_run=new_run, **kwargs)
        )
        return made

    def run(self, **options) -> int:
        return application.run_viewer("fake", SourceConfig(), PipelineConfig(), **options)

    def test_a_screenshot_is_the_window_with_its_picture(self, qapp, faked, tmp_path):
        path = tmp_path / "window.png"
        assert self.run(screenshot=path, after_s=1.0) == 0
        image = QImage(str(path))
        assert (image.width(), image.height()) == (1280, 720)
        assert len({image.pixel(QPoint(x, 300)) for x in range(0, 800, 10)}) > 20
        assert not faked.run.is_alive

    def test_a_screenshot_that_cannot_be_saved(self, qapp, faked, tmp_path):
        with pytest.raises(OutputError, match="could not be saved"):
            self.run(screenshot=tmp_path / "nowhere" / "window.png", after_s=0.1)

    def test_the_notice_is_shown_once_and_nothing_is_opened_before(self, qtbot, faked):
        opened_before = []

        def accept():
            (notice,) = visible(NoticeDialog)
            opened_before.append(faked.run)
            qtbot.mouseClick(button(notice, "I understand"), Qt.MouseButton.LeftButton)

        QTimer.singleShot(300, accept)
        QTimer.singleShot(900, QApplication.closeAllWindows)
        assert not application._is_notice_seen()
        assert self.run(shows_notice=True) == 0
        assert opened_before == [None]
        assert faked.run is not None
        assert application._is_notice_seen()

    def test_who_does_not_agree_leaves(self, qtbot, faked):
        QTimer.singleShot(300, lambda: visible(NoticeDialog)[0].reject())
        assert self.run(shows_notice=True) == 0
        assert faked.run is None
        assert not application._is_notice_seen()


class TestDisplay:
    def test_without_a_screen_the_message_names_the_way_out(self, monkeypatch):
        for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(sys, "platform", "linux")
        with pytest.raises(DisplayError, match="mmnet analyze"):
            display.check_display()

    def test_a_missing_system_library_is_named(self, monkeypatch):
        def refuse(path):
            raise OSError("libxcb-cursor.so.0: cannot open shared object file")

        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
        monkeypatch.setenv("DISPLAY", ":7")
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(display.ctypes, "CDLL", refuse)
        monkeypatch.setattr(display.Path, "exists", lambda self: True)
        with pytest.raises(DisplayError, match=r"libxcb-cursor\.so\.0"):
            display.check_display()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 is the screen of Linux only")
    def test_a_screen_that_does_not_answer_is_named(self, monkeypatch):
        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
        monkeypatch.setenv("DISPLAY", ":987")
        with pytest.raises(DisplayError, match="':987'"):
            display.check_display()

    def test_only_what_opencv_set_is_taken_back(self, monkeypatch):
        monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", "/venv/site-packages/cv2/qt/plugins")
        monkeypatch.setenv("QT_QPA_FONTDIR", "/usr/share/fonts")
        display.prepare_environment()
        assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in os.environ
        assert os.environ["QT_QPA_FONTDIR"] == "/usr/share/fonts"

    def test_the_window_loads_neither_opencv_nor_mediapipe_nor_onnx_runtime(self):
        code = "import sys, app.ui.application; print({'cv2', 'mediapipe', 'onnxruntime'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"


XVFB = shutil.which("Xvfb")


@pytest.fixture
def x_server():
    """The name of a real X server that nobody looks at."""
    read_fd, write_fd = os.pipe()
    server = subprocess.Popen(
        [XVFB, "-displayfd", str(write_fd), "-screen", "0", "1280x720x24"],
        pass_fds=[write_fd],
        stderr=subprocess.DEVNULL,
    )
    os.close(write_fd)
    try:
        assert select.select([read_fd], [], [], 20)[0], "Xvfb did not start"
        yield f":{os.read(read_fd, 16).decode().strip()}"
    finally:
        os.close(read_fd)
        server.terminate()
        server.wait(10)


@pytest.mark.xcb
@pytest.mark.skipif(XVFB is None, reason="Xvfb is not installed")
def test_the_real_thing_on_a_real_x_server(x_server, tmp_path):
    """After OpenCV was imported, with the real pipeline, on the demo: the offscreen platform would hide failures."""
    path = tmp_path / "window.png"
    code = (
        "import cv2, sys; from pathlib import Path; from app.ui.application import run_viewer; "
        "from app.config import PipelineConfig, SourceConfig; "
        f"sys.exit(run_viewer('demo', SourceConfig(), PipelineConfig(), screenshot=Path({str(path)!r}), after_s=7))"
    )
    environment = os.environ | {"DISPLAY": x_server, "QT_QPA_PLATFORM": "xcb", "QT_LOGGING_TO_CONSOLE": "1"}
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    image = array_of(QImage(str(path)))
    assert image.shape[:2] == (720, 1280)
    picture = image[70:460, 150:650]
    assert picture.std() > 40  # the portrait is there, not an empty frame
    accent = np.abs(picture[..., :3].astype(int) - (0xAC, 0xB6, 0x4D)).sum(axis=2) < 40
    assert accent.sum() > 300  # and so are the box and the mesh


def array_of(image: QImage) -> np.ndarray:
    """(H, W, 4) uint8, blue first."""
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    pixels = image.constBits().asarray(image.sizeInBytes())
    return np.array(pixels, np.uint8).reshape(image.height(), image.width(), 4).copy()


def visible(kind) -> list:
    return [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, kind) and widget.isVisible()]


def button(dialog, text: str) -> QPushButton:
    return next(b for b in dialog.findChildren(QPushButton) if b.text() == text)


def headline(dialog) -> str:
    return dialog.findChild(QLabel).text()
