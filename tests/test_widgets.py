"""Single widgets: the plot, the list of events, the words, and where garbage is collected."""

from __future__ import annotations

import gc
import re
import threading
from typing import ClassVar

import numpy as np
import pytest
from fakes import candidate, prediction
from PyQt6.QtCore import Qt
from widgets import array_of, dressed_and_tidy  # noqa: F401 — the fixture

from app.datatypes import Event, SpotState
from app.runtime.workers import MotionPoint
from app.ui import event_list, words
from app.ui.garbage import GarbageTimer
from app.ui.motion_plot import MotionPlot


class TestPlot:
    def point(self, index: int, **changes) -> MotionPoint:
        values = {
            "frame_index": index,
            "displacement_percent": None,
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
