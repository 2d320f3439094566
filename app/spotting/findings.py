"""What the filters found, measured: facts for the gates, and the candidate that the rest of the program sees."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_high

import numpy as np

from app.datatypes import Candidate, KeyFrame, RegionMovement, Rejection
from app.face.topology import BROW_REGIONS, LID_REGIONS, MOUTH_REGIONS, REGION_NAMES
from app.spotting.buffer import TimeBuffer
from app.spotting.facts import Facts
from app.spotting.motion import RegionalMotion
from app.spotting.patterns import fitting_action_units, is_lower_face
from app.spotting.pulses import FilterBank, PulseFit, Scores

_AROUND_S = 0.5  # what came before a movement is looked at this far back
_MARGIN_NS = 60_000_000  # blinks, glances and jumps of light this close count as simultaneous
_SAMPLE_S = (
    0.025  # extremes are read from means over about this, or a high frame rate would make noise look like motion
)
_MAX_CROPS = 40  # of one candidate: 6 MB
_MOVED_SHARE = 0.35  # of the strongest region's signal-to-noise ratio
_MOVED_NOISE = 2.0
_IN_MOUTH = np.array([name in MOUTH_REGIONS for name in REGION_NAMES])
_IN_LIDS = np.array([name in LID_REGIONS for name in REGION_NAMES])
_IN_UPPER = np.array([name in BROW_REGIONS | LID_REGIONS for name in REGION_NAMES])
_LIPS_AND_CHIN = [REGION_NAMES.index(name) for name in ("upper lip", "lower lip", "chin")]


@dataclass(frozen=True, eq=False, slots=True)
class Observation:
    """What the spotter remembers of one frame."""

    frame_index: int
    timestamp_ns: int
    motion: RegionalMotion
    eye_opening: float


@dataclass(frozen=True, eq=False, slots=True)
class Finding:
    """A movement in the scores, and when it was seen.

    All (2R,): its pattern, its height and noise in each region, and weights on displacements that give 1 at its height.
    """

    score: float
    pattern_index: int
    pattern: np.ndarray
    weights: np.ndarray
    amplitude_percent: np.ndarray
    noise_percent: np.ndarray
    duration_s: float
    seen_ns: int

    @classmethod
    def best_of(cls, scores: Scores, bank: FilterBank, patterns: np.ndarray, now_ns: int) -> Finding:
        """The highest score among some of the patterns."""
        template, pattern = scores.best(patterns)
        return cls(
            float(scores.scores[template, pattern]),
            pattern,
            bank.patterns[pattern],
            scores.weights[template, pattern]
            / (scores.weights[template, pattern] @ scores.amplitude_percent[template]),
            scores.amplitude_percent[template],
            scores.noise_percent[template],
            scores.templates[template].duration_s,
            now_ns,
        )

    @property
    def coherence(self) -> float:
        """Share of what moved in the same half of the face, lids left out, that goes along the pattern; 0–1."""
        is_lower = is_lower_face(self.pattern.reshape(-1, 2))
        return self._coherence((~(_IN_UPPER if is_lower else _IN_MOUTH | _IN_LIDS)).repeat(2))

    @property
    def face_coherence(self) -> float:
        """Share of what moved in the whole face that goes along the pattern; 0–1."""
        return self._coherence(np.ones(len(self.pattern), bool))

    def _coherence(self, here: np.ndarray) -> float:
        moved = np.where(here, self.amplitude_percent / self.noise_percent, 0.0)
        along = np.where(here, self.pattern / self.noise_percent, 0.0)
        return float(max(0.0, moved @ along) ** 2 / ((along @ along) * (moved @ moved) + 1e-12))

    def cosine(self, other: Finding) -> float:
        """Of the angle between two movements in units of their noise: 1 the same, −1 one the way back of the other."""
        a, b = self.amplitude_percent / self.noise_percent, other.amplitude_percent / other.noise_percent
        return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))

    @property
    def power(self) -> np.ndarray:
        """How much each region (R,) carries of the finding; sums to 1."""
        carried = np.maximum(self.pattern * self.amplitude_percent / self.noise_percent**2, 0.0)
        power = carried.reshape(-1, 2).sum(axis=1)
        return power / (power.sum() + 1e-12)


def series(history: TimeBuffer[Observation]) -> tuple[np.ndarray, np.ndarray]:
    """Times of the frames in the buffer (N,) in seconds, on the frames' own clock, and displacements (N, 2R)."""
    times_s = np.array([o.timestamp_ns for o in history]) / 1e9
    return times_s, np.array([o.motion.displacement_percent.ravel() for o in history])


def eye_drop(history: TimeBuffer[Observation], from_ns: int, to_ns: int) -> float:
    """How far the lids came down in this time, as a fraction of their usual opening."""
    usual = median_high(o.eye_opening for o in history)
    least = min((o.eye_opening for o in history if from_ns <= o.timestamp_ns <= to_ns), default=usual)
    return max(0.0, 1 - least / (usual + 1e-9))


def measure(
    history: TimeBuffer[Observation], times_s: np.ndarray, displacement: np.ndarray, found: Finding, fit: PulseFit
) -> Facts:
    """Everything that the gates ask of a movement with a fitted pulse; `times_s` and `displacement` as of `series`."""
    signal = displacement @ found.weights
    onset_ns, offset_ns = int(fit.onset_s * 1e9), int(fit.offset_s * 1e9)
    near = [o for o in history if onset_ns - _MARGIN_NS <= o.timestamp_ns <= offset_ns + _MARGIN_NS]
    count = max(1, round(_SAMPLE_S * (len(times_s) - 1) / (times_s[-1] - times_s[0])))
    gaze = _means(np.array([o.motion.gaze_percent for o in near]), count)
    light = _means(np.array([o.motion.brightness for o in near]), count) + 1.0
    is_before = (times_s >= fit.onset_s - _AROUND_S) & (times_s <= fit.onset_s)
    before, after = _means(signal[is_before], count), _means(signal[times_s >= fit.offset_s], count)
    mouth = _means(np.array([o.motion.displacement_percent[_LIPS_AND_CHIN] for o in history])[is_before], count)
    power = found.power
    height_or_floor = max(fit.height, 1e-6)
    height = fit.height * float(np.linalg.norm(found.amplitude_percent.reshape(-1, 2), axis=1)[int(np.argmax(power))])
    return Facts(
        score=found.score,
        height_percent=height,
        duration_ms=(fit.offset_s - fit.onset_s) * 1e3,
        explained=fit.explained,
        coherence=found.coherence,
        face_coherence=found.face_coherence,
        before=float(np.ptp(before)) / height_or_floor if len(before) else 0.0,
        after=float(np.ptp(after)) / height_or_floor if len(after) else 0.0,
        eye_drop=eye_drop(history, onset_ns - _MARGIN_NS, offset_ns + _MARGIN_NS),
        gaze_percent=float(np.linalg.norm(np.ptp(gaze, axis=0))),
        head_percent_s=max(o.motion.head_speed_percent_s for o in near),
        light_percent=float(100 * np.ptp(light) / light.mean()),
        mouth_percent=float(np.linalg.norm(np.ptp(mouth, axis=0), axis=1).max()) if len(mouth) else 0.0,
        is_mouth=bool(power[_IN_MOUTH].sum() > 0.5),
    )


def _means(values: np.ndarray, count: int) -> np.ndarray:
    """Means over `count` neighbours each, of the newest values (N, …); the values themselves when there are fewer."""
    whole = len(values) // count * count
    return values[-whole:].reshape(-1, count, *values.shape[1:]).mean(axis=1) if whole else values


def candidate(
    history: TimeBuffer[Observation],
    found: Finding,
    times_ns: tuple[int, int, int],
    rejection: Rejection | None,
    *,
    candidate_id: int,
    face_id: int,
    min_score: float,
    max_eye_drop: float,
    fps_effective: float,
) -> Candidate:
    """Onset, apex and offset as whole frames with their crops, and what moved between the first two."""
    observations = list(history)
    stamps_ns = np.array([o.timestamp_ns for o in observations])
    onset, apex, offset = (int(np.abs(stamps_ns - time_ns).argmin()) for time_ns in times_ns)
    amplitude, noise = found.amplitude_percent.reshape(-1, 2), found.noise_percent.reshape(-1, 2)
    ratio = np.linalg.norm(amplitude / noise, axis=1)
    moved = [i for i in np.argsort(-ratio) if ratio[i] >= max(_MOVED_NOISE, _MOVED_SHARE * ratio.max())]
    return Candidate(
        candidate_id=candidate_id,
        face_id=face_id,
        onset=_key_frame(observations[onset]),
        apex=_key_frame(observations[apex]),
        offset=_key_frame(observations[offset]),
        onset_ns=times_ns[0],
        apex_ns=times_ns[1],
        offset_ns=times_ns[2],
        movements=tuple(
            RegionMovement(REGION_NAMES[i], *map(float, amplitude[i]), float(noise[i].mean())) for i in moved
        ),
        action_units=fitting_action_units(amplitude, noise),
        spot_score=found.score / min_score,
        head_motion=max(o.motion.head_speed_percent_s for o in observations[onset : offset + 1]),
        has_blink=eye_drop(history, times_ns[0] - _MARGIN_NS, times_ns[2] + _MARGIN_NS) > max_eye_drop,
        fps_effective=fps_effective,
        rejection=rejection,
        crops=_thinned(observations, onset, apex, offset),
    )


def _key_frame(observation: Observation) -> KeyFrame:
    return KeyFrame(observation.frame_index, observation.timestamp_ns, observation.motion.crop.image_bgr)


def _thinned(observations: list[Observation], onset: int, apex: int, offset: int) -> tuple[KeyFrame, ...]:
    """The frames from onset to offset; of more than `_MAX_CROPS` an even choice with the apex in it."""
    even = np.linspace(onset, offset, min(offset - onset + 1, _MAX_CROPS - 1)).round().astype(int)
    return tuple(_key_frame(observations[position]) for position in sorted({*even.tolist(), apex}))
