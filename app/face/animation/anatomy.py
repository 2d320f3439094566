"""How one face's muscles differ from the textbook's: drawn at random, so that no two faces move by the same warp."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

_TURN_DEG = 25.0
_LOG_SIZE = float(np.log(1.6))
_SHIFT = 0.03  # of the inter-ocular distance
_SECONDARY_SHARE = (0.3, 1.6)
_TAIL = (-1.0, 1.0)
_LOG_CREASE_WIDTH = float(np.log(1.5))
_CREASE_GAIN = (0.2, 1.8)
_WEAKER_SIDE = 0.3  # at most, of the stronger side's movement
_SIDE_SHARE = 0.35  # how far left and right muscles of one face differ, relative to those of two faces


@dataclass(frozen=True, slots=True)
class PullVariation:
    """How a patch of moving skin differs from its entry in the table.

    `turn_deg`: of its direction. `share`, `width`, `height`: factors. `across`, `down`: shift of its centre, fractions
    of the inter-ocular distance. `tail`: shape of its fall-off, −1 flat with a steep edge, 0 Gaussian, 1 long-tailed.
    """

    turn_deg: float = 0.0
    share: float = 1.0
    width: float = 1.0
    height: float = 1.0
    across: float = 0.0
    down: float = 0.0
    tail: float = 0.0


@dataclass(frozen=True, slots=True)
class CreaseVariation:
    """Factors of a crease's gain and width."""

    gain: float = 1.0
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The muscles of one face. Without a seed they are the table's; the same seed gives the same muscles.

    `spread` scales how far they are from the table's: at 1, directions differ by up to 25°, sizes by up to 1.6 times
    and centres by 3 % of the inter-ocular distance.
    """

    seed: int | None = None
    spread: float = 1.0

    @classmethod
    def drawn(cls, rng: np.random.Generator, spread: float = 1.0) -> Anatomy:
        """Another face's muscles."""
        return cls(int(rng.integers(2**62)), spread)

    def pull(self, unit: str, side: str, index: int) -> PullVariation:
        """Of a unit's patch number `index`; the first is the muscle's main pull and keeps its share."""
        if self.seed is None:
            return PullVariation()
        turn, width, height, across, down, tail, share = self._draws(unit, side, f"pull {index}", 7)
        low, high = _SECONDARY_SHARE
        return PullVariation(
            turn_deg=_TURN_DEG * turn,
            share=1.0 if index == 0 else 1 + (high - 1) * share if share > 0 else 1 + (1 - low) * share,
            width=float(np.exp(_LOG_SIZE * width)),
            height=float(np.exp(_LOG_SIZE * height)),
            across=_SHIFT * across,
            down=_SHIFT * down,
            tail=float(np.clip(tail, *_TAIL)),
        )

    def crease(self, unit: str, side: str, index: int) -> CreaseVariation:
        """Of a unit's crease number `index`."""
        if self.seed is None:
            return CreaseVariation()
        gain, width = self._draws(unit, side, f"crease {index}", 2)
        low, high = _CREASE_GAIN
        return CreaseVariation(
            gain=1 + (high - 1) * gain if gain > 0 else 1 + (1 - low) * gain,
            width=float(np.exp(_LOG_CREASE_WIDTH * width)),
        )

    def side_strength(self, unit: str) -> dict[str, float]:
        """How strongly each side ("R", "L": the person's own) takes part in a unit of both; the stronger one's is 1."""
        if self.seed is None:
            return {"R": 1.0, "L": 1.0}
        lean, amount = self._draws(unit, "", "sides", 2)
        weaker = 1 - _WEAKER_SIDE * abs(amount)
        return {"R": 1.0, "L": weaker} if lean > 0 else {"R": weaker, "L": 1.0}

    def _draws(self, unit: str, side: str, part: str, count: int) -> list[float]:
        """Numbers within ±`spread`, most of each the same on both sides."""
        both, own = (
            np.random.default_rng((self.seed, zlib.crc32(f"{unit} {part} {s}".encode()))).uniform(-1, 1, count)
            for s in ("", side)
        )
        mixed = both if not side else (1 - _SIDE_SHARE) * both + _SIDE_SHARE * own
        return [float(value) for value in self.spread * mixed]


TEXTBOOK = Anatomy()
