"""`run_viewer`: where a window can be opened, the notice, screenshots, and the real thing on a real X server."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import fake_runs
from PyQt6.QtCore import QPoint, Qt, QTimer
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication
from widgets import array_of, button, dressed_and_tidy, visible  # noqa: F401 — the fixture

from app.config import PipelineConfig, SourceConfig
from app.errors import DisplayError, OutputError
from app.runtime.devices import CameraWatch
from app.settings import load_settings
from app.ui import application, display, preferences
from app.ui.dialogs import NoticeDialog
from app.ui.window import MainWindow


class TestRunViewer:
    @pytest.fixture
    def faked(self, monkeypatch, tmp_path):
        new_run, made = fake_runs(source={"count": 3000, "fps": 30})
        monkeypatch.setattr(preferences, "settings_path", lambda: tmp_path / "settings.json")
        monkeypatch.setattr(
            application,
            "MainWindow",
            lambda *args, **kwargs: MainWindow(
                *args, new_run=new_run, watch=CameraWatch(look_up=lambda known: ()), **kwargs
            ),
        )
        return made

    def run(self, **options) -> int:
        return application.run_viewer("fake", SourceConfig(), PipelineConfig(), **options)

    def test_a_screenshot_is_the_window_with_its_picture(self, qapp, faked, tmp_path):
        path = tmp_path / "window.png"
        assert self.run(screenshot=path, after_s=1.0) == 0
        image = QImage(str(path))
        assert (image.width(), image.height()) == (1280, 720)
        assert len({image.pixel(QPoint(x, 300)) for x in range(0, 800, 10)}) > 20
        assert not faked.run.is_alive

    def test_a_screenshot_that_cannot_be_saved(self, qapp, faked, tmp_path):
        with pytest.raises(OutputError, match="could not be saved"):
            self.run(screenshot=tmp_path / "nowhere" / "window.png", after_s=0.1)

    def test_the_notice_is_shown_once_and_nothing_is_opened_before(self, qtbot, faked, tmp_path):
        opened_before = []

        def accept():
            (notice,) = visible(NoticeDialog)
            opened_before.append(faked.run)
            qtbot.mouseClick(button(notice, "I understand"), Qt.MouseButton.LeftButton)

        QTimer.singleShot(300, accept)
        QTimer.singleShot(900, QApplication.closeAllWindows)
        assert not load_settings(tmp_path / "settings.json").settings.is_notice_seen
        assert self.run(shows_notice=True) == 0
        assert opened_before == [None]
        assert faked.run is not None
        assert load_settings(tmp_path / "settings.json").settings.is_notice_seen

    def test_who_does_not_agree_leaves(self, qtbot, faked, tmp_path):
        QTimer.singleShot(300, lambda: visible(NoticeDialog)[0].reject())
        assert self.run(shows_notice=True) == 0
        assert faked.run is None
        assert not load_settings(tmp_path / "settings.json").settings.is_notice_seen


class TestDisplay:
    def test_without_a_screen_the_message_names_the_way_out(self, monkeypatch):
        for name in ("QT_QPA_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(sys, "platform", "linux")
        with pytest.raises(DisplayError, match="mmnet analyze"):
            display.check_display()

    def test_a_missing_system_library_is_named(self, monkeypatch):
        def refuse(path):
            raise OSError("libxcb-cursor.so.0: cannot open shared object file")

        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
        monkeypatch.setenv("DISPLAY", ":7")
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(display.ctypes, "CDLL", refuse)
        monkeypatch.setattr(display.Path, "exists", lambda self: True)
        with pytest.raises(DisplayError, match=r"libxcb-cursor\.so\.0"):
            display.check_display()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 is the screen of Linux only")
    def test_a_screen_that_does_not_answer_is_named(self, monkeypatch):
        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
        monkeypatch.setenv("DISPLAY", ":987")
        with pytest.raises(DisplayError, match="':987'"):
            display.check_display()

    def test_only_what_opencv_set_is_taken_back(self, monkeypatch):
        monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", "/venv/site-packages/cv2/qt/plugins")
        monkeypatch.setenv("QT_QPA_FONTDIR", "/usr/share/fonts")
        display.prepare_environment()
        assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in os.environ
        assert os.environ["QT_QPA_FONTDIR"] == "/usr/share/fonts"

    def test_the_window_loads_neither_opencv_nor_mediapipe_nor_onnx_runtime(self):
        code = "import sys, app.ui.application; print({'cv2', 'mediapipe', 'onnxruntime'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"


XVFB = shutil.which("Xvfb")


@pytest.fixture
def x_server():
    """The name of a real X server that nobody looks at."""
    read_fd, write_fd = os.pipe()
    server = subprocess.Popen(
        [XVFB, "-displayfd", str(write_fd), "-screen", "0", "1280x720x24"],
        pass_fds=[write_fd],
        stderr=subprocess.DEVNULL,
    )
    os.close(write_fd)
    try:
        assert select.select([read_fd], [], [], 20)[0], "Xvfb did not start"
        yield f":{os.read(read_fd, 16).decode().strip()}"
    finally:
        os.close(read_fd)
        server.terminate()
        server.wait(10)


@pytest.mark.xcb
@pytest.mark.skipif(XVFB is None, reason="Xvfb is not installed")
def test_the_real_thing_on_a_real_x_server(x_server, tmp_path):
    """After OpenCV was imported, with the real pipeline, on the demo: the offscreen platform would hide failures."""
    path = tmp_path / "window.png"
    code = f"""
import cv2, sys
from pathlib import Path
from PyQt6.QtWidgets import QApplication
from app.config import PipelineConfig, SourceConfig
from app.ui import application

def save_once_a_face_is_shown(window, path, save=application._save):
    view = window.page.face_view
    while view.result is None or view.result.face is None:
        QApplication.processEvents()
    return save(window, path)

application._save = save_once_a_face_is_shown
sys.exit(application.run_viewer("demo", SourceConfig(), PipelineConfig(), screenshot=Path({str(path)!r}), after_s=2))
"""
    environment = os.environ | {"DISPLAY": x_server, "QT_QPA_PLATFORM": "xcb", "QT_LOGGING_TO_CONSOLE": "1"}
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    image = array_of(QImage(str(path)))
    assert image.shape[:2] == (720, 1280)
    picture = image[70:460, 150:650]
    assert picture.std() > 40  # the portrait is there, not an empty frame
    accent = np.abs(picture[..., :3].astype(int) - (0xAC, 0xB6, 0x4D)).sum(axis=2) < 40
    assert accent.sum() > 300  # and so are the box and the mesh
