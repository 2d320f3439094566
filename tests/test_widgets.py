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
from app.ui import event_list, theme, words
from app.ui.garbage import GarbageTimer


class TestEventList:
    def test_rows_are_bounded_and_tell_class_and_decision(self, qtbot, monkeypatch):
        monkeypatch.setattr(event_list, "_KEPT", 3)
        events = event_list.EventList()
        qtbot.addWidget(events)
        events.resize(460, 600)
        events.show()
        made = [Event(index, candidate(), prediction()) for index in range(1, 6)]
        for event in made:
            events.events.add(event, apex_s=event.event_id)
        assert events.events.rowCount() == 3
        assert "Event 5 at 0:05.000" in events.events.index(0).data()
        assert events.events.index_of(made[3]).row() == 1
        assert not events.events.index_of(made[0]).isValid()
        colours = theme.colours()

        def painted(colour: str) -> int:
            row = events.visualRect(events.events.index(0))
            image = array_of(events.viewport().grab(row).toImage()).astype(int)
            red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
            return int((np.abs(image[..., :3] - (blue, green, red)).sum(axis=2) < 30).sum())

        positive, negative = colours.classes[1], colours.classes[0]
        assert (painted(positive) > 20, painted(negative), painted(colours.warning)) == (True, 0, 0)
        events.events.decide(5, 5.0, "negative", "rejected")
        assert (painted(positive), painted(negative) > 20, painted(colours.warning) > 5) == (0, True, True)

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
