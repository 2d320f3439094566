"""The clock of a recording: frames are due at their media time, unless paused."""

from __future__ import annotations

import threading
import time

# Later than this, the clock starts anew from the late frame, instead of hurrying through what was missed.
_MAX_LATENESS_NS = 100_000_000
_WAKE_S = 0.5


class PlaybackClock:
    """Tells the capturing thread when a frame is due; any thread may pause it, resume it or change its speed."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._is_paused = False
        self._is_closed = False
        self._changed = threading.Condition()
        self._anchor_ns: tuple[int, int] | None = None  # (media time, monotonic time) of one frame

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    @property
    def speed(self) -> float:
        """Media seconds per second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._restart(speed=speed)

    def pause(self) -> None:
        self._restart(is_paused=True)

    def resume(self) -> None:
        self._restart(is_paused=False)

    def close(self) -> None:
        """End every wait, now and later."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def wait_until_due(self, timestamp_ns: int) -> bool:
        """Wait until the frame of this media time is due. False when the clock was closed."""
        with self._changed:
            while True:
                self._wait_while_paused()
                if self._is_closed:
                    return False
                now_ns = time.monotonic_ns()
                if self._anchor_ns is None:
                    self._anchor_ns = (timestamp_ns, now_ns)
                media_ns, wall_ns = self._anchor_ns
                late_ns = now_ns - wall_ns - int((timestamp_ns - media_ns) / self._speed)
                if late_ns > _MAX_LATENESS_NS:
                    self._anchor_ns = (timestamp_ns, now_ns)
                if late_ns >= 0:
                    return True
                self._changed.wait(min(-late_ns / 1e9, _WAKE_S))

    def wait_while_paused(self) -> bool:
        """Wait until playback goes on. False when the clock was closed."""
        with self._changed:
            self._wait_while_paused()
            return not self._is_closed

    def _wait_while_paused(self) -> None:
        while self._is_paused and not self._is_closed:
            self._changed.wait(_WAKE_S)

    def _restart(self, *, speed: float | None = None, is_paused: bool | None = None) -> None:
        with self._changed:
            self._speed = speed or self._speed
            self._is_paused = self._is_paused if is_paused is None else is_paused
            self._anchor_ns = None
            self._changed.notify_all()
