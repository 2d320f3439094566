"""Pictures of the movement that is looked at, made on a thread of their own: flow takes half a second and more."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from app.datatypes import Candidate, KeyFrame, Prediction
from app.runtime.capture import import_lock
from app.runtime.channels import Inbox

if TYPE_CHECKING:
    from app.evidence.magnification import Magnifier

logger = logging.getLogger("mmnet.runtime")


@dataclass(frozen=True, eq=False, slots=True)
class Pictures:
    """What can be shown at once of a movement: (S, S, 3) uint8 BGR each.

    `amplification` is that of the difference; `attention_bgr` is None without a network.
    """

    candidate: Candidate
    onset_bgr: np.ndarray
    apex_bgr: np.ndarray
    difference_bgr: np.ndarray
    amplification: float
    attention_bgr: np.ndarray | None


@dataclass(frozen=True, eq=False, slots=True)
class Loop:
    """A movement from onset to offset, as filmed and magnified.

    `times_ns` and the frames belong together; `factor` is what was possible of the magnification that was asked for,
    and `max_factor` the most that is.
    """

    candidate: Candidate
    times_ns: tuple[int, ...]
    filmed_bgr: tuple[np.ndarray, ...]
    magnified_bgr: tuple[np.ndarray, ...]
    factor: float
    max_factor: float


Wish = tuple[Candidate, Prediction | None]


class _SupersededError(Exception):
    """Something else is wanted by now."""


class EvidenceWorker:
    """Makes pictures of one movement at a time; a newer wish replaces the older one.

    Channels for the painting thread:
        made: Pictures first, then a Loop for each magnification;
        faults: errors, each with the movement as it was.
    """

    def __init__(self) -> None:
        self.made: Inbox[Pictures | Loop] = Inbox()
        self.faults: Inbox[Exception] = Inbox()
        self._changed = threading.Condition()
        self._wish: Wish | None = None
        self._factor = 1.0
        self._version = 0  # of the wish and the factor
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    def show(self, candidate: Candidate, prediction: Prediction | None, factor: float) -> None:
        """Make the pictures of this movement, and its loop magnified."""
        with self._changed:
            self._wish, self._factor = (candidate, prediction), factor
            self._version += 1
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="evidence", daemon=True)
            self._thread.start()

    def magnify(self, factor: float) -> None:
        """Make the loop of the same movement with another magnification."""
        with self._changed:
            self._factor = factor
            self._version += 1
            self._changed.notify_all()

    def stop(self, timeout_s: float = 1.5) -> bool:
        """End the thread; False when it is late."""
        with self._changed:
            self._is_stopping = True
            self._version += 1
            self._changed.notify_all()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with import_lock:
            from app.evidence.magnification import Magnifier
            from app.evidence.pictures import loop_frames
        shown: Wish | None = None
        magnifier: Magnifier | None = None
        frames: tuple[KeyFrame, ...] = ()
        done = 0
        while True:
            with self._changed:
                while self._version == done and not self._is_stopping:
                    self._changed.wait(0.5)
                if self._is_stopping or self._wish is None:
                    return
                wish, factor, done = self._wish, self._factor, self._version
            candidate, prediction = wish
            try:
                if wish is not shown:
                    frames = tuple(loop_frames(candidate))
                    self.made.put(_pictures(candidate, prediction))
                    crops = [frame.crop_bgr for frame in frames]
                    magnifier = Magnifier(candidate.onset.crop_bgr, crops, partial(self._check, wish))
                    shown = wish
                assert magnifier is not None
                self._make_loop(candidate, frames, magnifier, factor, done)
            except _SupersededError:
                continue
            except Exception as error:
                logger.exception("pictures of a movement could not be made")
                self.faults.put(error)

    def _check(self, wish: Wish) -> None:
        if self._is_stopping or self._wish is not wish:
            raise _SupersededError

    def _make_loop(
        self, candidate: Candidate, frames: tuple[KeyFrame, ...], magnifier: Magnifier, factor: float, version: int
    ) -> None:
        magnified = []
        for position in range(len(magnifier)):
            if self._version != version:
                return  # something else is wanted by now
            magnified.append(magnifier.frame(position, factor))
        self.made.put(
            Loop(
                candidate,
                tuple(frame.timestamp_ns for frame in frames),
                tuple(frame.crop_bgr for frame in frames),
                tuple(magnified),
                min(factor, magnifier.max_factor),
                magnifier.max_factor,
            )
        )


def _pictures(candidate: Candidate, prediction: Prediction | None) -> Pictures:
    from app.evidence.pictures import attention_picture, difference_picture

    onset, apex = candidate.onset.crop_bgr, candidate.apex.crop_bgr
    difference, amplification = difference_picture(onset, apex)
    attention = attention_picture(apex, prediction) if prediction is not None else None
    return Pictures(candidate, onset, apex, difference, amplification, attention)
