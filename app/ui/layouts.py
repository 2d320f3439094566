"""Rows and labels as every panel uses them."""

from __future__ import annotations

from PyQt6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

SPACING = 8


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
    if widget.text() == text and widget.property("tone") == tone:
        return
    widget.setText(text)
    widget.setProperty("tone", tone)
    style = widget.style()
    assert style is not None
    style.unpolish(widget)
    style.polish(widget)
