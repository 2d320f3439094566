"""What is done with a live source: cameras, modes, faces, neutral face, figures, log."""

from __future__ import annotations

import logging
import re
import time

import numpy as np
import pytest
from fakes import FakeSource, face
from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent
from viewers import open_window
from widgets import array_of, button, dressed_and_tidy, visible  # noqa: F401 — the fixture

from app.capture.camera import CameraDevice, CameraMode
from app.datatypes import FaceQuality, Frame, MotionSample, SpotState, StepResult
from app.face.topology import REGION_NAMES
from app.runtime.devices import CameraChoice
from app.runtime.records import MotionPoint
from app.settings import CameraSettings, Settings, load_settings, write_settings
from app.ui import baseline
from app.ui.dialogs import ModelCardDialog
from app.ui.face_view import FaceView
from app.ui.watchdog import BlockMeter

LIVE = {"count": 5000, "fps": 60, "is_live": True}
CHOICES = (
    CameraChoice(CameraDevice(0, "fake"), (CameraMode(1280, 720, 30), CameraMode(640, 480, 60))),
    CameraChoice(CameraDevice(2, "other"), ()),
)


class Live:
    """A window on a fake camera called "fake"; `opened` lists how it was opened."""

    def __init__(self, qtbot, folder, **fakes):
        self.opened: list = []

        def opener(spec, config):
            self.opened.append((spec, config))
            return FakeSource(**LIVE)

        self.view, self.made, self.reports = open_window(
            qtbot, folder, look_up=lambda known: CHOICES, spec=None, opener=opener, **fakes
        )
        self.controls = self.view.page.live
        qtbot.waitUntil(lambda: self.view._cameras == CHOICES, timeout=3000)
        self.view.open("0")
        qtbot.waitUntil(lambda: self.controls.isVisible(), timeout=4000)


@pytest.fixture
def live(qtbot, tmp_path):
    return Live(qtbot, tmp_path)


class TestControls:
    def test_cameras_and_modes_by_name(self, live):
        boxes = live.controls.camera, live.controls.size_box, live.controls.rate
        texts = [[box.itemText(i) for i in range(box.count())] for box in boxes]
        assert texts == [
            ["fake", "other"],
            ["automatic", "1280×720", "640×480"],
            ["automatic", "30 fps", "60 fps"],
        ]
        assert [box.currentText() for box in boxes] == ["fake", "automatic", "automatic"]

    def test_size_and_rate_change_while_running_and_are_remembered(self, qtbot, live, tmp_path):
        run = live.made.run
        for box, text in ((live.controls.size_box, "640×480"), (live.controls.rate, "60 fps")):
            box.setCurrentText(text)
            box.activated.emit(box.currentIndex())
        qtbot.waitUntil(lambda: live.opened[-1][1].fps == 60, timeout=3000)
        qtbot.mouseClick(live.controls.rotate, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: live.opened[-1][1].rotation_deg == 90, timeout=3000)
        assert live.made.run is run
        kept = load_settings(tmp_path / "settings.json").settings.camera("fake")
        assert kept == CameraSettings(640, 480, 60, 90, is_mirrored=True)
        assert (live.controls.size_box.currentText(), live.controls.rate.currentText()) == ("640×480", "60 fps")

    def test_another_camera_is_another_run(self, qtbot, live):
        run = live.made.run
        live.controls.camera.setCurrentText("other")
        live.controls.camera.activated.emit(live.controls.camera.currentIndex())
        qtbot.waitUntil(lambda: live.made.run is not run, timeout=4000)
        assert live.opened[-1][0] == "2"

    def test_what_is_requested_delivered_and_missed(self, qtbot, live):
        live.controls.rate.setCurrentText("30 fps")
        live.controls.rate.activated.emit(live.controls.rate.currentIndex())
        expected = r"requested 30, delivered \d\d fps: movements shorter than \d0 ms can be missed"
        qtbot.waitUntil(lambda: bool(re.fullmatch(expected, live.controls.delivery.whole)), timeout=5000)

    def test_a_camera_is_mirrored_and_a_choice_against_it_is_kept(self, qtbot, live, tmp_path):
        qtbot.waitUntil(lambda: live.view._mirror.isChecked(), timeout=3000)
        qtbot.keyClick(live.view, Qt.Key.Key_M)
        assert not load_settings(tmp_path / "settings.json").settings.camera("fake").is_mirrored
        run = live.made.run
        live.view.open("0")
        qtbot.waitUntil(lambda: live.made.run is not run and live.view._mirrored_for == "fake", timeout=4000)
        assert not live.view._mirror.isChecked()

    def test_recordings_have_no_such_controls(self, qtbot, tmp_path):
        view, *_ = open_window(qtbot, tmp_path, source={"count": 300, "fps": 60})
        qtbot.waitUntil(lambda: view.workspace.newest is not None and view.workspace.info is not None, timeout=4000)
        qtbot.wait(600)
        assert not view.page.live.isVisible()
        assert not view._neutral.isEnabled()


def test_a_camera_opened_by_number_gets_its_own_mode_once_its_name_is_known(qtbot, tmp_path):
    write_settings(Settings(cameras={"fake": CameraSettings(width=640, height=480)}), tmp_path / "settings.json")
    view, made, _ = open_window(qtbot, tmp_path, source=LIVE, spec=None)
    view.open("0")  # before the list of cameras is there
    qtbot.waitUntil(lambda: view.workspace.source_config.width == 640, timeout=4000)
    assert view.workspace.run is made.run


class TestFaces:
    def test_a_click_on_another_face_follows_it_also_when_mirrored(self, qtbot):
        view = FaceView()
        qtbot.addWidget(view)
        view.resize(640, 480)
        view.show()
        other = face(640, 480)
        tracked = type(other)(1, other.landmarks_px, other.pose, 0.3, 100.0, 2, ((40.0, 60.0, 100.0, 120.0),))
        frame = Frame(0, 0, np.zeros((480, 640, 3), np.uint8))
        view.set_result(StepResult(frame, tracked, None, None, None, SpotState.IDLE))
        chosen = []
        view.face_chosen.connect(lambda x, y: chosen.append((x, y)))
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(90, 120))
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(320, 240))
        view.set_mirrored(True)
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(90, 120))
        qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(640 - 90, 120))
        assert chosen == [(90.0, 120.0)] * 2

    def test_the_wish_reaches_the_pipeline(self, qtbot, live):
        qtbot.waitUntil(lambda: live.made.pipeline is not None and len(live.made.pipeline.frames) > 0, timeout=4000)
        live.view.page.face_view.face_chosen.emit(10.0, 20.0)
        qtbot.waitUntil(lambda: [wish[0] for wish in live.made.pipeline.wishes] == ["follow"], timeout=3000)


class TestOverlays:
    def painted(self, qtbot, name: str, displacement: float) -> np.ndarray:
        """How much each pixel differs from the picture without this overlay."""
        view = FaceView()
        qtbot.addWidget(view)
        view.resize(640, 480)
        view.show()
        view.set_overlay("mesh", False)
        tracked = face(640, 480)
        motion = MotionSample(0, 0, np.full((len(REGION_NAMES), 2), displacement), 0.0, 1.0, False)
        frame = Frame(0, 0, np.full((480, 640, 3), 90, np.uint8))
        quality = FaceQuality(True, "", 100.0, 10.0, 120.0)
        view.set_result(StepResult(frame, tracked, quality, None, motion, SpotState.IDLE))
        without = array_of(view.grab().toImage()).astype(int)
        view.set_overlay(name, True)
        return np.abs(array_of(view.grab().toImage()).astype(int) - without).sum(axis=2)

    @pytest.mark.parametrize("name", ["mesh", "regions", "heat"])
    def test_each_is_painted(self, qtbot, name):
        assert (self.painted(qtbot, name, 1.0) > 30).sum() > 300

    def test_heat_grows_with_the_movement_and_is_absent_at_rest(self, qtbot):
        at_rest, weak, strong = (self.painted(qtbot, "heat", value).sum() for value in (0.05, 0.3, 1.4))
        assert at_rest == 0
        assert 0 < weak < strong

    def test_arrows_grow_with_the_movement(self, qtbot):
        at_rest, strong = (self.painted(qtbot, "regions", value).sum() for value in (0.0, 1.0))
        assert 0 < at_rest < strong


class TestNeutralFace:
    def points(self, start: int, count: int, **changes) -> list[MotionPoint]:
        generator = np.random.default_rng(start)
        values = {"state": SpotState.IDLE, "is_gap": False}
        return [
            MotionPoint(
                frame_index=index, timestamp_ns=int(index * 1e9 / 30), strength=0.1, head_speed_percent_s=1.0,
                displacement_percent=generator.normal(0, 0.1, (len(REGION_NAMES), 2)), is_blink=False,
                **(values | changes),
            )
            for index in range(start, start + count)
        ]  # fmt: skip

    @pytest.fixture
    def begun(self, qtbot, live):
        qtbot.waitUntil(lambda: live.view._neutral.isEnabled() and live.made.pipeline is not None, timeout=4000)
        live.view.workspace._timer.stop()  # the test brings its own motion
        qtbot.mouseClick(live.controls.baseline, Qt.MouseButton.LeftButton)
        return live.view

    def test_three_still_seconds_are_measured(self, qtbot, live, begun):
        told = begun.workspace.motion_added.emit
        told(self.points(0, 45))
        assert begun.page.face_view._instruction == "Look neutral … 2"
        told(self.points(45, 50))
        assert begun.page.face_view._instruction == ""
        said = begun.page.messages.texts["baseline"]
        assert re.search(r"at rest it moves by 0\.1[2-6] % of the eye distance", said)
        qtbot.waitUntil(lambda: [wish[0] for wish in live.made.pipeline.wishes] == ["renew_reference"], timeout=3000)

    @pytest.mark.parametrize("change", [{"is_gap": True}, {"state": SpotState.RISING}])
    def test_a_movement_or_a_gap_begins_it_anew(self, begun, change):
        told = begun.workspace.motion_added.emit
        told(self.points(0, 60))
        told(self.points(60, 1, **change))
        assert "hold still" in begun.page.face_view._instruction
        told(self.points(61, 60))
        assert begun.page.face_view._instruction == "Look neutral … 2"

    def test_it_is_given_up_when_nobody_holds_still(self, qtbot, monkeypatch, live):
        monkeypatch.setattr(baseline, "_PATIENCE_S", 0.2)
        live.view.workspace._timer.stop()
        live.view._baseline.start()
        qtbot.waitUntil(lambda: "baseline" in live.view.page.messages.texts, timeout=3000)
        assert "then try again" in live.view.page.messages.texts["baseline"]
        assert live.view.page.face_view._instruction == ""


class TestFigures:
    def test_a_block_of_the_window_is_measured(self, qtbot):
        meter = BlockMeter()
        qtbot.wait(100)
        meter.restart()
        qtbot.wait(50)
        time.sleep(0.2)
        qtbot.wait(50)
        assert meter.percentile_ms(100) > 150
        meter.restart()
        assert meter.percentile_ms(100) == 0

    def test_a_fall_back_is_red_with_its_reason(self, qtbot, tmp_path):
        view, *_ = open_window(qtbot, tmp_path, source=LIVE, recogniser={"note": "No GPU: the driver is missing."})
        qtbot.waitUntil(lambda: view.status.tone("provider") == "alarm", timeout=4000)
        assert view.status.text("provider") == "fake (synthetic) fell back to CPU"
        assert "the driver is missing" in view.status._fields["provider"].toolTip()

    def test_how_long_a_picture_takes_to_the_screen(self, qtbot, tmp_path):
        view, *_ = open_window(qtbot, tmp_path, source=LIVE)
        pattern = r"latency \d+ · on screen \d+ ms"
        qtbot.waitUntil(lambda: bool(re.fullmatch(pattern, view.status.text("latency"))), timeout=5000)

    def test_how_late_an_event_is(self, qtbot, tmp_path):
        view, *_ = open_window(qtbot, tmp_path, source=LIVE, pipeline={"decides": {20: ""}})
        qtbot.waitUntil(lambda: bool(re.search(r" · event \d+ ms$", view.status.text("latency"))), timeout=5000)
        tip = view.status._fields["latency"].toolTip()
        assert "from the offset of a movement to its event" in tip
        assert re.search(r"\nevent: 95 % within \d+ ms$", tip)

    def test_the_model_card(self, qtbot, tmp_path):
        view, *_ = open_window(qtbot, tmp_path, source=LIVE)
        qtbot.waitUntil(lambda: view.workspace.recognition is not None, timeout=4000)
        view._show_card()
        (dialog,) = visible(ModelCardDialog)
        assert dialog.windowTitle() == "Model card: fake"
        qtbot.mouseClick(button(dialog, "Close"), Qt.MouseButton.LeftButton)


class TestLog:
    def test_records_of_every_thread_are_shown(self, qtbot, tmp_path, caplog):
        caplog.set_level(logging.INFO, "mmnet")
        view, made, _ = open_window(qtbot, tmp_path, source=LIVE)
        qtbot.waitUntil(lambda: made.run is not None and made.run.info is not None, timeout=4000)
        view.page.face_view.face_chosen.emit(1.0, 2.0)
        log = view.page.log
        qtbot.waitUntil(lambda: "another face is followed" in log.text(), timeout=3000)
        logging.getLogger("mmnet.test").debug("too fine")
        log.renew()
        assert "too fine" not in log.text()
        view.close()
        logging.getLogger("mmnet.test").info("after the end")
        log.renew()
        assert "after the end" not in log.text()


def test_a_file_is_dropped_anywhere(qtbot, tmp_path):
    view, made, _ = open_window(qtbot, tmp_path, spec=None)
    path = tmp_path / "Vidéo 中文 🙂.mp4"
    path.touch()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(10, 10), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    view.dropEvent(event)
    qtbot.waitUntil(lambda: made.run is not None, timeout=3000)
    assert made.run.spec == str(path)
    assert view.windowTitle() == f"{path.name} – mmnet"
