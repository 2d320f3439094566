"""Action units as coders of micro-expressions write them: `4+7`, `L12`, `R14A or 17A`, `AUR2+12(k)`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SEPARATOR = re.compile(r"[+,，]|\bor\b", re.IGNORECASE)  # noqa: RUF001 - the full-width comma is in the data
_TOKEN = re.compile(r"(?:AU|A)?\s*([LRTB]?)\s*(\d{1,2})\s*([A-E])?\s*([LR]?)\s*(\(k\))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ActionUnit:
    """One action unit.

    `side` is "L", "R", "T" or "B" (left, right, top, bottom), "" for both sides; `intensity` is "A" to "E", "" when
    not coded. `is_static` marks one that is there all the time and does not belong to the movement.
    """

    number: int
    side: str = ""
    intensity: str = ""
    is_static: bool = False


def parse_action_units(text: object) -> tuple[ActionUnit, ...]:
    """Action units of a cell, in its order; of alternatives ("or") all. What is not one (`?`, `nan`) is left out."""
    if isinstance(text, float) and text.is_integer():
        text = int(text)  # a cell with a single unit is a number, and sheets hold only floats
    tokens = (_TOKEN.fullmatch(token.strip()) for token in _SEPARATOR.split(str(text)))
    return tuple(_action_unit(token) for token in tokens if token is not None)


def _action_unit(token: re.Match[str]) -> ActionUnit:
    before, number, intensity, after, static = token.groups()
    return ActionUnit(int(number), (before or after).upper(), (intensity or "").upper(), static is not None)
