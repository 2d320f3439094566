"""The tour itself, in a process of its own: `python tests/tour.py FOLDER` leaves pictures of the window in FOLDER."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PyQt6.QtCore import QPoint, QPointF, Qt, QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from app.config import PipelineConfig, SourceConfig
from app.ui import application
from app.ui.window import MainWindow

WAIT_S = 100.0  # for what takes a second or two on an idle machine
STEP_MS = 20
_CONTROL = Qt.KeyboardModifier.ControlModifier


class Tour:
    """Walks through its stops on a timer, so that the window lives meanwhile; fails with the name of the stop."""

    def __init__(self, window: MainWindow, folder: Path) -> None:
        self.window, self.folder = window, folder
        self.error: BaseException | None = None
        self._stops = self._walk()
        self._is_reached: Callable[[], object] = lambda: True
        self._since_s = time.monotonic()
        self._timer = QTimer(window, interval=STEP_MS)
        self._timer.timeout.connect(self._go_on)
        self._timer.start()

    def _go_on(self) -> None:
        try:
            if self._is_reached():
                self._is_reached, self._since_s = next(self._stops), time.monotonic()
            elif time.monotonic() - self._since_s > WAIT_S:
                raise TimeoutError("waited too long")
        except StopIteration:
            self._timer.stop()
        except BaseException as error:  # noqa: BLE001 — told after the window is closed
            self.error = error
            self._timer.stop()
            self.window.close()

    def _walk(self) -> Iterator[Callable[[], object]]:
        """Each stop acts, then yields what must become true before the next one."""
        window, workspace, page = self.window, self.window.workspace, self.window.page
        yield lambda: len(workspace.events) >= 2 and workspace.newest is not None
        window.activateWindow()
        yield window.isActiveWindow
        _tell("opened")
        QTest.keyClick(window, Qt.Key.Key_N)
        event = workspace.selected
        apex = event.candidate.apex.frame_index
        yield lambda: self._frame() == apex
        QTest.keyClick(window, Qt.Key.Key_Right)
        yield lambda: self._frame() == apex + 1
        QTest.keyClick(window, Qt.Key.Key_Left)
        yield lambda: self._frame() == apex
        QTest.keyClick(window, Qt.Key.Key_Right)
        yield lambda: self._frame() == apex + 1
        assert workspace.newest.face is not None
        _tell("stepped")
        QTest.keyClick(window, Qt.Key.Key_A)
        assert self._standing(event).apex_frame == apex + 1
        QTest.keyClick(window, Qt.Key.Key_Z, _CONTROL)
        assert self._standing(event).apex_frame == apex
        self._drag_apex(page, event)
        yield lambda: self._standing(event).apex_frame != apex
        assert self._standing(event).source == "corrected"
        _tell("corrected")
        self._save("dark")
        QTest.keyClick(window, Qt.Key.Key_L)
        player = workspace.run.player
        seen: set[int] = set()
        yield lambda: seen.add(self._frame()) or len(seen) > 5
        assert player.range[0] <= min(seen) <= max(seen) <= player.range[1]
        QTest.keyClick(window, Qt.Key.Key_L)
        assert not player.is_looping
        _tell("looped")
        loop = page.evidence.loop_view
        yield lambda: loop.loop is not None
        loop.slider.setFocus()
        QTest.keyClick(loop.slider, Qt.Key.Key_PageUp)
        wanted = min(loop.factor, loop.loop.max_factor)
        yield lambda: loop.loop.factor == wanted
        difference = np.abs(loop.loop.magnified_bgr[len(loop.loop.times_ns) // 2].astype(int)
                            - loop.loop.filmed_bgr[len(loop.loop.times_ns) // 2])  # fmt: skip
        assert difference.max() > 30
        self._save("loop")
        _tell("magnified")
        QTest.keyClick(window, Qt.Key.Key_T, _CONTROL)
        self._save("light")
        ground = page.timeline.plot.grab().toImage().pixelColor(3, 3)
        assert ground.lightness() > 200
        _tell("lit")
        QTimer.singleShot(0, window.close)

    def _frame(self) -> int:
        return self.window.workspace.newest.frame.index

    def _standing(self, event):
        return self.window.tools.review.standing(event)

    def _drag_apex(self, page, event) -> None:
        """Two frames later, with the mouse."""
        timeline = page.timeline
        QTest.keyClick(self.window, Qt.Key.Key_Z)
        viewport, handle = timeline.plot.viewport(), timeline._handles["apex"]

        def place(second: float) -> QPoint:
            return timeline.plot.mapFromScene(timeline.view.mapViewToScene(QPointF(second, 4)))

        QApplication.processEvents()
        start, end = place(handle.value()), place(handle.value() + 2 / 30)
        QTest.mouseMove(viewport, start)
        QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
        for step in range(1, 6):
            QTest.mouseMove(viewport, start + (end - start) * (step / 5))
            QTest.qWait(20)
        QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=end)

    def _save(self, name: str) -> None:
        QApplication.processEvents()
        assert self.window.grab().save(str(self.folder / f"{name}.png"))


def _tell(stop: str) -> None:
    sys.stdout.write(f"{stop}\n")


def main() -> int:
    """Run the viewer on the demo with settings of its own, and the tour in it."""
    folder = Path(sys.argv[1])
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    tours: list[Tour] = []

    class TouredWindow(MainWindow):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            tours.append(Tour(self, folder))

    application.MainWindow = TouredWindow
    code = application.run_viewer("demo", SourceConfig(), PipelineConfig(), shows_notice=False)
    if tours[0].error is not None:
        raise tours[0].error
    _tell("closed")
    return code


if __name__ == "__main__":
    sys.exit(main())
