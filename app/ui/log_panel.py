"""The log as it is written, from every thread, in a panel that is closed until somebody wants to know."""

from __future__ import annotations

import logging

from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QFontDatabase
from PyQt6.QtWidgets import QPlainTextEdit, QPushButton, QWidget

from app.runtime.channels import Inbox
from app.ui.layouts import column, label, row

_LINES = 2000
_PERIOD_MS = 250


class LogPanel(QWidget):
    """Shows the records of the program's loggers from INFO on while it exists."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: Inbox[str] = Inbox(_LINES)
        self._text = QPlainTextEdit(readOnly=True, maximumBlockCount=_LINES)
        self._text.setAccessibleName("Log")
        self._text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        copy, clear = QPushButton("Copy all"), QPushButton("Clear")
        copy.clicked.connect(self.copy)
        clear.clicked.connect(self._text.clear)
        layout = column(self, margins=(10, 0, 10, 8))
        layout.addWidget(self._text, 1)
        layout.addLayout(row(label("muted", "What the program did, newest last."), None, copy, clear))
        self._handler = _Handler(self._lines)
        self._logger = logging.getLogger("mmnet")
        self._timer = QTimer(self, interval=_PERIOD_MS)
        self._timer.timeout.connect(self.renew)
        self._timer.start()
        self._logger.addHandler(self._handler)

    def text(self) -> str:
        return self._text.toPlainText()

    def copy(self) -> None:
        """The whole log to the clipboard."""
        self._text.selectAll()
        self._text.copy()

    def renew(self) -> None:
        """Show what was logged since the last time."""
        for line in self._lines.take_all():
            self._text.appendPlainText(line)

    def detach(self) -> None:
        """Listen no longer: the window closes."""
        self._timer.stop()
        self._logger.removeHandler(self._handler)


class _Handler(logging.Handler):
    """Formats in the thread that logs, and hands over text."""

    def __init__(self, lines: Inbox[str]) -> None:
        super().__init__(logging.INFO)
        self._lines = lines
        self.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(threadName)s  %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.put(self.format(record))
