"""What is measured of a movement before it is judged."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """What was measured of one movement, from a little before its onset to a little after its offset.

    `before` and `after`: how much the same regions moved outside the movement, as a fraction of its height.
    """

    score: float  # standard deviations above the noise
    height_percent: float
    duration_ms: float
    explained: float  # share of the motion that a pulse explains
    coherence: float  # share of what moved in that half of the face that goes along one action unit
    face_coherence: float  # the same of the whole face, lids included
    before: float
    after: float
    eye_drop: float  # how far the lids came down, fraction of their usual opening
    gaze_percent: float
    head_percent_s: float
    light_percent: float
    mouth_percent: float  # how far the lips and the chin moved just before
    is_mouth: bool  # mouth and chin lead the movement
