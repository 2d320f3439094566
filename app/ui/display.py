"""Can a window be opened here? Asked before Qt is, because Qt aborts the process when it cannot."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from app.errors import DisplayError

# OpenCV points these to the Qt 5 inside its own wheel, and Qt 6 would blame that folder for whatever is missing.
_SET_BY_OPENCV = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")


def prepare_environment() -> None:
    """Undo what importing OpenCV did to Qt's environment variables. Call before QApplication is built."""
    for name in _SET_BY_OPENCV:
        if "cv2" in os.environ.get(name, ""):
            del os.environ[name]


def check_display() -> None:
    """Raise DisplayError, with what to do, when Qt would abort for want of a screen or of a system library."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM", "xcb").split(":")[0] != "xcb":
        return
    if not os.environ.get("DISPLAY"):
        if os.environ.get("WAYLAND_DISPLAY"):
            return
        raise DisplayError(
            "There is no screen here (DISPLAY is not set). Start the viewer from a desktop session, or use "
            "`mmnet analyze`, which needs none."
        )
    import PyQt6

    plugin = Path(PyQt6.__file__).parent / "Qt6" / "plugins" / "platforms" / "libqxcb.so"
    if not plugin.exists():
        return  # a distribution's own PyQt6: its packages pull in what they need
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        raise DisplayError(
            f"A system library that Qt needs is missing: {error}. Install the packages named under "
            '"System packages" in README.md (on Debian: libxcb-cursor0 and its relatives).'
        ) from error
    if not _answers():
        raise DisplayError(
            f"The screen {os.environ['DISPLAY']!r} (DISPLAY) does not answer. Start the viewer from a desktop session, "
            "or use `mmnet analyze`, which needs none."
        )


def _answers() -> bool:
    """Whether an X server can be reached."""
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    has_failed = bool(xcb.xcb_connection_has_error(connection))
    xcb.xcb_disconnect(connection)
    return not has_failed
