"""How much a movement looks like a micro-expression: a logistic regression on what was measured of it.

The coefficients come from animated photographs and real recordings in which each micro-expression is known. In words: a
pulse explains it, it was quiet before, the rest of the face is still, and it is about one percent of the inter-ocular
distance: neither noise nor speech.
"""

from __future__ import annotations

import math

from app.spotting.facts import Facts

# Name → (mean, standard deviation, coefficient), measured; the logit is their sum plus the last number.
_TERMS: dict[str, tuple[float, float, float]] = {
    "log score": (1.579, 0.523, -0.157),
    "coherence": (0.382, 0.234, 0.136),
    "coherence of the face": (0.263, 0.210, 0.722),
    "explained": (0.858, 0.106, 0.910),
    "before": (0.678, 0.387, -0.813),
    "after": (0.266, 0.253, -0.059),
    "duration": (0.705, 0.275, -0.241),
    "log height": (-0.062, 0.623, 0.048),
    "log height squared": (0.392, 0.450, -0.424),
    "mouth before": (0.360, 0.581, 0.011),
    "head": (0.619, 0.629, 0.131),
}
_CONSTANT = -1.527


def terms(facts: Facts) -> dict[str, float]:
    """What the regression looks at."""
    log_height = math.log(facts.height_percent + 0.05)
    return {
        "log score": math.log(max(facts.score, 1e-3)),
        "coherence": facts.coherence,
        "coherence of the face": facts.face_coherence,
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
