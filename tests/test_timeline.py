"""The timeline with a real mouse: go there, choose, correct, zoom, pan; and an hour of it stays quick."""

from __future__ import annotations

import time

import numpy as np
import pytest
from fakes import candidate, prediction
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QColor
from test_timeline_track import STEP_NS, point
from widgets import array_of, dressed_and_tidy  # noqa: F401 — the fixture

from app.datatypes import Event
from app.ui import theme
from app.ui.timeline import Timeline
from app.ui.timeline_lanes import EVENTS, LANES, WITHDRAWN

ORIGIN_NS = 7_000_000_000
MS = 1_000_000


@pytest.fixture
def told(monkeypatch) -> list[str]:
    """Texts of the tooltips, which the offscreen platform cannot show."""
    texts: list[str] = []
    monkeypatch.setattr("app.ui.timeline.QToolTip.showText", lambda where, text, widget: texts.append(text))
    return texts


@pytest.fixture
def timeline(qtbot, told) -> Timeline:
    made = Timeline(80.0, 0.5)
    qtbot.addWidget(made)
    made.resize(1000, 300)
    made.show()
    qtbot.waitExposed(made)
    return made


def recording(timeline: Timeline, seconds: float = 20.0) -> Event:
    """A recording with one event from 4.7 to 5.0 s."""
    timeline.set_extent(ORIGIN_NS, ORIGIN_NS + round(seconds * 1e9), is_live=False)
    timeline.add_motion(point(index, brow=1.5 if index == 145 else 0.1) for index in range(int(seconds * 30)))
    event = Event(1, candidate(ORIGIN_NS + 5_000 * MS), prediction())
    put(timeline, event)
    return event


def put(timeline: Timeline, event: Event) -> None:
    found = event.candidate
    times = (found.onset_ns, found.apex_ns, found.offset_ns)
    timeline.put_event(event.event_id, event, times, QColor("#00ff00"), "event 1")


def place(timeline: Timeline, second: float, lane: str) -> QPoint:
    """Where a moment of a lane is on the plot."""
    y = len(LANES) - 0.5 - LANES.index(lane)
    return timeline.plot.mapFromScene(timeline.view.mapViewToScene(QPointF(second, y)))


def click(qtbot, timeline: Timeline, second: float, lane: str) -> None:
    where = place(timeline, second, lane)
    viewport = timeline.plot.viewport()
    qtbot.mouseMove(viewport, where)
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=where)


def drag(qtbot, timeline: Timeline, start_s: float, end_s: float, lane: str = "Head") -> None:
    viewport = timeline.plot.viewport()
    first, last = place(timeline, start_s, lane), place(timeline, end_s, lane)
    qtbot.mouseMove(viewport, first)
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=first)
    for share in np.linspace(0, 1, 8):
        between = first + (last - first) * float(share)
        qtbot.mouseMove(viewport, QPoint(round(between.x()), round(between.y())))
        qtbot.wait(20)  # pyqtgraph takes no more than so many moves a second
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=last)


def view_of(timeline: Timeline) -> tuple[float, float]:
    return tuple(timeline.view.viewRange()[0])


class TestMouse:
    def test_a_click_goes_there(self, qtbot, timeline):
        recording(timeline)
        with qtbot.waitSignal(timeline.seek_wanted) as wanted:
            click(qtbot, timeline, 12.0, "Brows")
        assert wanted.args[0] == pytest.approx(ORIGIN_NS + 12_000 * MS, abs=30 * MS)

    def test_a_click_on_a_movement_chooses_it(self, qtbot, timeline):
        event = recording(timeline)
        refused = candidate(ORIGIN_NS + 15_000 * MS, rejected_because="blink")
        timeline.put_withdrawn(refused, "Withdrawn: blink")
        with qtbot.waitSignal(timeline.chosen) as chosen:
            click(qtbot, timeline, 4.85, EVENTS)
        assert chosen.args == [event]
        with qtbot.waitSignal(timeline.chosen) as chosen:
            click(qtbot, timeline, 14.85, WITHDRAWN)
        assert chosen.args == [refused]

    @pytest.mark.parametrize(
        ("handle", "start_s", "end_s"), [("onset", 4.7, 4.5), ("apex", 4.83, 4.9), ("offset", 5.0, 5.2)]
    )
    def test_an_edge_is_dragged(self, qtbot, timeline, handle, start_s, end_s):
        event = recording(timeline)
        timeline.select(event)
        timeline.show_selected()
        with qtbot.waitSignal(timeline.key_frame_moved) as moved, qtbot.waitSignal(timeline.seek_wanted):
            drag(qtbot, timeline, start_s, end_s)
        assert moved.args[:2] == [event, handle]
        assert moved.args[2] == pytest.approx(ORIGIN_NS + end_s * 1e9, abs=10 * MS)
        assert view_of(timeline)[0] == pytest.approx(4.2, abs=0.01)  # nothing was panned

    def test_the_order_of_the_key_frames_cannot_be_broken(self, qtbot, timeline):
        event = recording(timeline)
        timeline.select(event)
        timeline.show_selected()
        with qtbot.waitSignal(timeline.key_frame_moved) as moved:
            drag(qtbot, timeline, 4.7, 5.3)
        assert moved.args[2] == event.candidate.apex_ns

    def test_dragging_elsewhere_pans_and_without_a_selection_there_are_no_handles(self, qtbot, timeline):
        recording(timeline)
        timeline.view.setXRange(4, 8, padding=0)
        with qtbot.assertNotEmitted(timeline.key_frame_moved):
            drag(qtbot, timeline, 4.85, 5.85)
        assert view_of(timeline) == pytest.approx((3.0, 7.0), abs=0.1)

    def test_hovering_tells_values_and_reasons(self, qtbot, timeline, told):
        recording(timeline)
        timeline.put_withdrawn(candidate(ORIGIN_NS + 15_000 * MS, rejected_because="blink"), "Withdrawn: blink")
        for second, lane in ((145 / 30, "Brows"), (14.85, WITHDRAWN), (4.85, EVENTS), (10, "Blinks")):
            qtbot.mouseMove(timeline.plot.viewport(), place(timeline, second, lane))
            qtbot.wait(30)
        assert "Brows, 0:04.8" in told[0]
        assert "1.50 % of the eye distance" in told[0]
        assert told[1:] == ["Withdrawn: blink", "event 1", ""]


class TestView:
    def test_a_recording_is_shown_whole_and_zoomed_around_the_playhead(self, timeline):
        recording(timeline)
        assert view_of(timeline) == pytest.approx((-0.2, 20.2), abs=0.05)
        timeline.set_playhead(ORIGIN_NS + 5_000 * MS)
        timeline.zoom(0.25)
        left, right = view_of(timeline)
        assert right - left == pytest.approx(5.1, abs=0.05)
        assert left < 5 < right
        timeline.set_extent(ORIGIN_NS, ORIGIN_NS + 20_000 * MS, is_live=False)  # told with every frame
        assert view_of(timeline) == (left, right)
        timeline.show_all()
        assert view_of(timeline) == pytest.approx((-0.2, 20.2), abs=0.05)

    def test_the_view_follows_the_playhead(self, timeline):
        recording(timeline)
        timeline.view.setXRange(0, 4, padding=0)
        timeline.set_playhead(ORIGIN_NS + 3_900 * MS)
        assert view_of(timeline) == pytest.approx((0, 4))
        timeline.set_playhead(ORIGIN_NS + 4_100 * MS)
        assert view_of(timeline) == pytest.approx((3.7, 7.7))

    def test_live_shows_the_newest_seconds_until_one_looks_elsewhere(self, qtbot, timeline):
        timeline.set_extent(ORIGIN_NS, None, is_live=True)
        timeline.add_motion(point(index) for index in range(900))
        assert view_of(timeline)[1] == pytest.approx(899 / 30, abs=0.01)
        assert not timeline._to_live.isVisible()
        drag(qtbot, timeline, 20, 25)
        where = view_of(timeline)
        timeline.add_motion(point(index) for index in range(900, 1000))
        assert view_of(timeline) == where
        qtbot.mouseClick(timeline._to_live, Qt.MouseButton.LeftButton)
        assert not timeline._to_live.isVisible()
        timeline.add_motion(point(index) for index in range(1000, 1100))
        assert view_of(timeline)[1] == pytest.approx(1099 / 30, abs=0.01)

    def test_what_is_not_analysed_yet_is_shaded(self, timeline):
        timeline.set_extent(ORIGIN_NS, ORIGIN_NS + 20_000 * MS, is_live=False)
        timeline.add_motion(point(index) for index in range(300))
        assert timeline._ahead.isVisible()
        assert timeline._ahead.getRegion() == pytest.approx((299 / 30, 20.0), abs=1e-3)
        timeline.add_motion(point(index) for index in range(300, 601))
        assert not timeline._ahead.isVisible()

    def test_a_selected_movement_out_of_sight_is_brought_into_view(self, timeline):
        event = recording(timeline)
        timeline.view.setXRange(10, 14, padding=0)
        timeline.select(event)
        left, right = view_of(timeline)
        assert left < 4.85 < right
        assert timeline.handle_at(4.7) == "onset"
        timeline.select(None)
        assert timeline.handle_at(4.7) is None

    def test_another_source_begins_empty(self, timeline):
        event = recording(timeline)
        timeline.select(event)
        timeline.set_range((ORIGIN_NS, ORIGIN_NS + 10**9))
        timeline.clear()
        assert (len(timeline.track), len(timeline.events), len(timeline.withdrawn)) == (0, 0, 0)
        assert timeline.handle_at(4.7) is None
        assert not timeline._range.isVisible()

    def test_let_go_events_are_not_painted(self, timeline):
        recording(timeline)
        timeline.events.keep([7])
        assert len(timeline.events) == 0


def green_pixels(timeline: Timeline) -> int:
    image = array_of(timeline.grab().toImage()).astype(int)
    return int((np.abs(image[..., :3] - (0, 190, 0)).sum(axis=2) < 120).sum())


def test_events_are_painted_however_far_away_they_are(timeline):
    event = recording(timeline, 20.0)
    near = green_pixels(timeline)
    assert near > 50
    timeline.set_extent(ORIGIN_NS, ORIGIN_NS + 3_600_000 * MS, is_live=False)
    put(timeline, event)
    assert green_pixels(timeline) > 20


def test_it_changes_with_the_theme(qapp, timeline):
    recording(timeline)
    before = timeline.grab().toImage().pixelColor(500, 150).lightness()
    theme.apply_theme(qapp, "light")
    try:
        assert timeline.grab().toImage().pixelColor(500, 150).lightness() > before + 100
    finally:
        theme.apply_theme(qapp, "dark")


def test_an_hour_is_drawn_with_few_points(timeline):
    """108,000 frames: what is painted is bounded by the width of the window, not by the length of the recording."""
    hour_ns = 108_000 * STEP_NS
    timeline.set_extent(ORIGIN_NS, ORIGIN_NS + hour_ns, is_live=False)
    batch = [point(index, brow=3.0 if index == 54_321 else 0.2) for index in range(108_000)]
    timeline.add_motion(batch)
    times, values = timeline._motion.curves["Brows"].getData()
    assert len(times) < 2 * 1000
    assert times[np.nanargmax(values)] == pytest.approx(54_321 / 30, abs=4)
    timeline.add_motion([])
    timings = []
    for step in range(20):
        started = time.perf_counter()
        timeline.view.setXRange(step * 10, step * 10 + 3000, padding=0)
        timeline.grab()
        timings.append(time.perf_counter() - started)
    assert float(np.median(timings)) < 0.5
