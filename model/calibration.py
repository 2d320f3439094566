"""How far a network's probabilities can be believed, and how sure it must be to say that there is no expression.

C. Guo et al.: "On calibration of modern neural networks", ICML 2017, sections 3 and 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

NONE = "none"  # the class of what is no expression
MAX_LOST = 0.05  # of the true expressions may be called none: a false alarm can be looked at, a lost event cannot
_BINS = 15
_LOG_TEMPERATURE = (-2.0, 2.5)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is done to the logits before the softmax: `none_bias` is added to that of the class none, if there is one,
    then all are divided by `temperature`."""

    temperature: float = 1.0
    none_bias: float = 0.0

    def applied(self, probabilities: np.ndarray, class_names: tuple[str, ...]) -> np.ndarray:
        """Calibrated probabilities (N, K) from those of the plain softmax."""
        logits = np.log(np.maximum(probabilities, 1e-30))
        if NONE in class_names:
            logits[:, class_names.index(NONE)] += self.none_bias
        logits /= self.temperature
        scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
        return scaled / scaled.sum(axis=1, keepdims=True)


UNCALIBRATED = Calibration()


def fit_calibration(probabilities: np.ndarray, label: np.ndarray, class_names: tuple[str, ...]) -> Calibration:
    """Choose the calibration on people that nothing was learned from.

    The bias lets at most `MAX_LOST` of the true expressions be called none; the temperature then gives the least
    cross-entropy.

    Args:
        probabilities: (N, K) of the plain softmax.
        label: (N,) position in `class_names`.
    """
    bias = 0.0
    is_expression = label != (class_names.index(NONE) if NONE in class_names else -1)
    if NONE in class_names and is_expression.any():
        logits = np.log(np.maximum(probabilities, 1e-30))
        none = class_names.index(NONE)
        lead = logits[:, none] - np.delete(logits, none, axis=1).max(axis=1)  # how far none is ahead
        bias = -float(np.quantile(lead[is_expression], 1 - MAX_LOST))
    rows = np.arange(len(label))

    def loss(log_temperature: float) -> float:
        calibration = Calibration(float(np.exp(log_temperature)), bias)
        true = calibration.applied(probabilities, class_names)[rows, label]
        return float(-np.log(np.maximum(true, 1e-30)).mean())

    return Calibration(float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x)), bias)


def expected_calibration_error(probabilities: np.ndarray, label: np.ndarray, bins: int = _BINS) -> float:
    """Mean gap between confidence and accuracy over bins of confidence, weighted by their samples (eq. 3)."""
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == label
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[place == b].sum() - is_right[place == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(label))
