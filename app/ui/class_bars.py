"""Class probabilities as bars."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.datatypes import Prediction
from app.ui import theme


class ClassBars(QWidget):
    """One bar for each class, the most probable one in bright text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._prediction: Prediction | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_prediction(self, prediction: Prediction | None) -> None:
        self._prediction = prediction
        self.setVisible(prediction is not None)
        if prediction is not None:
            named = zip(prediction.class_names, prediction.probabilities, strict=True)
            self.setAccessibleName(", ".join(f"{name} {100 * p:.0f} %" for name, p in named))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        count = len(self._prediction.class_names) if self._prediction else 0
        return QSize(200, count * self._row_height())

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def _row_height(self) -> int:
        return self.fontMetrics().height() + 4

    def paintEvent(self, event: QPaintEvent | None) -> None:
        prediction = self._prediction
        if prediction is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, metrics, height = theme.colours(), painter.fontMetrics(), self._row_height()
        name_width = max(metrics.horizontalAdvance(name) for name in prediction.class_names) + 10
        figure_width = metrics.horizontalAdvance("100 %") + 4
        track_width = max(10, self.width() - name_width - figure_width)
        right = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
        for index, (name, probability) in enumerate(zip(prediction.class_names, prediction.probabilities, strict=True)):
            y = index * height
            painter.setPen(QColor(colours.text if name == prediction.label else colours.muted))
            painter.drawText(QRectF(0, y, name_width, height), Qt.AlignmentFlag.AlignVCenter, name)
            painter.drawText(QRectF(self.width() - figure_width, y, figure_width, height), right, _percent(probability))
            painter.setPen(Qt.PenStyle.NoPen)
            track = QRectF(name_width, y + height / 2 - 3, track_width, 6)
            painter.setBrush(QColor(colours.line))
            painter.drawRoundedRect(track, 3, 3)
            track.setWidth(max(3.0, track_width * float(probability)))
            painter.setBrush(theme.class_colour(name, index))
            painter.drawRoundedRect(track, 3, 3)


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} %"
