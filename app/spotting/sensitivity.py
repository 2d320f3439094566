"""How sensitive the spotter is: expected false alarms a minute, mapped by measurement to the odds asked for."""

from __future__ import annotations

import numpy as np

# False alarms a minute → least log odds. Measured on animated photographs with blinks, glances, turns and light jumps,
# speech and macro-expressions, and on real talk; each clip by coefficients that had not seen it.
_MEASURED = ((0.25, 1.0), (0.5, 0.7), (1.0, 0.1), (2.0, -1.1), (4.0, -2.2), (8.0, -4.0))
LEAST_RATE, LARGEST_RATE = _MEASURED[0][0], _MEASURED[-1][0]


def least_log_odds(false_alarms_per_min: float) -> float:
    """Log odds that a movement must reach for this many false alarms a minute.

    Raises:
        ValueError: the rate is outside what was measured.
    """
    if not LEAST_RATE <= false_alarms_per_min <= LARGEST_RATE:
        raise ValueError(
            f"{false_alarms_per_min} false alarms a minute were not measured; ask for {LEAST_RATE} to {LARGEST_RATE}."
        )
    rates, odds = zip(*_MEASURED, strict=True)
    return float(np.interp(np.log(false_alarms_per_min), np.log(rates), odds))
