"""A source on its own thread: opened, read and closed there, so that a slow analysis never makes its frames old."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from app.config import SourceConfig
from app.datatypes import Frame, SourceInfo
from app.errors import MmnetError
from app.runtime.channels import FrameQueue
from app.runtime.metrics import RateMeter
from app.runtime.playback import PlaybackClock

if TYPE_CHECKING:
    from app.capture.source import Source

logger = logging.getLogger("mmnet.runtime")

# Threads import their libraries themselves, so that a window is there at once; one after the other, because packages
# that import each other in circles are not safe to load from two threads.
import_lock = threading.Lock()


def open_any_source(spec: str, config: SourceConfig) -> Source:
    """`app.capture.source.open_source`, imported on first use."""
    with import_lock:
        from app.capture.source import open_source
    return open_source(spec, config)


class Capture:
    """Reads a source on a thread of its own; iterate it on one other thread to get the frames in order.

    Live frames never wait (see `FrameQueue.offer`); recordings wait for the reader and lose nothing. With a `clock`,
    recordings are paced at media time, and a paused live source goes on being read but delivers nothing: what was left
    out is declared as a gap. A live source ends by itself after `config.end_s` seconds.

    Iterating raises, after the last readable frame, whatever error ended the source; `report` hears of it at once, on
    the capturing thread.
    """

    def __init__(
        self,
        spec: str,
        config: SourceConfig,
        *,
        clock: PlaybackClock | None = None,
        opener: Callable[[str, SourceConfig], Source] = open_any_source,
        report: Callable[[Exception], None] | None = None,
    ) -> None:
        self._spec, self._config, self._clock, self._opener, self._report = spec, config, clock, opener, report
        self._opened = threading.Event()
        self._stopping = threading.Event()
        self._info: SourceInfo | None = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._lost_in_source = 0
        self._skipped = 0  # live frames left out by a pause, not yet declared
        self._first_ns: int | None = None
        self._last_frame_s: float | None = None
        self.queue = FrameQueue()
        self.rate = RateMeter()
        self.captured = 0
        self.error: Exception | None = None

    def start(self) -> Self:
        self._thread.start()
        return self

    @property
    def info(self) -> SourceInfo:
        """What the source says of itself; waits until it is open and raises what kept it from opening."""
        while not self._opened.wait(0.5):
            pass  # an endless wait on Windows does not notice Ctrl+C
        if self._info is None:
            raise self.error or RuntimeError("the capture was stopped before its source was open")
        return self._info

    @property
    def info_if_open(self) -> SourceInfo | None:
        """The same without waiting: None until the source is open."""
        return self._info

    @property
    def dropped(self) -> int:
        """Frames lost so far, by the source itself or because the reader was behind."""
        return self._lost_in_source + self.queue.dropped

    @property
    def silence_s(self) -> float:
        """Seconds since the last frame arrived; 0.0 before the first."""
        return 0.0 if self._last_frame_s is None else time.monotonic() - self._last_frame_s

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def request_stop(self) -> None:
        """End every wait, without waiting for the thread: a read in a driver cannot be interrupted."""
        self._stopping.set()
        if self._clock:
            self._clock.close()
        self.queue.close(discard=True)

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when it is late."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def __iter__(self) -> Iterator[Frame]:
        yield from self.queue
        if self.error:
            raise self.error

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.request_stop()
        if not self.join(timeout_s=2.0):
            logger.warning("the capture thread is still blocked in reading %s", self._spec)

    def _run(self) -> None:
        try:
            with self._opener(self._spec, self._config) as source:
                self._info = source.info
                self._opened.set()
                try:
                    self._deliver_all(source)
                finally:
                    self._info = source.info  # it may have gained warnings
        except MmnetError as error:
            self._fail(error)
        except Exception as error:
            logger.exception("reading %s failed", self._spec)
            self._fail(error)
        finally:
            self._opened.set()
            self.queue.close()

    def _deliver_all(self, source: Source) -> None:
        deliver = self._deliver_live if source.info.is_live else self._deliver_recorded
        for frame in source:
            self.captured += 1
            self._lost_in_source += frame.dropped_before
            self._last_frame_s = time.monotonic()
            self.rate.tick(self._last_frame_s)
            if self._stopping.is_set() or not deliver(frame):
                break

    def _fail(self, error: Exception) -> None:
        self.error = error
        if self._report:
            self._report(error)

    def _deliver_recorded(self, frame: Frame) -> bool:
        return (self._clock is None or self._clock.wait_until_due(frame.timestamp_ns)) and self.queue.put(frame)

    def _deliver_live(self, frame: Frame) -> bool:
        if self._first_ns is None:
            self._first_ns = frame.timestamp_ns
        if self._config.end_s is not None and frame.timestamp_ns - self._first_ns >= self._config.end_s * 1e9:
            return False
        if self._clock and self._clock.is_paused:
            self._skipped += 1 + frame.dropped_before
            return True
        if self._skipped:
            frame = replace(frame, dropped_before=frame.dropped_before + self._skipped)
            self._skipped = 0
        return self.queue.offer(frame)


def captured_frames(spec: str, config: SourceConfig) -> Capture:
    """The frames of a source through a thread, for a reader that may be slow now and then.

    Use it as a context manager; `info`, `captured` and `dropped` describe the source and what became of its frames::

        with captured_frames("0", SourceConfig()) as capture:
            for frame in capture:
                ...

    Raises what the source raises: SourceError and its subclasses.
    """
    return Capture(spec, config)
