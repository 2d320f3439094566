"""How the regions move in each action unit, as data: for fusing regions into one signal and for naming what moved.

Directions follow the Facial Action Coding System (Ekman, Friesen & Hager 2002).
"""

from __future__ import annotations

import numpy as np

from app.face.topology import MOUTH_REGIONS, REGION_NAMES

# Action unit → region without its side → (outward from the midline, down), 1 where it moves most.
_TWO_SIDED: dict[str, dict[str, tuple[float, float]]] = {
    "1": {"inner brow": (0.0, -1.0), "outer brow": (0.0, -0.35)},
    "2": {"outer brow": (0.05, -1.0), "inner brow": (0.0, -0.4)},
    "4": {"inner brow": (-0.45, 0.85), "outer brow": (-0.15, 0.4)},
    "5": {"upper lid": (0.0, -1.0)},
    "6": {"cheek": (-0.1, -1.0), "lower lid": (-0.1, -0.5)},
    "7": {"lower lid": (0.0, -1.0)},
    "9": {"nose wing": (0.0, -1.0), "inner brow": (-0.2, 0.35), "cheek": (0.0, -0.3)},
    "10": {"nose wing": (0.05, -0.7), "mouth corner": (0.0, -0.3)},
    "12": {"mouth corner": (0.75, -0.65), "cheek": (0.15, -0.4)},
    "14": {"mouth corner": (1.0, -0.05)},
    "15": {"mouth corner": (0.1, 1.0)},
    "20": {"mouth corner": (0.95, 0.3)},
}
_MIDLINE: dict[str, dict[str, tuple[float, float]]] = {
    "9": {"upper lip": (0.0, -0.4)},
    "10": {"upper lip": (0.0, -1.0)},
    "17": {"chin": (0.0, -1.0), "lower lip": (0.0, -0.7)},
    "24": {"upper lip": (0.0, 0.8), "lower lip": (0.0, -0.8)},
    "25": {"lower lip": (0.0, 1.0), "chin": (0.0, 0.8)},
}
_TOGETHER = (("1", "2"), ("1", "4"), ("4", "7"), ("4", "9"), ("6", "12"), ("15", "17"))
_LIDS = frozenset({"5", "7"})  # a single lid that moves is a blink or a glance


# Where the regions are in a mean face: outward, down and depth from the stable points, in inter-ocular distances.
_CENTRES: dict[str, tuple[float, float, float]] = {
    "inner brow": (0.23, -0.33, -0.08),
    "outer brow": (0.55, -0.28, 0.06),
    "upper lid": (0.38, -0.16, 0.05),
    "lower lid": (0.35, -0.01, 0.07),
    "nose wing": (0.22, 0.36, -0.09),
    "cheek": (0.45, 0.23, 0.05),
    "mouth corner": (0.27, 0.69, 0.0),
    "upper lip": (0.0, 0.59, -0.15),
    "lower lip": (0.0, 0.79, -0.1),
    "chin": (0.0, 1.02, -0.05),
}


def rigid_patterns() -> np.ndarray:
    """What an error in registering the head does to the regions, (6, R, 2): shift, size, roll, yaw and pitch."""
    patterns = np.zeros((6, len(REGION_NAMES), 2))
    for row, name in enumerate(REGION_NAMES):
        side, _, region = name.partition(" ")
        x, y, depth = _CENTRES[region if side in ("left", "right") else name]
        x = -x if side == "right" else x
        patterns[:, row] = ((1, 0), (0, 1), (x, y), (-y, x), (depth, 0), (0, depth))
    return patterns


def action_unit_patterns() -> dict[str, np.ndarray]:
    """Displacement (R, 2) of each action unit and side, x to the image right, with a largest vector of length 1."""
    patterns: dict[str, np.ndarray] = {}
    for unit in dict.fromkeys([*_TWO_SIDED, *_MIDLINE]):
        middle = _placed(_MIDLINE.get(unit, {}), "")
        if unit not in _TWO_SIDED:
            patterns[unit] = middle
            continue
        right, left = _placed(_TWO_SIDED[unit], "right"), _placed(_TWO_SIDED[unit], "left")
        patterns[unit] = right + left + middle
        if unit not in _LIDS:
            patterns[f"{unit}R"] = right + middle / 2
            patterns[f"{unit}L"] = left + middle / 2
    return {unit: pattern / np.linalg.norm(pattern, axis=1).max() for unit, pattern in patterns.items()}


def detection_patterns() -> dict[str, np.ndarray]:
    """Action units, and those that occur together, as (R, 2) displacements."""
    units = action_unit_patterns()
    together = {"+".join(group): sum(units[unit] for unit in group) for group in _TOGETHER}
    return units | {name: pattern / np.linalg.norm(pattern, axis=1).max() for name, pattern in together.items()}


def is_lower_face(pattern: np.ndarray) -> bool:
    """Whether mouth and chin move most in a pattern (R, 2)."""
    size = np.linalg.norm(pattern, axis=1)
    return bool(size[_IN_MOUTH].sum() > size[~_IN_MOUTH].sum())


def _placed(moves: dict[str, tuple[float, float]], side: str) -> np.ndarray:
    pattern = np.zeros((len(REGION_NAMES), 2))
    # The person's right is at image left, so outward there is to the left.
    outward = {"right": -1.0, "left": 1.0, "": 1.0}[side]
    for region, (out, down) in moves.items():
        pattern[REGION_NAMES.index(f"{side} {region}".strip())] = (outward * out, down)
    return pattern


def fitting_action_units(amplitude_percent: np.ndarray, noise_percent: np.ndarray) -> tuple[str, ...]:
    """Action units that fit a measured movement, the best first; none when no small set of them does.

    Greedy: the unit that explains most of the movement, then whatever explains a good part of the rest. Both arguments
    are (R, 2), in percent of the inter-ocular distance.
    """
    rest = (amplitude_percent / noise_percent).ravel()
    whole = float(rest @ rest)
    found: list[str] = []
    while len(found) < _MOST_UNITS:
        best, gain, pull = "", 0.0, np.zeros_like(rest)
        for unit, pattern in _UNITS.items():
            along = (pattern / noise_percent).ravel()
            height = float(rest @ along / (along @ along))
            if height > 0 and height * height * float(along @ along) > gain:
                best, gain, pull = unit, height * height * float(along @ along), height * along
        if gain < _LEAST_SHARE * whole or best in found:
            break
        found.append(best)
        rest = rest - pull
    return tuple(found)


_IN_MOUTH = np.array([name in MOUTH_REGIONS for name in REGION_NAMES])
_UNITS = action_unit_patterns()
_MOST_UNITS = 3
_LEAST_SHARE = 0.2  # of the movement's energy that a unit must explain to be named
