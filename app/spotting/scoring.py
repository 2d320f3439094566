"""How well found movements agree with known ones: the MEGC rule, implemented once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Interval = tuple[float, float]  # onset and offset, both in the same unit; frames count as points in time


def intersection_over_union(a: Interval, b: Interval) -> float:
    """Overlap of two intervals in 0–1; two equal intervals of no length overlap fully."""
    union = max(a[1], b[1]) - min(a[0], b[0])
    if union <= 0:
        return 1.0
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) / union


@dataclass(frozen=True, slots=True)
class SpottingScore:
    """Counts and the pairs behind them: `pairs` holds (index of the true movement, index of the found one)."""

    pairs: tuple[tuple[int, int], ...]
    true_count: int
    found_count: int

    @property
    def true_positives(self) -> int:
        """Found movements that match a true one."""
        return len(self.pairs)

    @property
    def false_positives(self) -> int:
        """Found movements that match nothing."""
        return self.found_count - len(self.pairs)

    @property
    def false_negatives(self) -> int:
        """True movements that nothing matches."""
        return self.true_count - len(self.pairs)

    @property
    def f1(self) -> float:
        """2·TP / (2·TP + FP + FN); 1 when there was nothing to find and nothing was found."""
        total = self.true_count + self.found_count
        return 2 * len(self.pairs) / total if total else 1.0


def match(true: Sequence[Interval], found: Sequence[Interval], min_iou: float = 0.5) -> SpottingScore:
    """One-to-one matching with the most overlap; a pair counts when its IoU reaches `min_iou` (MEGC 2019 ff.: 0.5)."""
    from scipy.optimize import linear_sum_assignment  # a quarter of a second that only scoring pays for

    overlap = np.array([[intersection_over_union(t, f) for f in found] for t in true]).reshape(len(true), len(found))
    # Pairs below the limit weigh nothing, so that they never displace one that counts.
    rows, columns = linear_sum_assignment(np.where(overlap >= min_iou, overlap, 0.0), maximize=True)
    pairs = tuple((int(t), int(f)) for t, f in zip(rows, columns, strict=True) if overlap[t, f] >= min_iou)
    return SpottingScore(pairs, len(true), len(found))
