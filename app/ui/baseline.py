"""Three seconds of a neutral face: the resting face is learned anew, and its restlessness is measured."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from app.datatypes import SpotState
from app.runtime.records import MotionPoint
from app.ui.workspace import Workspace

DURATION_S = 3.0
_PATIENCE_S = 20.0
_MIN_POINTS = 15


class Baseline(QObject):
    """Waits for `DURATION_S` seconds without a movement and with a usable face.

    Signals:
        progressed(str): what to show over the picture; "" when it is over.
        measured(float): restlessness of the neutral face, in percent of the inter-ocular distance: the median over the
            regions of each one's standard deviation.
        failed(str): it was given up, and why.
    """

    progressed = pyqtSignal(str)
    measured = pyqtSignal(float)
    failed = pyqtSignal(str)

    def __init__(self, workspace: Workspace, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._points: list[MotionPoint] = []
        self._patience = QTimer(self, singleShot=True)
        self._patience.timeout.connect(self._give_up)
        workspace.motion_added.connect(self._take)
        workspace.opening.connect(lambda _: self.cancel())

    @property
    def is_running(self) -> bool:
        return self._patience.isActive()

    def start(self) -> None:
        """Begin, or begin again. Only while a live source runs."""
        if self._workspace.run is None:
            return
        self._workspace.run.renew_reference()
        self._points.clear()
        self._patience.start(int(_PATIENCE_S * 1e3))
        self.progressed.emit("Look neutral …")

    def cancel(self) -> None:
        if self.is_running:
            self._patience.stop()
            self.progressed.emit("")

    def _take(self, points: list[MotionPoint]) -> None:
        if not self.is_running:
            return
        for point in points:
            if point.displacement_percent is None or point.is_gap:
                self._points.clear()
            elif point.state is SpotState.IDLE:
                self._points.append(point)
            elif point.state is not SpotState.WARMUP:
                self._points.clear()
        if not self._points:
            self.progressed.emit("Look neutral, and hold still …")
            return
        left_s = DURATION_S - (self._points[-1].timestamp_ns - self._points[0].timestamp_ns) / 1e9
        if left_s > 0 or len(self._points) < _MIN_POINTS:
            self.progressed.emit(f"Look neutral … {max(1, int(np.ceil(left_s)))}")
            return
        self._patience.stop()
        moved = np.stack(
            [point.displacement_percent for point in self._points if point.displacement_percent is not None]
        )
        restlessness = float(np.median(np.linalg.norm(moved.std(axis=0), axis=1)))
        self._points.clear()
        self.progressed.emit("")
        self.measured.emit(restlessness)

    def _give_up(self) -> None:
        self._points.clear()
        self.progressed.emit("")
        self.failed.emit(
            f"No {DURATION_S:.0f} s of a still, neutral face came within {_PATIENCE_S:.0f} s. Sit comfortably, look at "
            "the camera, then try again."
        )
