"""What passes between threads. Every wait ends: a channel that is closed wakes all who wait on it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from app.datatypes import Frame

Item = TypeVar("Item")

# Waits look up this often, because an endless wait on Windows does not notice Ctrl+C.
_WAKE_S = 0.5


class Mailbox(Generic[Item]):
    """One slot for whoever only wants the newest: `put` never waits and replaces what nobody took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._item: Item | None = None
        self.overwritten = 0

    def put(self, item: Item) -> None:
        with self._lock:
            self.overwritten += self._item is not None
            self._item = item

    def take(self) -> Item | None:
        """The newest item, once; None when there is nothing new."""
        with self._lock:
            item, self._item = self._item, None
            return item


class Inbox(Generic[Item]):
    """Small records that must all arrive, in order; neither side ever waits.

    `limit` bounds the memory when nobody empties it: the oldest go first and are counted in `lost`.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._lock = threading.Lock()
        self._items: deque[Item] = deque(maxlen=limit)
        self.lost = 0

    def put(self, item: Item) -> None:
        with self._lock:
            self.lost += len(self._items) == self._items.maxlen
            self._items.append(item)

    def take_all(self) -> list[Item]:
        """Everything that arrived since the last call, oldest first."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
            return items


class FrameQueue:
    """Frames in order from one capturing to one analysing thread, at most `max_span_s` of them.

    Recordings use `put`, which waits for room, so nothing is lost. Live sources use `offer`, which never waits: when
    the queue is full everything waiting is given up at once, and the next frame says so in `dropped_before`. One long
    gap leaves the spotter undisturbed until the queue is full again; giving up single frames would reset it each time.
    """

    def __init__(self, max_span_s: float = 0.5, max_count: int = 64) -> None:
        self._max_span_ns = int(max_span_s * 1e9)
        self._max_count = max_count
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._dropped = 0

    def put(self, frame: Frame) -> bool:
        """Wait for room, then append. False when the queue was closed instead."""
        with self._changed:
            while not (self._is_closed or self._has_room_for(frame)):
                self._changed.wait(_WAKE_S)
            self._append(frame)
            return not self._is_closed

    def offer(self, frame: Frame) -> bool:
        """Append without ever waiting; a full queue is emptied first and counted. False when the queue is closed."""
        with self._changed:
            if not (self._is_closed or self._has_room_for(frame)):
                self._dropped += len(self._frames)
                lost = sum(1 + waiting.dropped_before for waiting in self._frames)
                self._frames.clear()
                frame = replace(frame, dropped_before=frame.dropped_before + lost)
            self._append(frame)
            return not self._is_closed

    def get(self) -> Frame | None:
        """The next frame, waiting for it; None when the queue is closed and empty."""
        with self._changed:
            while not (self._frames or self._is_closed):
                self._changed.wait(_WAKE_S)
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def __iter__(self) -> Iterator[Frame]:
        return iter(self.get, None)

    def close(self, *, discard: bool = False) -> None:
        """Take no more frames. Those that wait are still delivered, unless `discard`."""
        with self._changed:
            self._is_closed = True
            if discard:
                self._frames.clear()
            self._changed.notify_all()

    @property
    def depth(self) -> int:
        """Frames waiting now."""
        with self._changed:
            return len(self._frames)

    @property
    def dropped(self) -> int:
        """Frames given up so far because analysis was behind."""
        with self._changed:
            return self._dropped

    def _append(self, frame: Frame) -> None:
        if not self._is_closed:
            self._frames.append(frame)
            self._changed.notify_all()

    def _has_room_for(self, frame: Frame) -> bool:
        # Two frames always fit, however slow the recording: otherwise one thread would wait for the other.
        if len(self._frames) < 2:
            return True
        span_ns = frame.timestamp_ns - self._frames[0].timestamp_ns
        return span_ns <= self._max_span_ns and len(self._frames) < self._max_count
