"""The mouse on the timeline, and its axis: wheel zooms, dragging pans or moves a handle, a click is a click."""

from __future__ import annotations

from collections.abc import Callable

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtWidgets import QGraphicsSceneWheelEvent
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent, MouseDragEvent

from app.ui.words import clock

_ZOOM = 0.8  # of the shown time for one notch of the wheel


class ClockAxis(pg.AxisItem):
    """Seconds as minutes and seconds, with decimals only where they are needed."""

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        decimals = 0 if spacing >= 1 else 1 if spacing >= 0.1 else 2
        return [clock(value, decimals=decimals) if value >= 0 else "" for value in values]


class TimeView(pg.ViewBox):
    """Moves along the time only.

    Args:
        on_click: called with the place of a click.
        on_drag: called with the name of a handle, the time it was dragged to, and whether it was let go there.
        handle_at: the name of the handle at a time, or None.
        on_pan: called when the user moves or zooms the view.
    """

    def __init__(
        self,
        *,
        on_click: Callable[[QPointF], None],
        on_drag: Callable[[str, float, bool], None],
        handle_at: Callable[[float], str | None],
        on_pan: Callable[[], None],
    ) -> None:
        super().__init__(enableMenu=False)
        self._on_click, self._on_drag, self._handle_at, self._on_pan = on_click, on_drag, handle_at, on_pan
        self._dragged: str | None = None
        self.setMouseEnabled(x=True, y=False)

    def mouseClickEvent(self, event: MouseClickEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            event.accept()
            self._on_click(self.mapSceneToView(event.scenePos()))

    def mouseDragEvent(self, event: MouseDragEvent, axis: int | None = None) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        if event.isStart():
            self._dragged = self._handle_at(self.mapSceneToView(event.buttonDownScenePos()).x())
        if self._dragged is None:
            self._on_pan()
            super().mouseDragEvent(event, axis=0)
            return
        event.accept()
        self._on_drag(self._dragged, self.mapSceneToView(event.scenePos()).x(), event.isFinish())
        if event.isFinish():
            self._dragged = None

    def wheelEvent(self, event: QGraphicsSceneWheelEvent, axis: int | None = None) -> None:
        event.accept()
        self._on_pan()
        notches = event.delta() / 120
        left, right = self.viewRange()[0]
        is_sideways = event.orientation() == Qt.Orientation.Horizontal
        if is_sideways or event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            shift = -0.15 * notches * (right - left)
            self.setXRange(left + shift, right + shift, padding=0)
            return
        middle = self.mapSceneToView(event.scenePos()).x()
        factor = _ZOOM**notches
        self.setXRange(middle - (middle - left) * factor, middle + (right - middle) * factor, padding=0)
