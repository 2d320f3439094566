"""How fast the threads really are: rates, milliseconds per stage, memory."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import psutil

_PROCESS = psutil.Process()


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Median and 95th percentile in milliseconds."""

    p50_ms: float
    p95_ms: float


class RateMeter:
    """Events a second over the last `window_s` seconds. Times are monotonic seconds; used from any thread."""

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_s = window_s
        self._times_s: deque[float] = deque()
        self._lock = threading.Lock()

    def tick(self, now_s: float | None = None) -> None:
        """Count one event."""
        now_s = time.monotonic() if now_s is None else now_s
        with self._lock:
            self._times_s.append(now_s)
            self._forget(now_s)

    def rate_hz(self, now_s: float | None = None) -> float:
        """Mean rate over the window; 0.0 until two events are in it."""
        now_s = time.monotonic() if now_s is None else now_s
        with self._lock:
            self._forget(now_s)
            if len(self._times_s) < 2:
                return 0.0
            span_s = self._times_s[-1] - self._times_s[0]
            # A source that has just stopped must not keep its last rate for the whole window.
            span_s = max(span_s, now_s - self._times_s[0] - span_s / (len(self._times_s) - 1))
            return (len(self._times_s) - 1) / span_s if span_s > 0 else 0.0

    def _forget(self, now_s: float) -> None:
        while self._times_s and self._times_s[0] < now_s - self._window_s:
            self._times_s.popleft()


class LatencyWindow:
    """The last `count` durations of each named stage, in milliseconds; used from any thread."""

    def __init__(self, count: int = 300) -> None:
        self._count = count
        self._windows: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def add(self, stage_ms: Mapping[str, float]) -> None:
        """Take the durations of one step."""
        with self._lock:
            for stage, elapsed_ms in stage_ms.items():
                self._windows.setdefault(stage, deque(maxlen=self._count)).append(elapsed_ms)

    def percentiles(self) -> dict[str, Percentiles]:
        """Stage → median and 95th percentile, stages in the order of their first appearance."""
        with self._lock:
            windows = {stage: list(window) for stage, window in self._windows.items()}
        return {
            stage: Percentiles(*(float(p) for p in np.percentile(window, (50, 95))))
            for stage, window in windows.items()
        }


def memory_mib() -> float:
    """Resident memory of this process in MiB."""
    return _PROCESS.memory_info().rss / 2**20
