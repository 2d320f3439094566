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
from app.errors import MmnetError, SourceError
from app.runtime.channels import FrameQueue
from app.runtime.metrics import RateMeter

if TYPE_CHECKING:
    from app.capture.source import Source

logger = logging.getLogger("mmnet.runtime")

_RETRY_S = 1.0  # between two attempts to open a source that was lost

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

    Live frames never wait (see `FrameQueue.offer`); recordings wait for the reader and lose nothing. While `paused` is
    set, a live source goes on being read but delivers nothing: what was left out is declared as a gap. A live source
    ends by itself after `config.end_s` seconds.

    With `returns`, a live source that is lost is opened again and again until it is back; `report` hears of the loss,
    and the frames go on counting after a gap.

    Iterating raises, after the last readable frame, whatever error ended the source; `report` hears of it at once, on
    the capturing thread. `on_open` is called there with what the source says of itself.
    """

    def __init__(
        self,
        spec: str,
        config: SourceConfig,
        *,
        paused: threading.Event | None = None,
        opener: Callable[[str, SourceConfig], Source] = open_any_source,
        report: Callable[[Exception], None] | None = None,
        on_open: Callable[[SourceInfo], None] | None = None,
        returns: bool = False,
    ) -> None:
        self._spec, self._config, self._opener, self._report = spec, config, opener, report
        self._paused = paused or threading.Event()
        self._on_open = on_open
        self._returns = returns
        self._wanted: SourceConfig | None = None  # how the source is to be opened instead
        self._waking = threading.Event()  # ends the wait for a lost source
        self._opened = threading.Event()
        self._stopping = threading.Event()
        self._info: SourceInfo | None = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._lost_in_source = 0
        self._skipped = 0  # live frames left out by a pause, not yet declared
        self._first_ns: int | None = None
        self._last_frame_s: float | None = None
        self._next_index = 0  # of the first frame after the source was opened again
        self.is_lost = False
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

    def reopen(self, config: SourceConfig) -> None:
        """Open the source in another way as soon as its next frame is there; what comes in between is a gap."""
        self._wanted = config
        self._waking.set()

    def request_stop(self) -> None:
        """End every wait, without waiting for the thread: a read in a driver cannot be interrupted."""
        self._stopping.set()
        self._waking.set()
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
            is_going_on = True
            while is_going_on:
                is_going_on = self._read_guarded()
        except MmnetError as error:
            self._fail(error)
        except Exception as error:
            logger.exception("reading %s failed", self._spec)
            self._fail(error)
        finally:
            self._opened.set()
            self.queue.close()

    def _read_guarded(self) -> bool:
        """Read until the source ends; True when it is to be opened again."""
        try:
            self._read()
        except SourceError as error:
            is_live = self._info is not None and self._info.is_live
            if not (self._returns and is_live) or self._stopping.is_set():
                raise
            if not self.is_lost:
                logger.info("lost: %s", error)
                self.is_lost = True
                if self._report:
                    self._report(error)
            self._waking.wait(_RETRY_S)
            self._waking.clear()
            return not self._stopping.is_set()
        return self._wanted is not None and not self._stopping.is_set()

    def _read(self) -> None:
        if self._wanted is not None:
            self._config, self._wanted = self._wanted, None
        with self._opener(self._spec, self._config) as source:
            info = source.info
            rate = f"{info.fps:.1f} fps" if info.fps else "unknown rate"
            logger.info(
                "%s: %s, %d×%d, %s", "back" if self.is_lost else "open", info.label, info.width, info.height, rate
            )
            self._info, self.is_lost = source.info, False
            self._opened.set()
            if self._on_open:
                self._on_open(source.info)
            try:
                self._deliver_all(source)
            finally:
                self._info = source.info  # it may have gained warnings

    def _deliver_all(self, source: Source) -> None:
        deliver = self._deliver_live if source.info.is_live else self.queue.put
        first_index = self._next_index
        for frame in source:
            self.captured += 1
            self._lost_in_source += frame.dropped_before
            self._last_frame_s = time.monotonic()
            self.rate.tick(self._last_frame_s)
            if first_index:
                is_first = frame.index == 0
                frame = replace(frame, index=first_index + frame.index, dropped_before=frame.dropped_before + is_first)
            self._next_index = frame.index + 1
            if self._stopping.is_set() or self._wanted is not None or not deliver(frame):
                break

    def _fail(self, error: Exception) -> None:
        self.error = error
        if self._report:
            self._report(error)

    def _deliver_live(self, frame: Frame) -> bool:
        if self._first_ns is None:
            self._first_ns = frame.timestamp_ns
        if self._config.end_s is not None and frame.timestamp_ns - self._first_ns >= self._config.end_s * 1e9:
            return False
        if self._paused.is_set():
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
