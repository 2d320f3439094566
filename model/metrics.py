"""Scores from pooled predictions, as the micro-expression challenges count them.

UF1 and UAR: See et al., "MEGC 2019 – the second facial micro-expressions grand challenge", FG 2019. Predictions of all
subjects are pooled first; a mean of the scores of single subjects would be another, higher, number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, classes: int) -> np.ndarray:
    """Count (K, K) int64: rows are the true classes, columns the predicted ones."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one pooled set of predictions; `confusion` holds rows of true and columns of predicted classes."""

    accuracy: float
    uf1: float
    uar: float
    confusion: tuple[tuple[int, ...], ...]


def score(labels: np.ndarray, predictions: np.ndarray, classes: int) -> Scores:
    """Score predictions (N,) against labels (N,), both integers in 0…classes-1.

    UF1 is the mean over classes of 2·TP / (2·TP + FP + FN), UAR that of TP / (TP + FN). Only classes that occur in the
    labels enter the means: the others have no recall.

    Raises:
        ValueError: there is nothing to score.
    """
    if len(labels) == 0:
        raise ValueError("no predictions to score")
    matrix = confusion_matrix(labels, predictions, classes)
    hits, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    occurs = true > 0
    f1 = 2 * hits[occurs] / (true + predicted)[occurs]
    return Scores(
        accuracy=float(hits.sum() / matrix.sum()),
        uf1=float(f1.mean()),
        uar=float((hits[occurs] / true[occurs]).mean()),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
    )
