"""What a movement must pass to be called a micro-expression: each gate has a name, a measured value and a limit."""

from __future__ import annotations

from app.config import SpotterConfig
from app.datatypes import Rejection
from app.spotting.credibility import credibility
from app.spotting.facts import Facts

# Gate → what it means to the user.
REJECTIONS: dict[str, str] = {
    "too weak": "it does not stand out from how this face moves at rest",
    "not convincing": "weak, spread over the face, or not quiet before: more likely something else",
    "too long": "longer than a micro-expression: a macro-expression or a change of posture",
    "too strong": "further than a micro-expression moves: a macro-expression, speech, or a hand before the face",
    "too short": "a flicker of one or two frames",
    "part of a longer movement": "the same place moved just before or after: a macro-expression or its beginning",
    "speech": "the mouth had been moving: talking, chewing or swallowing",
    "blink": "the eyes closed at the same time",
    "gaze shift": "the eyes looked elsewhere at the same time",
    "head motion": "the head moved fast at the same time",
    "light jump": "the light or the camera's gain changed at the same time",
    "interrupted": "the face was lost, or frames were, before the movement ended",
    "not an expression": "the network sees no expression in it",
}


def first_rejection(facts: Facts, least_odds: float, config: SpotterConfig) -> Rejection | None:
    """The first gate that closes, or None. `least_odds`: log odds asked for (see `credibility`)."""
    height_of_light = config.max_light_percent * max(1.0, facts.height_percent)
    checks = (
        ("blink", facts.eye_drop * 100, config.max_eye_drop_percent, "%", True),
        ("gaze shift", facts.gaze_percent, config.max_gaze_percent, "%", not facts.is_mouth),
        ("head motion", facts.head_percent_s, config.max_head_speed_percent_s, "%/s", True),
        ("light jump", facts.light_percent, height_of_light, "%", True),
        ("too strong", facts.height_percent, config.max_displacement_percent, "%", True),
        ("too long", facts.duration_ms, config.longest_ms, "ms", True),
        ("speech", facts.mouth_percent / max(facts.height_percent, 1e-6), config.max_mouth_before, "", facts.is_mouth),
        ("part of a longer movement", max(facts.before, facts.after), config.max_around, "", True),
    )
    for reason, measured, limit, unit, applies in checks:
        if applies and measured > limit:
            return Rejection(reason, measured, limit, unit)
    if facts.duration_ms < config.min_duration_ms:
        return Rejection("too short", facts.duration_ms, config.min_duration_ms, "ms")
    if facts.explained < config.min_explained:
        return Rejection("part of a longer movement", facts.explained, config.min_explained, "")
    if facts.height_percent < config.min_displacement_percent:
        return Rejection("too weak", facts.height_percent, config.min_displacement_percent, "%")
    odds = credibility(facts)
    if odds < least_odds:
        return Rejection("not convincing", odds, least_odds, "log odds")
    return None
