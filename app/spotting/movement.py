"""A movement under way, from its rise to its end, before any pulse is known to explain it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.datatypes import Candidate
from app.spotting.findings import Finding
from app.spotting.pulses import REST_S

_PAST_APEX_LEVEL = 0.85  # of the peak
_PAST_APEX_NS = 90_000_000  # a peak this old is an apex, also when the movement stays up
_OVER_LEVEL = 0.35


@dataclass(eq=False, slots=True)
class Movement:
    """What its rise showed, and how far it has come.

    `peak`: highest level so far, 1 = the height that the rise had, seen at `peak_ns`. `over_ns`: since when it has been
    back at rest; None while it is not. `rejected`: what the pulse was, in gates, that explains it best.
    """

    rise: Finding
    start_ns: int
    candidate_id: int = 0
    peak: float = 0.0
    peak_ns: int = 0
    over_ns: int | None = None
    rejected: Candidate | None = None

    def renew(self, rise: Finding) -> None:
        """The rise shows better now: levels are measured along it from here on."""
        self.rise, self.peak = rise, 0.0

    def levels(self, times_s: np.ndarray, displacement: np.ndarray) -> np.ndarray:
        """Level in every frame (N,): 0 where the movement began, 1 where its rise was seen."""
        projected = displacement @ self.rise.weights
        start_s = self.start_ns / 1e9
        at_rest = (times_s <= start_s) & (times_s >= start_s - REST_S)
        return projected - (np.median(projected[at_rest]) if at_rest.any() else projected[0])

    def follow(self, level: float, now_ns: int) -> None:
        """Take in the level of the newest frame."""
        if level >= self.peak:
            self.peak, self.peak_ns = level, now_ns
        self.over_ns = (self.over_ns or now_ns) if level < _OVER_LEVEL * self.peak else None

    def has_passed_apex(self, level: float, now_ns: int) -> bool:
        """Whether it has begun to go back, or stays where it is."""
        return level < _PAST_APEX_LEVEL * self.peak or now_ns - self.peak_ns >= _PAST_APEX_NS
