"""The small windows: first-start notice, sheet of keys, what to do with a bug."""

from __future__ import annotations

from collections.abc import Iterable

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from app.ui.commands import Command
from app.ui.layouts import label
from app.ui.words import NOTICE, NOTICE_TITLE


class NoticeDialog(QDialog):
    """What this program is and is not. Accepted before the first source is opened."""

    def __init__(self, parent: QWidget | None = None, *, is_first_start: bool = True) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(NOTICE_TITLE if is_first_start else "About")
        self.setMinimumWidth(560)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, 16)
        layout.setSpacing(12)
        heading = QLabel(self.windowTitle())
        heading.setObjectName("heading")
        layout.addWidget(heading)
        for paragraph in NOTICE:
            label = QLabel(paragraph)
            label.setWordWrap(True)
            layout.addWidget(label)
        buttons = QDialogButtonBox()
        accept = "I understand" if is_first_start else "Close"
        buttons.addButton(accept, QDialogButtonBox.ButtonRole.AcceptRole).setDefault(True)
        if is_first_start:
            buttons.addButton("Quit", QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)


class KeySheet(QDialog):
    """All keys and what they do, menu by menu in two columns."""

    def __init__(self, commands: Iterable[Command], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Keys")
        groups: dict[str, list[Command]] = {}
        for command in commands:
            groups.setdefault(command.menu, []).append(command)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(24, 20, 24, 20)
        outer.setSpacing(40)
        heights = [len(group) + 2 for group in groups.values()]
        # Columns as even as the order of the menus allows.
        first = min(range(1, len(heights) + 1), key=lambda n: max(sum(heights[:n]), sum(heights[n:])), default=0)
        for number, (menu, group) in enumerate(groups.items()):
            if number in (0, first):
                grid = self._new_column(outer)
            self._add_group(grid, menu, group)

    @staticmethod
    def _new_column(outer: QHBoxLayout) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        grid.setAlignment(Qt.AlignmentFlag.AlignTop)
        outer.addLayout(grid)
        return grid

    @staticmethod
    def _add_group(grid: QGridLayout, menu: str, group: list[Command]) -> None:
        row = grid.rowCount()
        heading = label("heading", menu)
        heading.setContentsMargins(0, 8 if row > 1 else 0, 0, 2)
        grid.addWidget(heading, row, 0, 1, 2)
        for offset, command in enumerate(group, start=1):
            name = label("key", " or ".join(command.keys))
            name.setAlignment(Qt.AlignmentFlag.AlignCenter)
            grid.addWidget(name, row + offset, 0)
            grid.addWidget(QLabel(command.meaning), row + offset, 1)


class ModelCardDialog(QDialog):
    """What a network says of itself: its data, its scores, and what it has never seen."""

    def __init__(self, name: str, card: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Model card: {name}")
        self.resize(760, 620)
        text = QTextBrowser()
        text.setAccessibleName("Model card")
        text.setMarkdown(card or "This network has no card: nothing is known of its data and scores.")
        text.setOpenExternalLinks(True)
        buttons = QDialogButtonBox()
        buttons.addButton("Close", QDialogButtonBox.ButtonRole.AcceptRole).setDefault(True)
        buttons.accepted.connect(self.accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.addWidget(text)
        layout.addWidget(buttons)


class FaultDialog(QDialog):
    """An error that nobody expected: the program goes on, and the details can be copied into a report."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Something went wrong")
        self.setMinimumSize(620, 360)
        self._count, self._first = 0, ""
        self._headline = QLabel()
        self._headline.setWordWrap(True)
        self._details = QPlainTextEdit(readOnly=True)
        self._details.setAccessibleName("Details")
        copy = QPushButton("Copy details")
        copy.clicked.connect(self.copy_details)
        close = QPushButton("Close")
        close.setDefault(True)
        close.clicked.connect(self.accept)
        buttons = QDialogButtonBox()
        buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(close, QDialogButtonBox.ButtonRole.AcceptRole)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.addWidget(self._headline)
        layout.addWidget(self._details)
        layout.addWidget(buttons)

    @property
    def details(self) -> str:
        return self._details.toPlainText()

    def add(self, headline: str, details: str) -> None:
        """Show one more error; those that follow an open one are counted, not stacked."""
        self._count += 1
        more = "" if self._count == 1 else f" ({self._count - 1} more followed)"
        if self._count == 1:
            self._first = headline
            self._details.setPlainText(details)
        self._headline.setText(f"This is a fault of the program, which goes on running: {self._first}{more}")

    def copy_details(self) -> None:
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(self.details)
