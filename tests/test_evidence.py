"""Pictures and words about a movement: what changed, where the network looked, how sure it is, which gates closed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import candidate

from app.config import SpotterConfig
from app.datatypes import Prediction, RegionMovement, Rejection
from app.evidence.pictures import attention_picture, difference_picture, loop_frames
from app.evidence.words import (
    certainty_in_words,
    checks,
    movement_in_words,
    rejection_in_words,
    reservation_in_words,
    uncertainty_in_words,
)

GREY = np.full((224, 224, 3), 100, np.uint8)
ATTENTION = np.full((112, 112), 0.5, np.float32)


def with_patch(value: int, light: int = 0) -> np.ndarray:
    image = GREY + np.uint8(light)
    image[100:124, 100:124] = value
    return image


def colours(picture: np.ndarray, y: int, x: int) -> tuple[int, int]:
    """Blue and red of a pixel."""
    return int(picture[y, x, 0]), int(picture[y, x, 2])


class TestDifference:
    def test_brighter_is_orange_darker_is_blue(self):
        blue, red = colours(difference_picture(GREY, with_patch(130))[0], 112, 112)
        assert red > blue + 100
        blue, red = colours(difference_picture(GREY, with_patch(70))[0], 112, 112)
        assert blue > red + 100

    def test_a_change_of_all_the_light_is_no_difference(self):
        picture, amplification = difference_picture(GREY, GREY + np.uint8(25))
        assert np.ptp(picture) == 0
        assert amplification == pytest.approx(255 / 6)

    def test_a_strong_change_is_amplified_less(self):
        weak, strong = (difference_picture(GREY, with_patch(value))[1] for value in (110, 250))
        assert strong < 2 < 20 < weak


class TestAttention:
    @pytest.mark.parametrize("weight", [0.1, 0.9])
    def test_raised_and_lowered_weights_both_mark_a_place(self, weight):
        attention = ATTENTION.copy()
        attention[50:62, 50:62] = weight
        picture = attention_picture(GREY, Prediction(("a", "b"), np.array([0.5, 0.5]), attention, 1.0))
        assert picture[112, 112].sum() > picture[20, 20].sum() + 200

    def test_a_map_that_is_the_same_everywhere_marks_nothing(self):
        picture = attention_picture(GREY, Prediction(("a", "b"), np.array([0.5, 0.5]), ATTENTION, 1.0))
        assert np.ptp(picture) == 0


class TestLoop:
    def test_key_frames_stand_in_when_nothing_else_was_kept(self):
        found = candidate()
        assert [f.frame_index for f in loop_frames(found)] == [
            found.onset.frame_index,
            found.apex.frame_index,
            found.offset.frame_index,
        ]
        kept = replace(found, crops=(found.onset, found.apex, found.apex, found.offset))
        assert loop_frames(kept) is kept.crops


class TestWords:
    @pytest.mark.parametrize(
        ("region", "x", "y", "words"),
        [
            ("left inner brow", 0.1, -1.4, "inner brow, left, up 1.4 %"),
            ("right inner brow", 0.9, 0.9, "inner brow, right, down and inward 1.3 %"),
            ("left mouth corner", 1.2, -1.2, "mouth corner, left, up and outward 1.7 %"),
            ("right mouth corner", -2.0, 0.1, "mouth corner, right, outward 2.0 %"),
            ("left cheek", -1.0, 0.0, "cheek, left, inward 1.0 %"),
            ("chin", 0.0, 0.75, "chin, down 0.8 %"),
            ("upper lip", 1.0, 0.0, "upper lip, to the left 1.0 %"),
            ("lower lip", -1.0, -1.0, "lower lip, up and to the right 1.4 %"),
        ],
    )
    def test_movements_are_told_from_the_persons_own_side(self, region, x, y, words):
        assert movement_in_words(RegionMovement(region, x, y, 0.12)) == words

    def test_uncertainty_is_told_when_it_is_known(self):
        assert uncertainty_in_words(RegionMovement("chin", 0, 1, 0.12)) == "± 0.1 %"
        assert uncertainty_in_words(RegionMovement("chin", 0, 1, 0.0)) == ""

    @pytest.mark.parametrize(
        ("probabilities", "words"),
        [
            ((0.05, 0.9, 0.05), "clearly prefers positive (90 %)"),
            ((0.3, 0.6, 0.1), "prefers positive (60 %), but negative is possible (30 %)"),
            ((0.45, 0.5, 0.05), "cannot decide between positive (50 %) and negative (45 %)"),
            ((0.1, 0.05, 0.85), "clearly prefers no expression (85 %)"),
        ],
    )
    def test_certainty(self, probabilities, words):
        names = ("negative", "positive", "none")
        assert words in certainty_in_words(Prediction(names, np.array(probabilities), ATTENTION, 1.0))

    def test_what_the_percentages_are_worth(self):
        assert "never seen a real micro-expression" in reservation_in_words(is_synthetic=True)
        assert "synthetic" not in reservation_in_words(is_synthetic=False)
        assert "not the chance that it is right" in reservation_in_words(is_synthetic=False)

    def test_an_accepted_movement_passed_every_gate(self):
        made = checks(candidate(), SpotterConfig())
        assert all(check.is_passed for check in made)
        assert [check.measured for check in made] == ["2.4× threshold", "300 ms", "5 %/s", "eyes stay open"]

    @pytest.mark.parametrize(
        ("rejection", "failed", "words"),
        [
            (Rejection("blink", 1.0, 0.0, ""), "blink", "Withdrawn: blink (the eyes closed)."),
            (
                Rejection("interrupted", 120.4, 0.0, "ms"),
                "interrupted",
                "Withdrawn: interrupted. Measured 120 ms, limit 0 ms.",
            ),
            (Rejection("gaze", 0.256, 0.2, "%"), "gaze", "Withdrawn: gaze. Measured 0.26 %, limit 0.20 %."),
        ],
    )
    def test_a_withdrawn_one_says_which_gate_closed(self, rejection, failed, words):
        found = replace(candidate(), rejection=rejection)
        assert [check.name for check in checks(found, SpotterConfig()) if not check.is_passed] == [failed]
        assert rejection_in_words(found, {"blink": "the eyes closed"}) == words
        assert rejection_in_words(candidate(), {}) == ""
