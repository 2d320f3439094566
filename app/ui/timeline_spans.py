"""Movements on the timeline: one item paints all of them, so that hundreds cost no more than a few."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPainterPath, QPen

from app.datatypes import Candidate, Event
from app.ui import theme

KEY_FRAMES = ("onset", "apex", "offset")
_MIN_WIDTH_PX = 5.0  # of a movement that is looked at from far away
_RADIUS_PX, _ROUND_FROM_PX = 3.0, 12.0


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """One movement in a lane: times in seconds on the axis; `text` is its tooltip."""

    item: Event | Candidate
    onset_s: float
    apex_s: float
    offset_s: float
    colour: QColor
    text: str
    is_faded: bool = False  # rejected by a person, or withdrawn by a gate

    def time_s(self, key_frame: str) -> float:
        """When one of KEY_FRAMES is."""
        return getattr(self, f"{key_frame}_s")


class SpanLane(pg.GraphicsObject):
    """All movements of one lane, between `bottom` and `top` on the vertical axis."""

    def __init__(self, bottom: float, top: float) -> None:
        super().__init__()
        self._bottom, self._top = bottom, top
        self._spans: dict[int, Span] = {}
        self._selected: int | None = None
        self._bounds = QRectF()

    def __len__(self) -> int:
        return len(self._spans)

    def put(self, key: int, span: Span) -> None:
        """Add a movement, or replace the one with this key."""
        self._spans[key] = span
        self._refresh()

    def get(self, key: int) -> Span | None:
        return self._spans.get(key)

    def keep(self, keys: Iterable[int]) -> None:
        """Let go of all others."""
        kept = set(keys)
        self._spans = {key: span for key, span in self._spans.items() if key in kept}
        self._refresh()

    def clear(self) -> None:
        self._spans.clear()
        self._selected = None
        self._refresh()

    def select(self, key: int | None) -> None:
        self._selected = key
        self.update()

    def at(self, x_s: float, y: float, reach_s: float) -> Span | None:
        """The movement at a place, or the nearest one within `reach_s` seconds."""
        if not self._bottom <= y <= self._top:
            return None
        near = [
            (max(span.onset_s - x_s, x_s - span.offset_s, 0.0), abs(span.apex_s - x_s), key)
            for key, span in self._spans.items()
            if span.onset_s - reach_s <= x_s <= span.offset_s + reach_s
        ]
        return self._spans[min(near)[2]] if near else None

    def boundingRect(self) -> QRectF:
        return self._bounds

    def paint(self, painter: QPainter, *_: object) -> None:
        view = self.getViewBox()
        if view is None:
            return
        left_s, right_s = view.viewRange()[0]
        transform = painter.transform()
        scale, shift = transform.m11(), transform.dx()
        top = transform.map(QPointF(0, self._top)).y()
        bottom = transform.map(QPointF(0, self._bottom)).y()
        painter.save()
        # Everything is painted in pixels: corners stay round, and short movements can be seen from far away.
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for key, span in self._spans.items():
            if span.offset_s < left_s or span.onset_s > right_s:
                continue
            width = scale * (span.offset_s - span.onset_s)
            spare = max(0.0, _MIN_WIDTH_PX - width) / 2
            bar = QRectF(scale * span.onset_s + shift - spare, top, width + 2 * spare, bottom - top)
            self._paint_span(painter, bar, scale * span.apex_s + shift, span)
            if key == self._selected:
                painter.setPen(QPen(QColor(theme.colours().text), 2))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(bar.adjusted(-2, -2, 2, 2), _RADIUS_PX + 1, _RADIUS_PX + 1)
        painter.restore()

    @staticmethod
    def _paint_span(painter: QPainter, bar: QRectF, apex: float, span: Span) -> None:
        fill = QColor(span.colour)
        fill.setAlpha(70 if span.is_faded else 190)
        if bar.width() < _ROUND_FROM_PX:
            painter.fillRect(bar, fill)  # twenty times as fast as a rounded one, of which hundreds may be in sight
            return
        painter.setPen(QPen(span.colour, 1))
        painter.setBrush(fill)
        painter.drawRoundedRect(bar, _RADIUS_PX, _RADIUS_PX)
        # A notch at the apex.
        notch = QPainterPath(QPointF(apex, bar.bottom() - 5))
        notch.lineTo(apex + 4, bar.bottom())
        notch.lineTo(apex - 4, bar.bottom())
        painter.fillPath(notch, QColor(theme.colours().panel))

    def _refresh(self) -> None:
        self.prepareGeometryChange()
        spans = self._spans.values()
        left = min((span.onset_s for span in spans), default=0.0)
        right = max((span.offset_s for span in spans), default=0.0)
        self._bounds = QRectF(left, self._bottom, right - left, self._top - self._bottom)
        self.update()
