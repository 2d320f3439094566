"""Two stages at once: while a frame is registered and spotted in, later ones are tracked on a thread of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from app.datatypes import Frame, StepResult

if TYPE_CHECKING:
    from app.pipeline import Pipeline, Tracking

# So many frames tracking may be ahead: a frame that takes long on one side must not stop the other.
_AHEAD = 3


def steps(pipeline: Pipeline, frames: Iterable[Frame]) -> Iterator[StepResult]:
    """What `pipeline.step` gives for each of these frames, in order and the same, but faster.

    Each result comes when a few later frames are there, so this is for recordings: with a live source it would come
    late. An error of the frames is raised after the results of all frames before it.
    """
    waiting: deque[Future[Tracking]] = deque()
    source = iter(frames)

    def analysed(left: int) -> Iterator[StepResult]:
        while len(waiting) > left:
            yield pipeline.analyse(waiting.popleft().result())

    with ThreadPoolExecutor(1, thread_name_prefix="tracking") as tracking:
        while True:
            try:
                frame = next(source)
            except StopIteration:
                break
            except Exception:
                yield from analysed(0)
                raise
            waiting.append(tracking.submit(pipeline.track, frame))
            yield from analysed(_AHEAD)
        yield from analysed(0)
