"""Colours and sizes of the window: calm and dark, so that the picture is the brightest thing on it."""

from __future__ import annotations

from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QApplication

BACKGROUND = "#14171a"
PANEL = "#1b1f24"
RAISED = "#262c33"
LINE = "#343b44"
TEXT = "#e6e9ec"
MUTED = "#9aa5b1"
ACCENT = "#4db6ac"
WARNING = "#e5a84b"
ALARM = "#e0645c"
LIVE = "#e0645c"

# Okabe & Ito's palette, lightened for a dark ground: told apart with any colour vision.
_CLASS_COLOURS = {"negative": "#e8834a", "positive": "#3fbf9b", "surprise": "#6cb9f0"}
_OTHER_COLOURS = ("#e8834a", "#3fbf9b", "#6cb9f0", "#d79bc4", "#f0e060", "#9aa5b1")

_STYLE = f"""
QMainWindow, QDialog {{ background: {BACKGROUND}; }}
QDialog {{ border: 1px solid {LINE}; }}
QMenuBar {{ background: {BACKGROUND}; color: {TEXT}; padding: 2px 6px; }}
QMenuBar::item {{ padding: 4px 10px; border-radius: 4px; }}
QMenuBar::item:selected, QMenu::item:selected {{ background: {RAISED}; }}
QMenu {{ background: {PANEL}; color: {TEXT}; border: 1px solid {LINE}; padding: 4px; }}
QMenu::item {{ padding: 5px 24px; border-radius: 4px; }}
QMenu::separator {{ height: 1px; background: {LINE}; margin: 4px 8px; }}
QStatusBar {{ background: {PANEL}; border-top: 1px solid {LINE}; color: {MUTED}; }}
QStatusBar::item {{ border: none; }}
QStatusBar QLabel {{ color: {MUTED}; padding: 3px 8px; }}
QLabel#heading {{ font-weight: 600; }}
QLabel#muted {{ color: {MUTED}; }}
QLabel#badge {{ border-radius: 4px; padding: 2px 8px; font-weight: 600; background: {RAISED}; color: {MUTED}; }}
QLabel#badge[tone="live"] {{ background: {LIVE}; color: #1b0f0e; }}
QLabel#badge[tone="active"] {{ background: {ACCENT}; color: #0c1c1a; }}
QLabel#badge[tone="warning"] {{ background: {WARNING}; color: #221703; }}
QToolTip {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; padding: 4px; }}
QPushButton, QToolButton {{
    background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; border-radius: 5px; padding: 5px 12px;
}}
QPushButton:hover, QToolButton:hover {{ border-color: {MUTED}; }}
QPushButton:pressed, QToolButton:pressed, QToolButton:checked {{ background: {LINE}; }}
QToolButton:checked {{ border-color: {ACCENT}; }}
QPushButton:disabled, QToolButton:disabled {{ color: #5f6973; background: {PANEL}; }}
QPushButton:focus, QToolButton:focus, QListView:focus, QComboBox:focus {{ border: 1px solid {ACCENT}; }}
QPushButton:default {{ background: {ACCENT}; color: #0c1c1a; border-color: {ACCENT}; }}
QComboBox {{ background: {RAISED}; border: 1px solid {LINE}; border-radius: 5px; padding: 4px 8px; }}
QComboBox QAbstractItemView {{ background: {PANEL}; border: 1px solid {LINE}; }}
QListView {{ background: {PANEL}; border: 1px solid {LINE}; border-radius: 6px; outline: none; }}
QFrame#message {{ background: #3a2e18; border: 1px solid {WARNING}; border-radius: 6px; }}
QFrame#message QLabel {{ color: {TEXT}; }}
QPlainTextEdit {{ background: {PANEL}; border: 1px solid {LINE}; border-radius: 6px; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
QScrollBar::handle:vertical {{ background: {LINE}; border-radius: 3px; min-height: 28px; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
    background: none; height: 0; width: 0;
}}
"""


def apply_theme(application: QApplication) -> None:
    """Dress the whole application."""
    application.setStyle("Fusion")
    font = application.font()
    font.setPointSizeF(max(10.0, font.pointSizeF()))
    application.setFont(font)
    palette = QPalette()
    for role, colour in {
        QPalette.ColorRole.Window: BACKGROUND,
        QPalette.ColorRole.WindowText: TEXT,
        QPalette.ColorRole.Base: PANEL,
        QPalette.ColorRole.AlternateBase: RAISED,
        QPalette.ColorRole.Text: TEXT,
        QPalette.ColorRole.PlaceholderText: MUTED,
        QPalette.ColorRole.Button: RAISED,
        QPalette.ColorRole.ButtonText: TEXT,
        QPalette.ColorRole.ToolTipBase: RAISED,
        QPalette.ColorRole.ToolTipText: TEXT,
        QPalette.ColorRole.Highlight: ACCENT,
        QPalette.ColorRole.HighlightedText: BACKGROUND,
        QPalette.ColorRole.Link: ACCENT,
    }.items():
        palette.setColor(role, QColor(colour))
    application.setPalette(palette)
    application.setStyleSheet(_STYLE)


def class_colour(name: str, index: int) -> QColor:
    """The colour of an expression class: fixed for the three classes, by position for others."""
    return QColor(_CLASS_COLOURS.get(name, _OTHER_COLOURS[index % len(_OTHER_COLOURS)]))
