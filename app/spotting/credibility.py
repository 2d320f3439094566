"""How much a movement looks like a micro-expression: a logistic regression on what was measured of it.

The coefficients come from animated photographs and real recordings in which each micro-expression is known. In words:
it goes along one action unit and the rest of the face is still, a pulse explains it, it was quiet before, it is small.
"""

from __future__ import annotations

import math

from app.spotting.facts import Facts

# Name → (mean, standard deviation, coefficient), measured; the logit is their sum plus the last number.
_TERMS: dict[str, tuple[float, float, float]] = {
    "log score": (1.753, 0.465, -0.198),
    "coherence": (0.426, 0.253, 1.277),
    "explained": (0.861, 0.105, 1.258),
    "before": (0.596, 0.315, -1.213),
    "after": (0.303, 0.250, 0.247),
    "duration": (0.664, 0.263, -0.120),
    "log height": (0.036, 0.586, -0.910),
    "mouth before": (0.573, 0.928, -0.069),
    "head": (0.558, 0.402, 0.122),
}
_CONSTANT = -2.414


def terms(facts: Facts) -> dict[str, float]:
    """What the regression looks at."""
    return {
        "log score": math.log(max(facts.score, 1e-3)),
        "coherence": facts.coherence,
        "explained": facts.explained,
        "before": min(facts.before, 1.5),
        "after": min(facts.after, 1.5),
        "duration": facts.duration_ms / 500,
        "log height": math.log(facts.height_percent + 0.05),
        "mouth before": min(facts.mouth_percent / (facts.height_percent + 1e-6), 4.0) * facts.is_mouth,
        "head": facts.head_percent_s / 50,
    }


def credibility(facts: Facts) -> float:
    """Log odds that this is a micro-expression."""
    values = terms(facts)
    return _CONSTANT + sum(k * (values[name] - mean) / sd for name, (mean, sd, k) in _TERMS.items())
