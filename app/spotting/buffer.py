"""A buffer cut by time, never by a number of frames: cameras and phones record at a variable rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """Anything with a time."""

    @property
    def timestamp_ns(self) -> int:
        """Integer nanoseconds."""


T = TypeVar("T", bound=Timed)


class TimeBuffer(Generic[T]):
    """Keeps the items of the last `duration_s` seconds, oldest first.

    Raises:
        ValueError: from `append` when time does not advance; join nothing across that, `clear` first.
    """

    def __init__(self, duration_s: float) -> None:
        self._duration_ns = int(duration_s * 1e9)
        self._items: deque[T] = deque()

    def append(self, item: T) -> None:
        """Add the newest item and let go of those that are too old."""
        if self._items and item.timestamp_ns <= self._items[-1].timestamp_ns:
            raise ValueError(f"time went from {self._items[-1].timestamp_ns} to {item.timestamp_ns} ns")
        self._items.append(item)
        while item.timestamp_ns - self._items[0].timestamp_ns > self._duration_ns:
            self._items.popleft()

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()

    @property
    def span_ns(self) -> int:
        """Time between the oldest and the newest item."""
        return self._items[-1].timestamp_ns - self._items[0].timestamp_ns if self._items else 0

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __getitem__(self, position: int) -> T:
        return self._items[position]
