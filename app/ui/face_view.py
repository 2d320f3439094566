"""The picture: a frame with what was found in it, letterboxed."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QTransform
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.datatypes import StepResult
from app.ui import overlays, theme
from app.ui.pixels import image_of
from app.ui.words import SPOT_STATES, reason_in_words


class FaceView(QWidget):
    """Shows the newest StepResult. Mirroring turns the picture and what lies on it on screen, never the data.

    Signals:
        face_chosen(x, y): the user pointed at another face, in frame pixels.
        painted: once for each picture that came to the screen.
    """

    face_chosen = pyqtSignal(float, float)
    painted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(320, 200)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setAccessibleName("Picture")
        self._result: StepResult | None = None
        self._placeholder = ""
        self._instruction = ""
        self._is_mirrored = False
        self._overlays = {"mesh"}
        self._is_running = True
        self._is_new = False  # the result has not been painted yet

    @property
    def result(self) -> StepResult | None:
        return self._result

    def set_result(self, result: StepResult) -> None:
        self._result, self._is_new = result, True
        self.update()

    def clear(self, placeholder: str) -> None:
        """Show words in place of a picture."""
        self._result, self._placeholder = None, placeholder
        self.update()

    def set_instruction(self, words: str) -> None:
        """What the person in the picture is asked to do, large; "" for nothing."""
        if words != self._instruction:
            self._instruction = words
            self.update()

    def set_mirrored(self, is_mirrored: bool) -> None:
        self._is_mirrored = is_mirrored
        self.update()

    def set_overlay(self, name: str, is_shown: bool) -> None:
        """Show or hide one of `overlays.OVERLAYS`."""
        if is_shown:
            self._overlays.add(name)
        else:
            self._overlays.discard(name)
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

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        assert event is not None
        if (point := self._other_face_at(event.position())) is not None:
            self.face_chosen.emit(point.x(), point.y())

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        assert event is not None
        is_over = self._other_face_at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if is_over else Qt.CursorShape.ArrowCursor)
        self.setToolTip("Click to follow this face" if is_over else "")

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
        self._paint_overlays(painter, transform, self._result)
        height, width = self._result.frame.image_bgr.shape[:2]
        picture = transform.mapRect(QRectF(0, 0, width, height))
        if "crop" in self._overlays:
            overlays.paint_crop(painter, picture, self._result)
        if self._is_running:
            self._paint_state(painter, picture, self._result)
        if self._instruction:
            middle = QPointF(picture.center().x(), picture.top() + 0.12 * picture.height())
            overlays.paint_pill(painter, middle, self._instruction, theme.DARK.text, scale=1.6)
        if self._is_new:
            self._is_new = False
            self.painted.emit()

    def _paint_overlays(self, painter: QPainter, transform: QTransform, result: StepResult) -> None:
        if (face := result.face) is None:
            return
        is_usable = result.quality is None or result.quality.is_usable
        colour = QColor(theme.DARK.accent if is_usable else theme.DARK.warning)
        if "heat" in self._overlays:
            overlays.paint_heat(painter, transform, face, result.motion)
        if "mesh" in self._overlays:
            overlays.paint_mesh(painter, transform, face, colour)
        if "regions" in self._overlays:
            overlays.paint_regions(painter, transform, face, result.motion)
        overlays.paint_box(painter, transform, face, colour)

    def _paint_state(self, painter: QPainter, picture: QRectF, result: StepResult) -> None:
        """One line at the lower edge of the picture: what the spotter does, or why it cannot and what would help."""
        words, colour, scale = SPOT_STATES[result.state], theme.DARK.text, 1.0
        if result.quality is not None and not result.quality.is_usable:
            words, colour, scale = reason_in_words(result.quality.reason), theme.DARK.warning, 1.2
        elif result.face is None:
            words, colour, scale = reason_in_words("no face"), theme.DARK.warning, 1.2
        elif result.face.face_count > 1:
            words += f" · {result.face.face_count} faces: click one to follow it"
        middle = QPointF(picture.center().x(), picture.bottom() - 26)
        overlays.paint_pill(painter, middle, words[:1].upper() + words[1:], colour, scale=scale)

    def _other_face_at(self, position: QPointF) -> QPointF | None:
        """The middle, in frame pixels, of the untracked face at this place of the widget."""
        face = self._result.face if self._result is not None else None
        inverse, is_invertible = self.widget_from_frame().inverted()
        if face is None or not is_invertible:
            return None
        point = inverse.map(position)
        boxes = [QRectF(*box) for box in face.other_boxes_px]
        return next((box.center() for box in boxes if box.contains(point)), None)
