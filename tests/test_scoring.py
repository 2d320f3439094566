"""The MEGC matching rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.spotting.scoring import intersection_over_union, match

intervals = st.tuples(st.integers(0, 300), st.integers(1, 40)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 10), (0, 10), 1.0),
        ((0, 10), (5, 15), 5 / 15),
        ((0, 10), (10, 20), 0.0),
        ((0, 10), (30, 40), 0.0),
        ((0, 10), (2, 8), 0.6),
        ((3, 3), (3, 3), 1.0),
    ],
)
def test_intersection_over_union(a, b, expected) -> None:
    assert intersection_over_union(a, b) == pytest.approx(expected)
    assert intersection_over_union(b, a) == pytest.approx(expected)


def test_counts_and_f1() -> None:
    score = match([(0, 10), (50, 60), (100, 110)], [(1, 11), (53, 70), (200, 210)])
    assert score.pairs == ((0, 0),)
    assert (score.true_positives, score.false_positives, score.false_negatives) == (1, 2, 2)
    assert score.f1 == pytest.approx(2 / 6)


def test_one_long_alarm_matches_only_one_movement() -> None:
    score = match([(0, 10), (8, 18)], [(0, 18)])
    assert score.true_positives == 1
    assert score.false_negatives == 1


def test_a_pair_below_the_limit_never_displaces_one_that_counts() -> None:
    # Summed overlap would prefer both weak pairs (0.45 + 0.45) to the single good one (0.6).
    true = [(0, 100), (60, 160)]
    found = [(0, 60), (22, 82)]
    assert match(true, found).true_positives == 2 - (intersection_over_union(true[1], found[1]) < 0.5)


def test_nothing_to_find_and_nothing_found_is_perfect() -> None:
    assert match([], []).f1 == 1.0
    assert match([(0, 10)], []).f1 == 0.0
    assert match([], [(0, 10)]).f1 == 0.0


@given(st.lists(intervals, max_size=8), st.lists(intervals, max_size=8))
def test_matching_is_one_to_one_and_symmetric(true, found) -> None:
    score = match(true, found)
    assert len({t for t, _ in score.pairs}) == len({f for _, f in score.pairs}) == len(score.pairs)
    assert all(intersection_over_union(true[t], found[f]) >= 0.5 for t, f in score.pairs)
    assert match(found, true).f1 == pytest.approx(score.f1)
