"""The spotter on drawn curves: known onset, apex and offset at any frame rate, and a reason for what is not one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.config import SpotterConfig
from app.datatypes import AlignedCrop, Candidate, Frame, HeadPose, SpotState, TrackedFace
from app.face.topology import REGION_NAMES
from app.spotting.credibility import credibility
from app.spotting.facts import Facts
from app.spotting.gates import REJECTIONS, first_rejection
from app.spotting.motion import RegionalMotion
from app.spotting.patterns import action_unit_patterns
from app.spotting.sensitivity import least_log_odds
from app.spotting.spotter import Spotter

CROP = AlignedCrop(np.zeros((224, 224, 3), np.uint8), np.eye(2, 3))
IMAGE = np.zeros((2, 2, 3), np.uint8)
FACE = TrackedFace(1, np.zeros((478, 3), np.float32), HeadPose(0, 0, 0), 0.3, 100.0, 1)
NOISE_PERCENT = 0.05
UNITS = action_unit_patterns()
NOTHING = np.zeros((len(REGION_NAMES), 2))


@dataclass(frozen=True)
class Movement:
    """A drawn movement of an action unit: a raised cosine from onset to apex and on to offset."""

    onset_s: float
    apex_s: float
    offset_s: float
    percent: float
    unit: str = "12L"

    def at(self, time_s: float) -> np.ndarray:
        phase = float(np.interp(time_s, [self.onset_s, self.apex_s, self.offset_s], [-1, 0, 1]))
        return self.percent * (0.5 + 0.5 * np.cos(np.pi * phase)) * UNITS[self.unit]


@dataclass(frozen=True)
class Step:
    time_s: float
    state: SpotState
    announced: tuple[Candidate, ...]
    decided: tuple[Candidate, ...]


def rest(displacement: np.ndarray) -> RegionalMotion:
    return RegionalMotion(CROP, displacement, 5.0, 0.1, np.zeros(2), 2.0, 120.0)


def replay(
    times_s: list[float],
    movements: list[Movement],
    *,
    seed: int = 0,
    eye_opening: Callable[[float], float] = lambda time_s: 0.3,
    change: Callable[[float, RegionalMotion], RegionalMotion] = lambda time_s, motion: motion,
    spotter: Spotter | None = None,
) -> Iterator[Step]:
    """Run drawn movements with a little noise through a spotter, frame by frame."""
    rng = np.random.default_rng(seed)
    spotter = spotter or Spotter()
    for index, time_s in enumerate(times_s):
        noise = rng.normal(0, NOISE_PERCENT, NOTHING.shape)
        motion = change(time_s, rest(sum((m.at(time_s) for m in movements), noise)))
        face = replace(FACE, eye_opening=eye_opening(time_s))
        _, announced, decided = spotter.update(Frame(index, round(time_s * 1e9), IMAGE), face, motion)
        yield Step(time_s, spotter.state, announced, decided)


def steady(fps: float, duration_s: float = 5.0) -> list[float]:
    return [index / fps for index in range(int(duration_s * fps))]


def decided(*arguments, **options) -> list[Candidate]:
    return [candidate for step in replay(*arguments, **options) for candidate in step.decided]


def accepted(*arguments, **options) -> list[Candidate]:
    return [candidate for candidate in decided(*arguments, **options) if candidate.rejection is None]


def reasons(*arguments, **options) -> set[str]:
    return {candidate.rejected_because for candidate in decided(*arguments, **options)}


@given(
    fps=st.floats(24, 240),
    onset_s=st.floats(1.8, 2.4),
    rise_s=st.floats(0.08, 0.18),
    fall_s=st.floats(0.1, 0.25),
    percent=st.floats(1.0, 3.0),
    unit=st.sampled_from(["1", "2", "4", "9", "10", "12", "12L", "14R", "15", "17", "20"]),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=6)
def test_finds_a_movement_once_at_any_frame_rate(fps, onset_s, rise_s, fall_s, percent, unit, seed) -> None:
    movement = Movement(onset_s, onset_s + rise_s, onset_s + rise_s + fall_s, percent, unit)
    (found,) = accepted(steady(fps, 3.4), [movement], seed=seed)
    tolerance_s = 0.5 / fps + 0.25 * max(rise_s, fall_s)
    for measured_ns, drawn_s in ((found.onset_ns, onset_s), (found.apex_ns, movement.apex_s)):
        assert measured_ns / 1e9 == pytest.approx(drawn_s, abs=tolerance_s)
    assert found.offset_ns / 1e9 == pytest.approx(movement.offset_s, abs=2 * tolerance_s)
    assert found.onset_ns < found.apex_ns < found.offset_ns
    assert abs(found.apex.timestamp_ns - found.apex_ns) <= 0.51e9 / fps
    assert found.fps_effective == pytest.approx(fps, rel=0.01)


def test_names_the_regions_their_direction_and_the_action_units() -> None:
    (found,) = accepted(steady(60), [Movement(2.0, 2.15, 2.4, 2.0, "12L")])
    strongest = found.movements[0]
    assert strongest.region == "left mouth corner"
    assert (strongest.x_percent, strongest.y_percent) == pytest.approx((1.5, -1.3), abs=0.3)
    assert strongest.distance_percent == pytest.approx(2.0, abs=0.3)
    assert 0 < strongest.uncertainty_percent < 0.3
    assert found.action_units == ("12L",)
    (brows,) = accepted(steady(60), [Movement(2.0, 2.15, 2.4, 2.0, "4")])
    assert brows.action_units == ("4",)
    assert set(brows.regions) >= {"left inner brow", "right inner brow"}


def test_the_apex_is_finer_than_the_frame_rate() -> None:
    errors_ms = [
        abs(found.apex_ns / 1e6 - 2150 - 3 * shift)
        for shift in range(11)
        for found in accepted(steady(30), [Movement(2 + 0.003 * shift, 2.15 + 0.003 * shift, 2.35, 3.0)], seed=shift)
    ]
    assert len(errors_ms) == 11
    assert np.median(errors_ms) < 12


def test_a_candidate_is_announced_at_its_apex_and_decided_at_its_offset() -> None:
    steps = list(replay(steady(60), [Movement(2.0, 2.15, 2.4, 3.0)]))
    (announced,) = [(step.time_s, candidate) for step in steps for candidate in step.announced]
    (ended,) = [(step.time_s, candidate) for step in steps for candidate in step.decided]
    assert 2.15 < announced[0] < 2.3
    assert 2.4 < ended[0] < 2.6
    assert announced[1].candidate_id == ended[1].candidate_id
    assert announced[1].offset.timestamp_ns == round(announced[0] * 1e9)


@given(st.lists(st.floats(0.012, 0.05), min_size=150, max_size=250), st.integers(0, 1000))
@settings(deadline=None, max_examples=4)
def test_variable_frame_rate(steps_s: list[float], seed: int) -> None:
    times = list(np.cumsum(steps_s))
    onset_s = times[len(times) * 2 // 3]
    (found,) = accepted(times, [Movement(onset_s, onset_s + 0.15, onset_s + 0.35, 3.0)], seed=seed)
    assert found.apex_ns / 1e9 == pytest.approx(onset_s + 0.15, abs=0.04)


@given(st.integers(0, 10_000), st.sampled_from([24.0, 30.0, 60.0]))
@settings(deadline=None, max_examples=4)
def test_noise_alone_gives_no_event(seed: int, fps: float) -> None:
    assert accepted(steady(fps), [], seed=seed) == []


def test_what_a_face_does_at_rest_is_learned_all_the_time() -> None:
    """Also long after the buffer of frames is full: a restless face needs more to stand out."""

    def restless(time_s: float, motion: RegionalMotion) -> RegionalMotion:
        sway = 0.4 * np.sin(2 * np.pi * 3.1 * time_s) if 3.0 < time_s < 14.0 else 0.0
        return replace(motion, displacement_percent=motion.displacement_percent + sway * UNITS["12L"])

    movement = [Movement(15.0, 15.15, 15.4, 3.0)]
    (calm,) = accepted(steady(30, 16.5), movement)
    (lively,) = (c for c in decided(steady(30, 16.5), movement, change=restless) if c.apex_ns > 14.9e9)
    assert lively.spot_score < 0.9 * calm.spot_score


def test_a_movement_is_announced_at_its_apex_while_another_goes_on() -> None:
    smile, brow = Movement(2.0, 2.4, 99.0, 2.5, "12"), Movement(2.7, 2.82, 3.05, 2.0, "4")
    steps = list(replay(steady(60), [smile, brow]))
    (at_s,) = [s.time_s for s in steps for c in s.announced if "left inner brow" in c.regions[:2]]
    assert brow.apex_s < at_s < brow.offset_s
    (found,) = [c for s in steps for c in s.decided if c.rejection is None]
    assert found.apex_ns / 1e9 == pytest.approx(brow.apex_s, abs=0.03)


def test_slow_drift_is_silent() -> None:
    assert accepted(steady(30, 9.0), [Movement(0.0, 5.0, 9.0, 2.0)]) == []


def test_an_error_of_registration_is_no_movement() -> None:
    """When the whole face shifts together, the head was not followed well."""

    def shifted(time_s: float, motion: RegionalMotion) -> RegionalMotion:
        shift = 1.0 * float(np.interp(time_s, [2.0, 2.15, 2.4], [0, 1, 0]))
        return replace(motion, displacement_percent=motion.displacement_percent + np.array([0.3 * shift, shift]))

    assert accepted(steady(30), [], change=shifted) == []


def test_nothing_is_found_before_the_baseline_is_known() -> None:
    early = Movement(0.2, 0.35, 0.5, 3.0)
    assert {step.state for step in replay(steady(30, 1.0), [early]) if step.time_s < 0.85} == {SpotState.WARMUP}
    assert accepted(steady(30), [early]) == []


def test_states_follow_the_movement() -> None:
    states = {round(s.time_s, 2): s.state for s in replay(steady(100), [Movement(2.0, 2.15, 2.4, 3.0)])}
    assert states[1.9] is SpotState.IDLE
    assert states[2.12] is SpotState.RISING
    assert states[2.32] is SpotState.FALLING
    assert states[3.0] is SpotState.IDLE


@pytest.mark.parametrize("offset_s", [2.9, 3.4, 4.5])
def test_a_long_movement_is_no_event(offset_s: float) -> None:
    found = decided(steady(30, 7.0), [Movement(2.0, 2.25, offset_s, 4.0)])
    assert "too long" in {candidate.rejected_because for candidate in found}
    assert all(candidate.rejection is not None for candidate in found)


def test_a_smile_that_stays_is_too_long() -> None:
    held = decided(steady(30, 6.0), [Movement(2.0, 2.2, 99.0, 4.0)])
    too_long = next(candidate for candidate in held if candidate.rejected_because == "too long")
    assert too_long.rejection.measured > too_long.rejection.limit == SpotterConfig().longest_ms
    assert too_long.rejection.unit == "ms"


@pytest.mark.parametrize("unit", ["1", "12"])
def test_a_blink_at_the_same_time_closes_the_gate(unit: str) -> None:
    found = decided(
        steady(30),
        [Movement(2.0, 2.12, 2.3, 2.0, unit)],
        eye_opening=lambda time_s: 0.08 if 2.05 < time_s < 2.2 else 0.3,
    )
    assert [(c.rejected_because, c.has_blink) for c in found] == [("blink", True)]
    assert found[0].rejection.measured == pytest.approx(73, abs=1)


def test_a_blink_long_before_does_not_matter() -> None:
    found = decided(
        steady(30),
        [Movement(3.0, 3.12, 3.3, 2.0, "1")],
        eye_opening=lambda time_s: 0.08 if 2.3 < time_s < 2.5 else 0.3,
    )
    assert [(c.rejected_because, c.has_blink) for c in found] == [("", False)]


@pytest.mark.parametrize(
    ("reason", "unit", "change"),
    [
        ("gaze shift", "7", {"gaze_percent": np.array([4.0, 0.0])}),
        ("head motion", "12", {"head_speed_percent_s": 400.0}),
        ("light jump", "12", {"brightness": 150.0}),
    ],
)
def test_what_happens_at_the_same_time_closes_a_gate(reason, unit, change) -> None:
    found = decided(
        steady(30),
        [Movement(2.0, 2.12, 2.3, 2.0, unit)],
        change=lambda time_s, motion: replace(motion, **change) if 2.1 < time_s < 3.0 else motion,
    )
    assert reason in {candidate.rejected_because for candidate in found}
    assert all(candidate.rejection is not None for candidate in found)


def test_a_strong_movement_is_no_micro_expression() -> None:
    assert reasons(steady(60), [Movement(2.0, 2.15, 2.4, 9.0)]) == {"too strong"}


def test_a_flicker_of_one_frame_gives_no_event() -> None:
    assert accepted(steady(120), [Movement(2.0, 2.008, 2.016, 4.0)]) == []


def test_two_separate_movements_are_two_events() -> None:
    pair = [Movement(2.0, 2.1, 2.3, 2.0), Movement(3.2, 3.3, 3.5, 2.0, "4L")]
    assert [c.regions[0] for c in accepted(steady(30), pair)] == ["left mouth corner", "left inner brow"]


def test_a_movement_of_the_whole_face_is_reported_once() -> None:
    whole = [Movement(2.0, 2.12, 2.35, 2.0, "12"), Movement(2.0, 2.12, 2.35, 1.5, "1")]
    found = decided(steady(60), whole)
    assert [candidate.rejected_because for candidate in found] == [""]


def test_talking_does_not_hide_the_brows() -> None:
    chatter = [Movement(0.31 * i, 0.31 * i + 0.13, 0.31 * i + 0.29, 3.0 + i % 3, "25") for i in range(45)]
    brow = Movement(8.0, 8.12, 8.35, 2.0, "4")
    found = [c for c in accepted(steady(30, 14.0), [*chatter, brow]) if c.onset_ns > 3e9]
    assert "left inner brow" in {region for c in found if 7.8e9 < c.apex_ns < 8.4e9 for region in c.regions}
    assert [c for c in found if not 7.8e9 < c.apex_ns < 8.4e9] == []


def test_losing_the_face_withdraws_what_was_announced() -> None:
    spotter = Spotter()
    for step in replay(steady(60), [Movement(2.0, 2.15, 2.4, 3.0)], spotter=spotter):
        assert step.decided == ()
        if step.announced:
            break
    (withdrawn,) = spotter.reset()
    assert withdrawn.candidate_id == step.announced[0].candidate_id
    assert withdrawn.rejected_because == "interrupted"
    assert spotter.state is SpotState.OFF
    assert spotter.reset() == ()


def test_identities_go_on_after_a_reset() -> None:
    spotter = Spotter()
    movement = [Movement(2.0, 2.15, 2.4, 3.0)]
    first = decided(steady(60), movement, spotter=spotter)
    spotter.reset()
    assert {c.candidate_id for c in first}.isdisjoint(
        c.candidate_id for c in decided(steady(60), movement, spotter=spotter)
    )


def test_fewer_false_alarms_ask_for_better_odds() -> None:
    odds = [least_log_odds(rate) for rate in (0.25, 0.7, 1.0, 3.0, 8.0)]
    assert odds == sorted(odds, reverse=True)
    assert len(set(odds)) == len(odds)


def test_sensitivity_decides_on_what_is_not_clear() -> None:
    facts = Facts(
        score=6.0, height_percent=0.8, duration_ms=300.0, explained=0.85, coherence=0.4, face_coherence=0.3,
        before=0.5, after=0.3, eye_drop=0.0, gaze_percent=0.3, head_percent_s=10.0, light_percent=1.0,
        mouth_percent=0.5, is_mouth=False,
    )  # fmt: skip
    assert first_rejection(facts, least_log_odds(8.0), SpotterConfig()) is None
    rejection = first_rejection(facts, least_log_odds(0.25), SpotterConfig())
    assert (rejection.reason, rejection.limit) == ("not convincing", least_log_odds(0.25))
    assert rejection.measured == credibility(facts) < rejection.limit


@pytest.mark.parametrize("rate", [0.0, 100.0, float("nan")])
def test_a_rate_that_was_not_measured_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"not measured; ask for 0\.25 to 8"):
        Spotter(SpotterConfig(false_alarms_per_min=rate))


def test_reasons_are_explained() -> None:
    chatter = [Movement(2 + 0.3 * i, 2.1 + 0.3 * i, 2.3 + 0.3 * i, 2.0 + i % 4, "25") for i in range(20)]
    assert reasons(steady(30, 12.0), [*chatter, Movement(5.0, 5.5, 7.0, 4.0, "1")]) - {""} <= set(REJECTIONS)


@given(
    st.lists(st.tuples(st.floats(1e-4, 0.2), st.floats(-50, 50)), min_size=60, max_size=120),
    st.integers(0, 1000),
)
@settings(deadline=None, max_examples=6)
def test_whatever_moves_no_number_is_nan(steps: list[tuple[float, float]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    spotter, now_s = Spotter(), 0.0
    for index, (step_s, size) in enumerate(steps):
        now_s += step_s
        motion = rest(size * rng.normal(0, 1, NOTHING.shape))
        sample, announced, ended = spotter.update(Frame(index, round(now_s * 1e9), IMAGE), FACE, motion)
        assert np.isfinite(sample.strength)
        for candidate in (*announced, *ended):
            assert np.isfinite([candidate.spot_score, candidate.duration_ms, candidate.head_motion]).all()
            assert candidate.onset_ns <= candidate.apex_ns <= candidate.offset_ns
            assert all(np.isfinite([m.x_percent, m.y_percent]).all() for m in candidate.movements)


@pytest.mark.parametrize("fps", [30.0, 200.0])
def test_a_candidate_brings_its_frames_from_onset_to_offset(fps: float) -> None:
    """So that the movement can be looked at; 300 ms are 60 frames at 200 fps."""
    (found,) = accepted(steady(fps), [Movement(2.0, 2.15, 2.35, 3.0)])
    indices = [crop.frame_index for crop in found.crops]
    assert (indices[0], indices[-1]) == (found.onset.frame_index, found.offset.frame_index)
    assert found.apex.frame_index in indices
    assert indices == sorted(set(indices))
    assert len(indices) == min(40, indices[-1] - indices[0] + 1)
