"""Filters of all lengths at once: what one product over the frames gives is what each template gives by itself."""

import numpy as np
import pytest

from app.face.topology import REGION_NAMES
from app.spotting.pulses import PULSES, FilterBank

RNG = np.random.default_rng(0)


def even_s(count: int, fps: float) -> np.ndarray:
    return np.arange(count) / fps


def heights_one_by_one(times_s: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    rows = []
    for template in PULSES:
        first_s = times_s[-1] - template.span_s
        within, is_known = times_s >= first_s, times_s[0] <= first_s
        heights = template.weights(times_s[within] - times_s[-1]) @ displacement[within]
        rows.append(heights if is_known else np.full_like(heights, np.nan))
    return np.array(rows)


@pytest.mark.parametrize(
    "times_s",
    [
        even_s(49, 30.0),
        even_s(320, 200.0),
        even_s(50, 30.0).round(2),  # whole hundredths of a second: frames at other times with every new one
        even_s(17, 30.0),  # too short for the longest
    ],
    ids=["30 fps", "200 fps", "uneven", "short"],
)
def test_heights_are_those_of_each_template(times_s: np.ndarray) -> None:
    bank = FilterBank(PULSES)
    displacement = RNG.normal(0, 0.2, (len(times_s) + 5, 2 * len(REGION_NAMES)))
    for shift in range(5):
        # The weights of the call before are used again where frames come at the same times.
        window = displacement[shift : shift + len(times_s)]
        scores = bank.update(times_s, window)
        assert scores is not None
        np.testing.assert_allclose(scores.amplitude_percent, heights_one_by_one(times_s, window), atol=1e-9)


def test_weights_follow_the_frames_when_their_times_change() -> None:
    bank = FilterBank(PULSES)
    for fps in (30.0, 24.0, 30.0):
        times_s = even_s(int(1.6 * fps), fps)
        displacement = RNG.normal(0, 0.2, (len(times_s), 2 * len(REGION_NAMES)))
        scores = bank.update(times_s, displacement)
        assert scores is not None
        np.testing.assert_allclose(scores.amplitude_percent, heights_one_by_one(times_s, displacement), atol=1e-9)


def test_a_history_shorter_than_every_template_has_no_scores() -> None:
    times_s = even_s(6, 30.0)
    assert FilterBank(PULSES).update(times_s, np.zeros((6, 2 * len(REGION_NAMES)))) is None
