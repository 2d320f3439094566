"""Tracking one frame while the one before is analysed: the same results, in the same order."""

from collections.abc import Iterator

import pytest

from app.capture.demo import DemoSource
from app.config import SourceConfig
from app.datatypes import Frame
from app.errors import SourceError
from app.pipeline import Pipeline
from app.runtime.overlap import steps


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    with DemoSource(SourceConfig(start_s=1.5, end_s=3.5)) as source:
        return list(source)


def told(results) -> list[tuple]:
    return [
        (r.frame.index, r.state, r.motion.strength if r.motion else None, [c.apex_ns for c in r.decided])
        for r in results
    ]


def test_both_ways_say_the_same(frames: list[Frame]) -> None:
    with Pipeline() as one, Pipeline() as other:
        expected = told(map(one.step, frames))
        assert told(steps(other, frames)) == expected
    assert any(decided for *_, decided in expected)


def test_an_error_of_the_source_comes_after_all_its_frames(frames: list[Frame]) -> None:
    def broken() -> Iterator[Frame]:
        yield from frames[:5]
        raise SourceError("the file ends here")

    seen = []
    with Pipeline() as pipeline, pytest.raises(SourceError, match="ends here"):
        seen.extend(result.frame.index for result in steps(pipeline, broken()))
    with Pipeline() as pipeline:
        for result in steps(pipeline, broken()):
            if result.frame.index == frames[2].index:
                break  # whoever stops listening is left alone
