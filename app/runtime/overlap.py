"""Two stages at once: while one frame is registered and spotted in, the next one is tracked on a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from app.datatypes import Frame, StepResult

if TYPE_CHECKING:
    from app.pipeline import Pipeline, Tracking


def steps(pipeline: Pipeline, frames: Iterable[Frame]) -> Iterator[StepResult]:
    """What `pipeline.step` gives for each of these frames, in order and the same, but faster.

    Each result comes when the next frame is there, so this is for recordings: with a live source it would come late.
    An error of the frames is raised after the results of all frames before it.
    """
    waiting: Future[Tracking] | None = None
    source = iter(frames)
    with ThreadPoolExecutor(1, thread_name_prefix="tracking") as tracking:
        while True:
            try:
                frame = next(source)
            except StopIteration:
                break
            except Exception:
                if waiting is not None:
                    yield pipeline.analyse(waiting.result())
                raise
            previous, waiting = waiting, tracking.submit(pipeline.track, frame)
            if previous is not None:
                yield pipeline.analyse(previous.result())
        if waiting is not None:
            yield pipeline.analyse(waiting.result())
