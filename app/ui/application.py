"""`mmnet view`: from a source and its settings to a window, and back to an exit code."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from platformdirs import user_config_path
from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication

from app.config import PipelineConfig, SourceConfig
from app.errors import OutputError
from app.ui.dialogs import NoticeDialog
from app.ui.display import check_display, prepare_environment
from app.ui.faults import FaultReporter
from app.ui.garbage import GarbageTimer
from app.ui.theme import apply_theme
from app.ui.window import MainWindow

logger = logging.getLogger("mmnet.ui")

_NOTICE_SEEN = "notice_seen"


def run_viewer(
    spec: str,
    source_config: SourceConfig,
    pipeline_config: PipelineConfig,
    *,
    screenshot: Path | None = None,
    after_s: float = 5.0,
    shows_notice: bool | None = None,
) -> int:
    """Open the viewer on a source and return when it is closed.

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
    apply_theme(application)
    garbage = GarbageTimer()
    garbage.start()
    reporter = FaultReporter()
    reporter.install()
    window = MainWindow(source_config, pipeline_config, report=reporter.report)
    window.workspace.settled.connect(garbage.settle)
    # The window alone decides. Qt's own rule would wait for an open dialog, and leave behind a call to quit that ends
    # every later event loop of the process at once.
    application.setQuitOnLastWindowClosed(False)
    window.closed.connect(application.quit)
    window.show()
    if shows_notice is None:
        shows_notice = screenshot is None and QGuiApplication.platformName() != "offscreen" and not _is_notice_seen()
    if shows_notice:
        notice = NoticeDialog(window)
        notice.accepted.connect(lambda: (_settings().setValue(_NOTICE_SEEN, True), window.workspace.open_source(spec)))
        notice.rejected.connect(window.close)
        notice.open()
    else:
        QTimer.singleShot(0, lambda: window.workspace.open_source(spec))
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


def _settings() -> QSettings:
    return QSettings(str(user_config_path("mmnet") / "viewer.ini"), QSettings.Format.IniFormat)


def _is_notice_seen() -> bool:
    return _settings().value(_NOTICE_SEEN, False, type=bool)
