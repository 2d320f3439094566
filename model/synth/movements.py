"""What a face does, and when: micro-expressions of three classes, and everything else that moves on a face.

A movement is a set of peak values and their course in time. Action units of the classes follow EMFACS and the coding of
the micro-expression sets; peaks are 0.5–1.5 of the five grades of FACS, 0.6–3 % of the inter-ocular distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from model.calibration import NONE

MICRO = "micro"
NEUTRAL = "neutral"
DISTRACTORS = ("blink", "gaze", "speech", "swallow", "nod", "turn", "light", "macro")

# "S" is a side drawn at random; what is listed twice is drawn twice as often.
COMBINATIONS: dict[str, tuple[str, ...]] = {
    "negative": (
        *("4", "4", "4", "4", "4+7", "4+7", "1+4", "1+4", "9", "9", "4+9", "9+17", "10", "10", "10+17", "15", "15"),
        *(
            "1+4+15",
            "15+17",
            "17+24",
            "17+24",
            "4+5+7+23",
            "1+2+4+20",
            "14S",
            "14S",
            "14S",
            "14",
            "4S",
            "9S",
            "10S",
            "15S",
        ),
    ),
    "positive": ("12", "12", "12", "6+12", "6+12", "6+12", "12S", "12S", "12+25", "6+12+25", "6+12S"),
    "surprise": (
        "1+2",
        "1+2",
        "1+2",
        "1+2",
        "1+2+5",
        "1+2+5",
        "1+2+25",
        "1+2+25+26",
        "1+2+5+25+26",
        "1+2+26",
        "2S",
        "1+2S",
    ),
}
PEAK = (0.006, 0.03)  # of the inter-ocular distance
MAX_MICRO_S = 0.5
_OWN_SMILE_SHARE = 0.35  # of the positive movements of people whose own smile is known
_MOUTH_SHAPES = ("10", "12", "14", "15", "17", "20", "23", "24", "25", "25", "25", "26", "26", "26")


@dataclass(frozen=True, slots=True)
class Course:
    """A rise, a hold and a fall in seconds from the onset; minimum-jerk, as muscles move."""

    rise_s: float
    hold_s: float
    fall_s: float

    @property
    def duration_s(self) -> float:
        """Onset to offset."""
        return self.rise_s + self.hold_s + self.fall_s

    def level(self, since_onset_s: float) -> float:
        """0 at rest, 1 at the apex."""
        t = since_onset_s
        if t <= 0 or t >= self.duration_s:
            return 0.0
        if t < self.rise_s:
            return _smooth(t / self.rise_s)
        fallen_s = t - self.rise_s - self.hold_s
        return 1.0 if fallen_s <= 0 else 1 - _smooth(fallen_s / self.fall_s)


def _smooth(x: float) -> float:
    """Minimum-jerk step from 0 to 1 (Flash & Hogan 1985, eq. 3)."""
    return x * x * x * (10 - 15 * x + 6 * x * x)


@dataclass(frozen=True, slots=True)
class Movement:
    """One thing that happens.

    `kind`: MICRO or one of DISTRACTORS. `label`: class of a micro-expression, else NONE. Peaks: `action_units` in
    fractions of the inter-ocular distance by unit and side, `own_smile` the share of the person's own smile,
    `eye_closure` 0–1, `gaze_deg` and `turn_deg` (yaw, pitch), `light` the relative change of brightness. `shapes`, of
    speech, is a train of mouth shapes of `shape_s` each, played within `course`.
    """

    kind: str
    label: str
    course: Course
    onset_s: float = 0.0
    action_units: Mapping[str, float] = field(default_factory=dict)
    own_smile: float = 0.0
    eye_closure: float = 0.0
    gaze_deg: tuple[float, float] = (0.0, 0.0)
    turn_deg: tuple[float, float] = (0.0, 0.0)
    light: float = 0.0
    shapes: tuple[Mapping[str, float], ...] = ()
    shape_s: float = 0.0
    coded_as: str = ""  # the combination in FACS's words

    @property
    def apex_s(self) -> float:
        """Middle of the hold."""
        return self.onset_s + self.course.rise_s + self.course.hold_s / 2

    @property
    def offset_s(self) -> float:
        """End of the fall."""
        return self.onset_s + self.course.duration_s

    @property
    def peak(self) -> float:
        """Displacement of the strongest action unit, fraction of the inter-ocular distance."""
        return max([*self.action_units.values(), *(v for shape in self.shapes for v in shape.values())], default=0.0)

    def level(self, time_s: float) -> float:
        """0 at rest, 1 at the apex."""
        return self.course.level(time_s - self.onset_s)

    def units_at(self, time_s: float) -> dict[str, float]:
        """Displacement of every action unit at a time."""
        level = self.level(time_s)
        units = {name: level * peak for name, peak in self.action_units.items()}
        if level > 0 and self.shapes:
            place = (time_s - self.onset_s) / self.shape_s
            first = int(place)
            share = _smooth(place - first)
            for shape, weight in ((first, 1 - share), (first + 1, share)):
                for name, peak in self.shapes[min(shape, len(self.shapes) - 1)].items():
                    units[name] = units.get(name, 0.0) + level * weight * peak
        return units


def micro(
    label: str, rng: np.random.Generator, *, combination: str | None = None, smile_reach: float = 0.0
) -> Movement:
    """Draw a micro-expression.

    Args:
        label: its class.
        combination: its action units, e.g. "6+12"; by default drawn among those of the class.
        smile_reach: displacement of the person's own full smile, fraction of the inter-ocular distance; 0 when the
            person has none, so that none is drawn.
    """
    peak = float(np.exp(rng.uniform(*np.log(PEAK))))
    course = _micro_course(rng)
    if combination is None and label == "positive" and smile_reach > 0 and rng.random() < _OWN_SMILE_SHARE:
        share = min(peak / smile_reach, 0.5)
        return Movement(MICRO, label, course, own_smile=share, coded_as="own smile")
    combination = combination or str(rng.choice(COMBINATIONS[label]))
    combination = combination.replace("S", str(rng.choice(["L", "R"])))
    return Movement(MICRO, label, course, action_units=intensities(combination, peak, rng), coded_as=combination)


def _micro_course(rng: np.random.Generator) -> Course:
    rise_s = float(np.exp(rng.uniform(np.log(0.04), np.log(0.25))))
    hold_s = float(rng.uniform(0, 0.1))
    fall_s = float(rng.uniform(0.6, 1.8) * rise_s + rng.uniform(0.03, 0.12))
    scale = min(1.0, (MAX_MICRO_S - 0.01) / (rise_s + hold_s + fall_s))
    return Course(rise_s * scale, hold_s * scale, fall_s * scale)


def intensities(combination: str, peak: float, rng: np.random.Generator) -> dict[str, float]:
    """Peak of each unit and side, e.g. of "1+2+25" or "12L"; the strongest one reaches `peak`."""
    units: dict[str, float] = {}
    for name in combination.split("+"):
        strength = rng.uniform(0.45, 1.0)
        for side in name[-1] if name[-1] in "LR" else "LR":
            units[name.rstrip("LR") + side] = strength * rng.uniform(0.6, 1.0)
        if name[-1] in "LR" and rng.random() < 0.3:  # hardly any movement is wholly of one side
            units[name[:-1] + ("R" if name[-1] == "L" else "L")] = strength * rng.uniform(0.05, 0.25)
    scale = peak / max(units.values())
    return {name: strength * scale for name, strength in units.items()}


def distractor(kind: str, rng: np.random.Generator) -> Movement:
    """Draw a movement that is no micro-expression; `kind` is one of DISTRACTORS."""
    sign = float(rng.choice([-1.0, 1.0]))
    if kind == "blink":
        # The brows and cheeks take a small part in it.
        units = intensities(str(rng.choice(["7", "4+7", "6+7", "1"])), rng.uniform(0.001, 0.007), rng)
        course = Course(rng.uniform(0.05, 0.12), rng.uniform(0, 0.08), rng.uniform(0.1, 0.3))
        return Movement(kind, NONE, course, action_units=units, eye_closure=rng.uniform(0.35, 1.0))
    if kind == "gaze":
        angles = (rng.normal(0, 12), rng.normal(0, 7))
        course = Course(rng.uniform(0.03, 0.08), rng.uniform(0.15, 1.5), rng.uniform(0.03, 0.08))
        # The upper lid follows the eye down and up.
        lid = "7" if angles[1] > 0 else "5"
        units = {f"{lid}{side}": min(0.0008 * abs(angles[1]), 0.012) for side in "LR"}
        return Movement(kind, NONE, course, gaze_deg=_limited(angles, 20), action_units=units)
    if kind == "speech":
        shape_s = rng.uniform(0.07, 0.2)
        course = Course(shape_s, rng.uniform(0.5, 2.5), shape_s)
        reach = float(np.exp(rng.uniform(np.log(0.01), np.log(0.09))))
        shapes = tuple(_mouth_shape(reach, rng) for _ in range(int(course.duration_s / shape_s) + 2))
        return Movement(kind, NONE, course, shapes=shapes, shape_s=shape_s)
    if kind == "swallow":
        units = intensities(str(rng.choice(["24", "17+24", "17+26", "24+26", "23+26"])), rng.uniform(0.006, 0.03), rng)
        course = Course(rng.uniform(0.12, 0.35), rng.uniform(0.1, 0.4), rng.uniform(0.15, 0.4))
        return Movement(kind, NONE, course, action_units=units, turn_deg=(0.0, rng.uniform(-2, 2)))
    if kind in ("nod", "turn"):
        angle, other = sign * rng.uniform(1.5, 8), rng.normal(0, 1)
        course = Course(rng.uniform(0.12, 0.6), rng.uniform(0, 0.5), rng.uniform(0.12, 0.6))
        return Movement(kind, NONE, course, turn_deg=(other, angle) if kind == "nod" else (angle, other))
    if kind == "light":
        course = Course(rng.uniform(0.005, 0.15), rng.uniform(0.3, 2.0), rng.uniform(0.005, 0.3))
        return Movement(kind, NONE, course, light=sign * rng.uniform(0.05, 0.3))
    if kind == "macro":
        label = str(rng.choice(list(COMBINATIONS)))
        combination = str(rng.choice(COMBINATIONS[label])).replace("S", str(rng.choice(["L", "R"])))
        course = Course(rng.uniform(0.2, 0.8), rng.uniform(0.4, 2.0), rng.uniform(0.3, 1.0))
        units = intensities(combination, rng.uniform(0.03, 0.13), rng)
        return Movement(kind, NONE, course, action_units=units, coded_as=combination)
    raise ValueError(f"there is no distractor {kind!r}; known are {', '.join(DISTRACTORS)}")


def _mouth_shape(reach: float, rng: np.random.Generator) -> dict[str, float]:
    """One sound: two to four muscles about the mouth at once, both sides alike; now and then the mouth is at rest."""
    if rng.random() < 0.15:
        return {}
    names = rng.choice(_MOUTH_SHAPES, size=int(rng.integers(2, 5)))
    shape: dict[str, float] = {}
    for name in names:
        strength = reach * rng.uniform(0.15, 1.0)
        for side in "LR":
            shape[f"{name}{side}"] = strength * rng.uniform(0.85, 1.0)
    return shape


def _limited(angles: tuple[float, float], limit: float) -> tuple[float, float]:
    return tuple(float(np.clip(angle, -limit, limit)) for angle in angles)
