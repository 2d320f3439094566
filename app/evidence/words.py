"""A movement in words and numbers: what moved, what the network says and how sure it is, which gates it passed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.config import SpotterConfig
from app.datatypes import Candidate, Prediction, RegionMovement

NONE_CLASS = "none"  # the class of a network for movements that are no expression
_MINOR = 0.4  # a direction with less than this share of the other is left out
_CLEAR, _UNDECIDED_GAP = 0.8, 0.15  # probabilities


@dataclass(frozen=True, slots=True)
class Check:
    """One gate of the spotter: what it measured, what it allows, and whether the movement passed."""

    name: str
    measured: str
    allowed: str
    is_passed: bool


def movement_in_words(movement: RegionMovement) -> str:
    """`inner brow, left, up 1.4 %`: left and right are the person's own, per cent of the distance between the eyes."""
    place, side = _place(movement.region)
    where = f"{place}, {side}" if side else place
    return f"{where}, {_direction(movement, side)} {movement.distance_percent:.1f} %"


def uncertainty_in_words(movement: RegionMovement) -> str:
    """`± 0.1 %`: one standard deviation of what the region does at rest; "" when it is not known."""
    return f"± {movement.uncertainty_percent:.1f} %" if movement.uncertainty_percent > 0 else ""


def certainty_in_words(prediction: Prediction) -> str:
    """How sure the network is, in one plain sentence."""
    order = np.argsort(-prediction.probabilities)
    (first, p_first), (second, p_second) = (
        (prediction.class_names[i], float(prediction.probabilities[i])) for i in order[:2]
    )
    name = "no expression" if first == NONE_CLASS else first
    other = "no expression" if second == NONE_CLASS else second
    if p_first - p_second < _UNDECIDED_GAP:
        return f"The network cannot decide between {name} ({_percent(p_first)}) and {other} ({_percent(p_second)})."
    if p_first >= _CLEAR:
        return f"The network clearly prefers {name} ({_percent(p_first)})."
    return f"The network prefers {name} ({_percent(p_first)}), but {other} is possible ({_percent(p_second)})."


def reservation_in_words(*, is_synthetic: bool) -> str:
    """What the percentages are worth."""
    worth = "These are the network's own numbers, not the chance that it is right."
    if is_synthetic:
        worth += " It was trained on synthetic movements only and has never seen a real micro-expression."
    return worth


def checks(candidate: Candidate, config: SpotterConfig) -> tuple[Check, ...]:
    """The gates that can be read off a candidate: for an accepted one, why it was accepted."""
    closed = candidate.rejected_because
    duration = f"{config.min_duration_ms:.0f}–{config.max_duration_ms:.0f} ms"
    made = [
        Check("strength", f"{candidate.spot_score:.1f}× threshold", "at least 1×", closed != "too weak"),
        Check("duration", f"{candidate.duration_ms:.0f} ms", duration, closed not in {"too long", "too short"}),
        Check(
            "head speed",
            f"{candidate.head_motion:.0f} %/s",
            f"at most {config.max_head_speed_percent_s:.0f} %/s",
            closed != "head motion",
        ),
        Check(
            "blink",
            "eyes closed" if candidate.has_blink else "eyes stay open",
            "none with brow or eye",
            closed != "blink",
        ),
    ]
    if closed and all(check.is_passed for check in made):
        made.append(Check(closed, *_measured(candidate), is_passed=False))
    return tuple(made)


def rejection_in_words(candidate: Candidate, meanings: dict[str, str]) -> str:
    """Why a candidate was withdrawn, with what was measured; `meanings` explains each reason."""
    rejection = candidate.rejection
    if rejection is None:
        return ""
    words = f"Withdrawn: {rejection.reason}"
    if meaning := meanings.get(rejection.reason, ""):
        words += f" ({meaning})"
    measured, allowed = _measured(candidate)
    return f"{words}. Measured {measured}, limit {allowed}." if rejection.unit else f"{words}."


def _measured(candidate: Candidate) -> tuple[str, str]:
    rejection = candidate.rejection
    assert rejection is not None
    decimals = 0 if rejection.unit in {"ms", "%/s"} else 2
    unit = f" {rejection.unit}" if rejection.unit else ""
    return f"{rejection.measured:.{decimals}f}{unit}", f"{rejection.limit:.{decimals}f}{unit}"


def _place(region: str) -> tuple[str, str]:
    """`left inner brow` → (`inner brow`, `left`)."""
    side, _, place = region.partition(" ")
    return (place, side) if side in {"left", "right"} else (region, "")


def _direction(movement: RegionMovement, side: str) -> str:
    """Up or down, and outward or inward for one side of the face; towards the person's left or right in the middle."""
    x, y = movement.x_percent, movement.y_percent
    vertical = "up" if y < 0 else "down"
    if side:
        # The person's left is at image right.
        horizontal = "outward" if (x > 0) == (side == "left") else "inward"
    else:
        horizontal = "to the left" if x > 0 else "to the right"
    if abs(x) < _MINOR * abs(y):
        return vertical
    if abs(y) < _MINOR * abs(x):
        return horizontal
    return f"{vertical} and {horizontal}"


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} %"
