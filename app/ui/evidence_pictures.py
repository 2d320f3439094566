"""Pictures of a movement, and its loop: as filmed beside magnified, so that one sees what the detector saw."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QElapsedTimer, QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QButtonGroup, QLabel, QSizePolicy, QSlider, QToolButton, QWidget

from app.runtime.evidence import Loop
from app.ui import theme
from app.ui.layouts import column, label, row
from app.ui.pixels import image_of

SPEEDS = {"1×": 1.0, "¼×": 0.25, "⅛×": 0.125}
MAX_FACTOR, START_FACTOR = 20, 6
_TICK_MS = 16
_HOLD_S = 0.35  # at rest between two rounds, on the user's clock
_BAR_HEIGHT = 22


class PictureTile(QWidget):
    """A square picture with a caption under it."""

    def __init__(self, caption: str, tooltip: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image_bgr: np.ndarray | None = None
        self._caption, self._placeholder = caption, ""
        self.setToolTip(tooltip)
        self.setAccessibleName(caption)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(72)

    @property
    def image_bgr(self) -> np.ndarray | None:
        """What is shown."""
        return self._image_bgr

    @property
    def caption(self) -> str:
        return self._caption

    def show_image(self, image_bgr: np.ndarray | None, caption: str | None = None, placeholder: str = "") -> None:
        """Show (S, S, 3) uint8 BGR, or words in its place."""
        self._image_bgr, self._placeholder = image_bgr, placeholder
        if caption is not None and caption != self._caption:
            self._caption = caption
            self.setAccessibleName(caption)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(100, 100 + self.fontMetrics().height() + 4)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.setFixedHeight(self.width() + self.fontMetrics().height() + 4)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        colours = theme.colours()
        side = min(self.width(), self.height() - self.fontMetrics().height() - 4)
        area = QRectF((self.width() - side) / 2, 0, side, side)
        painter.setPen(QColor(colours.muted))
        if self._image_bgr is None:
            painter.fillRect(area, QColor(colours.raised))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(area.adjusted(6, 6, -6, -6), flags, self._placeholder)
        else:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            # Made anew at each painting: 0.1 ms.
            painter.drawImage(area, image_of(self._image_bgr))
        below = QRectF(0, side + 2, self.width(), self.fontMetrics().height())
        painter.drawText(below, Qt.AlignmentFlag.AlignCenter, self._caption)


class PhaseBar(QWidget):
    """Onset, apex and offset on a line, with a cursor that can be dragged.

    Signals:
        moved(share): the user put the cursor there, 0 at the onset and 1 at the offset.
    """

    moved = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(_BAR_HEIGHT)
        self.setToolTip("Onset, apex and offset; drag to look at one moment")
        self.setAccessibleName("Moment in the loop")
        self._apex, self._cursor = 0.5, 0.0

    def set_apex(self, share: float) -> None:
        self._apex = share
        self.update()

    def set_cursor(self, share: float) -> None:
        if share != self._cursor:
            self._cursor = share
            self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        self.mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        assert event is not None
        share = (event.position().x() - 6) / max(1, self.width() - 12)
        self.moved.emit(min(max(share, 0.0), 1.0))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.colours()
        left, width, middle = 6.0, self.width() - 12.0, self.height() / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.line))
        painter.drawRoundedRect(QRectF(left, middle - 2, width, 4), 2, 2)
        painter.setBrush(QColor(colours.muted))
        for share in (0.0, self._apex, 1.0):
            painter.drawRect(QRectF(left + share * width - 1, middle - 6, 2, 12))
        painter.setBrush(QColor(colours.accent))
        painter.drawEllipse(QRectF(left + self._cursor * width - 5, middle - 5, 10, 10))


class LoopView(QWidget):
    """The loop of a movement with its controls.

    Signals:
        factor_wanted(float): another magnification.
    """

    factor_wanted = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._loop: Loop | None = None
        self._position_s = 0.0  # media time since the onset
        self._clock = QElapsedTimer()
        self._timer = QTimer(self, interval=_TICK_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self.tick)
        self.speed = 0.25
        self.filmed, self.magnified = PictureTile("as filmed"), PictureTile("magnified")
        self.phase = PhaseBar()
        self.phase.moved.connect(self._scrub)
        self.play = QToolButton(text="Pause", checkable=True)
        self.play.setToolTip("Run the loop, or stand still")
        self.play.setChecked(True)
        self.play.toggled.connect(self._toggle)
        self.slider = QSlider(Qt.Orientation.Horizontal, minimum=1, maximum=MAX_FACTOR, value=START_FACTOR)
        self.slider.setToolTip("How many times as large the movement is shown; head motion is taken out")
        self.slider.setAccessibleName("Magnification")
        self.slider.setPageStep(2)
        self.slider.valueChanged.connect(self._ask_factor)
        self.factor_label = label("muted", f"{START_FACTOR}×")
        self.factor_label.setMinimumWidth(self.factor_label.fontMetrics().horizontalAdvance("20×, shown 20.0×"))
        self._speeds = QButtonGroup(self)
        buttons = [self._speed_button(name) for name in SPEEDS]
        layout = column(self, spacing=4)
        layout.addLayout(row(self.filmed, self.magnified, spacing=6))
        layout.addWidget(self.phase)
        layout.addLayout(row(self.play, *buttons, None, spacing=4))
        layout.addLayout(row(QLabel("Magnify"), self.slider, self.factor_label))
        self.clear("")

    @property
    def factor(self) -> float:
        """The magnification that is asked for."""
        return float(self.slider.value())

    @property
    def loop(self) -> Loop | None:
        return self._loop

    def clear(self, placeholder: str) -> None:
        """Show words until the next loop is made."""
        self._loop = None
        self._timer.stop()
        for tile in (self.filmed, self.magnified):
            tile.show_image(None, placeholder=placeholder)

    def show_loop(self, loop: Loop) -> None:
        """Show another movement, or the same one with another magnification."""
        is_same = self._loop is not None and self._loop.candidate is loop.candidate
        self._loop = loop
        if not is_same:
            self._position_s = 0.0
        self._tell_factor()
        first, last = loop.times_ns[0], loop.times_ns[-1]
        apex_ns = loop.candidate.apex.timestamp_ns
        self.phase.set_apex((apex_ns - first) / (last - first) if last > first else 0.5)
        self._show()
        if self.play.isChecked():
            self._clock.restart()
            self._timer.start()

    def tick(self) -> None:
        """Move on by the time that has passed."""
        loop = self._loop
        if loop is None:
            return
        self._position_s += self.speed * self._clock.restart() / 1e3
        length_s = (loop.times_ns[-1] - loop.times_ns[0]) / 1e9
        if self._position_s > length_s + _HOLD_S * self.speed:
            self._position_s = 0.0
        if self.isVisible():
            self._show()

    def _show(self) -> None:
        loop = self._loop
        assert loop is not None
        moment_ns = loop.times_ns[0] + round(self._position_s * 1e9)
        position = max(0, int(np.searchsorted(loop.times_ns, moment_ns, side="right")) - 1)
        length_ns = max(1, loop.times_ns[-1] - loop.times_ns[0])
        self.phase.set_cursor(min(1.0, self._position_s * 1e9 / length_ns))
        self.filmed.show_image(loop.filmed_bgr[position])
        self.magnified.show_image(loop.magnified_bgr[position], f"magnified {loop.factor:.2g}×")

    def _scrub(self, share: float) -> None:
        if self._loop is None:
            return
        self.play.setChecked(False)
        self._position_s = share * (self._loop.times_ns[-1] - self._loop.times_ns[0]) / 1e9
        self._show()

    def _toggle(self, is_running: bool) -> None:
        self.play.setText("Pause" if is_running else "Run")
        if is_running and self._loop is not None:
            self._clock.restart()
            self._timer.start()
        else:
            self._timer.stop()

    def _ask_factor(self, factor: int) -> None:
        self._tell_factor()
        self.factor_wanted.emit(float(factor))

    def _tell_factor(self) -> None:
        asked, loop = self.slider.value(), self._loop
        is_limited = loop is not None and loop.max_factor < asked - 0.5
        self.factor_label.setText(f"{asked}×, shown {loop.max_factor:.2g}×" if is_limited else f"{asked}×")
        self.factor_label.setToolTip("More would tear this picture." if is_limited else "")

    def _speed_button(self, name: str) -> QToolButton:
        made = QToolButton(text=name, checkable=True)
        made.setToolTip(f"Run the loop at {name} its speed")
        made.setChecked(SPEEDS[name] == self.speed)
        made.clicked.connect(lambda: setattr(self, "speed", SPEEDS[name]))
        self._speeds.addButton(made)
        return made
