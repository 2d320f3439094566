"""The last ten seconds of motion: spot strength, head motion, blinks, events and what the gates refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QGraphicsRectItem, QWidget

from app.datatypes import Candidate, Event
from app.runtime.workers import MotionPoint
from app.ui import theme
from app.ui.theme import class_colour
from app.ui.words import clock

SPAN_S = 10.0
_MIN_TOP = 2.5  # multiples of the threshold
_ENDLESS = 1e3  # above every strength


def legend() -> str:
    """What is what, as rich text in the colours in use."""
    colours = theme.colours()
    return " &nbsp; ".join(
        f'<span style="color:{colour}">{sign}</span> {name}'
        for sign, colour, name in (
            ("━", colours.accent, "face"),
            ("━", colours.head, "head"),
            ("■", colours.warning, "blink"),
            ("▮", colours.text, "event"),
            ("▮", colours.refused, "not counted"),
            ("┄", colours.muted, "threshold"),
        )
    )


class _ClockAxis(pg.AxisItem):
    """Seconds as minutes and seconds."""

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        return [clock(value, decimals=0) for value in values]


class MotionPlot(pg.PlotWidget):
    """Everything in multiples of its threshold: at 1 the spotter sees a movement, and the head moves too fast.

    Args:
        max_head_speed_percent_s: the head-motion gate.
    """

    def __init__(self, max_head_speed_percent_s: float, parent: QWidget | None = None) -> None:
        super().__init__(parent, axisItems={"bottom": _ClockAxis("bottom")})
        self._max_head_speed_percent_s = max_head_speed_percent_s
        self._points: deque[MotionPoint] = deque()
        self._origin_ns: int | None = None
        self._spans: deque[tuple[int, QGraphicsRectItem]] = deque()  # (end, item)
        self.setAccessibleName("Motion of the last ten seconds")
        self.setMinimumHeight(120)
        self.setMouseEnabled(x=False, y=False)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        item = self.getPlotItem()
        item.setLabel("left", "× threshold")
        item.getAxis("bottom").setTickSpacing(major=2, minor=1)
        item.getAxis("bottom").setStyle(tickLength=-4)
        item.getAxis("left").setWidth(48)
        item.showGrid(y=True, alpha=0.12)
        self._threshold = pg.InfiniteLine(1.0, angle=0)
        self.addItem(self._threshold)
        self._head = item.plot(connect="finite")
        self._strength = item.plot(connect="finite")
        self._blinks = pg.ScatterPlotItem(symbol="s", size=5, pen=None)
        self.addItem(self._blinks)
        self._dress()
        theme.notifier().changed.connect(self._dress)
        self._rescale(0.0)

    def seconds(self, timestamp_ns: int) -> float:
        """Time on the axis: since the first frame."""
        return (timestamp_ns - (self._origin_ns or 0)) / 1e9

    def add(self, points: Iterable[MotionPoint]) -> None:
        """Take in new points and redraw."""
        self._points.extend(points)
        if not self._points:
            return
        if self._origin_ns is None:
            self._origin_ns = self._points[0].timestamp_ns
        newest_ns = self._points[-1].timestamp_ns
        while newest_ns - self._points[0].timestamp_ns > SPAN_S * 1e9:
            self._points.popleft()
        while self._spans and newest_ns - self._spans[0][0] > SPAN_S * 1e9:
            self.removeItem(self._spans.popleft()[1])
        self._redraw()

    def add_event(self, event: Event) -> None:
        """Mark an event from onset to offset in the colour of its class."""
        prediction = event.prediction
        colour = QColor(theme.colours().text)
        if prediction is not None:
            colour = class_colour(prediction.label, prediction.class_names.index(prediction.label))
        self._add_span(event.candidate, colour, alpha=90)

    def add_rejected(self, candidate: Candidate) -> None:
        """Mark a refused movement in grey."""
        self._add_span(candidate, QColor(theme.colours().muted), alpha=35)

    def clear_motion(self) -> None:
        """Forget everything: another source begins."""
        while self._spans:
            self.removeItem(self._spans.popleft()[1])
        self._points.clear()
        self._origin_ns = None
        for curve in (self._strength, self._head, self._blinks):
            curve.setData([], [])
        self._rescale(0.0)

    @property
    def span_count(self) -> int:
        """Events and refused movements marked now."""
        return len(self._spans)

    def _dress(self) -> None:
        colours = theme.colours()
        self.setBackground(colours.panel)
        item = self.getPlotItem()
        for side in ("left", "bottom"):
            axis = item.getAxis(side)
            axis.setPen(colours.line)
            axis.setTextPen(colours.muted)
        self._threshold.setPen(pg.mkPen(colours.muted, style=Qt.PenStyle.DashLine))
        self._head.setPen(pg.mkPen(colours.head, width=1))
        self._strength.setPen(pg.mkPen(colours.accent, width=2))
        self._blinks.setBrush(colours.warning)

    def _add_span(self, candidate: Candidate, colour: QColor, alpha: int) -> None:
        colour.setAlpha(alpha)
        onset_s, offset_s = self.seconds(candidate.onset.timestamp_ns), self.seconds(candidate.offset.timestamp_ns)
        span = QGraphicsRectItem(onset_s, 0, offset_s - onset_s, _ENDLESS)
        span.setBrush(colour)
        span.setPen(pg.mkPen(None))
        span.setZValue(-10)
        self.addItem(span, ignoreBounds=True)
        self._spans.append((candidate.offset.timestamp_ns, span))

    def _redraw(self) -> None:
        seconds = np.array([self.seconds(point.timestamp_ns) for point in self._points])
        strength = np.array([_or_nan(point.strength) for point in self._points])
        head = np.array([_or_nan(point.head_speed_percent_s) for point in self._points])
        is_blink = np.array([point.is_blink for point in self._points])
        # A gap breaks the line before its first frame.
        is_gap = np.array([point.is_gap for point in self._points])
        broken = np.where(is_gap, np.nan, strength)
        self._strength.setData(seconds, broken)
        self._head.setData(seconds, head / self._max_head_speed_percent_s)
        self._blinks.setData(seconds[is_blink], np.full(is_blink.sum(), 0.06))
        self._rescale(seconds[-1], strength)

    def _rescale(self, end_s: float, strength: np.ndarray | None = None) -> None:
        start_s = max(0.0, end_s - SPAN_S)
        top = _MIN_TOP
        if strength is not None and np.isfinite(strength).any():
            top = max(_MIN_TOP, 1.15 * float(np.nanmax(strength)))
        self.setRange(xRange=(start_s, start_s + SPAN_S), yRange=(0, top), padding=0)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
