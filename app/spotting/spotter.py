"""When did something move: a causal state machine over the displacement of facial regions.

The recipe of optical-flow spotting (He 2021, Zhao/Sheng 2022: regional flow, rigid motion removed, peaks with gates),
with whole-video extremes replaced by a running median and its deviation, so that it works as the frames come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.config import SpotterConfig
from app.datatypes import (
    Candidate,
    Frame,
    KeyFrame,
    MotionSample,
    RegionMovement,
    Rejection,
    SpotState,
    TrackedFace,
)
from app.face.topology import MOUTH_REGIONS, REGION_NAMES
from app.spotting.buffer import TimeBuffer
from app.spotting.motion import RegionalMotion

# Gate → what it means to the user.
REJECTIONS: dict[str, str] = {
    "too long": "longer than a micro-expression: a macro-expression or a change of posture",
    "too short": "a flicker of one or two frames",
    "part of a longer movement": "another movement ended just before: speech or a macro-expression",
    "blink": "the eyes closed at the same time",
    "head motion": "the head moved fast at the same time",
    "interrupted": "the face was lost, or frames were, before the movement ended",
}
_FALLING_LEVEL = 0.7  # of the peak
_QUIET_STRENGTH = 0.7  # of the detection threshold; below 1, so that noise at the threshold is no new movement
_NEVER_NS = -(10**18)
_MAD_TO_SD = 1.4826  # of a normal distribution
_MAX_CROPS = 40  # of one candidate: 6 MB


@dataclass(frozen=True, eq=False, slots=True)
class _Observation:
    """What the spotter remembers of one frame."""

    frame_index: int
    timestamp_ns: int
    displacement_percent: np.ndarray
    head_speed_percent_s: float
    eye_opening: float
    is_blink: bool
    crop_bgr: np.ndarray


@dataclass(eq=False, slots=True)
class _Movement:
    """The movement under way; `baseline` and `threshold` are frozen at its detection."""

    baseline: np.ndarray  # (R, 2)
    threshold: np.ndarray  # (R,)
    peak_strength: float
    peak_region: int
    peak_vector: np.ndarray  # (2,) percent
    peak_ns: int
    start_ns: int
    candidate_id: int
    is_announced: bool = False

    def along(self, observation: _Observation) -> float:
        """Displacement of the leading region along the direction of its peak, as a fraction of the peak."""
        deviation = observation.displacement_percent[self.peak_region] - self.baseline[self.peak_region]
        return float(deviation @ self.peak_vector / (self.peak_vector @ self.peak_vector))


class Spotter:
    """Turns regional motion into micro-expression candidates, each reported once, when the movement has ended."""

    def __init__(self, config: SpotterConfig | None = None) -> None:
        self._config = config or SpotterConfig()
        self._history: TimeBuffer[_Observation] = TimeBuffer(self._config.baseline_s)
        self._movement: _Movement | None = None
        self._face_id = 0
        self._ended_ns = _NEVER_NS  # when the last movement ended
        self._strength = 0.0
        self._candidate_count = 0
        self.state = SpotState.OFF

    @property
    def fps_effective(self) -> float:
        """Frame rate over the buffer, Hz; 0 when unknown."""
        return (len(self._history) - 1) / (self._history.span_ns / 1e9) if len(self._history) > 1 else 0.0

    def reset(self) -> tuple[Candidate, ...]:
        """Forget everything: the face was lost, or frames were. A movement under way is reported as interrupted."""
        interrupted: tuple[Candidate, ...] = ()
        if self._movement is not None and self.state is not SpotState.HOLDING:
            interrupted = (self._candidate(is_interrupted=True),)
        self._movement = None
        self._ended_ns = _NEVER_NS
        self._history.clear()
        self.state = SpotState.OFF
        return interrupted

    def update(
        self, frame: Frame, face: TrackedFace, motion: RegionalMotion
    ) -> tuple[MotionSample, tuple[Candidate, ...], tuple[Candidate, ...]]:
        """Take in one frame; returns its sample, the movements that passed their apex, and those that ended.

        The caller resets the spotter when time jumps, frames are missing, or the face is another one.
        """
        self._face_id = face.face_id
        newest = _Observation(
            frame.index,
            frame.timestamp_ns,
            motion.displacement_percent,
            motion.head_speed_percent_s,
            face.eye_opening,
            self._is_blink(face.eye_opening),
            motion.crop.image_bgr,
        )
        self._history.append(newest)
        announced: tuple[Candidate, ...] = ()
        decided: tuple[Candidate, ...] = ()
        self._strength = 0.0
        if self._history.span_ns < self._config.warmup_s * 1e9:
            self.state = SpotState.WARMUP
        else:
            self._strength, decided = self._advance(newest)
            announced = self._announced()
        sample = MotionSample(
            frame.index,
            frame.timestamp_ns,
            motion.displacement_percent,
            motion.head_speed_percent_s,
            self._strength,
            newest.is_blink,
        )
        return sample, announced, decided

    def _announced(self) -> tuple[Candidate, ...]:
        if self._movement is None or self._movement.is_announced or self.state is not SpotState.FALLING:
            return ()
        self._movement.is_announced = True
        return (self._candidate(is_over=False),)

    def _advance(self, newest: _Observation) -> tuple[float, tuple[Candidate, ...]]:
        """One step of the state machine: (strength, movements that ended)."""
        baseline, threshold = self._baseline()
        deviation = newest.displacement_percent - baseline
        strengths = np.linalg.norm(deviation, axis=1) / threshold
        region = int(np.argmax(strengths))
        strength = float(strengths[region])
        movement = self._movement
        if movement is None:
            self.state = SpotState.IDLE
            if strength >= 1:
                self.state = SpotState.RISING
                self._candidate_count += 1
                now_ns = newest.timestamp_ns
                self._movement = _Movement(
                    baseline, threshold, strength, region, deviation[region], now_ns, now_ns, self._candidate_count
                )
            return strength, ()
        if self.state is SpotState.HOLDING:
            # The running median reaches a held expression within half its window; until then nothing new begins.
            if strength < 1:
                self._movement, self.state = None, SpotState.IDLE
                self._ended_ns = newest.timestamp_ns
            return strength, ()
        frozen = np.linalg.norm(newest.displacement_percent - movement.baseline, axis=1) / movement.threshold
        leader = int(np.argmax(frozen))
        if frozen[leader] > movement.peak_strength:
            movement.peak_strength = float(frozen[leader])
            movement.peak_region = leader
            movement.peak_vector = newest.displacement_percent[leader] - movement.baseline[leader]
            movement.peak_ns = newest.timestamp_ns
        level = movement.along(newest)
        self.state = SpotState.FALLING if level < _FALLING_LEVEL else SpotState.RISING
        # Every region must be quiet, or the rest of a strong movement would be taken for the next one.
        if level <= self._config.onset_level and frozen[leader] < _QUIET_STRENGTH:
            candidate = self._candidate()
            self._movement, self.state = None, SpotState.IDLE
            return strength, (candidate,)
        if newest.timestamp_ns - movement.start_ns > self._config.max_duration_ms * 1e6:
            candidate = self._candidate(is_held=True)
            self.state = SpotState.HOLDING
            return strength, (candidate,)
        return strength, ()

    def _baseline(self) -> tuple[np.ndarray, np.ndarray]:
        """Running median (R, 2) and detection threshold (R,) of each region, percent of the inter-ocular distance."""
        recent = np.stack([o.displacement_percent for o in self._history])
        baseline = np.median(recent, axis=0)
        deviation = np.linalg.norm(recent - baseline, axis=2)
        noise = _MAD_TO_SD * np.median(deviation, axis=0)
        threshold = np.maximum(self._config.min_displacement_percent, self._config.noise_multiple * noise)
        return baseline, threshold

    def _is_blink(self, eye_opening: float) -> bool:
        usual = float(np.median([o.eye_opening for o in self._history])) if len(self._history) else eye_opening
        return eye_opening < (1 - self._config.blink_drop) * usual

    def _candidate(self, *, is_over: bool = True, is_held: bool = False, is_interrupted: bool = False) -> Candidate:
        """Read onset, apex and offset of the movement from the buffer and pass it through the gates."""
        movement = self._movement
        assert movement is not None
        observations = list(self._history)
        levels = np.array([movement.along(o) for o in observations])
        peak = next(i for i, o in enumerate(observations) if o.timestamp_ns == movement.peak_ns)
        # The leading region may have changed on the way: never begin later than the first region crossed its threshold.
        onset = next(i for i, o in enumerate(observations) if o.timestamp_ns >= movement.start_ns)
        while onset > 0 and levels[onset] > self._config.onset_level:
            onset -= 1
        offset = peak
        while offset < len(observations) - 1 and levels[offset] > self._config.onset_level:
            offset += 1
        during = observations[onset : offset + 1]
        margin_ns = int(self._config.blink_margin_ms * 1e6)
        first_ns, last_ns = observations[onset].timestamp_ns, observations[offset].timestamp_ns
        has_blink = any(
            o.is_blink for o in observations if first_ns - margin_ns <= o.timestamp_ns <= last_ns + margin_ns
        )
        head_motion = max(o.head_speed_percent_s for o in during)
        strengths = np.max(
            [np.linalg.norm(o.displacement_percent - movement.baseline, axis=1) / movement.threshold for o in during],
            axis=0,
        )
        moved = [i for i in np.argsort(-strengths) if strengths[i] >= 1]
        rejection = None
        if is_interrupted:
            rejection = Rejection("interrupted", (self._history[-1].timestamp_ns - first_ns) / 1e6, 0.0, "ms")
        elif is_over:
            is_blink = has_blink and REGION_NAMES[movement.peak_region] not in MOUTH_REGIONS
            duration_ms = ((observations[-1].timestamp_ns if is_held else last_ns) - first_ns) / 1e6
            rejection = self._rejection(duration_ms, (first_ns - self._ended_ns) / 1e6, head_motion, is_blink)
        if is_over and (rejection is None or rejection.reason != "blink"):
            self._ended_ns = last_ns
        at_apex = observations[peak].displacement_percent - movement.baseline
        noise = movement.threshold / self._config.noise_multiple
        return Candidate(
            candidate_id=movement.candidate_id,
            face_id=self._face_id,
            onset=_key_frame(observations[onset]),
            apex=_key_frame(observations[peak]),
            offset=_key_frame(observations[offset]),
            onset_ns=first_ns,
            apex_ns=observations[peak].timestamp_ns,
            offset_ns=last_ns,
            movements=tuple(RegionMovement(REGION_NAMES[i], *map(float, at_apex[i]), float(noise[i])) for i in moved),
            action_units=(),
            spot_score=movement.peak_strength,
            head_motion=head_motion,
            has_blink=has_blink,
            fps_effective=self.fps_effective,
            rejection=rejection,
            crops=_thinned(observations, onset, peak, offset),
        )

    def _rejection(self, duration_ms: float, rest_ms: float, head_percent_s: float, is_blink: bool) -> Rejection | None:
        """The first gate that closes."""
        config = self._config
        if duration_ms > config.max_duration_ms:
            return Rejection("too long", duration_ms, config.max_duration_ms, "ms")
        if duration_ms < config.min_duration_ms:
            return Rejection("too short", duration_ms, config.min_duration_ms, "ms")
        if rest_ms < config.min_rest_ms:
            return Rejection("part of a longer movement", rest_ms, config.min_rest_ms, "ms")
        if is_blink:
            return Rejection("blink", 1.0, 0.0, "")
        if head_percent_s > config.max_head_speed_percent_s:
            return Rejection("head motion", head_percent_s, config.max_head_speed_percent_s, "%/s")
        return None


def _key_frame(observation: _Observation) -> KeyFrame:
    return KeyFrame(observation.frame_index, observation.timestamp_ns, observation.crop_bgr)


def _thinned(observations: list[_Observation], onset: int, apex: int, offset: int) -> tuple[KeyFrame, ...]:
    """The frames from onset to offset; of more than `_MAX_CROPS` an even choice with the apex in it."""
    even = np.linspace(onset, offset, min(offset - onset + 1, _MAX_CROPS - 1)).round().astype(int)
    return tuple(_key_frame(observations[position]) for position in sorted({*even.tolist(), apex}))
