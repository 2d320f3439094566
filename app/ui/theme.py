"""Colours and sizes of the window, light and dark: calm, so that the picture is what one looks at.

Whoever paints asks `colours()` each time; whoever keeps a colour listens to `notifier().changed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from string import Template

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QPalette
from PyQt6.QtWidgets import QApplication

THEMES = ("system", "light", "dark")
FONT_SCALES = (0.9, 1.0, 1.15, 1.3, 1.5, 1.75)


@dataclass(frozen=True, slots=True)
class Colours:
    """One theme. `on_accent` and its like are for text on that ground; all text has a contrast of 4.5:1 or more."""

    background: str
    panel: str
    raised: str
    line: str
    text: str
    muted: str
    disabled: str
    accent: str
    on_accent: str
    warning: str
    on_warning: str
    alarm: str
    on_alarm: str
    notice: str  # ground of a message
    refused: str  # withdrawn candidates
    head: str  # head motion
    classes: tuple[str, ...]  # orange, green, blue, pink, yellow, grey after Okabe & Ito: for any colour vision

    @property
    def picture(self) -> str:
        """Around and over the camera's picture, which is the same in both themes."""
        return "#0b0d0f"


DARK = Colours(
    background="#14171a",
    panel="#1b1f24",
    raised="#262c33",
    line="#343b44",
    text="#e6e9ec",
    muted="#9aa5b1",
    disabled="#5f6973",
    accent="#4db6ac",
    on_accent="#0c1c1a",
    warning="#e5a84b",
    on_warning="#221703",
    alarm="#ec7a72",
    on_alarm="#1b0f0e",
    notice="#3a2e18",
    refused="#4a525b",
    head="#8492a1",
    classes=("#e8834a", "#3fbf9b", "#6cb9f0", "#d79bc4", "#f0e060", "#9aa5b1"),
)
LIGHT = Colours(
    background="#eef0f2",
    panel="#ffffff",
    raised="#f4f6f8",
    line="#c3cad1",
    text="#1b2127",
    muted="#55606b",
    disabled="#9aa3ab",
    accent="#0b7a70",
    on_accent="#ffffff",
    warning="#8f5600",
    on_warning="#ffffff",
    alarm="#b3261e",
    on_alarm="#ffffff",
    notice="#fdf0d5",
    refused="#aab3bb",
    head="#6b7783",
    classes=("#b4500f", "#00795a", "#0b66a8", "#a1507f", "#7a6a00", "#66717c"),
)
_CLASS_POSITIONS = {"negative": 0, "positive": 1, "surprise": 2, "none": 5}

_STYLE = Template("""
QMainWindow, QDialog, QWidget#page { background: $background; }
QDialog { border: 1px solid $line; }
QMenuBar { background: $background; color: $text; padding: 2px 6px; }
QMenuBar::item { padding: 4px 10px; border-radius: 4px; }
QMenuBar::item:selected, QMenu::item:selected { background: $raised; }
QMenu { background: $panel; color: $text; border: 1px solid $line; padding: 4px; }
QMenu::item { padding: 5px 24px; border-radius: 4px; }
QMenu::item:disabled { color: $disabled; }
QMenu::separator { height: 1px; background: $line; margin: 4px 8px; }
QStatusBar { background: $panel; border-top: 1px solid $line; color: $muted; }
QStatusBar::item { border: none; }
QStatusBar QLabel { color: $muted; padding: 3px 6px; }
QStatusBar QLabel[tone="alarm"] { background: $alarm; color: $on_alarm; font-weight: 600; border-radius: 3px; }
QStatusBar QLabel[tone="warning"] { color: $warning; font-weight: 600; }
QLabel { color: $text; }
QLabel#title { font-size: ${title_pt}pt; font-weight: 600; }
QLabel#heading { font-weight: 600; }
QLabel#muted { color: $muted; }
QLabel:disabled, QLabel#heading:disabled, QLabel#muted:disabled { color: $disabled; }
QLabel#alarm { color: $alarm; font-weight: 600; }
QLabel#badge { border-radius: 4px; padding: 2px 8px; font-weight: 600; background: $raised; color: $muted; }
QLabel#badge[tone="live"] { background: $alarm; color: $on_alarm; }
QLabel#badge[tone="active"] { background: $accent; color: $on_accent; }
QLabel#badge[tone="warning"] { background: $warning; color: $on_warning; }
QLabel#key { border: 1px solid $line; border-radius: 4px; padding: 2px 8px; font-weight: 600; background: $raised; }
QToolTip { background: $raised; color: $text; border: 1px solid $line; padding: 4px; }
QPushButton, QToolButton {
    background: $raised; color: $text; border: 1px solid $line; border-radius: 5px; padding: 5px 12px;
}
QPushButton:hover, QToolButton:hover { border-color: $muted; }
QPushButton:pressed, QToolButton:pressed { background: $line; }
QToolButton:checked { background: $panel; border-color: $accent; color: $accent; font-weight: 600; }
QPushButton:disabled, QToolButton:disabled { color: $disabled; background: $panel; }
QPushButton:focus, QToolButton:focus, QListView:focus, QLineEdit:focus, QTableView:focus, QPlainTextEdit:focus {
    border: 1px solid $accent;
}
QPushButton:default { background: $accent; color: $on_accent; border-color: $accent; }
QPushButton:default:disabled { color: $disabled; background: $panel; border-color: $line; }
QCheckBox::indicator { width: 14px; height: 14px; border: 1px solid $muted; border-radius: 3px; background: $raised; }
QCheckBox::indicator:checked { background: $accent; border: 3px solid $raised; outline: 1px solid $accent; }
QPushButton#card { text-align: left; padding: 10px 14px; background: $panel; }
QPushButton#card:hover { border-color: $accent; }
QToolButton[recording="true"], QToolButton[recording="true"]:checked {
    background: $alarm; color: $on_alarm; border-color: $alarm;
}
QFrame#drop { border: 2px dashed $line; border-radius: 8px; background: transparent; }
QFrame#drop[is_over="true"] { border-color: $accent; }
QFrame#card { background: $panel; border: 1px solid $line; border-radius: 6px; }
QLineEdit {
    background: $raised; color: $text; border: 1px solid $line; border-radius: 5px; padding: 4px 8px;
}
QLineEdit:disabled { color: $disabled; }
QComboBox, QSpinBox, QDoubleSpinBox { min-height: 26px; }
QListView, QTableView { background: $panel; border: 1px solid $line; border-radius: 6px; outline: none; }
QFrame#message { background: $notice; border: 1px solid $warning; border-radius: 6px; }
QFrame#message QLabel { color: $text; }
QPlainTextEdit, QTextBrowser { background: $panel; color: $text; border: 1px solid $line; border-radius: 6px; }
QTabWidget::pane { border: 1px solid $line; border-radius: 6px; background: $panel; top: -1px; }
QTabBar::tab { background: transparent; color: $muted; padding: 6px 14px; border-bottom: 2px solid transparent; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QDockWidget { color: $text; font-weight: 600; }
QDockWidget::title { background: $background; padding: 6px 4px 4px 4px; }
QMainWindow::separator { background: transparent; width: 6px; height: 6px; }
QMainWindow::separator:hover { background: $accent; }
QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: $accent; }
QScrollArea { background: transparent; border: none; }
QScrollBar:vertical { background: transparent; width: 10px; margin: 2px; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 2px; }
QScrollBar::handle { background: $line; border-radius: 3px; min-height: 28px; min-width: 28px; }
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {
    background: none; height: 0; width: 0;
}
QProgressBar { background: $raised; border: 1px solid $line; border-radius: 5px; text-align: center; color: $text; }
QProgressBar::chunk { background: $accent; border-radius: 4px; }
""")


class ThemeNotifier(QObject):
    """Tells of a new theme or font size.

    Signals:
        changed: `colours()` gives other colours from now on.
    """

    changed = pyqtSignal()


@cache
def notifier() -> ThemeNotifier:
    """The only one."""
    return ThemeNotifier()


_current = DARK


def colours() -> Colours:
    """The colours in use."""
    return _current


def is_dark(theme: str) -> bool:
    """Whether one of `THEMES` is dark here; that of the system is asked for."""
    if theme != "system":
        return theme == "dark"
    hints = QApplication.styleHints()
    # Most desktops without an opinion are used in lit offices, but the picture is judged better on dark.
    return hints is None or hints.colorScheme() is not Qt.ColorScheme.Light


def apply_theme(application: QApplication, theme: str = "dark", font_scale: float = 1.0) -> None:
    """Dress the whole application in one of `THEMES`; `font_scale` is a factor on the system's font."""
    global _current
    _current = DARK if is_dark(theme) else LIGHT
    application.setStyle("Fusion")
    font = QFont(_system_font())
    size_pt = max(10.0, font.pointSizeF()) * font_scale
    font.setPointSizeF(size_pt)
    application.setFont(font)
    application.setPalette(_palette(_current))
    names = {name: getattr(_current, name) for name in Colours.__slots__ if name != "classes"}
    application.setStyleSheet(_STYLE.substitute(names, title_pt=f"{1.5 * size_pt:.1f}"))
    notifier().changed.emit()


def class_colour(name: str, index: int) -> QColor:
    """The colour of an expression class: fixed for the known classes, by position for others."""
    return QColor(_current.classes[_CLASS_POSITIONS.get(name, index % len(_current.classes))])


@cache
def _system_font() -> QFont:
    # Asked once: afterwards the application's font is ours.
    return QApplication.font()


def _palette(colours: Colours) -> QPalette:
    palette = QPalette()
    for role, colour in {
        QPalette.ColorRole.Window: colours.background,
        QPalette.ColorRole.WindowText: colours.text,
        QPalette.ColorRole.Base: colours.panel,
        QPalette.ColorRole.AlternateBase: colours.raised,
        QPalette.ColorRole.Text: colours.text,
        QPalette.ColorRole.PlaceholderText: colours.muted,
        QPalette.ColorRole.Button: colours.raised,
        QPalette.ColorRole.ButtonText: colours.text,
        QPalette.ColorRole.ToolTipBase: colours.raised,
        QPalette.ColorRole.ToolTipText: colours.text,
        QPalette.ColorRole.Highlight: colours.accent,
        QPalette.ColorRole.HighlightedText: colours.on_accent,
        QPalette.ColorRole.Link: colours.accent,
    }.items():
        palette.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.disabled))
    return palette
