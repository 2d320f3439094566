"""How long the window keeps the user waiting: the time during which its thread answers nobody."""

from __future__ import annotations

import time
from collections import deque

import numpy as np
from PyQt6.QtCore import QObject, Qt, QTimer

PERIOD_MS = 10
LIMIT_MS = 50.0
_WINDOW_S = 10.0


class BlockMeter(QObject):
    """Measures by how much a short timer of the window's thread is late.

    It sees all that keeps the thread busy: painting, Python's garbage, another thread that holds the interpreter,
    and a machine that gives the program no time.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._blocks_ms: deque[float] = deque(maxlen=int(_WINDOW_S * 1000 / PERIOD_MS))
        self._last_s = time.perf_counter()
        self._timer = QTimer(self, interval=PERIOD_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def percentile_ms(self, percent: float) -> float:
        """Of the blocks of the last ten seconds, e.g. 99 or 100; 0.0 before the first."""
        return float(np.percentile(self._blocks_ms, percent)) if self._blocks_ms else 0.0

    def restart(self) -> None:
        """Forget what was measured: start-up is over."""
        self._blocks_ms.clear()
        self._last_s = time.perf_counter()

    def _tick(self) -> None:
        now_s = time.perf_counter()
        self._blocks_ms.append(max(0.0, (now_s - self._last_s) * 1e3 - PERIOD_MS))
        self._last_s = now_s
