"""Errors that nobody caught, from any thread: one dialog, and the program goes on."""

from __future__ import annotations

import logging
import platform
import sys
import traceback
from types import TracebackType

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QApplication

from app import __version__
from app.runtime.workers import on_uncaught
from app.ui.dialogs import FaultDialog

logger = logging.getLogger("mmnet.ui")


class FaultReporter(QObject):
    """Shows unexpected errors. While installed, a slot that raises does not end the process, as PyQt would have it.

    Signals:
        _arrived(headline, details): carries text from whichever thread to the one that shows it.
    """

    _arrived = pyqtSignal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.dialog: FaultDialog | None = None
        self._arrived.connect(self._show)

    def install(self) -> None:
        """Take over Python's hooks for uncaught errors, of this thread and of all others."""
        self._previous = sys.excepthook
        sys.excepthook = self._hook
        self._undo = on_uncaught(self.report)

    def uninstall(self) -> None:
        sys.excepthook = self._previous
        self._undo()

    def report(self, error: BaseException, thread: str) -> None:
        """Show an unexpected error; safe from any thread."""
        headline = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        trace = "".join(traceback.format_exception(error))
        where = f"mmnet {__version__}, Python {platform.python_version()}, {platform.platform()}, thread {thread}"
        self._arrived.emit(headline, f"{where}\n\n{trace}")

    def _hook(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            QApplication.quit()
            return
        logger.error("uncaught error", exc_info=(kind, error, trace))
        self.report(error, "window")

    def _show(self, headline: str, details: str) -> None:
        if self.dialog is None:
            self.dialog = FaultDialog(QApplication.activeWindow())
            self.dialog.finished.connect(self._forget)
            self.dialog.open()
        self.dialog.add(headline, details)

    def _forget(self) -> None:
        assert self.dialog is not None
        self.dialog.deleteLater()
        self.dialog = None
