"""`mmnet view`: from a source and its settings to a window, and back to an exit code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PyQt6.QtCore import QTimer
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication

from app.config import PipelineConfig, SourceConfig
from app.errors import OutputError
from app.ui.dialogs import NoticeDialog
from app.ui.display import check_display, prepare_environment
from app.ui.faults import FaultReporter
from app.ui.garbage import GarbageTimer
from app.ui.preferences import Preferences
from app.ui.theme import apply_theme
from app.ui.window import MainWindow

logger = logging.getLogger("mmnet.ui")


def run_viewer(
    spec: str | None,
    source_config: SourceConfig,
    pipeline_config: PipelineConfig,
    *,
    screenshot: Path | None = None,
    after_s: float = 5.0,
    shows_notice: bool | None = None,
) -> int:
    """Open the viewer on a source, or on its start page when `spec` is None, and return when it is closed.

    Args:
        screenshot: save the window there as a picture, `after_s` seconds after it opened, and leave.
        shows_notice: show the first-start notice; None: once for each user, never for a screenshot or without a screen.

    Raises:
        DisplayError: when no window can be opened here. OutputError: when the screenshot cannot be saved.
    """
    prepare_environment()
    check_display()
    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    application.setApplicationName("mmnet")
    application.setDesktopFileName("mmnet")
    preferences = Preferences()
    settings = preferences.settings
    apply_theme(application, settings.theme, settings.font_scale)
    hints = application.styleHints()
    assert hints is not None
    hints.colorSchemeChanged.connect(lambda _: _follow_system(application, preferences))
    garbage = GarbageTimer()
    garbage.start()
    reporter = FaultReporter()
    reporter.install()
    with _log_for_the_window():
        window = MainWindow(pipeline_config, preferences, report=reporter.report)
        window.workspace.settled.connect(garbage.settle)
        # The window alone decides. Qt's own rule would wait for an open dialog, and leave behind a call to quit that
        # ends every later event loop of the process at once.
        application.setQuitOnLastWindowClosed(False)
        window.closed.connect(application.quit)
        if screenshot is None:
            window.restore_layout()
        window.show()

        def begin() -> None:
            if spec is not None:
                window.open(spec, source_config)

        if shows_notice is None:
            is_seen = screenshot is not None or QGuiApplication.platformName() == "offscreen"
            shows_notice = not (is_seen or settings.is_notice_seen)
        if shows_notice:
            notice = NoticeDialog(window)
            notice.accepted.connect(lambda: (preferences.change(is_notice_seen=True), begin()))
            notice.rejected.connect(window.close)
            notice.open()
        else:
            QTimer.singleShot(0, begin)
        saved: list[bool] = []
        if screenshot is not None:
            QTimer.singleShot(int(after_s * 1e3), lambda: (saved.append(_save(window, screenshot)), window.close()))
        try:
            code = application.exec()
        finally:
            window.close()
            reporter.uninstall()
            application.closeAllWindows()
            garbage.stop()
    if screenshot is not None and saved == [False]:
        raise OutputError(f"The screenshot could not be saved as {screenshot}: is the folder there, is it a .png?")
    if window.late_threads:
        # A thread inside a camera driver cannot be ended, and Python would crash it while shutting down.
        logging.shutdown()
        os._exit(code)
    return code


def _save(window: MainWindow, path: Path) -> bool:
    return window.grab().save(str(path))


def _follow_system(application: QApplication, preferences: Preferences) -> None:
    settings = preferences.settings
    if settings.theme == "system":
        apply_theme(application, settings.theme, settings.font_scale)


@contextmanager
def _log_for_the_window() -> Iterator[None]:
    """Let records from INFO on reach the log panel, and the terminal only those that it would get anyway."""
    loggers = logging.getLogger("mmnet")
    level = loggers.getEffectiveLevel()
    handlers = [(handler, handler.level) for handler in logging.root.handlers]
    for handler, _ in handlers:
        handler.setLevel(max(handler.level, level))
    before = loggers.level
    loggers.setLevel(min(level, logging.INFO))
    try:
        yield
    finally:
        loggers.setLevel(before)
        for handler, own_level in handlers:
            handler.setLevel(own_level)
