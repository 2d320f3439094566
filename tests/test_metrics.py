"""Scores against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.metrics import confusion_matrix, score, score_groups

LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
PREDICTIONS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 0, 0])


def test_confusion_has_true_classes_in_rows():
    assert confusion_matrix(LABELS, PREDICTIONS, 3).tolist() == [[3, 1, 0], [0, 2, 1], [2, 0, 1]]


def test_scores_by_hand():
    scores = score(LABELS, PREDICTIONS, 3)
    assert scores.accuracy == pytest.approx(6 / 10)
    # TP, FP, FN: (3, 2, 1), (2, 1, 1), (1, 1, 2)
    assert scores.uf1 == pytest.approx((6 / 9 + 4 / 6 + 2 / 5) / 3)
    assert scores.uar == pytest.approx((3 / 4 + 2 / 3 + 1 / 3) / 3)
    assert scores.confusion == ((3, 1, 0), (0, 2, 1), (2, 0, 1))


def test_always_the_largest_class_is_not_rewarded():
    labels = np.array([0] * 8 + [1, 2])
    scores = score(labels, np.zeros(10, int), 3)
    assert scores.accuracy == pytest.approx(0.8)
    assert scores.uf1 == pytest.approx(16 / 18 / 3)
    assert scores.uar == pytest.approx(1 / 3)


def test_a_class_that_is_only_predicted_counts_for_f1_but_has_no_recall():
    scores = score(np.array([0, 0, 2]), np.array([0, 1, 2]), 4)
    assert scores.f1 == (pytest.approx(2 / 3), 0.0, 1.0, None)
    assert scores.recall == (0.5, None, 1.0, None)
    assert scores.uf1 == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert scores.uar == pytest.approx((1 / 2 + 1) / 2)


def test_groups_are_scored_by_themselves():
    groups = np.array(["b"] * 4 + ["a"] * 6)
    scores = score_groups(LABELS, PREDICTIONS, groups, 3)
    assert list(scores) == ["a", "b"]
    assert scores["b"] == {"samples": 4, "accuracy": 0.75, "uf1": pytest.approx(6 / 7 / 2), "uar": 0.75}
    assert scores["a"]["accuracy"] == 0.5


def test_perfect_predictions_score_one():
    scores = score(LABELS, LABELS, 3)
    assert (scores.accuracy, scores.uf1, scores.uar) == (1.0, 1.0, 1.0)


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="no predictions"):
        score(np.array([], int), np.array([], int), 3)
