"""Tracking a few frames ahead: the same results in the same order, and errors where they belong."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from app.capture.demo import DemoSource
from app.config import SourceConfig
from app.datatypes import Frame
from app.errors import TruncatedSourceError
from app.pipeline import Pipeline
from app.runtime.overlap import steps


def demo_frames() -> Iterator[Frame]:
    with DemoSource(SourceConfig(start_s=1.0, end_s=3.2)) as source:
        yield from source


def test_results_are_those_of_single_steps() -> None:
    with Pipeline() as one, Pipeline() as other:
        single = [one.step(frame) for frame in demo_frames()]
        overlapped = list(steps(other, demo_frames()))
    assert [result.frame.index for result in overlapped] == [result.frame.index for result in single]
    for a, b in zip(single, overlapped, strict=True):
        assert a.state is b.state
        assert (a.motion is None) == (b.motion is None)
        if a.motion is not None:
            np.testing.assert_array_equal(a.motion.displacement_percent, b.motion.displacement_percent)
    assert [c.onset_ns for r in single for c in r.decided] == [c.onset_ns for r in overlapped for c in r.decided]
    assert set(overlapped[-1].stage_ms) == {"track", "register", "spot"}


class Echo:
    """A pipeline whose results are the frames themselves; tracking of one of them may fail."""

    def __init__(self, fails_at: int = -1) -> None:
        self.threads: set[str] = set()
        self._fails_at = fails_at

    def track(self, frame: int) -> int:
        self.threads.add(threading.current_thread().name)
        if frame == self._fails_at:
            raise RuntimeError("the tracker failed")
        return frame

    def analyse(self, tracking: int) -> int:
        return tracking


def test_an_error_of_the_source_comes_after_the_frames_before_it() -> None:
    def broken() -> Iterator[int]:
        yield from range(5)
        raise TruncatedSourceError("the file ends early")

    results = steps(Echo(), broken())
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(TruncatedSourceError, match="ends early"):
        next(results)


def test_an_error_of_the_tracker_is_raised() -> None:
    results = steps(Echo(fails_at=3), range(6))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="tracker failed"):
        next(results)


def test_stopping_early_leaves_no_thread() -> None:
    echo = Echo()
    results = steps(echo, range(100))
    assert [next(results), next(results)] == [0, 1]
    results.close()
    assert all("tracking" in name for name in echo.threads)
    assert not [thread for thread in threading.enumerate() if "tracking" in thread.name]


def test_tracking_is_a_few_frames_ahead_and_no_more() -> None:
    taken = 0

    def counted() -> Iterator[int]:
        nonlocal taken
        for frame in range(100):
            taken += 1
            yield frame

    results = steps(Echo(), counted())
    for index in range(20):
        assert next(results) == index
        assert index + 2 <= taken <= index + 8
    results.close()


def test_no_frames_no_results() -> None:
    assert list(steps(Echo(), [])) == []
