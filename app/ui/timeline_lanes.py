"""The lanes of the timeline: their order from the top down, and how motion and blinks are drawn in them."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor

from app.ui import theme
from app.ui.timeline_track import CURVES, HEAD, MotionTrack
from app.ui.words import clock

EVENTS, BLINKS, WITHDRAWN = "Events", "Blinks", "Withdrawn"
LANES = (EVENTS, *CURVES, BLINKS, WITHDRAWN)  # from the top down
_FULL_PERCENT = 2.5  # a movement that fills its lane: few micro-expressions are larger
_FILL = 0.86  # of a lane's height
_PX_PER_POINT = 2  # of the curves: finer cannot be seen, and an hour is painted as quickly as a minute
_MIN_BLINK_PX = 2


def bottom_of(lane: str) -> float:
    """Where a lane begins on the vertical axis; it is 1 high."""
    return float(len(LANES) - 1 - LANES.index(lane))


def lane_at(y: float) -> str | None:
    """The lane at a height; None above and below all."""
    position = len(LANES) - 1 - int(np.floor(y))
    return LANES[position] if 0 <= position < len(LANES) else None


class MotionLanes:
    """What a track looks like: a curve and a threshold in each lane of motion, blinks, and a line below every lane.

    Args:
        track: what is drawn.
        max_head_speed_percent_s: fills the head's lane.
        min_displacement_percent: where the thin line in the lanes of the regions is.

    Attributes:
        curves, thresholds, blinks, lines: the items of the plot.
    """

    def __init__(self, track: MotionTrack, max_head_speed_percent_s: float, min_displacement_percent: float) -> None:
        self._track = track
        self._full = {name: max_head_speed_percent_s if name == HEAD else _FULL_PERCENT for name in CURVES}
        self.curves = {
            name: pg.PlotCurveItem(connect="finite", fillLevel=bottom_of(name), antialias=True) for name in CURVES
        }
        self.thresholds = [
            pg.InfiniteLine(bottom_of(name) + _FILL * min_displacement_percent / _FULL_PERCENT, angle=0)
            for name in CURVES
            if name != HEAD
        ]
        self.blinks = pg.BarGraphItem(x0=[], x1=[], y0=[], y1=[])
        self.lines = [pg.InfiniteLine(bottom_of(name), angle=0) for name in LANES]

    def draw(self, left_s: float, right_s: float, width_px: float, origin_ns: int) -> None:
        """Show the track between two moments on the axis, in which `origin_ns` is 0."""
        stretch = self._track.stretch(left_s, right_s, origin_ns, int(width_px / _PX_PER_POINT))
        for row, (name, curve) in enumerate(self.curves.items()):
            curve.setData(
                stretch.times_s, bottom_of(name) + _FILL * np.minimum(stretch.values[row] / self._full[name], 1.0)
            )
        blinks = self._track.blinks_s(left_s, right_s, origin_ns)
        min_blink_s = _MIN_BLINK_PX * (right_s - left_s) / max(1.0, width_px)
        bottom = bottom_of(BLINKS)
        self.blinks.setOpts(
            x0=[start for start, _ in blinks],
            x1=[max(end, start + min_blink_s) for start, end in blinks],
            y0=[bottom + 0.2] * len(blinks),
            y1=[bottom + 0.8] * len(blinks),
        )

    def value_text(self, x_s: float, y: float, reach_s: float, origin_ns: int) -> str:
        """The largest motion within `reach_s` of a place, in words; "" where no lane of motion is."""
        lane = lane_at(y)
        if lane not in CURVES:
            return ""
        stretch = self._track.stretch(x_s - reach_s, x_s + reach_s, origin_ns, 1)
        values = stretch.values[CURVES.index(lane)]
        if not np.isfinite(values).any():
            return f"{lane}: not measured here"
        unit = "% of the eye distance a second" if lane == HEAD else "% of the eye distance"
        return f"{lane}, {clock(x_s)}: {np.nanmax(values):.2f} {unit}"

    def dress(self) -> None:
        """Take the colours of the theme."""
        colours = theme.colours()
        for name, curve in self.curves.items():
            colour = QColor(colours.head if name == HEAD else colours.accent)
            curve.setPen(pg.mkPen(colour, width=1))
            colour.setAlpha(60)
            curve.setBrush(colour)
        for line in self.lines:
            line.setPen(pg.mkPen(colours.line, width=1))
        for line in self.thresholds:
            line.setPen(pg.mkPen(colours.muted, width=1, style=Qt.PenStyle.DotLine))
        self.blinks.setOpts(brush=colours.warning, pen=pg.mkPen(None))
