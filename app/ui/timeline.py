"""The timeline: motion by region, head, blinks, events and withdrawn candidates; click to go there, drag to correct."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QPoint, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QResizeEvent
from PyQt6.QtWidgets import QToolButton, QToolTip, QWidget

from app.datatypes import Candidate, Event
from app.runtime.records import MotionPoint
from app.ui import theme
from app.ui.layouts import column
from app.ui.timeline_lanes import EVENTS, LANES, WITHDRAWN, MotionLanes, bottom_of
from app.ui.timeline_spans import KEY_FRAMES, Span, SpanLane
from app.ui.timeline_track import MotionTrack
from app.ui.timeline_view import ClockAxis, TimeView

LIVE_SPAN_S = 15.0
_FIRST_SPAN_S = 60.0  # of a recording that tells no length
_REACH_PX = 6.0
_LABEL_PX = 48.0
_MIN_SPAN_S = 0.2


class Timeline(QWidget):
    """Lanes over time. Moments go in and out as nanoseconds of the source.

    Args:
        max_head_speed_percent_s: the head-motion gate, which fills the head's lane.
        min_displacement_percent: below it nothing is a movement: the thin line in the lanes of the regions.

    Signals:
        seek_wanted(timestamp_ns).
        chosen(Event | Candidate): a movement was clicked.
        key_frame_moved(Event, "onset" | "apex" | "offset", timestamp_ns): its edge was dragged there and let go.
    """

    seek_wanted = pyqtSignal(object)
    chosen = pyqtSignal(object)
    key_frame_moved = pyqtSignal(object, str, object)

    def __init__(
        self, max_head_speed_percent_s: float, min_displacement_percent: float, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.track = MotionTrack()
        self._motion = MotionLanes(self.track, max_head_speed_percent_s, min_displacement_percent)
        self._extent: tuple[int, int | None, bool] | None = None
        self._origin_ns: int | None = None
        self._end_s = 0.0
        self._is_live = False
        self._follows = True
        self._selected: Event | Candidate | None = None
        self.setAccessibleName("Timeline")
        self._build()
        self._dress()
        theme.notifier().changed.connect(self._dress)
        self.clear()

    # Data

    def clear(self) -> None:
        """Another source begins."""
        self.track.clear()
        self.events.clear()
        self.withdrawn.clear()
        self._extent, self._origin_ns, self._end_s = None, None, 0.0
        self._is_live = False
        self._follow(True)
        self._select(None)
        self.set_range(None)
        self._head.setValue(0.0)
        self._ahead.setVisible(False)
        self.view.setXRange(0, LIVE_SPAN_S, padding=0)

    def set_extent(self, origin_ns: int, end_ns: int | None, *, is_live: bool) -> None:
        """Where the source begins and, for a recording, ends: all of it is shown."""
        if self._extent == (origin_ns, end_ns, is_live):
            return
        self._extent = (origin_ns, end_ns, is_live)
        self._origin_ns, self._is_live = origin_ns, is_live
        self._end_s = 0.0 if end_ns is None else self.seconds(end_ns)
        if not is_live:
            self.view.setLimits(xMin=-0.02 * self._length_s(), xMax=1.02 * self._length_s())
            self.show_all()
        else:
            self.view.setLimits(xMin=None, xMax=None)

    def add_motion(self, points: Iterable[MotionPoint]) -> None:
        """Take in newly analysed frames."""
        self.track.add(points)
        if not len(self.track):
            return
        if self._origin_ns is None:
            self._origin_ns = int(self.track.times_ns[0])
        newest_s = self.seconds(int(self.track.times_ns[-1]))
        if self._is_live:
            self._end_s = newest_s
            if self._follows:
                left, right = self.view.viewRange()[0]
                span_s = right - left
                self.view.setXRange(max(0.0, newest_s - span_s), max(span_s, newest_s), padding=0)
        self._ahead.setVisible(not self._is_live and newest_s < self._end_s - 0.1)
        self._ahead.setRegion((newest_s, max(self._end_s, newest_s)))
        left, right = self.view.viewRange()[0]
        if newest_s >= left:
            self._draw()

    def put_event(self, key: int, event: Event, times_ns: tuple[int, int, int], colour: QColor, text: str, *,
                  is_faded: bool = False) -> None:  # fmt: skip
        """Show an event with these times of onset, apex and offset, or show it anew."""
        seconds = (self.seconds(time_ns) for time_ns in times_ns)
        self.events.put(key, Span(event, *seconds, colour, text, is_faded))
        if self._selected is event:
            self._place_handles()

    def put_withdrawn(self, candidate: Candidate, text: str) -> None:
        """Show a candidate that a gate refused."""
        times = (self.seconds(time_ns) for time_ns in (candidate.onset_ns, candidate.apex_ns, candidate.offset_ns))
        colour = QColor(theme.colours().muted)
        self.withdrawn.put(candidate.candidate_id, Span(candidate, *times, colour, text, is_faded=True))

    def set_playhead(self, timestamp_ns: int) -> None:
        """The moment that is on screen; a view that it leaves follows it."""
        second = self.seconds(timestamp_ns)
        if second == self._head.value():
            return
        self._head.setValue(second)
        left, right = self.view.viewRange()[0]
        if not self._is_live and not left <= second <= right:
            self.view.setXRange(second - 0.1 * (right - left), second + 0.9 * (right - left), padding=0)

    def set_range(self, range_ns: tuple[int, int] | None) -> None:
        """The in and the out point of playback."""
        self._range.setVisible(range_ns is not None)
        if range_ns is not None:
            self._range.setRegion(tuple(self.seconds(time_ns) for time_ns in range_ns))

    def select(self, item: Event | Candidate | None) -> None:
        """Mark a movement, bring it into view, and give handles to an event."""
        self._select(item)
        span = self._span_of(item)
        if span is None:
            return
        left, right = self.view.viewRange()[0]
        if not left <= span.apex_s <= right:
            half = (right - left) / 2
            self.view.setXRange(span.apex_s - half, span.apex_s + half, padding=0)
            self._follow(False)

    # View

    def seconds(self, timestamp_ns: int) -> float:
        """A moment on the axis."""
        return (timestamp_ns - (self._origin_ns or 0)) / 1e9

    def timestamp_ns(self, second: float) -> int:
        """The moment at a place of the axis."""
        return round(second * 1e9) + (self._origin_ns or 0)

    def zoom(self, factor: float) -> None:
        """Show `factor` times as much, around the playhead when it can be seen."""
        left, right = self.view.viewRange()[0]
        span_s = min(max((right - left) * factor, _MIN_SPAN_S), max(self._length_s(), LIVE_SPAN_S))
        middle = self._head.value() if left <= self._head.value() <= right else (left + right) / 2
        share = (middle - left) / (right - left)
        self.view.setXRange(middle - share * span_s, middle + (1 - share) * span_s, padding=0)

    def show_all(self) -> None:
        """The whole recording; of a live source the newest seconds, going along."""
        self._follow(True)
        if self._is_live:
            self.view.setXRange(max(0.0, self._end_s - LIVE_SPAN_S), max(LIVE_SPAN_S, self._end_s), padding=0)
        else:
            self.view.setXRange(0, self._length_s(), padding=0.01)

    def show_selected(self) -> None:
        """The selected movement, four times as wide as it is long."""
        if span := self._span_of(self._selected):
            spare = max(0.5, 1.5 * (span.offset_s - span.onset_s))
            self.view.setXRange(span.onset_s - spare, span.offset_s + spare, padding=0)
            self._follow(False)

    # Inside

    def _length_s(self) -> float:
        return self._end_s or max(_FIRST_SPAN_S, self.seconds(int(self.track.times_ns[-1])) if len(self.track) else 0.0)

    def _draw(self) -> None:
        left, right = self.view.viewRange()[0]
        self._motion.draw(left, right, self.view.width(), self._origin_ns or 0)
        self._place_labels()

    def _second_per_px(self) -> float:
        left, right = self.view.viewRange()[0]
        return (right - left) / max(1.0, self.view.width())

    def _span_of(self, item: Event | Candidate | None) -> Span | None:
        if isinstance(item, Event):
            return self.events.get(item.event_id)
        return self.withdrawn.get(item.candidate_id) if item is not None else None

    def _select(self, item: Event | Candidate | None) -> None:
        self._selected = item
        self.events.select(item.event_id if isinstance(item, Event) else None)
        self.withdrawn.select(item.candidate_id if isinstance(item, Candidate) else None)
        self._place_handles()

    def _place_handles(self) -> None:
        span = self._span_of(self._selected) if isinstance(self._selected, Event) else None
        for name, handle in self._handles.items():
            handle.setVisible(span is not None)
            if span is not None:
                handle.setValue(span.time_s(name))
        self._place_labels()

    def _place_labels(self) -> None:
        """Names at the handles, as long as they have room beside each other."""
        gaps = np.diff([self._handles[name].value() for name in KEY_FRAMES]) / self._second_per_px()
        for handle in self._handles.values():
            handle.label.setVisible(handle.isVisible() and float(gaps.min()) > _LABEL_PX)

    # Mouse

    def handle_at(self, x_s: float) -> str | None:
        """The key frame of the selected event whose line is here."""
        reach_s = _REACH_PX * self._second_per_px()
        shown = [(abs(handle.value() - x_s), name) for name, handle in self._handles.items() if handle.isVisible()]
        near = [found for found in shown if found[0] <= reach_s]
        return min(near)[1] if near else None

    def _click(self, place: QPointF) -> None:
        reach_s = _REACH_PX * self._second_per_px()
        for lane in (self.events, self.withdrawn):
            if span := lane.at(place.x(), place.y(), reach_s):
                self.chosen.emit(span.item)
                return
        self.seek_wanted.emit(self.timestamp_ns(place.x()))

    def _drag_handle(self, name: str, x_s: float, is_done: bool) -> None:
        order = {key: self._handles[key].value() for key in KEY_FRAMES}
        low = {"onset": -np.inf, "apex": order["onset"], "offset": order["apex"]}[name]
        high = {"onset": order["apex"], "apex": order["offset"], "offset": np.inf}[name]
        self._handles[name].setValue(min(max(x_s, low), high))
        timestamp_ns = self.timestamp_ns(self._handles[name].value())
        if is_done:
            self.key_frame_moved.emit(self._selected, name, timestamp_ns)
            self._place_handles()  # wherever the correction has put it
        self.seek_wanted.emit(timestamp_ns)

    def _hover(self, place: QPointF, on_screen: QPoint) -> None:
        is_handle = self.handle_at(place.x()) is not None
        self.plot.setCursor(Qt.CursorShape.SplitHCursor if is_handle else Qt.CursorShape.ArrowCursor)
        reach_s = _REACH_PX * self._second_per_px()
        span = self.events.at(place.x(), place.y(), reach_s) or self.withdrawn.at(place.x(), place.y(), reach_s)
        text = span.text if span is not None else ""
        if not text:
            text = self._motion.value_text(place.x(), place.y(), self._second_per_px(), self._origin_ns or 0)
        QToolTip.showText(on_screen, text, self.plot)

    def _panned(self) -> None:
        self._follow(False)

    def _follow(self, follows: bool) -> None:
        """Whether the view of a live source goes along with it; if not, a button brings it back."""
        self._follows = follows
        self._to_live.setVisible(self._is_live and not follows)
        self._place_button()

    def _place_button(self) -> None:
        hint = self._to_live.sizeHint()
        self._to_live.setGeometry(self.width() - hint.width() - 8, 6, hint.width(), hint.height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._place_button()

    # Building

    def _build(self) -> None:
        self.view = TimeView(
            on_click=self._click, on_drag=self._drag_handle, handle_at=self.handle_at, on_pan=self._panned
        )
        self.plot = pg.PlotWidget(viewBox=self.view, axisItems={"bottom": ClockAxis("bottom")})
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMinimumHeight(120)
        self.view.setYRange(-0.05, len(LANES) + 0.05, padding=0)
        axis = self.plot.getAxis("left")
        axis.setTicks([[(bottom_of(name) + 0.5, name) for name in LANES]])
        axis.setStyle(tickLength=0)
        axis.setWidth(92)
        self.plot.showGrid(x=True, alpha=0.12)
        self.events = SpanLane(bottom_of(EVENTS) + 0.14, bottom_of(EVENTS) + 0.86)
        self.withdrawn = SpanLane(bottom_of(WITHDRAWN) + 0.14, bottom_of(WITHDRAWN) + 0.86)
        self._ahead = pg.LinearRegionItem(movable=False)
        self._range = pg.LinearRegionItem(movable=False)
        self._head = pg.InfiniteLine(0.0, angle=90)
        self._handles = {
            name: pg.InfiniteLine(0.0, angle=90, label=name, labelOpts={"position": 0.035}) for name in KEY_FRAMES
        }
        layers: list[tuple[Iterable[pg.GraphicsObject], int]] = [
            ([self._ahead, self._range], -20),
            (self._motion.lines, -10),
            (self._motion.thresholds, -9),
            ([*self._motion.curves.values(), self._motion.blinks], 0),
            ([self.events, self.withdrawn], 5),
            (self._handles.values(), 8),
            ([self._head], 10),
        ]
        for items, depth in layers:
            for item in items:
                item.setZValue(depth)
                self.plot.addItem(item, ignoreBounds=True)
        self.view.sigXRangeChanged.connect(lambda *_: self._draw())
        self.plot.scene().sigMouseMoved.connect(self._moved)
        layout = column(self)
        layout.addWidget(self.plot)
        self._to_live = QToolButton(self, text="Back to live")
        self._to_live.setToolTip("Go along with the newest frames again (Ctrl+0)")
        self._to_live.clicked.connect(self.show_all)

    def _moved(self, place: QPointF) -> None:
        if self.view.sceneBoundingRect().contains(place):
            on_screen = self.plot.mapToGlobal(self.plot.mapFromScene(place))
            self._hover(self.view.mapSceneToView(place), on_screen)

    def _dress(self) -> None:
        colours = theme.colours()
        self.plot.setBackground(colours.panel)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(colours.line)
            axis.setTextPen(colours.muted)
        self._motion.dress()
        self._head.setPen(pg.mkPen(colours.alarm, width=1.5))
        for handle in self._handles.values():
            handle.setPen(pg.mkPen(colours.text, width=1, style=Qt.PenStyle.DashLine))
            handle.setHoverPen(pg.mkPen(colours.accent, width=2))
            handle.label.setColor(colours.text)
        for region, colour, alpha in ((self._ahead, colours.muted, 40), (self._range, colours.accent, 30)):
            fill = QColor(colour)
            fill.setAlpha(alpha)
            region.setBrush(fill)
            for line in region.lines:
                line.setPen(pg.mkPen(None) if region is self._ahead else pg.mkPen(colour))
