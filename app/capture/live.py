"""The reading loop that cameras and network streams share."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import Protocol

import cv2
import numpy as np

from app.capture.pixels import to_bgr
from app.datatypes import Frame, SourceInfo
from app.errors import SourceError
from app.resource import Resource

MIN_FPS = 25.0  # below it, a movement of 200 ms is fewer than five frames
FPS_TOLERANCE = 0.5  # a rate measured in a second is not exact
SETTLING_S = 0.4  # exposure is still moving, and a stream empties its buffer in a burst
MEASURING_S = 0.8
MAX_UNREADABLE_S = 3.0


_ROTATIONS = {0: None, 90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used, so that a test can make a camera fail."""

    def isOpened(self) -> bool: ...

    def set(self, prop: int, value: float) -> bool: ...

    def get(self, prop: int) -> float: ...

    def grab(self) -> bool: ...

    def retrieve(self) -> tuple[bool, np.ndarray | None]: ...

    def release(self) -> None: ...


class LiveSource(Resource):
    """Frames as they arrive, turned clockwise by `rotation_deg`: 0, 90, 180 or 270.

    Each is stamped with time.perf_counter_ns right after it was grabbed.

    (The clock of time.monotonic_ns has steps of 16 ms on Windows; on Linux and macOS the two are the same clock.)
    Subclasses set `info` from what `_measure` found, and say in `_lost` what it means that no frame came any more.
    """

    info: SourceInfo

    def __init__(self, capture: Capture, rotation_deg: int = 0) -> None:
        self._capture = capture
        self._rotation = _ROTATIONS[rotation_deg]
        self._is_closed = False
        self._has_started = False  # pictures have arrived

    def __iter__(self) -> Iterator[Frame]:
        index, dropped, last_ns = 0, 0, 0
        readable_ns = time.perf_counter_ns()
        while not self._is_closed:
            if not self._capture.grab():
                raise self._lost(f"after {index} frames")
            timestamp_ns = max(time.perf_counter_ns(), last_ns + 1)
            last_ns = timestamp_ns
            image = self._image()
            if image is None:
                dropped += 1
                if timestamp_ns - readable_ns > MAX_UNREADABLE_S * 1e9:
                    raise self._lost(f"{dropped} frames in a row were unreadable")
            else:
                readable_ns = timestamp_ns
                yield Frame(index, timestamp_ns, image, dropped_before=dropped)
                dropped = 0
            index += 1

    def close(self) -> None:
        """Release the device; call it on the thread that opened it."""
        self._is_closed = True
        self._capture.release()

    @abstractmethod
    def _lost(self, when: str) -> SourceError:
        """What to raise when the device falls silent."""

    def _image(self) -> np.ndarray | None:
        is_read, image = self._capture.retrieve()
        if not is_read or image is None or not image.size:
            return None
        image_bgr = to_bgr(image)
        return image_bgr if self._rotation is None else cv2.rotate(image_bgr, self._rotation)

    def _measure(self) -> tuple[int, int, float]:
        """Width and height in pixels and frames a second that really arrive in the first second (not kept).

        Raises what `_lost` makes of it when nothing comes.
        """
        settled_s = time.perf_counter() + SETTLING_S
        times_s: list[float] = []
        shape: tuple[int, ...] = ()
        while len(times_s) < 2 or times_s[-1] < settled_s + MEASURING_S or not shape:
            if not self._capture.grab():
                raise self._lost("right after it was opened" if shape else "before its first picture")
            now_s = time.perf_counter()
            if now_s >= settled_s:
                times_s.append(now_s)
            if not shape and (image := self._image()) is not None:
                shape = image.shape
            if not shape and now_s > settled_s + MAX_UNREADABLE_S:
                raise self._lost("its pictures cannot be read")
        self._has_started = True
        return shape[1], shape[0], (len(times_s) - 1) / (times_s[-1] - times_s[0])


def slow_warning(fps: float) -> tuple[str, ...]:
    """A warning when too few frames arrive for movements of a fifth of a second."""
    if fps >= MIN_FPS - FPS_TOLERANCE:
        return ()
    return (
        f"Only {fps:.1f} frames a second arrive; {MIN_FPS:g} are needed to see micro-expressions. More light on the "
        "face, a smaller picture or another USB port often help.",
    )


def fourcc_name(code: float) -> str:
    """Name of a codec from OpenCV's number for it; empty when there is none."""
    return int(code).to_bytes(4, "little", signed=code < 0).decode("ascii", "ignore").strip("\0 ")
