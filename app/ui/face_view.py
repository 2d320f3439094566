"""The picture: a frame with the mesh that was found in it, letterboxed."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QTransform
from PyQt6.QtWidgets import QSizePolicy, QWidget
from pyqtgraph.functions import arrayToQPath

from app.datatypes import StepResult, TrackedFace
from app.face import topology
from app.ui import theme
from app.ui.pixels import image_of
from app.ui.words import SPOT_STATES, reason_in_words

_CLOSED_CONTOURS = (
    topology.FACE_OVAL,
    topology.LEFT_EYE,
    topology.RIGHT_EYE,
    topology.LEFT_BROW,
    topology.RIGHT_BROW,
    topology.OUTER_LIPS,
    topology.INNER_LIPS,
)
_CONTOURS = (*((*contour, contour[0]) for contour in _CLOSED_CONTOURS), topology.NOSE)
_CONTOUR_INDICES = np.concatenate([np.array(contour) for contour in _CONTOURS])
# 1 where a point is joined to the next one: everywhere but at the end of a contour.
_CONTOUR_JOINS = np.concatenate([[1] * (len(contour) - 1) + [0] for contour in _CONTOURS]).astype(np.int32)


class FaceView(QWidget):
    """Shows the newest StepResult. Mirroring turns the picture and the mesh on screen, never the data."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 200)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Picture")
        self._result: StepResult | None = None
        self._placeholder = ""
        self._is_mirrored = False
        self._shows_mesh = True
        self._is_running = True

    @property
    def result(self) -> StepResult | None:
        return self._result

    def set_result(self, result: StepResult) -> None:
        self._result = result
        self.update()

    def clear(self, placeholder: str) -> None:
        """Show words in place of a picture."""
        self._result, self._placeholder = None, placeholder
        self.update()

    def set_mirrored(self, is_mirrored: bool) -> None:
        self._is_mirrored = is_mirrored
        self.update()

    def set_mesh_shown(self, is_shown: bool) -> None:
        self._shows_mesh = is_shown
        self.update()

    def set_running(self, is_running: bool) -> None:
        """Whether the picture is of now: what the spotter does is said only then."""
        if is_running != self._is_running:
            self._is_running = is_running
            self.update()

    def widget_from_frame(self) -> QTransform:
        """Where a frame pixel lies in the widget."""
        if self._result is None:
            return QTransform()
        height, width = self._result.frame.image_bgr.shape[:2]
        scale = min(self.width() / width, self.height() / height)
        left, top = (self.width() - scale * width) / 2, (self.height() - scale * height) / 2
        if self._is_mirrored:
            return QTransform(-scale, 0, 0, scale, left + scale * width, top)
        return QTransform(scale, 0, 0, scale, left, top)

    def sizeHint(self) -> QSize:
        return QSize(640, 480)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.DARK.picture))
        if self._result is None:
            painter.setPen(QColor(theme.DARK.muted))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._placeholder)
            return
        transform = self.widget_from_frame()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setTransform(transform)
        painter.drawImage(0, 0, image_of(self._result.frame.image_bgr))
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._result.face is not None:
            self._paint_face(painter, transform, self._result.face)
        if self._is_running:
            self._paint_state(painter, transform)

    def _paint_face(self, painter: QPainter, transform: QTransform, face: TrackedFace) -> None:
        quality = self._result.quality if self._result else None
        is_usable = quality is None or quality.is_usable
        colour = QColor(theme.DARK.accent if is_usable else theme.DARK.warning)
        points = face.landmarks_px[:, :2] * (transform.m11(), transform.m22()) + (transform.dx(), transform.dy())
        if self._shows_mesh:
            dots = QColor("white")
            dots.setAlpha(70)
            painter.setPen(QPen(dots, 1.5, cap=Qt.PenCapStyle.RoundCap))
            painter.drawPoints([QPointF(x, y) for x, y in points.tolist()])
            lines = QColor(colour)
            lines.setAlpha(170)
            painter.setPen(QPen(lines, 1.2))
            x, y = points[_CONTOUR_INDICES].T.astype(float)
            painter.drawPath(arrayToQPath(x, y, connect=_CONTOUR_JOINS))
        left, top = points.min(axis=0)
        right, bottom = points.max(axis=0)
        margin = 0.06 * (right - left)
        box = QRectF(left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin)
        painter.setPen(QPen(colour, 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box, 8, 8)

    def _paint_state(self, painter: QPainter, transform: QTransform) -> None:
        """One line at the lower edge of the picture: what the spotter does, or why it cannot."""
        result = self._result
        assert result is not None
        words, colour = SPOT_STATES[result.state], theme.DARK.text
        if result.face is None:
            words, colour = reason_in_words("no face"), theme.DARK.warning
        elif result.quality is not None and not result.quality.is_usable:
            words, colour = reason_in_words(result.quality.reason), theme.DARK.warning
        elif result.face.face_count > 1:
            words += f" · {result.face.face_count} faces, the framed one is followed"
        height, width = result.frame.image_bgr.shape[:2]
        picture = transform.mapRect(QRectF(0, 0, width, height))
        size = painter.fontMetrics().size(0, words[:1].upper() + words[1:])
        pill = QRectF(0, 0, size.width() + 24, size.height() + 10)
        pill.moveCenter(QPointF(picture.center().x(), picture.bottom() - pill.height() / 2 - 10))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(10, 12, 14, 190))
        painter.drawRoundedRect(pill, pill.height() / 2, pill.height() / 2)
        painter.setPen(QColor(colour))
        painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, words[:1].upper() + words[1:])
