"""The list of events: onset and apex side by side, and which classes the movement is consistent with."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QAbstractListModel, QModelIndex, QObject, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFont, QPainter
from PyQt6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.datatypes import Event, Prediction
from app.ui import theme
from app.ui.pixels import image_of
from app.ui.words import candidate_figures, clock, consistent_with, regions_in_words

_KEPT = 200  # events with their pictures, about 0.5 MB each
_PADDING, _PICTURE, _CAPTION = 10, 84, 16
_BAR_HEIGHT, _BAR_GAP = 16, 6
_TEXT_LINES = 5  # two of title, one of figures, two of regions


@dataclass(frozen=True, eq=False, slots=True)
class EventRow:
    """What one row shows; `apex_s` counts from the start of the run."""

    event: Event
    apex_s: float

    def spoken(self) -> str:
        """The row in words, for tooltips and screen readers."""
        candidate, prediction = self.event.candidate, self.event.prediction
        lines = [
            f"Event {self.event.event_id} at {clock(self.apex_s)}: {consistent_with(self.event)}",
            f"Moved: {regions_in_words(candidate.regions, limit=20)}",
            f"Onset, apex, offset: frames {candidate.onset.frame_index}, {candidate.apex.frame_index}, "
            f"{candidate.offset.frame_index}; {candidate_figures(candidate)}",
            f"Head speed up to {candidate.head_motion:.0f} % of the eye distance a second"
            + ("; with a blink" if candidate.has_blink else ""),
        ]
        if prediction is not None:
            named = zip(prediction.class_names, prediction.probabilities, strict=True)
            lines.append(", ".join(f"{name} {100 * p:.0f} %" for name, p in named))
        return "\n".join(lines)


class EventModel(QAbstractListModel):
    """Events, the newest first. `UserRole` gives the EventRow."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[EventRow] = []

    def add(self, event: Event, apex_s: float) -> None:
        self.beginInsertRows(QModelIndex(), 0, 0)
        self._rows.insert(0, EventRow(event, apex_s))
        self.endInsertRows()
        if len(self._rows) > _KEPT:
            self.beginRemoveRows(QModelIndex(), _KEPT, len(self._rows) - 1)
            del self._rows[_KEPT:]
            self.endRemoveRows()

    def row(self, index: QModelIndex) -> EventRow | None:
        """What a row shows; None for an invalid index."""
        return self._rows[index.row()] if index.isValid() else None

    def clear(self) -> None:
        self.beginResetModel()
        self._rows.clear()
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 — Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        match role:
            case Qt.ItemDataRole.UserRole:
                return row
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole | Qt.ItemDataRole.ToolTipRole:
                return row.spoken()
        return None


class EventDelegate(QStyledItemDelegate):
    """Paints one event: two pictures, words, bars."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        row: EventRow = index.data(Qt.ItemDataRole.UserRole)
        bars = len(row.event.prediction.class_names) if row.event.prediction else 1
        text = _TEXT_LINES * option.fontMetrics.height() + _BAR_GAP + bars * _BAR_HEIGHT
        return QSize(360, 2 * _PADDING + max(_PICTURE + _CAPTION, text))

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        assert painter is not None
        row: EventRow = index.data(Qt.ItemDataRole.UserRole)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        card = option.rect.adjusted(4, 3, -4, -3)
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.setPen(QColor(theme.colours().accent if is_selected else theme.colours().line))
        painter.setBrush(QColor(theme.colours().raised if is_selected else theme.colours().panel))
        painter.drawRoundedRect(QRectF(card).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        inner = card.adjusted(_PADDING - 2, _PADDING - 3, -_PADDING, -_PADDING + 3)
        candidate = row.event.candidate
        for column, (key_frame, caption) in enumerate(((candidate.onset, "onset"), (candidate.apex, "apex"))):
            x = inner.left() + column * (_PICTURE + 6)
            # Made anew at each painting: 0.1 ms, where a kept pixmap would double the memory of an event.
            painter.drawImage(QRect(x, inner.top(), _PICTURE, _PICTURE), image_of(key_frame.crop_bgr))
            painter.setPen(QColor(theme.colours().muted))
            below = QRect(x, inner.top() + _PICTURE, _PICTURE, _CAPTION)
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, caption)
        left = inner.left() + 2 * (_PICTURE + 6) + 6
        self._paint_words(painter, QRect(left, inner.top(), inner.right() - left, inner.height()), option.font, row)
        painter.restore()

    def _paint_words(self, painter: QPainter, area: QRect, font: QFont, row: EventRow) -> None:
        candidate, prediction, colours = row.event.candidate, row.event.prediction, theme.colours()
        height = painter.fontMetrics().height()
        title_font = QFont(font)
        title_font.setWeight(QFont.Weight.DemiBold)
        y = area.top()
        for lines, line_font, colour, text in (
            (2 if prediction else 1, title_font, colours.text, consistent_with(row.event)),
            (1, font, colours.muted, f"#{row.event.event_id}   {clock(row.apex_s)}   {candidate.duration_ms:.0f} ms"),
            (2, font, colours.text, regions_in_words(candidate.regions, limit=2)),
        ):
            painter.setFont(line_font)
            painter.setPen(QColor(colour))
            painter.drawText(QRect(area.left(), y, area.width(), lines * height), Qt.TextFlag.TextWordWrap, text)
            y += lines * height
        painter.setFont(font)
        bars = QRect(area.left(), y + _BAR_GAP, area.width(), area.bottom() - y - _BAR_GAP)
        if prediction is None:
            painter.setPen(QColor(theme.colours().muted))
            painter.drawText(bars, 0, "no class: spotting only")
        else:
            self._paint_bars(painter, bars, prediction)

    def _paint_bars(self, painter: QPainter, area: QRect, prediction: Prediction) -> None:
        metrics = painter.fontMetrics()
        name_width = max(metrics.horizontalAdvance(name) for name in prediction.class_names) + 8
        figure_width = metrics.horizontalAdvance("100 %") + 4
        track_width = max(10, area.width() - name_width - figure_width)
        for index, (name, probability) in enumerate(zip(prediction.class_names, prediction.probabilities, strict=True)):
            y = area.top() + index * _BAR_HEIGHT
            is_best = name == prediction.label
            painter.setPen(QColor(theme.colours().text if is_best else theme.colours().muted))
            painter.drawText(QRect(area.left(), y, name_width, _BAR_HEIGHT), Qt.AlignmentFlag.AlignVCenter, name)
            figure = QRect(area.right() - figure_width, y, figure_width, _BAR_HEIGHT)
            painter.drawText(
                figure, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, f"{100 * probability:.0f} %"
            )
            painter.setPen(Qt.PenStyle.NoPen)
            track = QRectF(area.left() + name_width, y + 5, track_width, _BAR_HEIGHT - 10)
            painter.setBrush(QColor(theme.colours().line))
            painter.drawRoundedRect(track, 3, 3)
            track.setWidth(max(3.0, track_width * float(probability)))
            painter.setBrush(theme.class_colour(name, index))
            painter.drawRoundedRect(track, 3, 3)


class EventList(QListView):
    """Events of this run; says what it is waiting for while there are none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.events = EventModel(self)
        self.setModel(self.events)
        self.setItemDelegate(EventDelegate(self))
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Events")
        self.placeholder = ""

    def paintEvent(self, event) -> None:
        super().paintEvent(event)
        if self.events.rowCount() == 0:
            viewport = self.viewport()
            assert viewport is not None
            painter = QPainter(viewport)
            painter.setPen(QColor(theme.colours().muted))
            area = viewport.rect().adjusted(24, 24, -24, -24)
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self.placeholder)
