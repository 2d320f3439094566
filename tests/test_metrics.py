"""Scores against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.metrics import confusion_matrix, score

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


def test_classes_without_a_sample_stay_out_of_the_means():
    scores = score(np.array([0, 0, 2]), np.array([0, 1, 2]), 3)
    assert scores.uar == pytest.approx((1 / 2 + 1) / 2)
    assert scores.uf1 == pytest.approx((2 / 3 + 1) / 2)


def test_perfect_predictions_score_one():
    scores = score(LABELS, LABELS, 3)
    assert (scores.accuracy, scores.uf1, scores.uar) == (1.0, 1.0, 1.0)


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match="no predictions"):
        score(np.array([], int), np.array([], int), 3)
