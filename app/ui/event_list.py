"""The list of events: onset and apex side by side, which class the movement is consistent with, what was decided."""

from __future__ import annotations

from dataclasses import dataclass

from PyQt6.QtCore import QAbstractListModel, QModelIndex, QObject, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFont, QPainter
from PyQt6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.datatypes import Event
from app.ui import theme
from app.ui.pixels import image_of
from app.ui.words import candidate_figures, clock, consistent_with, regions_in_words

_KEPT = 200  # events with their pictures, about 0.5 MB each
_PADDING, _GAP, _PICTURE = 7, 2, 54
_TEXT_LINES = 3  # class, figures, regions
_SIGNS = {"accepted": ("✓", "accent"), "rejected": ("✗", "warning")}  # review → sign and its colour


@dataclass(frozen=True, eq=False, slots=True)
class EventRow:
    """What one row shows.

    `apex_s` counts from the start of the run; `label` and `review` ("accepted", "rejected" or "") are as a person left
    them.
    """

    event: Event
    apex_s: float
    label: str = ""
    review: str = ""

    @property
    def is_automatic(self) -> bool:
        """Whether the class is that of the network."""
        return self.event.prediction is not None and self.label == self.event.prediction.label

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
        self._rows.insert(0, EventRow(event, apex_s, event.prediction.label if event.prediction else ""))
        self.endInsertRows()
        if len(self._rows) > _KEPT:
            self.beginRemoveRows(QModelIndex(), _KEPT, len(self._rows) - 1)
            del self._rows[_KEPT:]
            self.endRemoveRows()

    def decide(self, event_id: int, apex_s: float, label: str, review: str) -> None:
        """Show what a person has decided about an event."""
        for position, row in enumerate(self._rows):
            if row.event.event_id == event_id:
                self._rows[position] = EventRow(row.event, apex_s, label, review)
                self.dataChanged.emit(self.index(position), self.index(position))

    def index_of(self, event: Event) -> QModelIndex:
        """Where an event is; invalid when it is not in the list."""
        found = (position for position, row in enumerate(self._rows) if row.event is event)
        return self.index(next(found, -1))

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
    """Paints one event in three lines beside its onset and apex; what was decided about it is a sign in the corner."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(300, 2 * (_PADDING + _GAP) + max(_PICTURE, _TEXT_LINES * option.fontMetrics.height()))

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        assert painter is not None
        row: EventRow = index.data(Qt.ItemDataRole.UserRole)
        colours = theme.colours()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        card = option.rect.adjusted(4, _GAP, -4, -_GAP)
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.setPen(QColor(colours.accent if is_selected else colours.line))
        painter.setBrush(QColor(colours.raised if is_selected else colours.panel))
        painter.drawRoundedRect(QRectF(card).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        inner = card.adjusted(_PADDING, _PADDING, -_PADDING, -_PADDING)
        candidate = row.event.candidate
        for column, key_frame in enumerate((candidate.onset, candidate.apex)):
            x = inner.left() + column * (_PICTURE + 4)
            # Made anew at each painting: 0.1 ms, where a kept pixmap would double the memory of an event.
            painter.drawImage(QRect(x, inner.top(), _PICTURE, _PICTURE), image_of(key_frame.crop_bgr))
        left = inner.left() + 2 * (_PICTURE + 4) + 8
        self._paint_words(painter, QRect(left, inner.top(), inner.right() - left, inner.height()), option.font, row)
        painter.restore()

    def _paint_words(self, painter: QPainter, area: QRect, font: QFont, row: EventRow) -> None:
        candidate, prediction, colours = row.event.candidate, row.event.prediction, theme.colours()
        height = painter.fontMetrics().height()
        title_font = QFont(font)
        title_font.setWeight(QFont.Weight.DemiBold)
        title = f"{row.label or 'no class'}" + (f"  {100 * prediction.confidence:.0f} %" if row.is_automatic else "")
        class_names = prediction.class_names if prediction else ()
        position = class_names.index(row.label) if row.label in class_names else len(class_names)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.class_colour(row.label, position) if row.label else QColor(colours.muted))
        painter.drawEllipse(QRectF(area.left(), area.top() + height / 2 - 4, 8, 8))
        sign, colour = _SIGNS.get(row.review, ("", ""))
        if sign:
            painter.setFont(title_font)
            painter.setPen(QColor(getattr(colours, colour)))
            painter.drawText(QRect(area.right() - height, area.top(), height, height), 0, sign)
        for line, (indent, line_font, colour, text) in enumerate(
            (
                (14, title_font, "muted" if row.review == "rejected" else "text", title),
                (0, font, "muted", f"#{row.event.event_id}  {clock(row.apex_s)}  {candidate.duration_ms:.0f} ms"),
                (0, font, "text", regions_in_words(candidate.regions, limit=2)),
            )
        ):
            painter.setFont(line_font)
            painter.setPen(QColor(getattr(colours, colour)))
            width = area.width() - indent
            text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, width)
            painter.drawText(QRect(area.left() + indent, area.top() + line * height, width, height), 0, text)


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
