"""Frame-exact playback of a recording: one thread decodes around the frame that is shown, any other thread commands.

What is shown follows from the clock alone: `take` gives the frame that is due. A decoded frame is there at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

from app.capture.frame_access import FrameAccess
from app.datatypes import Frame
from app.errors import MmnetError

logger = logging.getLogger("mmnet.runtime")

MAX_BYTES = 256 * 2**20  # of decoded frames: ten seconds of 640×480 at 30 fps, 1.4 s of 1080p
_AHEAD, _BEHIND = 48, 120  # frames, when there is memory for so many
_NEAR = 12  # frames that are sooner decoded through than jumped over
# Later than this, the clock starts anew from the frame that is shown, instead of hurrying through what was missed.
_MAX_LATENESS_NS = 100_000_000
_WAKE_S = 0.5


class Player:
    """Plays, steps and jumps in a recording.

    Commands may come at any time, also before the recording is open. Frames are named by their number in the recording;
    damaged ones, which cannot be shown, are stepped over.

    Args:
        open_access: opens the recording on the player's own thread.
        report: called on that thread with the error that ended it.
        max_bytes: memory for decoded frames.
        now_ns: the clock.
    """

    def __init__(
        self,
        open_access: Callable[[], FrameAccess],
        *,
        report: Callable[[Exception], None],
        max_bytes: int = MAX_BYTES,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._open_access, self._report, self._max_bytes, self._now_ns = open_access, report, max_bytes, now_ns
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self._access: FrameAccess | None = None
        self._frames: dict[int, Frame] = {}
        self._holes: set[int] = set()
        self._capacity = 8
        self._index = 0
        self._shown: Frame | None = None
        self._is_playing = True
        self._is_looping = False
        self._speed = 1.0
        self._range: tuple[int, int] | None = None
        self._anchor_ns: tuple[int, int] | None = None  # (media time, clock) of one frame
        self._pending_ns: int | None = None  # a moment asked for before the recording was open
        self._first = self._last = 0
        self._is_end_known = False
        self._is_stopping = False

    def start(self) -> None:
        self._thread.start()

    def request_stop(self) -> None:
        """End, without waiting for the thread."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when it is late."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # What is shown

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def is_ready(self) -> bool:
        """Whether the recording is open, so that its extent is known."""
        return self._access is not None

    @property
    def index(self) -> int:
        """The frame that is shown, or will be as soon as it is decoded."""
        return self._index

    @property
    def first(self) -> int:
        return self._first

    @property
    def last(self) -> int:
        """May be an estimate until the end of a damaged recording has been read."""
        return self._last

    @property
    def span_ns(self) -> tuple[int, int]:
        """Media times of the first and the last frame; (0, 0) until the recording is open."""
        return (self._access.time_ns(self._first), self._access.time_ns(self._last)) if self._access else (0, 0)

    @property
    def range(self) -> tuple[int, int] | None:
        """The frames between which is played: in and out."""
        return self._range

    @property
    def is_playing(self) -> bool:
        return self._is_playing

    @property
    def is_at_end(self) -> bool:
        return self._access is not None and self._index >= self._end()

    @property
    def is_looping(self) -> bool:
        return self._is_looping

    @property
    def speed(self) -> float:
        """Media seconds per second."""
        return self._speed

    def take(self) -> Frame | None:
        """The frame to show now; None while it is the one taken last, or not decoded yet."""
        with self._changed:
            if self._is_playing:
                self._advance()
            frame = self._frames.get(self._index)
            if frame is None or frame is self._shown:
                return None
            self._shown = frame
            return frame

    def time_ns(self, index: int) -> int:
        """Media time of a frame; 0 until the recording is open."""
        return self._access.time_ns(index) if self._access else 0

    def index_at(self, timestamp_ns: int) -> int:
        """The frame that is shown at a moment."""
        return self._access.index_at(timestamp_ns) if self._access else 0

    # Commands

    def play(self) -> None:
        """Go on; from the start, when the end had been reached."""
        with self._changed:
            is_outside = self._range is not None and not self._range[0] <= self._index <= self._range[1]
            if self.is_at_end or is_outside:
                self._index = self._begin()
            self._is_playing = True
            self._restart()

    def pause(self) -> None:
        with self._changed:
            self._is_playing = False
            self._restart()

    def set_speed(self, speed: float) -> None:
        with self._changed:
            self._speed = speed
            self._restart()

    def set_looping(self, is_looping: bool) -> None:
        """Begin again at the end, of the range when there is one."""
        with self._changed:
            self._is_looping = is_looping
            self._restart()

    def set_range(self, first: int | None, last: int | None) -> None:
        """Play between two frames only; None: from the start, to the end."""
        with self._changed:
            begin = self._first if first is None else first
            end = self._last if last is None else last
            is_whole = (first is None and last is None) or begin >= end
            self._range = None if is_whole else (begin, end)
            self._restart()

    def seek(self, index: int) -> None:
        """Show this frame next, or the nearest that there is."""
        with self._changed:
            self._index = self._sound(min(max(index, self._first), self._last))
            self._restart()

    def seek_time(self, timestamp_ns: int) -> None:
        """Show the frame of this moment next."""
        with self._changed:
            if self._access is None:
                self._pending_ns = timestamp_ns
                return
            self._index = self._sound(self._access.index_at(timestamp_ns))
            self._restart()

    def step(self, count: int) -> None:
        """Pause and go so many frames forth or, negative, back."""
        with self._changed:
            self._is_playing = False
            direction = 1 if count > 0 else -1
            for _ in range(abs(count)):
                self._index = self._neighbour(self._index, direction)
            self._restart()

    # Inside; the lock is held

    def _restart(self) -> None:
        self._anchor_ns = None
        self._changed.notify_all()

    def _begin(self) -> int:
        return self._range[0] if self._range else self._first

    def _end(self) -> int:
        """The last frame to play; outside of the range the whole recording counts."""
        if self._range and self._range[0] <= self._index <= self._range[1]:
            return self._range[1]
        return self._last

    def _sound(self, index: int) -> int:
        """The frame itself, or the next one that is not damaged."""
        if index not in self._holes:
            return index
        following = self._neighbour(index, 1)
        return following if following != index else self._neighbour(index, -1)

    def _neighbour(self, index: int, direction: int) -> int:
        found = index + direction
        while found in self._holes:
            found += direction
        return found if self._first <= found <= self._last else index

    def _advance(self) -> None:
        """Move on to the frame that is due."""
        shown = self._frames.get(self._index)
        if shown is None:
            self._anchor_ns = None
            return
        now_ns = self._now_ns()
        if self._anchor_ns is None:
            self._anchor_ns = (shown.timestamp_ns, now_ns)
        while True:
            media_ns, clock_ns = self._anchor_ns
            due_ns = media_ns + int((now_ns - clock_ns) * self._speed)
            if self._index >= self._end():
                self._turn(due_ns)
                return
            following = self._neighbour(self._index, 1)
            frame = self._frames.get(following)
            if frame is None:
                if due_ns - shown.timestamp_ns > _MAX_LATENESS_NS * self._speed:
                    self._anchor_ns = None
                return
            if frame.timestamp_ns > due_ns:
                return
            self._index, shown = following, frame
            self._changed.notify_all()

    def _turn(self, due_ns: int) -> None:
        """What happens at the last frame, once it has been shown for its time."""
        if not self._is_looping:
            self._is_playing = False
            return
        assert self._access is not None
        end = self._end()
        interval_ns = self._access.time_ns(end) - self._access.time_ns(self._neighbour(end, -1))
        if due_ns >= self._access.time_ns(end) + interval_ns:
            self._index = self._begin()
            self._restart()

    def _wanted(self) -> Iterator[int]:
        """Frames to have decoded, the most urgent first."""
        ahead = self._ahead()
        index = self._index
        yield index
        end = self._end() if self._is_end_known or self._range else index + ahead
        for _ in range(ahead):
            if index >= end:
                if not self._is_looping:
                    break
                index = self._begin()
            else:
                index += 1
            yield index
        if not self._is_playing:
            yield from range(self._index - 1, self._behind() - 1, -1)

    def _ahead(self) -> int:
        # Who stands still steps back as often as forth, and going back costs more.
        return min(_AHEAD, self._capacity // 2 if self._is_playing else self._capacity // 4)

    def _behind(self) -> int:
        """The first frame to keep ready for steps back."""
        return max(self._first, self._index - min(_BEHIND, self._capacity - self._ahead() - 2))

    def _next_to_decode(self) -> int | None:
        for wanted in self._wanted():
            is_behind_end = self._is_end_known and wanted > self._last
            if wanted in self._frames or wanted in self._holes or is_behind_end:
                continue
            if wanted >= self._index:
                return wanted
            # Decoding begins at a key frame, which may be far before: so not for each step back, but for half of the
            # frames to keep at once, from the first one on.
            first = self._behind()
            if self._index - wanted > max(1, (self._index - first) // 2) and wanted > self._first:
                return None
            missing = (n for n in range(first, wanted + 1) if n not in self._frames and n not in self._holes)
            return next(missing, None)
        return None

    def _keep(self, frame: Frame) -> None:
        self._frames[frame.index] = frame
        self._capacity = max(8, self._max_bytes // max(frame.image_bgr.nbytes, 1))
        if len(self._frames) > self._capacity:
            wanted = set(self._wanted())
            spare = [index for index in self._frames if index not in wanted] or list(self._frames)
            del self._frames[max(spare, key=lambda index: abs(index - self._index))]

    # The thread

    def _run(self) -> None:
        try:
            with self._open_access() as access:
                self._begin_with(access)
                self._decode(access)
        except Exception as error:
            if not isinstance(error, MmnetError):
                logger.exception("the player failed")
            self._report(error)

    def _begin_with(self, access: FrameAccess) -> None:
        with self._changed:
            self._first, self._last, self._is_end_known = access.first, access.last, access.is_exact
            self._access = access
            asked = self._index if self._pending_ns is None else access.index_at(self._pending_ns)
            self._index = min(max(asked, self._first), self._last)

    def _decode(self, access: FrameAccess) -> None:
        frames: Iterator[Frame] = iter(())
        position: int | None = None  # number of the frame that `frames` gives next
        while True:
            with self._changed:
                while (target := self._next_to_decode()) is None and not self._is_stopping:
                    self._changed.wait(_WAKE_S)
            if self._is_stopping or target is None:
                return
            if position is None or not position <= target <= position + _NEAR:
                frames, position = access.frames_from(target), target
            frame = self._read(frames)
            with self._changed:
                if frame is None:
                    # Nothing is left: what was taken for more frames was an estimate, or is damaged.
                    self._is_end_known = True
                    self._last = max(self._first, min(self._last, target - 1))
                    self._index = min(self._index, self._last)
                    position = None
                else:
                    self._last = max(self._last, frame.index)
                    self._holes.update(range(position, frame.index))
                    position = frame.index + 1
                    self._keep(frame)
                    self._index = self._sound(self._index)

    def _read(self, frames: Iterator[Frame]) -> Frame | None:
        try:
            return next(frames, None)
        except MmnetError as error:
            # Whoever analyses the recording meets the same error and tells of it.
            logger.info("playback ends here: %s", error)
            return None
