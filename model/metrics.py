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
    """Scores of one pooled set of predictions; `confusion` holds rows of true and columns of predicted classes.

    `f1` and `recall` are those of each class, None where it has none: F1 for a class that is neither in the labels nor
    predicted, recall for one that is not in the labels.
    """

    accuracy: float
    uf1: float
    uar: float
    confusion: tuple[tuple[int, ...], ...]
    f1: tuple[float | None, ...]
    recall: tuple[float | None, ...]


def score(labels: np.ndarray, predictions: np.ndarray, classes: int) -> Scores:
    """Score predictions (N,) against labels (N,), both integers in 0…classes-1.

    UF1 is the mean over classes of 2·TP / (2·TP + FP + FN), UAR that of TP / (TP + FN). A class that is predicted
    without being in the labels has an F1 of 0; the means leave out the classes that have no value.

    Raises:
        ValueError: there is nothing to score.
    """
    if len(labels) == 0:
        raise ValueError("no predictions to score")
    matrix = confusion_matrix(labels, predictions, classes)
    hits, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    f1 = [float(2 * h / (t + p)) if t + p else None for h, t, p in zip(hits, true, predicted, strict=True)]
    recall = [float(h / t) if t else None for h, t in zip(hits, true, strict=True)]
    return Scores(
        accuracy=float(hits.sum() / matrix.sum()),
        uf1=float(np.mean([value for value in f1 if value is not None])),
        uar=float(np.mean([value for value in recall if value is not None])),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        f1=tuple(f1),
        recall=tuple(recall),
    )


def score_groups(
    labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray, classes: int
) -> dict[str, dict[str, float]]:
    """Number of samples, accuracy, UF1 and UAR of each group, by name; `groups` (N,) says where a sample belongs."""
    found = {}
    for group in np.unique(groups).tolist():
        chosen = groups == group
        scores = score(labels[chosen], predictions[chosen], classes)
        found[str(group)] = {"samples": int(chosen.sum())} | {n: getattr(scores, n) for n in ("accuracy", "uf1", "uar")}
    return found
