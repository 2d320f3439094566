"""How sensitive the spotter is: expected false alarms a minute, mapped by measurement to the odds asked for."""

from __future__ import annotations

import numpy as np

from app.config import FALSE_ALARMS_PER_MIN

# False alarms a minute → least log odds. Measured with the network, which withdraws two in three of them: quiet faces,
# animated photographs with distractors and real talk give about half as many as asked for; small, noisy and turned
# faces that talk give two to three times as many.
_MEASURED = ((0.25, 1.5), (0.5, 0.9), (1.0, 0.4), (2.0, -0.1), (4.0, -0.6), (8.0, -1.3))


def least_log_odds(false_alarms_per_min: float) -> float:
    """Log odds that a movement must reach for this many false alarms a minute.

    Raises:
        ValueError: the rate is outside what was measured.
    """
    least, largest = FALSE_ALARMS_PER_MIN
    if not least <= false_alarms_per_min <= largest:
        raise ValueError(
            f"{false_alarms_per_min} false alarms a minute were not measured; ask for {least} to {largest}."
        )
    rates, odds = zip(*_MEASURED, strict=True)
    return float(np.interp(np.log(false_alarms_per_min), np.log(rates), odds))
