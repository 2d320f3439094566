"""Temperature, the bias of the class none, and the calibration error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.calibration import MAX_LOST, Calibration, expected_calibration_error, fit_calibration

NAMES = ("negative", "positive", "surprise", "none")


def sampled(count: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that tell the truth, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.normal(size=(count, 4))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return p, np.array([rng.choice(4, p=row) for row in p])


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_false_confidence_is_taken_back(factor: float) -> None:
    truth, label = sampled(4000, 1.5)
    wrong = Calibration(1 / factor).applied(truth, NAMES[:0])
    found = fit_calibration(wrong, label, ("a", "b", "c", "d"))
    assert found.temperature == pytest.approx(factor, rel=0.1)
    assert found.none_bias == 0
    before, after = (expected_calibration_error(p, label) for p in (wrong, found.applied(wrong, ())))
    assert after < 0.03 < before


def test_few_expressions_are_called_none() -> None:
    p, label = sampled(4000, 1.5)
    calibrated = fit_calibration(p, label, NAMES).applied(p, NAMES)
    lost = (calibrated.argmax(axis=1) == 3)[label != 3].mean()
    assert lost == pytest.approx(MAX_LOST, abs=0.005)
    assert (p.argmax(axis=1) == 3)[label != 3].mean() > 2 * MAX_LOST


@given(st.floats(0.2, 5), st.floats(-3, 3))
def test_calibrated_probabilities_are_probabilities(temperature: float, bias: float) -> None:
    p, _ = sampled(20, 3)
    p[0] = (1, 0, 0, 0)
    calibrated = Calibration(temperature, bias).applied(p, NAMES)
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    assert np.isfinite(calibrated).all()
    expressions = p[:, :3].argmax(axis=1)
    assert (calibrated[:, :3].argmax(axis=1) == expressions).all()


def test_error_of_a_sure_network_that_is_half_right() -> None:
    p = np.tile([0.9, 0.1], (10, 1))
    assert expected_calibration_error(p, np.array([0, 1] * 5)) == pytest.approx(0.4)
    assert expected_calibration_error(np.eye(2), np.array([0, 1])) == pytest.approx(0)
