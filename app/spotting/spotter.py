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
from app.spotting.movement import Movement
from app.spotting.patterns import detection_patterns, is_lower_face
from app.spotting.pulses import AFTER_S, PULSES, REST_S, RISES, FilterBank, Scores, fit_pulse
from app.spotting.sensitivity import least_log_odds

_PULSE_ROWS, _RISE_ROWS = slice(len(PULSES)), slice(len(PULSES), None)
_HISTORY_S = 1.6
_NEVER_NS = -(10**18)
_MIN_RISE = 3.6  # standard deviations; a rise below it is not followed
_REST_SHARE = 0.6  # of it: below, the next rise is another one
_MIN_PULSE = 2.5  # a pulse below it is not judged
_ONSET_LEVEL = 0.15  # of the peak, where a movement is taken to begin until its pulse is fitted
_PATIENCE_NS = 300_000_000  # after its end, until a movement that no pulse explains is given up
_SETTLE_NS = 50_000_000  # a score is a peak when nothing higher follows within this time
_STALE_NS = 500_000_000
_SETTLE_SHARE = 0.8  # or when it has fallen this far
_SAME_NS = 150_000_000  # apexes this close are of one movement
_RETURN_COSINE = -0.4  # between a movement and what may be its own way back
_RETURN_NS = int((REST_S + max(rise.duration_s for rise in RISES)) * 1e9)  # how long after it rises still see that


@dataclass(eq=False, slots=True)
class _Half:
    """One half of the face. `patterns`: columns of the scores; `found`: the highest pulse until it is judged.

    `rising`: the movement that has not passed its apex yet. `is_rested`: no rise since, so the next is another.
    """

    patterns: np.ndarray
    found: Finding | None = None
    rising: Movement | None = None
    is_rested: bool = True


class Spotter:
    """Turns regional motion into micro-expression candidates: each announced at most once and decided once.

    Raises:
        ValueError: the sensitivity in `config` is outside the measured table.
    """

    def __init__(self, config: SpotterConfig | None = None) -> None:
        self._config = config or SpotterConfig()
        self._least_odds = least_log_odds(self._config.false_alarms_per_min)
        self._history: TimeBuffer[Observation] = TimeBuffer(_HISTORY_S)
        self._candidate_count = 0
        self._face_id = 0
        self._start_over()

    def _start_over(self) -> None:
        self._history.clear()
        self._bank = FilterBank((*PULSES, *RISES))
        is_lower = np.array([is_lower_face(pattern) for pattern in detection_patterns().values()])
        self._halves = (_Half(np.flatnonzero(~is_lower)), _Half(np.flatnonzero(is_lower)))
        self._announced: list[Movement] = []  # and not decided yet
        self._held: Movement | None = None  # the latest that lasted too long, until it is over
        self._latest: Finding | None = None  # of the movements that have ended
        self._latest_ns = self._accepted_apex_ns = _NEVER_NS
        self.state = SpotState.OFF

    @property
    def fps_effective(self) -> float:
        """Frame rate over the buffer, Hz; 0 when unknown."""
        return (len(self._history) - 1) / (self._history.span_ns / 1e9) if len(self._history) > 1 else 0.0

    def reset(self) -> tuple[Candidate, ...]:
        """Forget everything: the face was lost, or frames were. Movements that were announced are withdrawn."""
        interrupted = tuple(
            self._provisional(
                movement, Rejection("interrupted", self._lasted_ms(movement), self._config.longest_ms, "ms")
            )
            for movement in self._announced
        )
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
        scores = self._bank.update(self._times_s, self._displacement)
        announced: list[Candidate] = []
        decided: list[Candidate] = []
        strength = 0.0
        if scores is None or self._history.span_ns < self._config.warmup_s * 1e9:
            self.state = SpotState.WARMUP
        else:
            strength = max(0.0, scores.highest()) / _MIN_RISE
            self._advance(scores.of(_PULSE_ROWS), scores.of(_RISE_ROWS), now_ns, announced, decided)
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
        for movement in self._announced if self._held is None else (*self._announced, self._held):
            movement.follow(self._level(movement), now_ns)
        for half in self._halves:
            if (passed := self._follow_rise(half, rises, now_ns)) is not None:
                announced.append(passed)
            _remember(half, pulses, self._bank, now_ns)
        settled = [half for half in self._halves if _has_settled(half, pulses, now_ns)]
        # Of two halves that moved at once, the one in which it shows better speaks first.
        for half in sorted(settled, key=lambda half: -half.found.score if half.found else 0.0):
            assert half.found is not None
            found, half.found = half.found, None
            if (accepted := self._judge(found)) is None:
                continue
            decided.append(accepted)
            self._latest, self._latest_ns = found, now_ns
            if not any(movement.candidate_id == accepted.candidate_id for movement in self._announced):
                announced.append(accepted)
            self._announced = [m for m in self._announced if m.candidate_id != accepted.candidate_id]
        decided += self._withdraw(now_ns)
        if self._held is not None and (self._held.over_ns or now_ns - self._held.start_ns > _HISTORY_S * 1e9):
            self._held = None
        self.state = self._present_state()

    def _present_state(self) -> SpotState:
        if any(half.rising for half in self._halves):
            return SpotState.RISING
        if self._announced:
            return SpotState.FALLING
        return SpotState.HOLDING if self._held else SpotState.IDLE

    def _follow_rise(self, half: _Half, rises: Scores, now_ns: int) -> Candidate | None:
        """Begin a movement, or follow the one that rises; returns it when its apex has just passed."""
        score = rises.highest(half.patterns)
        if half.rising is None:
            half.is_rested |= score < _REST_SHARE * _MIN_RISE
            if score < _MIN_RISE or not half.is_rested:
                return None
            rise = Finding.best_of(rises, self._bank, half.patterns, now_ns)
            if self._is_way_back(rise):
                return None
            half.is_rested = False
            half.rising = Movement(rise, now_ns - int(rise.duration_s * 1e9))
        elif score > half.rising.rise.score:
            half.rising.renew(Finding.best_of(rises, self._bank, half.patterns, now_ns))
        movement = half.rising
        movement.follow(level := self._level(movement), now_ns)
        if not movement.has_passed_apex(level, now_ns):
            return None
        half.rising = None
        known_ns = [self._accepted_apex_ns, *(m.peak_ns for m in self._announced)]
        if min(abs(movement.peak_ns - apex_ns) for apex_ns in known_ns) < _SAME_NS:
            return None
        movement.candidate_id = self._next_id()
        self._announced.append(movement)
        return self._provisional(movement, None)

    def _is_way_back(self, rise: Finding) -> bool:
        """Whether this is what a movement looks like when it goes back to rest."""
        known = [movement.rise for movement in self._announced]
        if self._latest is not None and rise.seen_ns - self._latest_ns < _RETURN_NS:
            known.append(self._latest)
        return any(movement.cosine(rise) < _RETURN_COSINE for movement in known)

    def _level(self, movement: Movement) -> float:
        return float(movement.levels(self._times_s, self._displacement)[-1])

    def _judge(self, found: Finding) -> Candidate | None:
        """Fit a pulse to what was found and pass it through the gates; None when it is no micro-expression.

        Filters also take a part of a longer movement for the whole. So what was rejected is only noted: a movement is
        withdrawn when it has ended without any pulse that was accepted.
        """
        times_s, signal = self._times_s, self._displacement @ found.weights
        end_s = found.seen_ns / 1e9 - AFTER_S
        since = int(np.searchsorted(times_s, end_s - found.duration_s - 1.5 * REST_S))
        fit = fit_pulse(times_s[since:], signal[since:], end_s - 0.9 * found.duration_s, end_s, found.duration_s)
        onset_ns, apex_ns, offset_ns = (int(s * 1e9) for s in (fit.onset_s, fit.apex_s, fit.offset_s))
        times_ns = onset_ns, apex_ns, max(apex_ns, min(offset_ns, self._history[-1].timestamp_ns))
        if abs(apex_ns - self._accepted_apex_ns) < _SAME_NS:
            return None
        facts = measure(self._history, times_s, self._displacement, found, fit)
        rejection = first_rejection(facts, self._least_odds, self._config)
        movement = min(self._announced, key=lambda m: abs(m.peak_ns - apex_ns), default=None)
        if movement is not None and abs(movement.peak_ns - apex_ns) >= _SAME_NS:
            movement = None
        if rejection is None:
            self._accepted_apex_ns = apex_ns
            return self._candidate(movement.candidate_id if movement else self._next_id(), found, times_ns, None)
        score = found.score / _MIN_PULSE
        if movement is not None and (movement.rejected is None or score > movement.rejected.spot_score):
            movement.rejected = self._candidate(movement.candidate_id, found, times_ns, rejection)
        return None

    def _withdraw(self, now_ns: int) -> list[Candidate]:
        """End what has lasted too long, and what has been over for a while without an accepted pulse."""
        ended: list[Candidate] = []
        for movement in list(self._announced):
            lasted_ms = self._lasted_ms(movement)
            if movement.over_ns is not None:
                if now_ns - movement.over_ns < _PATIENCE_NS:
                    continue
                rejection = Rejection("too weak", movement.rise.score, _MIN_RISE, "σ")
            elif lasted_ms > self._config.longest_ms + 1e3 * AFTER_S + _SETTLE_NS / 1e6:
                rejection = Rejection("too long", lasted_ms, self._config.longest_ms, "ms")
                self._held, movement.rejected = movement, None
            else:
                continue
            self._announced.remove(movement)
            self._latest, self._latest_ns = movement.rise, now_ns
            ended.append(movement.rejected or self._provisional(movement, rejection))
        return ended

    def _lasted_ms(self, movement: Movement) -> float:
        return (self._history[-1].timestamp_ns - movement.start_ns) / 1e6

    def _next_id(self) -> int:
        self._candidate_count += 1
        return self._candidate_count

    def _provisional(self, movement: Movement, rejection: Rejection | None) -> Candidate:
        """A movement that no pulse was fitted to: from where its level left rest to the newest frame."""
        levels = movement.levels(self._times_s, self._displacement)
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
            min_score=_MIN_PULSE,
            max_eye_drop=self._config.max_eye_drop_percent / 100,
            fps_effective=self.fps_effective,
        )


def _remember(half: _Half, pulses: Scores, bank: FilterBank, now_ns: int) -> None:
    """Keep the highest score of a half; what could not be judged in time was the flank of something longer."""
    score = pulses.highest(half.patterns)
    if half.found is not None and now_ns - half.found.seen_ns > _STALE_NS:
        half.found = None
    if score >= _MIN_PULSE and (half.found is None or score > half.found.score):
        half.found = Finding.best_of(pulses, bank, half.patterns, now_ns)


def _has_settled(half: _Half, pulses: Scores, now_ns: int) -> bool:
    """Whether the scores of a half have passed their peak."""
    found = half.found
    if found is None or found.seen_ns == now_ns:
        return False
    return pulses.highest(half.patterns) <= _SETTLE_SHARE * found.score or now_ns - found.seen_ns >= _SETTLE_NS
