"""Pulses in noise: how well a brief rise and fall explains what the regions do, and when it began, peaked and ended.

A micro-expression is a displacement that comes and goes within half a second. A pulse of known length is fitted to each
region over the latest frames, together with a constant and a slope, which take slow drift and posture. The regions are
fused along the directions of action units and weighed by how much each moves at rest (a matched filter that learns its
noise as it goes). All of it works on the frames' own times, so any frame rate, also a variable one, will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.face.topology import LID_REGIONS, REGION_NAMES
from app.spotting.patterns import detection_patterns, rigid_patterns

REST_S = 0.2  # that a movement is compared with, before its onset
AFTER_S = 0.06  # and after its offset: what a decision waits for
_APEX_AT = 0.45  # of a pulse's duration
# Noise of a region at the start, and its floor, in percent of the inter-ocular distance.
_INITIAL_NOISE_PERCENT = np.array([0.24 if name in LID_REGIONS else 0.12 for name in REGION_NAMES]).repeat(2)
_FLOOR_PERCENT = 0.06
_RIGID_PERCENT = 0.1  # how far the registration of the head may be off, per degree of freedom
_MEMORY_S = 15.0  # of the running noise
_INITIAL_WEIGHT_S = 0.7  # the initial noise counts as this much experience
_CLIP = 1.5  # movements teach the running noise at most this multiple of itself
_RENEW_S = 0.1  # the noise changes slowly: how often what follows from it is computed
_SAME_TIMES_S = 1e-4
_FEW_FRAMES = 3  # to which no template can be fitted
_MEAN_TO_SD = 1.2533  # of a normal distribution's absolute value


@dataclass(frozen=True, slots=True)
class Template:
    """What is looked for in the latest frames: a pulse that ended `AFTER_S` ago, or a rise that ends now."""

    duration_s: float
    is_pulse: bool

    @property
    def span_s(self) -> float:
        """How far back it reaches."""
        return REST_S + self.duration_s + AFTER_S * self.is_pulse

    def weights(self, relative_s: np.ndarray) -> np.ndarray:
        """Weights (N,) on frames at these times (now = 0) that give the height of the movement by least squares.

        A constant is taken out; from a pulse a slope, too, which a rise could not be told from.
        """
        columns = [np.ones_like(relative_s)]
        if self.is_pulse:
            onset_s = -AFTER_S - self.duration_s
            shape = pulse(relative_s, onset_s, onset_s + _APEX_AT * self.duration_s, -AFTER_S)
            columns.append(relative_s - relative_s.mean())
        else:
            shape = pulse(relative_s, -self.duration_s, 0.0, 1.0)
        design = np.column_stack([shape, *columns])
        return np.linalg.solve(design.T @ design + 1e-9 * np.eye(design.shape[1]), design.T)[0]


PULSES = tuple(Template(duration_s, True) for duration_s in (0.15, 0.21, 0.29, 0.38, 0.48))
RISES = tuple(Template(duration_s, False) for duration_s in (0.07, 0.13, 0.22))


@dataclass(frozen=True, eq=False, slots=True)
class Scores:
    """How strongly movements stand out of the noise.

    `scores` (D, K): per template and pattern, in standard deviations; NaN where the history is too short.
    `amplitude_percent` (D, 2R): height of the movement in each region; `noise_percent` (D, 2R): the same at rest.
    `weights` (D, K, 2R): on displacements, what the scores were made with, without their scale.
    """

    templates: tuple[Template, ...]
    scores: np.ndarray
    amplitude_percent: np.ndarray
    noise_percent: np.ndarray
    weights: np.ndarray

    def of(self, rows: slice) -> Scores:
        """The same of some of the templates."""
        return Scores(
            self.templates[rows], self.scores[rows], self.amplitude_percent[rows], self.noise_percent[rows],
            self.weights[rows],
        )  # fmt: skip

    def best(self, patterns: np.ndarray) -> tuple[int, int]:
        """Template and pattern with the highest score among some patterns."""
        among = np.nan_to_num(self.scores[:, patterns], nan=-np.inf)
        template, position = np.unravel_index(int(np.argmax(among)), among.shape)
        return int(template), int(patterns[position])

    def highest(self, patterns: np.ndarray | slice = slice(None)) -> float:
        """The highest score among some patterns; −inf when the history is too short for all templates."""
        return float(np.fmax.reduce(self.scores[:, patterns], axis=None, initial=-np.inf))


class FilterBank:
    """Matched filters for movements of several lengths along the directions of action units, with running noise."""

    def __init__(self, templates: Sequence[Template]) -> None:
        patterns = detection_patterns()
        self.templates = tuple(templates)
        self.names = tuple(patterns)
        self.patterns = np.stack([pattern.ravel() for pattern in patterns.values()])  # (K, 2R)
        self._rigid = rigid_patterns().reshape(6, -1)
        self._noise = np.tile(_INITIAL_NOISE_PERCENT, (len(templates), 1))
        self._spread = np.ones((len(templates), len(patterns)))
        self._experience_s = 0.0
        self._previous_s: float | None = None
        self._spans_s = np.array([template.span_s for template in templates])
        self._times_s = np.empty(0)  # of the frames, relative to the newest, at the last use
        self._counts = np.empty(0, int)  # of the frames that each template looked at
        self._heights = np.empty((0, 0))  # weights of the templates on these frames
        self._fused = np.empty((0, 0, 0))
        self._units = np.empty((0, 0))  # what a pattern of height 1 scores
        self._fused_s = -np.inf

    def update(self, times_s: np.ndarray, displacement_percent: np.ndarray) -> Scores | None:
        """Score the newest frame.

        Args:
            times_s: (N,) times of the latest frames, oldest first.
            displacement_percent: (N, 2R) what the regions did.

        Returns:
            None while the history is too short for the shortest template.
        """
        now_s = float(times_s[-1])
        amplitude = self._amplitudes(times_s, displacement_percent)
        known = ~np.isnan(amplitude[:, 0])
        if not known.any():
            return None
        noise = np.hypot(self._noise, _FLOOR_PERCENT)
        if not self._fused_s <= now_s < self._fused_s + _RENEW_S:
            self._fused = self._weights(1 / noise**2)
            self._units = np.sqrt((self._fused * self.patterns).sum(axis=2))
            self._fused_s = now_s
        raw = (self._fused @ amplitude[:, :, None])[:, :, 0] / self._units
        result = Scores(self.templates, raw / np.maximum(self._spread, 1.0), amplitude, noise, self._fused)
        self._learn(now_s, known, amplitude, raw)
        return result

    def _amplitudes(self, times_s: np.ndarray, displacement_percent: np.ndarray) -> np.ndarray:
        """Height of each template in each region (D, 2R); NaN where it reaches back too far."""
        since_s = times_s[-1] - self._spans_s
        counts = np.where(since_s < times_s[0], 0, len(times_s) - np.searchsorted(times_s, since_s))
        if (longest := int(counts.max())) == 0:
            return np.full((len(counts), displacement_percent.shape[1]), np.nan)
        self._renew_heights(counts, times_s[-longest:] - times_s[-1])
        amplitude = self._heights @ displacement_percent[-longest:]
        amplitude[counts <= _FEW_FRAMES] = np.nan
        return amplitude

    def _renew_heights(self, counts: np.ndarray, relative_s: np.ndarray) -> None:
        """Compute the templates' weights anew if the frames come at other times than the last ones did."""
        is_same = np.array_equal(counts, self._counts) and len(relative_s) == len(self._times_s)
        if is_same and np.abs(relative_s - self._times_s).max() <= _SAME_TIMES_S:
            return
        self._counts, self._times_s = counts, relative_s
        self._heights = np.zeros((len(counts), len(relative_s)))
        for row, count in enumerate(counts.tolist()):
            if count > _FEW_FRAMES:
                self._heights[row, -count:] = self.templates[row].weights(relative_s[-count:])

    def _weights(self, precision: np.ndarray) -> np.ndarray:
        """Generalised least squares (D, K, 2R): independent noise in each region plus errors of registration in all."""
        weighted = self.patterns * precision[:, None, :]
        rigid = self._rigid * precision[:, None, :]
        inner = np.eye(len(self._rigid)) / _RIGID_PERCENT**2 + rigid @ self._rigid.T
        return weighted - (weighted @ self._rigid.T) @ np.linalg.solve(inner, rigid)

    def _learn(self, now_s: float, known: np.ndarray, amplitude: np.ndarray, raw: np.ndarray) -> None:
        """Let the running noise of regions and of patterns follow, movements clipped."""
        step_s = now_s - self._previous_s if self._previous_s is not None else 0.0
        self._previous_s = now_s
        self._experience_s += step_s
        share = min(1.0, step_s / min(_MEMORY_S, _INITIAL_WEIGHT_S + self._experience_s))
        for running, new in ((self._noise, amplitude), (self._spread, raw)):
            seen = np.minimum(np.abs(new) * _MEAN_TO_SD, _CLIP * running)
            running += share * np.where(known[:, None], seen - running, 0.0)


def pulse(
    relative_s: np.ndarray, onset_s: np.ndarray | float, apex_s: np.ndarray | float, offset_s: np.ndarray | float
) -> np.ndarray:
    """A raised cosine from 0 at the onset to 1 at the apex and back to 0 at the offset; arguments broadcast."""
    rise = np.clip((relative_s - onset_s) / (apex_s - onset_s), 0, 1)
    fall = np.clip((relative_s - apex_s) / (offset_s - apex_s), 0, 1)
    return 0.5 * (np.cos(np.pi * fall) - np.cos(np.pi * rise))


@dataclass(frozen=True, slots=True)
class PulseFit:
    """The pulse that explains a signal best. `explained`: share of the variance about a straight line, 0–1."""

    onset_s: float
    apex_s: float
    offset_s: float
    height: float
    explained: float


_FIT_SAMPLES = 50
_LONGEST_S = 0.5
_LONGER_EXPLAINS = 0.15  # of the variance
_SIDES_S = np.array([0.05, 0.075, 0.105, 0.14, 0.19, 0.25, 0.33, 0.45])  # durations of rise and fall that are tried


def fit_pulse(
    times_s: np.ndarray, signal: np.ndarray, apex_from_s: float, apex_to_s: float, duration_s: float
) -> PulseFit:
    """Fit a pulse, a constant and a slope to a signal (N,), with times finer than the frame rate.

    Args:
        times_s: (N,) times of the signal.
        signal: upwards in the direction of the pulse.
        apex_from_s, apex_to_s: where the apex is looked for.
        duration_s: of the filter that found it. A much longer pulse must explain much more: it may be drift.
    """
    times_s, signal = _thinned(times_s, signal)
    apexes_s = np.linspace(apex_from_s, apex_to_s, 16)
    best = _best_pulse(times_s, signal, apexes_s, _SIDES_S, _SIDES_S, max(_LONGEST_S, 1.25 * duration_s))
    step_s = float(apexes_s[1] - apexes_s[0])
    return _best_pulse(
        times_s,
        signal,
        best.apex_s + step_s * np.linspace(-0.5, 0.5, 5),
        (best.apex_s - best.onset_s) * 1.35 ** np.linspace(-1, 1, 5),
        (best.offset_s - best.apex_s) * 1.35 ** np.linspace(-1, 1, 5),
        np.inf,
    )


def _thinned(times_s: np.ndarray, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of so many neighbours that about `_FIT_SAMPLES` are left: a pulse needs no more."""
    group = max(1, len(times_s) // _FIT_SAMPLES)
    whole = len(times_s) // group * group
    return times_s[-whole:].reshape(-1, group).mean(axis=1), signal[-whole:].reshape(-1, group).mean(axis=1)


def _best_pulse(
    times_s: np.ndarray,
    signal: np.ndarray,
    apexes_s: np.ndarray,
    rises_s: np.ndarray,
    falls_s: np.ndarray,
    longest_s: float,
) -> PulseFit:
    """The best of all apexes (A,), rises (R,) and falls (F,). One longer than `longest_s` must explain much more.

    A pulse is a rising flank and a falling one, so each flank is drawn and projected once for all its partners.
    """
    line, _ = np.linalg.qr(np.column_stack([np.ones_like(times_s), times_s - times_s.mean()]))
    rest = signal - line @ (line.T @ signal)
    since_apex_s = times_s - apexes_s[:, None, None]
    rising = -0.5 * np.cos(np.pi * np.clip(since_apex_s / rises_s[:, None] + 1, 0, 1))  # (A, R, N)
    falling = 0.5 * np.cos(np.pi * np.clip(since_apex_s / falls_s[:, None], 0, 1))  # (A, F, N)
    for flanks in (rising, falling):
        flanks -= (flanks @ line) @ line.T
    projected = np.maximum((rising @ rest)[:, :, None] + (falling @ rest)[:, None, :], 0.0)
    power = (rising**2).sum(axis=2)[:, :, None] + (falling**2).sum(axis=2)[:, None, :] + 1e-6
    power += 2 * rising @ falling.transpose(0, 2, 1)
    explained = projected**2 / power / ((rest**2).sum() + 1e-12)
    is_longer = np.broadcast_to(rises_s[:, None] + falls_s > longest_s, explained.shape)
    best = int(np.argmax(np.where(is_longer, explained - _LONGER_EXPLAINS, explained)))
    apex, rise, fall = np.unravel_index(best, explained.shape)
    apex_s, rise_s, fall_s = float(apexes_s[apex]), float(rises_s[rise]), float(falls_s[fall])
    height = float(projected.flat[best] / power.flat[best])
    return PulseFit(apex_s - rise_s, apex_s, apex_s + fall_s, height, float(explained.flat[best]))
