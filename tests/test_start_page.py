"""The start page and the watch on cameras behind it."""

from __future__ import annotations

import time

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton
from widgets import dressed_and_tidy  # noqa: F401 — the fixture

from app.capture.camera import CameraDevice, CameraMode
from app.runtime.devices import CameraChoice, CameraWatch
from app.ui.start_page import StartPage
from app.ui.words import delivery_in_words, modes_in_words

C920 = CameraChoice(
    CameraDevice(2, "Logitech C920", "/dev/video2"), (CameraMode(1920, 1080, 30), CameraMode(640, 480, 60))
)
BARE = CameraChoice(CameraDevice(4, "Bare"), ())


@pytest.fixture
def page(qtbot):
    made = StartPage()
    qtbot.addWidget(made)
    made.resize(1000, 640)
    made.show()
    return made


def cards(page) -> dict[str, QPushButton]:
    QApplication.processEvents()  # a layout shows what was added to it a little later
    found = [b for b in page.findChildren(QPushButton, "card") if b.isVisibleTo(page)]
    return {card.findChildren(QLabel)[0].whole: card for card in found}


def said(page) -> list[str]:
    QApplication.processEvents()
    return [text.text() for text in page.findChildren(QLabel) if text.isVisibleTo(page)]


class TestCameras:
    def test_by_name_with_their_modes(self, qtbot, page):
        page.show_cameras([C920, BARE])
        assert set(cards(page)) == {"Built-in demo", "Logitech C920", "Bare"}
        assert "1920×1080 at 30 · 640×480 at 60 fps" in cards(page)["Logitech C920"].accessibleName()
        with qtbot.waitSignal(page.chosen, timeout=1000) as chosen:
            qtbot.mouseClick(cards(page)["Logitech C920"], Qt.MouseButton.LeftButton)
        assert chosen.args == ["2"]

    def test_until_they_are_known_and_when_there_is_none(self, page):
        assert "Looking for cameras …" in said(page)
        page.show_cameras([])
        assert "Looking for cameras …" not in said(page)
        assert "No camera found. Plug one in: it appears here by itself." in said(page)
        page.show_cameras([BARE])
        assert not any("No camera" in text for text in said(page))


class TestRecordings:
    def test_recent_ones_that_are_gone_cannot_be_chosen(self, qtbot, page, tmp_path):
        (tmp_path / "talk.mp4").touch()
        page.show_recent([str(tmp_path / "talk.mp4"), str(tmp_path / "gone.mp4"), "demo", "rtsp://me:secret@host/live"])
        found = cards(page)
        assert found["talk.mp4"].isEnabled()
        assert not found["gone.mp4"].isEnabled()
        assert found["rtsp://host/live"].isEnabled()
        with qtbot.waitSignal(page.chosen, timeout=1000) as chosen:
            qtbot.mouseClick(found["talk.mp4"], Qt.MouseButton.LeftButton)
        assert chosen.args == [str(tmp_path / "talk.mp4")]

    def test_the_demo_is_one_click_away(self, qtbot, page):
        with qtbot.waitSignal(page.chosen, timeout=1000) as chosen:
            qtbot.mouseClick(page.demo, Qt.MouseButton.LeftButton)
        assert chosen.args == ["demo"]

    def test_an_address_is_opened_and_other_text_is_not(self, qtbot, page):
        opened = []
        page.chosen.connect(opened.append)
        qtbot.keyClicks(page.address, "my camera")
        qtbot.keyClick(page.address, Qt.Key.Key_Return)
        assert opened == []
        assert page.address.selectedText() == "my camera"
        qtbot.keyClicks(page.address, "http://127.0.0.1:1/a.mjpg")
        qtbot.keyClick(page.address, Qt.Key.Key_Return)
        assert opened == ["http://127.0.0.1:1/a.mjpg"]


class TestWatch:
    def wait_for(self, condition):
        deadline_s = time.monotonic() + 5
        while not (found := condition()):
            assert time.monotonic() < deadline_s, "waited too long"
            time.sleep(0.005)
        return found

    def test_tells_of_changes_only(self):
        there = [(C920,), (C920,), (C920, BARE), (C920, BARE), ()]
        looked = []

        def look_up(known):
            looked.append(known)
            return there[min(len(looked), len(there)) - 1]

        watch = CameraWatch(0.01, look_up)
        watch.start()
        try:
            told = []
            self.wait_for(lambda: (now := watch.found.take()) is not None and (told.append(now), now == ())[1])
            assert told[-1] == ()
            assert watch.found.overwritten + len(told) == 3
            assert looked[3] == (C920, BARE)
        finally:
            assert watch.stop()

    def test_no_camera_is_told_too_and_a_failing_driver_ends_nothing(self, caplog):
        answers = iter([OSError("driver"), (BARE,)])

        def look_up(known):
            answer = next(answers, (BARE,))
            if isinstance(answer, Exception):
                raise answer
            return answer

        watch = CameraWatch(0.01, look_up)
        watch.start()
        self.wait_for(lambda: watch.found.take() == (BARE,))
        assert watch.stop()
        assert "looking for cameras failed" in caplog.text

    def test_the_system_is_really_asked(self):
        watch = CameraWatch()
        watch.start()
        found = []
        self.wait_for(lambda: (now := watch.found.take()) is not None and (found.append(now), True)[1])
        assert all(isinstance(choice, CameraChoice) for choice in found[0])
        assert watch.stop(5.0)


class TestWords:
    def test_modes(self):
        assert modes_in_words(C920.modes) == "1920×1080 at 30 · 640×480 at 60 fps"
        assert modes_in_words([CameraMode(n, n, 30) for n in (5, 4, 3, 2)]).endswith("3×3 at 30 fps · 1 more")
        assert modes_in_words([]) == ""

    @pytest.mark.parametrize(
        ("requested", "delivered", "expected"),
        [
            (60, 24.2, "requested 60, delivered 24 fps: movements shorter than 80 ms can be missed"),
            (None, 30, "delivered 30 fps: movements shorter than 70 ms can be missed"),
        ],
    )
    def test_what_a_rate_means(self, requested, delivered, expected):
        assert delivery_in_words(requested, delivered) == expected
