"""When did something move: a causal state machine over the displacement of facial regions.

A movement is announced when it has passed its apex and decided when it has ended: matched filters (see `pulses`) say
whether it stands out of the noise, a fitted pulse says when it began, peaked and ended, and gates say what else it is.
Upper and lower face are watched apart, because talking must not hide what the brows do; a movement of both is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.config import SpotterConfig
from app.datatypes import Candidate, Frame, MotionSample, Rejection, SpotState, TrackedFace
from app.spotting.buffer import TimeBuffer
from app.spotting.findings import Finding, Observation, candidate, eye_drop, measure, series
from app.spotting.gates import first_rejection
from app.spotting.motion import RegionalMotion
from app.spotting.patterns import detection_patterns, is_lower_face
from app.spotting.pulses import AFTER_S, PULSES, REST_S, RISES, FilterBank, Scores, fit_pulse
from app.spotting.sensitivity import least_log_odds

_HISTORY_S = 1.6
_NEVER_NS = -(10**18)
_MIN_SCORE = 3.6  # standard deviations; a movement below it is not looked at
_ONSET_LEVEL = 0.15  # of the peak, where a movement is taken to begin until its pulse is fitted
_PAST_APEX_LEVEL = 0.85
_PAST_APEX_NS = 90_000_000  # a peak this old is an apex, also when the movement stays up
_OVER_LEVEL = 0.35
_ECHO_NS = int((REST_S + max(rise.duration_s for rise in RISES)) * 1e9)  # how long rises still see a movement
_PATIENCE_NS = 300_000_000  # after its end, until a movement that no pulse explains is given up
_SETTLE_NS = 50_000_000  # a score is a peak when nothing higher follows within this time
_STALE_NS = 500_000_000
_SETTLE_SHARE = 0.8  # or when it has fallen this far
_SAME_NS = 150_000_000  # events with apexes this close are one
_ALL = np.arange(len(detection_patterns()))


@dataclass(eq=False, slots=True)
class _Movement:
    """The movement under way, from its rise on; what it was is decided by the pulse that explains it."""

    candidate_id: int
    rise: Finding
    start_ns: int
    peak: float = 0.0  # level, 1 = the height that the rise had
    peak_ns: int = 0
    is_announced: bool = False
    over_ns: int | None = None


@dataclass(eq=False, slots=True)
class _Half:
    """One half of the face. `patterns`: columns of the scores; `found`: the highest score until it is decided on."""

    patterns: np.ndarray
    found: Finding | None = None


class Spotter:
    """Turns regional motion into micro-expression candidates: each announced at most once and decided once.

    Raises:
        ValueError: the sensitivity in `config` is outside the measured table.
    """

    def __init__(self, config: SpotterConfig | None = None) -> None:
        self._config = config or SpotterConfig()
        self._least_odds = least_log_odds(self._config.false_alarms_per_min)
        self._history: TimeBuffer[Observation] = TimeBuffer(_HISTORY_S)
        self._candidate_count = self._announced_id = 0
        self._face_id = 0
        self._start_over()

    def _start_over(self) -> None:
        self._history.clear()
        self._pulses, self._rises = FilterBank(PULSES), FilterBank(RISES)
        is_lower = np.array([is_lower_face(pattern) for pattern in detection_patterns().values()])
        self._halves = (_Half(np.flatnonzero(~is_lower)), _Half(np.flatnonzero(is_lower)))
        self._movement: _Movement | None = None
        self._accepted_apex_ns = self._decided_until_ns = _NEVER_NS
        self.state = SpotState.OFF

    @property
    def fps_effective(self) -> float:
        """Frame rate over the buffer, Hz; 0 when unknown."""
        return (len(self._history) - 1) / (self._history.span_ns / 1e9) if len(self._history) > 1 else 0.0

    def reset(self) -> tuple[Candidate, ...]:
        """Forget everything: the face was lost, or frames were. A movement that was announced is withdrawn."""
        interrupted: tuple[Candidate, ...] = ()
        movement = self._movement
        if movement is not None and movement.is_announced and self.state is not SpotState.HOLDING:
            lasted_ms = (self._history[-1].timestamp_ns - movement.start_ns) / 1e6
            rejection = Rejection("interrupted", lasted_ms, self._config.longest_ms, "ms")
            interrupted = (self._provisional(movement, rejection),)
        self._start_over()
        return interrupted

    def update(
        self, frame: Frame, face: TrackedFace, motion: RegionalMotion
    ) -> tuple[MotionSample, tuple[Candidate, ...], tuple[Candidate, ...]]:
        """Take in one frame; returns its sample, the movements that passed their apex, and those that ended.

        The caller resets the spotter when time jumps, frames are missing, or the face is another one.
        """
        self._face_id = face.face_id
        now_ns = frame.timestamp_ns
        self._history.append(Observation(frame.index, now_ns, motion, face.eye_opening))
        self._times_s, self._displacement = series(self._history)
        pulses = self._pulses.update(self._times_s, self._displacement)
        rises = self._rises.update(self._times_s, self._displacement)
        announced: list[Candidate] = []
        decided: list[Candidate] = []
        strength = 0.0
        if pulses is None or rises is None or self._history.span_ns < self._config.warmup_s * 1e9:
            self.state = SpotState.WARMUP
        else:
            strength = max(0.0, pulses.highest(), rises.highest()) / _MIN_SCORE
            self._advance(pulses, rises, now_ns, announced, decided)
        sample = MotionSample(
            frame.index,
            now_ns,
            motion.displacement_percent,
            motion.head_speed_percent_s,
            strength,
            eye_drop(self._history, now_ns, now_ns) * 100 > self._config.max_eye_drop_percent,
        )
        return sample, tuple(announced), tuple(decided)

    def _advance(
        self, pulses: Scores, rises: Scores, now_ns: int, announced: list[Candidate], decided: list[Candidate]
    ) -> None:
        """One step of the state machine; adds movements that passed their apex and those that ended."""
        if (passed := self._follow_rise(rises, now_ns)) is not None:
            announced.append(passed)
        for half in self._halves:
            _remember(half, pulses, self._pulses, now_ns)
        for half, other in (self._halves, self._halves[::-1]):
            if not _has_settled(half, pulses, now_ns) or self._is_going_on(half, now_ns):
                continue
            # Of two halves that moved at once, the one in which it shows better speaks first.
            if other.found and other.found.score > half.found.score and not self._is_going_on(other, now_ns):
                continue
            ended, half.found = self._decide(half, half.found), None
            if ended is not None:
                decided.append(ended)
                if ended.candidate_id != self._announced_id:
                    announced.append(ended)
        if (withdrawn := self._give_up(now_ns)) is not None:
            decided.append(withdrawn)

    def _follow_rise(self, rises: Scores, now_ns: int) -> Candidate | None:
        """Begin a movement, or follow the one under way; returns it when its apex has just passed."""
        movement, score = self._movement, rises.highest()
        if movement is None:
            self.state = SpotState.IDLE
            # Right after a movement, the filters still see it.
            if score < _MIN_SCORE or now_ns - self._decided_until_ns < _ECHO_NS:
                return None
            rise = Finding.best_of(rises, self._rises, _ALL, now_ns)
            self._candidate_count += 1
            movement = _Movement(self._candidate_count, rise, now_ns - int(rise.duration_s * 1e9))
            self._movement, self.state = movement, SpotState.RISING
        elif self.state is SpotState.RISING and score > movement.rise.score:
            movement.rise, movement.peak = Finding.best_of(rises, self._rises, _ALL, now_ns), 0.0
        level = float(self._levels(movement)[-1])
        if level >= movement.peak:
            movement.peak, movement.peak_ns = level, now_ns
        is_over = level < _OVER_LEVEL * movement.peak
        movement.over_ns = (movement.over_ns or now_ns) if is_over else None
        if self.state is not SpotState.RISING:
            return None
        if level >= _PAST_APEX_LEVEL * movement.peak and now_ns - movement.peak_ns < _PAST_APEX_NS:
            return None
        self.state, movement.is_announced, self._announced_id = SpotState.FALLING, True, movement.candidate_id
        return self._provisional(movement, None)

    def _is_going_on(self, half: _Half, now_ns: int) -> bool:
        """Whether a movement of this half has not ended yet: until then, filters take a part of it for the whole."""
        movement = self._movement
        if movement is None or self.state is SpotState.HOLDING or movement.rise.pattern_index not in half.patterns:
            return False
        return movement.over_ns is None or now_ns - movement.over_ns < AFTER_S * 1e9

    def _levels(self, movement: _Movement) -> np.ndarray:
        """Level of a movement in every frame (N,): 0 where it began, 1 where its rise was seen."""
        projected = self._displacement @ movement.rise.weights
        start_s = (movement.start_ns - self._history[0].timestamp_ns) / 1e9
        at_rest = (self._times_s <= start_s) & (self._times_s >= start_s - REST_S)
        return projected - (np.median(projected[at_rest]) if at_rest.any() else projected[0])

    def _decide(self, half: _Half, found: Finding) -> Candidate | None:
        """Fit a pulse to what was found and pass it through the gates; None when it is part of what was decided."""
        origin_ns = self._history[0].timestamp_ns
        times_s, signal = self._times_s, self._displacement @ found.weights
        end_s = (found.seen_ns - origin_ns) / 1e9 - AFTER_S
        since = int(np.searchsorted(times_s, end_s - found.duration_s - 1.5 * REST_S))
        fit = fit_pulse(times_s[since:], signal[since:], end_s - 0.9 * found.duration_s, end_s, found.duration_s)
        onset_ns, apex_ns, offset_ns = (origin_ns + int(s * 1e9) for s in (fit.onset_s, fit.apex_s, fit.offset_s))
        offset_ns = max(apex_ns, min(offset_ns, self._history[-1].timestamp_ns))
        rejection = first_rejection(
            measure(self._history, times_s, self._displacement, found, fit), self._least_odds, self._config
        )
        if abs(apex_ns - self._accepted_apex_ns) < _SAME_NS:
            return None
        movement = self._movement if self.state is not SpotState.HOLDING else None
        if rejection is not None:
            is_aside = movement is not None and movement.rise.pattern_index not in half.patterns
            if is_aside or onset_ns < self._decided_until_ns + REST_S * 1e9:
                return None
        if rejection is None:
            self._accepted_apex_ns = apex_ns
        self._decided_until_ns = max(self._decided_until_ns, offset_ns)
        if movement is not None:
            self._movement, self.state = None, SpotState.IDLE
            candidate_id = movement.candidate_id
        else:
            self._candidate_count += 1
            candidate_id = self._candidate_count
        return self._candidate(candidate_id, found, (onset_ns, apex_ns, offset_ns), rejection)

    def _give_up(self, now_ns: int) -> Candidate | None:
        """Withdraw a movement that lasts too long, or that ended without being a pulse."""
        movement = self._movement
        if movement is None:
            return None
        if self.state is SpotState.HOLDING:
            # Until the running noise has taken a held expression for rest, nothing new begins.
            if movement.over_ns is not None or now_ns - movement.start_ns > _HISTORY_S * 1e9:
                self._end(now_ns)
            return None
        if movement.over_ns is not None:
            is_being_decided = any(half.found is not None for half in self._halves)
            if now_ns - movement.over_ns < _PATIENCE_NS or is_being_decided:
                return None
            self._end(movement.over_ns)
            weak = Rejection("too weak", movement.rise.score, _MIN_SCORE, "σ")
            return self._provisional(movement, weak) if movement.is_announced else None
        lasted_ms = (now_ns - movement.start_ns) / 1e6
        if lasted_ms > self._config.longest_ms + 1e3 * AFTER_S:
            self.state = SpotState.HOLDING
            if movement.is_announced:
                return self._provisional(movement, Rejection("too long", lasted_ms, self._config.longest_ms, "ms"))
        return None

    def _end(self, until_ns: int) -> None:
        self._movement, self.state = None, SpotState.IDLE
        self._decided_until_ns = max(self._decided_until_ns, until_ns)

    def _provisional(self, movement: _Movement, rejection: Rejection | None) -> Candidate:
        """A movement that no pulse was fitted to: from where its level left rest to the newest frame."""
        levels = self._levels(movement)
        observations = list(self._history)
        peak = max(range(len(observations)), key=lambda i: -abs(observations[i].timestamp_ns - movement.peak_ns))
        onset = peak
        while onset > 0 and levels[onset] > _ONSET_LEVEL * movement.peak:
            onset -= 1
        times_ns = (observations[onset].timestamp_ns, observations[peak].timestamp_ns, observations[-1].timestamp_ns)
        return self._candidate(movement.candidate_id, movement.rise, times_ns, rejection)

    def _candidate(
        self, candidate_id: int, found: Finding, times_ns: tuple[int, int, int], rejection: Rejection | None
    ) -> Candidate:
        return candidate(
            self._history,
            found,
            times_ns,
            rejection,
            candidate_id=candidate_id,
            face_id=self._face_id,
            min_score=_MIN_SCORE,
            max_eye_drop=self._config.max_eye_drop_percent / 100,
            fps_effective=self.fps_effective,
        )


def _remember(half: _Half, pulses: Scores, bank: FilterBank, now_ns: int) -> None:
    """Keep the highest score of a half; what could not be decided in time was the flank of something longer."""
    score = pulses.highest(half.patterns)
    if half.found is not None and now_ns - half.found.seen_ns > _STALE_NS:
        half.found = None
    if score >= _MIN_SCORE and (half.found is None or score > half.found.score):
        half.found = Finding.best_of(pulses, bank, half.patterns, now_ns)


def _has_settled(half: _Half, pulses: Scores, now_ns: int) -> bool:
    """Whether the scores of a half have passed their peak."""
    found = half.found
    if found is None or found.seen_ns == now_ns:
        return False
    return pulses.highest(half.patterns) <= _SETTLE_SHARE * found.score or now_ns - found.seen_ns >= _SETTLE_NS
