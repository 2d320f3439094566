"""Any frame of a recording by its number, for whoever steps, jumps and plays backwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile

import numpy as np

from app.capture.source import RandomAccess, Source
from app.capture.span import TimeSpan
from app.config import SourceConfig
from app.datatypes import Frame
from app.errors import SourceError
from app.resource import Resource

_GUESSED_FPS = 25.0
_GUESSED_COUNT = 1


class FrameAccess(Resource):
    """The frames of a recording, numbered and timed as whoever reads it from the start numbers and times them.

    Sources that cannot jump are read again from their start for each step back: slow, but never a wrong frame; their
    times are estimates until a frame has been read. Use it on one thread, `index_at` and `time_ns` on any.

    Raises:
        SourceError: the source is live, or cannot be opened.
    """

    def __init__(self, spec: str, config: SourceConfig, opener: Callable[[str, SourceConfig], Source]) -> None:
        self._spec, self._config, self._opener = spec, config, opener
        self._source = opener(spec, config)
        self.info = self._source.info
        try:
            if self.info.is_live:
                raise SourceError(f"{self.info.label} is live: only recordings can be looked at frame by frame.")
            span = TimeSpan.of(config)
            times = self._source.timestamps_ns() if isinstance(self._source, RandomAccess) else None
        except BaseException:
            self._source.close()
            raise
        self.is_exact = times is not None
        if times is None:
            count = self.info.frame_count or _GUESSED_COUNT
            times = (np.arange(count) * 1e9 / (self.info.fps or _GUESSED_FPS)).round().astype(np.int64)
        self._times_ns = times
        self._iterator: Iterator[Frame] | None = None
        self._read_to = 0  # of a source that cannot jump: the number of the next frame it gives
        inside = np.flatnonzero((times >= span.start_ns) & (times < (span.end_ns or np.iinfo(np.int64).max)))
        self.first = int(inside[0]) if len(inside) else 0
        self.last = int(inside[-1]) if len(inside) else 0

    def time_ns(self, index: int) -> int:
        """Media time of a frame."""
        return int(self._times_ns[min(max(index, 0), len(self._times_ns) - 1)])

    def index_at(self, timestamp_ns: int) -> int:
        """The frame that is shown at a moment, within the span."""
        found = int(np.searchsorted(self._times_ns, timestamp_ns, side="right")) - 1
        return min(max(found, self.first), self.last)

    def frames_from(self, index: int) -> Iterator[Frame]:
        """Frames in order from this one on. The iterator before is not to be used any more."""
        if self.is_exact:
            return takewhile(lambda frame: frame.index <= self.last, self._source.frames_from(index))
        return self._read_through(index)

    def close(self) -> None:
        """Release the source; frames already delivered stay valid."""
        self._source.close()

    def _read_through(self, index: int) -> Iterator[Frame]:
        if self._iterator is None or index < self._read_to:
            if self._iterator is not None:
                self._source.close()
                self._source = self._opener(self._spec, self._config)
            self._iterator = iter(self._source)
        for frame in self._iterator:
            self._read_to = frame.index + 1
            self._learn(frame)
            if frame.index >= index:
                yield frame

    def _learn(self, frame: Frame) -> None:
        missing = frame.index + 1 - len(self._times_ns)
        if missing > 0:
            self._times_ns = np.concatenate([self._times_ns, np.full(missing, frame.timestamp_ns, np.int64)])
        shift = frame.timestamp_ns - int(self._times_ns[frame.index])
        if shift:
            # What follows is moved along, so that the estimates stay in order.
            times = self._times_ns.copy()
            times[frame.index :] += shift
            self._times_ns = times
        self.last = max(self.last, frame.index)
