"""Motion over time for the timeline: hours of frames, of which any stretch can be drawn with all its peaks at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from app.face.topology import REGION_NAMES
from app.runtime.records import MotionPoint

MAX_FRAMES = 400_000  # 3.7 hours at 30 fps, 60 bytes each; of a longer live run the older half is let go
_FACTOR = 8  # frames of one level of the pyramid make one of the next
# Lane → words that its regions have in their names; a region belongs to the first lane that fits.
_GROUPS: dict[str, tuple[str, ...]] = {
    "Brows": ("brow",),
    "Eyes": ("lid",),
    "Nose, cheeks": ("nose", "cheek"),
    "Mouth": ("mouth", "lip"),
    "Chin": ("chin",),
}


def _lanes() -> dict[str, list[int]]:
    """Lane → positions of its regions; only lanes that have any."""
    rest = set(range(len(REGION_NAMES)))
    lanes: dict[str, list[int]] = {}
    for lane, words in _GROUPS.items():
        found = sorted(i for i in rest if any(word in REGION_NAMES[i] for word in words))
        rest -= set(found)
        if found:
            lanes[lane] = found
    return lanes


REGION_LANES = _lanes()
HEAD = "Head"
CURVES = (*REGION_LANES, HEAD)  # rows of the values, in the order of the lanes


@dataclass(frozen=True, eq=False, slots=True)
class Stretch:
    """A drawable piece: `times_s` (P,) and `values` (C, P), NaN where the line is broken."""

    times_s: np.ndarray
    values: np.ndarray


class MotionTrack:
    """Frame numbers, times, motion by lane and blinks, in the order of the frames.

    Motion is the displacement of the lane's region that moved most, in percent of the inter-ocular distance; of the
    head it is the speed in percent a second.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything: another source begins."""
        self._count = 0
        self._frames = np.empty(0, np.int64)
        self._times_ns = np.empty(0, np.int64)
        self._values = np.empty((len(CURVES), 0), np.float32)
        self._is_blink = np.empty(0, bool)
        self._levels: list[np.ndarray] = []  # the highest value of each block, (C, B)

    def __len__(self) -> int:
        return self._count

    @property
    def frames(self) -> np.ndarray:
        """(N,) int64 numbers of the frames."""
        return self._frames[: self._count]

    @property
    def times_ns(self) -> np.ndarray:
        """(N,) int64, increasing."""
        return self._times_ns[: self._count]

    def add(self, points: Iterable[MotionPoint]) -> None:
        """Append the points of later frames."""
        points = list(points)
        self._reserve(self._count + len(points))
        for point in points:
            at = self._count
            self._frames[at], self._times_ns[at] = point.frame_index, point.timestamp_ns
            self._is_blink[at] = point.is_blink
            # A gap breaks the line before its first frame.
            self._values[:, at] = np.nan if point.is_gap else _values_of(point)
            self._count += 1
        if self._count > MAX_FRAMES:
            self._forget_older_half()
        self._build_levels()

    def blinks_s(self, start_s: float, end_s: float, origin_ns: int) -> list[tuple[float, float]]:
        """When the eyes were shut: start and end of each blink in the stretch, seconds from the origin."""
        first, last = self._inside(start_s, end_s, origin_ns)
        shut = np.flatnonzero(np.diff(np.concatenate([[0], self._is_blink[first:last].astype(np.int8), [0]])))
        times_s = (self.times_ns[first:last] - origin_ns) / 1e9
        return [
            (float(times_s[a]), float(times_s[min(b, len(times_s) - 1)]))
            for a, b in zip(shut[::2], shut[1::2], strict=True)
        ]

    def stretch(self, start_s: float, end_s: float, origin_ns: int, width: int) -> Stretch:
        """The curves between two moments: every frame, or where these are too many the highest of a few at a time.

        `width` is how many points are useful, e.g. one for two pixels; at most four times as many come.
        """
        first, last = self._inside(start_s, end_s, origin_ns)
        block = max(1, (last - first) // max(width, 1))
        if block < 4:
            return Stretch((self.times_ns[first:last] - origin_ns) / 1e9, self._values[:, first:last])
        level = int(np.log(block) / np.log(_FACTOR))
        size = _FACTOR**level
        # Blocks begin at multiples of their size: a line that is moved or zoomed must not shimmer.
        step = max(1, block // size)
        begin = first // (size * step) * step
        end = -(-last // size)
        highest = self._blocks(level, begin, end)
        cuts = np.arange(0, highest.shape[1], step)
        middles = np.minimum((begin + cuts) * size + size * step // 2, self._count - 1)
        return Stretch((self._times_ns[middles] - origin_ns) / 1e9, np.fmax.reduceat(highest, cuts, axis=1))

    def frame_at(self, timestamp_ns: int) -> int | None:
        """The number of the analysed frame nearest to a moment; None when there is none."""
        if not self._count:
            return None
        after = int(np.clip(np.searchsorted(self.times_ns, timestamp_ns), 1, max(1, self._count - 1)))
        if self._count == 1 or timestamp_ns - self._times_ns[after - 1] < self._times_ns[after] - timestamp_ns:
            after -= 1
        return int(self._frames[after])

    def time_of(self, frame: int) -> int | None:
        """The time of a frame; None when it was not analysed."""
        at = int(np.searchsorted(self.frames, frame))
        return int(self._times_ns[at]) if at < self._count and self._frames[at] == frame else None

    def _inside(self, start_s: float, end_s: float, origin_ns: int) -> tuple[int, int]:
        """Positions of the frames in the stretch, with one more on each side."""
        bounds = np.array([start_s, end_s]) * 1e9 + origin_ns
        first, last = np.searchsorted(self.times_ns, bounds)
        return max(0, int(first) - 1), min(self._count, int(last) + 1)

    def _reserve(self, count: int) -> None:
        room = len(self._frames)
        if count <= room:
            return
        room = max(count, 2 * room, 4096)
        self._frames, self._times_ns = _grown(self._frames, room), _grown(self._times_ns, room)
        self._values, self._is_blink = _grown(self._values, room), _grown(self._is_blink, room)

    def _forget_older_half(self) -> None:
        kept = slice(self._count // 2, self._count)
        self._frames, self._times_ns = self._frames[kept].copy(), self._times_ns[kept].copy()
        self._values, self._is_blink = self._values[:, kept].copy(), self._is_blink[kept].copy()
        self._count = len(self._frames)
        self._levels = []

    def _build_levels(self) -> None:
        """Add the blocks that have become whole."""
        below = self._values[:, : self._count]
        level = 0
        while below.shape[1] >= _FACTOR:
            if level == len(self._levels):
                self._levels.append(np.empty((len(CURVES), 0), np.float32))
            have, whole = self._levels[level].shape[1], below.shape[1] // _FACTOR
            if whole > have:
                new = below[:, have * _FACTOR : whole * _FACTOR].reshape(len(CURVES), whole - have, _FACTOR)
                self._levels[level] = np.concatenate([self._levels[level], np.fmax.reduce(new, axis=2)], axis=1)
            below = self._levels[level]
            level += 1

    def _blocks(self, level: int, begin: int, end: int) -> np.ndarray:
        """The highest values of the blocks of a level; the last one may not be whole yet."""
        if level == 0:
            return self._values[:, begin : min(end, self._count)]
        highest = self._levels[level - 1][:, begin:end]
        done = begin + highest.shape[1]
        if done < end:
            rest = self._values[:, done * _FACTOR**level : self._count]
            highest = np.concatenate([highest, np.fmax.reduce(rest, axis=1, keepdims=True)], axis=1)
        return highest


def _values_of(point: MotionPoint) -> Sequence[float]:
    if point.displacement_percent is None:
        return [np.nan] * len(CURVES)
    distance = np.linalg.norm(point.displacement_percent, axis=1)
    head = np.nan if point.head_speed_percent_s is None else point.head_speed_percent_s
    return [*(float(distance[regions].max()) for regions in REGION_LANES.values()), head]


def _grown(array: np.ndarray, room: int) -> np.ndarray:
    larger = np.empty((*array.shape[:-1], room), array.dtype)
    larger[..., : array.shape[-1]] = array
    return larger
