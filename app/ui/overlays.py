"""What is drawn over the picture: the mesh, the regions with their movement, heat, the aligned crop, other faces.

All of it lies on the frame that it was measured in; colours are those for a dark ground, whatever the theme.
"""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QPainter, QPen, QPolygonF, QRadialGradient, QTransform
from pyqtgraph.functions import arrayToQPath

from app.datatypes import MotionSample, StepResult, TrackedFace
from app.face import topology
from app.ui import theme
from app.ui.pixels import image_of

# Chip → what it shows.
OVERLAYS: dict[str, str] = {
    "mesh": "Mesh: the 478 points that were found",
    "regions": "Regions: which way each moves, twenty times enlarged",
    "heat": "Motion: how far each region is from rest; white is 2 % of the eye distance",
    "crop": "Crop: the aligned face that is analysed",
}
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
_ARROW_SCALE = 20.0
_HEAT_FULL_PERCENT = 2.0
_HEAT_FROM_PERCENT = 0.15  # noise of a resting face
_CROP_SHARE = 0.28  # of the picture's height
# Dark violet to white by way of orange: even steps of lightness, for any colour vision.
_HEAT = ((0.0, (60, 15, 110)), (0.4, (190, 55, 85)), (0.75, (250, 150, 30)), (1.0, (255, 250, 200)))


def to_widget(transform: QTransform, points: np.ndarray) -> np.ndarray:
    """(N, 2) frame pixels to widget pixels; the transform only scales, shifts and mirrors."""
    return points * (transform.m11(), transform.m22()) + (transform.dx(), transform.dy())


def paint_mesh(painter: QPainter, transform: QTransform, face: TrackedFace, colour: QColor) -> None:
    points = to_widget(transform, face.landmarks_px[:, :2])
    dots = QColor("white")
    dots.setAlpha(70)
    painter.setPen(QPen(dots, 1.5, cap=Qt.PenCapStyle.RoundCap))
    painter.drawPoints([QPointF(x, y) for x, y in points.tolist()])
    lines = QColor(colour)
    lines.setAlpha(170)
    painter.setPen(QPen(lines, 1.2))
    x, y = points[_CONTOUR_INDICES].T.astype(float)
    painter.drawPath(arrayToQPath(x, y, connect=_CONTOUR_JOINS))


def paint_box(painter: QPainter, transform: QTransform, face: TrackedFace, colour: QColor) -> None:
    """A frame around the tracked face, and a thin one around each other."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    others = QColor("white")
    others.setAlpha(150)
    painter.setPen(QPen(others, 1.2, Qt.PenStyle.DashLine))
    for box in face.other_boxes_px:
        painter.drawRoundedRect(transform.mapRect(QRectF(*box)), 8, 8)
    points = to_widget(transform, face.landmarks_px[:, :2])
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    margin = 0.06 * (right - left)
    painter.setPen(QPen(colour, 2))
    box = QRectF(left - margin, top - margin, right - left + 2 * margin, bottom - top + 2 * margin)
    painter.drawRoundedRect(box, 8, 8)


def paint_regions(painter: QPainter, transform: QTransform, face: TrackedFace, motion: MotionSample | None) -> None:
    """Outlines of the regions and, from the middle of each, an arrow of its movement."""
    outline, arrow = QColor("white"), QColor(theme.DARK.warning)
    outline.setAlpha(110)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for index, landmarks in enumerate(topology.REGIONS.values()):
        points = to_widget(transform, face.landmarks_px[list(landmarks), :2].astype(float))
        middle = points.mean(axis=0)
        order = np.argsort(np.arctan2(*(points - middle).T))
        painter.setPen(QPen(outline, 1))
        painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in points[order]]))
        if motion is None:
            continue
        moved_px = motion.displacement_percent[index] / 100 * face.inter_ocular_px * _ARROW_SCALE
        end = middle + moved_px * (transform.m11(), transform.m22())
        if np.hypot(*(end - middle)) > 3:
            _paint_arrow(painter, middle, end, arrow)


def _paint_arrow(painter: QPainter, start: np.ndarray, end: np.ndarray, colour: QColor) -> None:
    painter.setPen(QPen(colour, 2.2, cap=Qt.PenCapStyle.RoundCap))
    shaft = QLineF(*start.tolist(), *end.tolist())
    painter.drawLine(shaft)
    for turn_deg in (150, -150):
        head = QLineF(shaft.p2(), shaft.p2() + QPointF(1, 0))
        head.setAngle(shaft.angle() + turn_deg)
        head.setLength(min(8.0, 0.5 * shaft.length()))
        painter.drawLine(head)


def paint_heat(painter: QPainter, transform: QTransform, face: TrackedFace, motion: MotionSample | None) -> None:
    """A soft spot on each region that is away from rest."""
    if motion is None:
        return
    scale = abs(transform.m11())
    painter.setPen(Qt.PenStyle.NoPen)
    for index, landmarks in enumerate(topology.REGIONS.values()):
        percent = float(np.hypot(*motion.displacement_percent[index]))
        if percent < _HEAT_FROM_PERCENT:
            continue
        middle = to_widget(transform, face.landmarks_px[list(landmarks), :2].mean(axis=0, keepdims=True))[0]
        radius = 0.24 * face.inter_ocular_px * scale
        spot = QRadialGradient(QPointF(*middle), radius)
        colour = _heat_colour(percent / _HEAT_FULL_PERCENT)
        colour.setAlpha(200)
        spot.setColorAt(0, colour)
        colour.setAlpha(0)
        spot.setColorAt(1, colour)
        painter.setBrush(spot)
        painter.drawEllipse(QPointF(*middle), radius, radius)


def paint_crop(painter: QPainter, picture: QRectF, result: StepResult) -> None:
    """The aligned face in the upper right corner of the picture."""
    if result.crop is None:
        return
    side = _CROP_SHARE * picture.height()
    area = QRectF(picture.right() - side - 10, picture.top() + 10, side, side)
    painter.drawImage(area, image_of(result.crop.image_bgr))
    painter.setPen(QPen(QColor(theme.DARK.accent), 1.5))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(area)


def paint_pill(painter: QPainter, middle: QPointF, words: str, colour: str, *, scale: float = 1.0) -> None:
    """Words on a dark, rounded ground."""
    painter.save()
    font = QFont(painter.font())
    font.setPointSizeF(font.pointSizeF() * scale)
    painter.setFont(font)
    size = painter.fontMetrics().size(0, words)
    pill = QRectF(0, 0, size.width() + 24 * scale, size.height() + 10 * scale)
    pill.moveCenter(middle)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(10, 12, 14, 200))
    painter.drawRoundedRect(pill, pill.height() / 2, pill.height() / 2)
    painter.setPen(QColor(colour))
    painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, words)
    painter.restore()


def _heat_colour(share: float) -> QColor:
    positions = [position for position, _ in _HEAT]
    channels = np.array([colour for _, colour in _HEAT]).T
    return QColor(*(int(np.interp(share, positions, channel)) for channel in channels))
