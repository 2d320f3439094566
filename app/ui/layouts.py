"""Rows and labels as every panel uses them."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

SPACING = 8


class ElidedLabel(QLabel):
    """A line that is shortened by … in its middle where its place is too small; it never asks for more."""

    def __init__(self, text: str = "", name: str = "") -> None:
        super().__init__(text)
        self.setObjectName(name)
        self._whole = text
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)

    @property
    def whole(self) -> str:
        """The text as it was given."""
        return self._whole

    def set_whole(self, text: str) -> None:
        """Show another text."""
        self._whole = text
        self.setToolTip(text)
        self.updateGeometry()
        self._elide()

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._whole) + self._padding() + 4, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(6 * self.fontMetrics().averageCharWidth(), super().minimumSizeHint().height())

    def _padding(self) -> int:
        return self.width() - self.contentsRect().width()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        elided = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideMiddle, self.contentsRect().width())
        if elided != self.text():
            self.setText(elided)


def label(name: str, text: str = "") -> QLabel:
    """A label in one of the theme's styles: heading, title, muted, badge, or "" for plain text."""
    made = QLabel(text)
    made.setObjectName(name)
    return made


def row(*widgets: QWidget | None, spacing: int = SPACING) -> QHBoxLayout:
    """Widgets side by side; None stands for the room that is left."""
    made = QHBoxLayout()
    made.setSpacing(spacing)
    for widget in widgets:
        if widget is None:
            made.addStretch(1)
        else:
            made.addWidget(widget)
    return made


def column(parent: QWidget, *, margins: tuple[int, int, int, int] = (0, 0, 0, 0), spacing: int = 6) -> QVBoxLayout:
    """The layout of a panel: left, top, right and bottom margins in pixels."""
    made = QVBoxLayout(parent)
    made.setContentsMargins(*margins)
    made.setSpacing(spacing)
    return made


def set_tone(widget: QLabel, text: str, tone: str) -> None:
    """Text and tone ("", live, active, warning) of a badge; restyled only when something changed."""
    is_elided = isinstance(widget, ElidedLabel)
    if (widget.whole if is_elided else widget.text()) == text and widget.property("tone") == tone:
        return
    if is_elided:
        widget.set_whole(text)
    else:
        widget.setText(text)
    widget.setProperty("tone", tone)
    style = widget.style()
    assert style is not None
    style.unpolish(widget)
    style.polish(widget)
