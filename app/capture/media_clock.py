"""Strictly increasing media time from the timestamps of a file, whatever these do."""

from __future__ import annotations

JUMP_NS = 1_000_000_000  # farther back than this, the clock of the recording was set anew


class MediaClock:
    """Gives each frame its time in nanoseconds, first frame = 0, in the order of presentation.

    Good timestamps pass unchanged. A repeated, missing or slightly decreasing one is put half a frame interval after
    the frame before it: later good ones then catch up, and no interval is so short that a movement looks sudden.
    After a jump back of more than a second the rest is moved so that it follows one interval later. `jumps` counts
    those, `repairs` all that did not pass unchanged.
    """

    def __init__(self, interval_ns: int) -> None:
        self.repairs = 0
        self.jumps = 0
        self._interval_ns = max(interval_ns, 2)
        self._zero_ns: int | None = None  # media time of the first frame, moved by every jump
        self._media_ns = 0  # last time that the file gave, from zero
        self._last_ns = 0

    def stamp(self, media_ns: int | None) -> int:
        """Time of the next frame; `media_ns` is what the file says of it, None if nothing."""
        if self._zero_ns is None:
            self._zero_ns = media_ns or 0
            return 0
        earliest_ns = self._last_ns + self._interval_ns // 2
        if media_ns is None:
            earliest_ns = self._media_ns = self._last_ns + self._interval_ns
        elif media_ns - self._zero_ns < self._media_ns - JUMP_NS:
            earliest_ns = self._media_ns = self._last_ns + self._interval_ns
            self._zero_ns = media_ns - self._media_ns
            self.jumps += 1
        else:
            self._media_ns = media_ns - self._zero_ns
            if self._media_ns > self._last_ns:
                self._last_ns = self._media_ns
                return self._last_ns
        self.repairs += 1
        self._last_ns = earliest_ns
        return self._last_ns
