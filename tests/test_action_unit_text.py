"""Action units as coders write them."""

from __future__ import annotations

import pytest

from model.action_unit_text import ActionUnit, parse_action_units


def units(*numbers: int) -> tuple[ActionUnit, ...]:
    return tuple(ActionUnit(number) for number in numbers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", units(12)),
        (12, units(12)),
        (12.0, units(12)),
        ("4+7", units(4, 7)),
        ("1+2+5", units(1, 2, 5)),
        ("26+25", units(26, 25)),
        ("AU12", units(12)),
        ("1,2，4", units(1, 2, 4)),  # noqa: RUF001 - the full-width comma is in the data
        ("L12", (ActionUnit(12, "L"),)),
        ("r14", (ActionUnit(14, "R"),)),
        ("12L", (ActionUnit(12, "L"),)),
        ("10R", (ActionUnit(10, "R"),)),
        ("4R+7", (ActionUnit(4, "R"), ActionUnit(7))),
        ("4+7+L14", (*units(4, 7), ActionUnit(14, "L"))),
        ("T28+14", (ActionUnit(28, "T"), ActionUnit(14))),
        ("B12", (ActionUnit(12, "B"),)),
        ("12B", (ActionUnit(12, intensity="B"),)),
        ("R12 + R15", (ActionUnit(12, "R"), ActionUnit(15, "R"))),
        ("A1B+A2C", (ActionUnit(1, intensity="B"), ActionUnit(2, intensity="C"))),
        ("R14A", (ActionUnit(14, "R", "A"),)),
        ("R14A or 17A", (ActionUnit(14, "R", "A"), ActionUnit(17, intensity="A"))),
        ("AU4(k)+L7", (ActionUnit(4, is_static=True), ActionUnit(7, "L"))),
        ("AUR2+12(k)+45", (ActionUnit(2, "R"), ActionUnit(12, is_static=True), ActionUnit(45))),
    ],
)
def test_spellings_of_the_data_sets_are_understood(text, expected):
    assert parse_action_units(text) == expected


@pytest.mark.parametrize("text", ["", "?", "nan", float("nan"), None, "none", "123"])
def test_what_is_no_action_unit_is_left_out(text):
    assert parse_action_units(text) == ()


def test_a_doubtful_part_does_not_hide_the_others():
    assert parse_action_units("4+?+7") == units(4, 7)
