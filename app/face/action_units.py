"""What each facial action unit moves and where it creases the skin, as data on MediaPipe's mesh.

Muscles, directions and creases follow the Facial Action Coding System (Ekman, Friesen & Hager 2002). Every entry is
written for the person's right side; `mirrored` gives the left. Lengths are fractions of the inter-ocular distance.
"""

from __future__ import annotations

from dataclasses import dataclass

# Right-side landmarks of skin that moves and their left-side partners; those on the midline stand for themselves.
_LEFT_OF = {
    31: 261, 33: 263, 35: 265, 36: 266, 37: 267, 39: 269, 40: 270, 43: 273, 46: 276, 48: 278, 50: 280, 52: 282,
    53: 283, 54: 284, 55: 285, 57: 287, 61: 291, 63: 293, 65: 295, 66: 296, 68: 298, 69: 299, 70: 300, 83: 313,
    84: 314, 91: 321, 101: 330, 102: 331, 104: 333, 105: 334, 107: 336, 108: 337, 111: 340, 117: 346, 118: 347,
    119: 348, 122: 351, 129: 358, 143: 372, 144: 373, 145: 374, 146: 375, 148: 377, 153: 380, 165: 391, 176: 400,
    181: 405, 182: 406, 185: 409, 186: 410, 187: 411, 188: 412, 193: 417, 194: 418, 201: 421, 202: 422, 203: 423,
    204: 424, 205: 425, 206: 426, 207: 427, 208: 428, 211: 431, 212: 432, 214: 434, 216: 436, 221: 441, 222: 442,
    223: 443, 226: 446, 228: 448, 229: 449, 230: 450,
}  # fmt: skip


def mirrored(indices: tuple[int, ...]) -> tuple[int, ...]:
    """The left-side partners of right-side landmarks."""
    return tuple(_LEFT_OF.get(index, index) for index in indices)


@dataclass(frozen=True, slots=True)
class Pull:
    """A patch of skin that moves together: `outward` from the midline, `downward` in the face."""

    landmarks: tuple[int, ...]  # the patch is centred on their mean
    outward: float
    downward: float
    width: float  # standard deviations across and along the face
    height: float


@dataclass(frozen=True, slots=True)
class Crease:
    """Shading along a line: dark with `gain` < 0 (fold, furrow, dimple), light with `gain` > 0 (bulge).

    `line` is a sequence of points, each the mean of some landmarks. `gain` is the change of brightness at a peak
    displacement of 3 % of the inter-ocular distance.
    """

    line: tuple[tuple[int, ...], ...]
    gain: float
    width: float


@dataclass(frozen=True, slots=True)
class ActionUnit:
    """One action unit of one side: its main pull, then those that go along.

    `upper_lid`, `lower_lid`: how far the middle of the lid's margin travels down, in the same scale as the pulls.
    `opens_mouth`: only what lies below the line between the lips moves.
    """

    pulls: tuple[Pull, ...] = ()
    creases: tuple[Crease, ...] = ()
    upper_lid: float = 0.0
    lower_lid: float = 0.0
    opens_mouth: bool = False


_MOUTH_CORNER = (61, 185, 146)
_INNER_BROW = (107, 66, 55)
_OUTER_BROW = (105, 63, 70, 46)
_CHEEK = (50, 117, 118)
_NASOLABIAL_FOLD = ((129,), (203,), (206,), (216,), (212,))
_LOWER_LID_CREASE = ((31,), (228,), (229,))
_CROWS_FEET = ((33, 226), (35,), (143,))

ACTION_UNITS: dict[str, ActionUnit] = {
    # inner brow raiser: medial frontalis; the forehead above follows and the brow's tail a little
    "1": ActionUnit(
        (
            Pull(_INNER_BROW, -0.1, -1.0, 0.13, 0.13),
            Pull((108,), 0.0, -0.5, 0.15, 0.13),
            Pull((105, 52), 0.0, -0.25, 0.13, 0.1),
        ),
        (Crease(((151,), (108,), (69,)), -0.05, 0.025), Crease(((9, 108), (107, 69)), 0.02, 0.05)),
        upper_lid=-0.06,
    ),
    # outer brow raiser: lateral frontalis; the fold of the upper lid is drawn out
    "2": ActionUnit(
        (
            Pull(_OUTER_BROW, 0.05, -1.0, 0.15, 0.13),
            Pull((69, 104), 0.0, -0.45, 0.15, 0.12),
            Pull((66, 107), 0.0, -0.2, 0.12, 0.1),
        ),
        (Crease(((69,), (104,), (68,)), -0.045, 0.025), Crease(((222,), (223,)), 0.02, 0.04)),
        upper_lid=-0.08,
    ),
    # brow lowerer: corrugator draws together, depressor supercilii down; the brow's tail follows inward
    "4": ActionUnit(
        (
            Pull(_INNER_BROW, -0.6, 0.8, 0.12, 0.12),
            Pull((52, 105, 65), -0.3, 0.45, 0.14, 0.11),
            Pull((9, 108), -0.15, 0.35, 0.12, 0.11),
        ),
        (
            Crease(((9, 107), (8, 55)), -0.09, 0.022),
            Crease(((65, 52),), 0.025, 0.05),
            Crease(((221,), (222,)), -0.03, 0.03),
        ),
        upper_lid=0.1,
    ),
    # upper lid raiser: levator palpebrae
    "5": ActionUnit(creases=(Crease(((221,), (222,), (223,)), -0.03, 0.02),), upper_lid=-1.0),
    # cheek raiser: orbicularis oculi, orbital part, draws cheek and temple toward the eye
    "6": ActionUnit(
        (
            Pull(_CHEEK, -0.15, -1.0, 0.17, 0.12),
            Pull((226, 35, 143), -0.45, -0.1, 0.09, 0.11),
            Pull((52, 53, 46), -0.05, 0.25, 0.14, 0.08),
        ),
        (
            Crease(_CROWS_FEET, -0.05, 0.02),
            Crease(_LOWER_LID_CREASE, -0.045, 0.025),
            Crease(((118, 50, 101),), 0.045, 0.1),
        ),
        upper_lid=0.1,
        lower_lid=-0.35,
    ),
    # lid tightener: orbicularis oculi, palpebral part
    "7": ActionUnit(
        (Pull((228, 229, 230), -0.2, -0.5, 0.11, 0.07), Pull((226, 35), -0.3, 0.0, 0.08, 0.08)),
        (Crease(_LOWER_LID_CREASE, -0.04, 0.02), Crease(((33, 226), (35,)), -0.02, 0.02)),
        upper_lid=0.35,
        lower_lid=-1.0,
    ),
    # nose wrinkler: levator labii superioris alaeque nasi; brows come down, the upper lip and the cheek's inside go up
    "9": ActionUnit(
        (
            Pull((129, 102, 203), 0.0, -1.0, 0.1, 0.12),
            Pull((188, 122), -0.05, -0.45, 0.09, 0.1),
            Pull(_INNER_BROW, -0.3, 0.4, 0.11, 0.11),
            Pull((37, 39, 165), 0.0, -0.45, 0.1, 0.08),
            Pull((36, 101), -0.1, -0.35, 0.1, 0.1),
        ),
        (
            Crease(((193,), (122,), (188,)), -0.07, 0.025),
            Crease(((129,), (203,), (206,)), -0.06, 0.025),
            Crease(((9, 107), (8, 55)), -0.03, 0.022),
        ),
        upper_lid=0.1,
        lower_lid=-0.15,
    ),
    # upper lip raiser: levator labii superioris; the infraorbital triangle is pushed up, the nostril's wing a little
    "10": ActionUnit(
        (
            Pull((37, 39, 40, 165), 0.0, -1.0, 0.12, 0.08),
            Pull((203, 206, 205), 0.1, -0.6, 0.11, 0.12),
            Pull((129, 102), 0.05, -0.25, 0.08, 0.08),
        ),
        (Crease(_NASOLABIAL_FOLD[:3], -0.07, 0.028), Crease(((36, 205),), 0.025, 0.08)),
    ),
    # lip corner puller: zygomaticus major; cheeks rise and bulge, the lips are stretched, the lower lid is pushed up
    "12": ActionUnit(
        (
            Pull(_MOUTH_CORNER, 0.72, -0.7, 0.13, 0.12),
            Pull((205, 50), 0.15, -0.45, 0.15, 0.14),
            Pull((207, 216), 0.35, -0.3, 0.12, 0.13),
            Pull((39, 91), 0.3, -0.1, 0.09, 0.09),
            Pull((129, 203), 0.12, -0.08, 0.08, 0.08),
        ),
        (
            Crease(_NASOLABIAL_FOLD[1:], -0.06, 0.03),
            Crease(((205, 50),), 0.05, 0.11),
            Crease(_LOWER_LID_CREASE, -0.02, 0.025),
            Crease(((57, 186), (57, 212)), -0.03, 0.025),
        ),
        lower_lid=-0.1,
    ),
    # dimpler: buccinator; skin around the corner is drawn toward it
    "14": ActionUnit(
        (
            Pull(_MOUTH_CORNER, 1.0, -0.05, 0.1, 0.09),
            Pull((207, 187), -0.35, 0.0, 0.1, 0.12),
            Pull((212, 202), 0.1, -0.35, 0.1, 0.08),
        ),
        (Crease(((57, 186), (57, 212)), -0.09, 0.03), Crease(((216, 207),), 0.03, 0.05)),
    ),
    # lip corner depressor: depressor anguli oris; skin below the corner and the fold's end go down with it
    "15": ActionUnit(
        (
            Pull(_MOUTH_CORNER, 0.1, 1.0, 0.11, 0.11),
            Pull((202, 204), 0.05, 0.45, 0.1, 0.1),
            Pull((206, 216), -0.05, 0.35, 0.1, 0.1),
        ),
        (Crease(((57,), (43, 202), (202, 204)), -0.06, 0.025), Crease(((206,), (216,)), -0.025, 0.03)),
    ),
    # chin raiser: mentalis; the lower lip is pushed up and out, the upper lip a little
    "17": ActionUnit(
        (
            Pull((199, 200, 201), 0.0, -1.0, 0.14, 0.1),
            Pull((17, 84, 18), 0.0, -0.75, 0.14, 0.08),
            Pull((0, 37, 13), 0.0, -0.25, 0.13, 0.07),
        ),
        (Crease(((18,), (83,), (182,)), -0.06, 0.025), Crease(((199, 208),), 0.045, 0.08)),
    ),
    # lip stretcher: risorius, platysma; skin beside and below the corner goes along
    "20": ActionUnit(
        (
            Pull(_MOUTH_CORNER, 1.0, 0.2, 0.14, 0.11),
            Pull((212, 202), 0.5, 0.2, 0.12, 0.11),
            Pull((91, 181, 39), 0.4, 0.05, 0.1, 0.09),
            Pull((214, 207), 0.3, 0.1, 0.12, 0.12),
        ),
        (Crease(((212,), (202,)), -0.04, 0.03), Crease(((57, 186), (57, 212)), -0.03, 0.025)),
    ),
    # lip tightener: orbicularis oris
    "23": ActionUnit(
        (
            Pull(_MOUTH_CORNER, -0.8, 0.0, 0.11, 0.09),
            Pull((0, 37, 39), -0.1, 0.6, 0.12, 0.065),
            Pull((17, 84, 181), -0.1, -0.6, 0.12, 0.065),
        ),
        (Crease(((0, 37), (39, 40)), -0.04, 0.02), Crease(((18,), (83,)), -0.03, 0.025)),
    ),
    # lip pressor: orbicularis oris
    "24": ActionUnit(
        (
            Pull((0, 37, 39), 0.0, 1.0, 0.13, 0.065),
            Pull((17, 84, 181), 0.0, -1.0, 0.13, 0.065),
            Pull((199, 200, 201), 0.0, -0.3, 0.13, 0.1),
        ),
        (Crease(((0, 37), (39, 40)), -0.05, 0.02), Crease(((17, 84), (181, 91)), 0.04, 0.03)),
    ),
    # lips part: depressor labii, or the jaw's own weight
    "25": ActionUnit((Pull((17, 84, 181), 0.0, 1.0, 0.15, 0.13),), opens_mouth=True),
    # jaw drop: masseter relaxed
    "26": ActionUnit((Pull((199, 200, 18), 0.0, 1.0, 0.3, 0.3),), opens_mouth=True),
}
