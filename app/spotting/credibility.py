"""How much a movement looks like a micro-expression: a logistic regression on what was measured of it.

The coefficients come from animated photographs and real recordings in which each micro-expression is known. In words:
it goes along one action unit and the rest of the face is still, a pulse explains it, it was quiet before, it is small.
"""

from __future__ import annotations

import math

from app.spotting.facts import Facts

# Name → (mean, standard deviation, coefficient), measured; the logit is their sum plus the last number.
_TERMS: dict[str, tuple[float, float, float]] = {
    "log score": (1.620, 0.523, 0.109),
    "coherence": (0.415, 0.263, 0.666),
    "explained": (0.851, 0.110, 0.966),
    "before": (0.675, 0.381, -0.689),
    "after": (0.316, 0.254, -0.066),
    "duration": (0.709, 0.285, -0.374),
    "log height": (0.016, 0.638, 0.207),
    "log height squared": (0.407, 0.458, -0.333),
    "mouth before": (0.376, 0.585, 0.118),
    "head": (0.922, 0.933, 0.181),
}
_CONSTANT = -1.080


def terms(facts: Facts) -> dict[str, float]:
    """What the regression looks at."""
    log_height = math.log(facts.height_percent + 0.05)
    return {
        "log score": math.log(max(facts.score, 1e-3)),
        "coherence": facts.coherence,
        "explained": facts.explained,
        "before": min(facts.before, 1.5),
        "after": min(facts.after, 1.5),
        "duration": facts.duration_ms / 500,
        "log height": log_height,
        "log height squared": log_height**2,
        "mouth before": min(facts.mouth_percent / (facts.height_percent + 1e-6), 4.0) * facts.is_mouth,
        "head": facts.head_percent_s / 50,
    }


def credibility(facts: Facts) -> float:
    """Log odds that this is a micro-expression."""
    values = terms(facts)
    return _CONSTANT + sum(k * (values[name] - mean) / sd for name, (mean, sd, k) in _TERMS.items())
