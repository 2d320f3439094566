"""The spotter on drawn curves: known onset, apex and offset at any frame rate, and a reason for what is not one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.config import SpotterConfig
from app.datatypes import AlignedCrop, Candidate, Frame, HeadPose, SpotState, TrackedFace
from app.face.topology import REGION_NAMES
from app.spotting.motion import RegionalMotion
from app.spotting.spotter import REJECTIONS, Spotter

CROP = AlignedCrop(np.zeros((224, 224, 3), np.uint8), np.eye(2, 3))
IMAGE = np.zeros((2, 2, 3), np.uint8)
NOISE_PERCENT = 0.05


@dataclass(frozen=True)
class Movement:
    """A drawn movement: rises linearly from onset to apex, falls linearly to offset."""

    onset_s: float
    apex_s: float
    offset_s: float
    percent: float
    region: str = "left mouth corner"
    direction: tuple[float, float] = (0.6, -0.8)

    def at(self, time_s: float) -> float:
        return self.percent * float(np.interp(time_s, [self.onset_s, self.apex_s, self.offset_s], [0, 1, 0]))


def replay(
    times_s: list[float],
    movements: list[Movement],
    *,
    seed: int = 0,
    eye_opening: Callable[[float], float] = lambda time_s: 0.3,
    head_speed: Callable[[float], float] = lambda time_s: 5.0,
    spotter: Spotter | None = None,
) -> Iterator[tuple[float, SpotState, tuple[Candidate, ...]]]:
    """Run drawn movements with a little noise through a spotter, frame by frame."""
    rng = np.random.default_rng(seed)
    spotter = spotter or Spotter()
    for index, time_s in enumerate(times_s):
        displacement = rng.normal(0, NOISE_PERCENT, (len(REGION_NAMES), 2))
        for movement in movements:
            displacement[REGION_NAMES.index(movement.region)] += movement.at(time_s) * np.array(movement.direction)
        face = TrackedFace(1, np.zeros((478, 3), np.float32), HeadPose(0, 0, 0), eye_opening(time_s), 100.0, 1)
        frame = Frame(index, round(time_s * 1e9), IMAGE)
        motion = RegionalMotion(CROP, displacement, head_speed(time_s), 0.1, np.zeros(2), 2.0, 120.0)
        _, _, decided = spotter.update(frame, face, motion)
        yield time_s, spotter.state, decided


def steady(fps: float, duration_s: float = 5.0) -> list[float]:
    return [index / fps for index in range(int(duration_s * fps))]


def decided(*arguments, **options) -> list[Candidate]:
    return [candidate for _, _, candidates in replay(*arguments, **options) for candidate in candidates]


@given(
    fps=st.floats(24, 240),
    onset_s=st.floats(1.2, 3.5),
    rise_s=st.floats(0.08, 0.2),
    fall_s=st.floats(0.1, 0.25),
    percent=st.floats(1.2, 6.0),
    region=st.sampled_from(REGION_NAMES),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=15)
def test_finds_a_movement_once_at_any_frame_rate(fps, onset_s, rise_s, fall_s, percent, region, seed) -> None:
    movement = Movement(onset_s, onset_s + rise_s, onset_s + rise_s + fall_s, percent, region)
    found = decided(steady(fps), [movement], seed=seed)
    assert len(found) == 1
    candidate, tolerance_s = found[0], 1 / fps + 0.2 * max(rise_s, fall_s)
    assert candidate.rejected_because == ""
    assert candidate.regions == (region,)
    assert candidate.onset.timestamp_ns / 1e9 == pytest.approx(movement.onset_s, abs=tolerance_s)
    assert candidate.apex.timestamp_ns / 1e9 == pytest.approx(movement.apex_s, abs=tolerance_s)
    assert candidate.offset.timestamp_ns / 1e9 == pytest.approx(movement.offset_s, abs=tolerance_s)
    assert candidate.onset.timestamp_ns < candidate.apex.timestamp_ns < candidate.offset.timestamp_ns
    assert candidate.fps_effective == pytest.approx(fps, rel=0.01)


@given(st.lists(st.floats(0.012, 0.05), min_size=150, max_size=250), st.integers(0, 1000))
@settings(deadline=None, max_examples=10)
def test_variable_frame_rate(steps_s: list[float], seed: int) -> None:
    times = list(np.cumsum(steps_s))
    onset_s = times[len(times) // 2]
    movement = Movement(onset_s, onset_s + 0.15, onset_s + 0.35, 3.0)
    found = decided(times, [movement], seed=seed)
    assert [candidate.rejected_because for candidate in found] == [""]
    assert found[0].apex.timestamp_ns / 1e9 == pytest.approx(movement.apex_s, abs=0.06)


@given(st.integers(0, 10_000), st.sampled_from([24.0, 30.0, 60.0]))
@settings(deadline=None, max_examples=10)
def test_noise_alone_is_silent(seed: int, fps: float) -> None:
    assert decided(steady(fps), [], seed=seed) == []


def test_slow_drift_is_silent() -> None:
    drift = Movement(0.0, 5.0, 9.0, 2.0)
    assert decided(steady(30), [drift]) == []


def test_nothing_is_found_before_the_baseline_is_known() -> None:
    early = Movement(0.2, 0.35, 0.5, 3.0)
    states = [state for time_s, state, _ in replay(steady(30, 1.0), [early]) if time_s < 0.65]
    assert set(states) == {SpotState.WARMUP}
    assert decided(steady(30), [early]) == []


def test_states_follow_the_movement() -> None:
    movement = Movement(2.0, 2.15, 2.4, 4.0)
    states = {round(time_s, 2): state for time_s, state, _ in replay(steady(100), [movement])}
    assert states[1.9] is SpotState.IDLE
    assert states[2.1] is SpotState.RISING
    assert states[2.3] is SpotState.FALLING
    assert states[2.6] is SpotState.IDLE


@pytest.mark.parametrize("offset_s", [2.62, 2.8, 3.4, 4.5])
def test_a_long_movement_is_reported_once_as_too_long(offset_s: float) -> None:
    macro = Movement(2.0, 2.2, offset_s, 6.0)
    reasons = [candidate.rejected_because for candidate in decided(steady(30, 7.0), [macro])]
    assert reasons == ["too long"]


def test_an_expression_that_stays_is_too_long_and_so_is_its_end() -> None:
    held = Movement(2.0, 2.2, 99.0, 6.0)
    let_go = Movement(6.0, 6.2, 99.0, -6.0)
    reasons = {candidate.rejected_because for candidate in decided(steady(30, 9.0), [held, let_go])}
    assert reasons == {"too long"}


def test_a_blink_closes_the_gate_for_brows_but_not_for_the_mouth() -> None:
    def lids(time_s: float) -> float:
        return 0.08 if 2.05 < time_s < 2.2 else 0.3

    brow = decided(steady(30), [Movement(2.0, 2.12, 2.3, 3.0, "right inner brow")], eye_opening=lids)
    mouth = decided(steady(30), [Movement(2.0, 2.12, 2.3, 3.0, "right mouth corner")], eye_opening=lids)
    assert [(c.rejected_because, c.has_blink) for c in brow] == [("blink", True)]
    assert [(c.rejected_because, c.has_blink) for c in mouth] == [("", True)]


def test_a_blink_long_before_does_not_matter() -> None:
    found = decided(
        steady(30),
        [Movement(3.0, 3.12, 3.3, 3.0, "right inner brow")],
        eye_opening=lambda time_s: 0.08 if 2.3 < time_s < 2.5 else 0.3,
    )
    assert [(c.rejected_because, c.has_blink) for c in found] == [("", False)]


def test_fast_head_motion_closes_the_gate() -> None:
    found = decided(
        steady(30), [Movement(2.0, 2.12, 2.3, 3.0)], head_speed=lambda time_s: 200.0 if 2.1 < time_s < 2.2 else 5.0
    )
    assert [candidate.rejected_because for candidate in found] == ["head motion"]
    assert found[0].head_motion == 200.0


def test_a_flicker_of_one_frame_is_too_short() -> None:
    found = decided(steady(120), [Movement(2.0, 2.008, 2.016, 4.0)])
    assert [candidate.rejected_because for candidate in found] == ["too short"]


def test_movements_in_quick_succession_are_one_longer_movement() -> None:
    mouth = [Movement(2.0 + 0.45 * i, 2.1 + 0.45 * i, 2.3 + 0.45 * i, 4.0) for i in range(3)]
    reasons = [candidate.rejected_because for candidate in decided(steady(60), mouth)]
    assert reasons == ["", "part of a longer movement", "part of a longer movement"]


def test_two_separate_movements_are_two_events() -> None:
    pair = [Movement(2.0, 2.1, 2.3, 4.0), Movement(3.2, 3.3, 3.5, 3.0, "left inner brow")]
    found = decided(steady(30), pair)
    assert [(c.rejected_because, c.regions[0]) for c in found] == [("", "left mouth corner"), ("", "left inner brow")]


def test_losing_the_face_reports_the_movement_as_interrupted() -> None:
    spotter = Spotter()
    movement = Movement(2.0, 2.15, 2.4, 4.0)
    for time_s, _, candidates in replay(steady(60), [movement], spotter=spotter):
        assert candidates == ()
        if time_s > 2.2:
            break
    assert [candidate.rejected_because for candidate in spotter.reset()] == ["interrupted"]
    assert spotter.state is SpotState.OFF
    assert spotter.reset() == ()


def test_a_noisy_region_raises_its_own_threshold() -> None:
    """Talking lips move 2 % all the time: the same 2 % there is nothing, and on a quiet brow it is an event."""
    chatter = [Movement(0.25 * i, 0.25 * i + 0.08, 0.25 * i + 0.2, 2.0, "lower lip") for i in range(60)]
    quiet = decided(steady(30, 14.0), chatter)
    assert [c for c in quiet if not c.rejected_because and c.onset.timestamp_ns > 3e9] == []
    with_brow = decided(steady(30, 14.0), [*chatter, Movement(8.0, 8.12, 8.3, 2.0, "left inner brow")])
    assert any("left inner brow" in candidate.regions for candidate in with_brow)


def test_every_reason_is_explained() -> None:
    assert set(REJECTIONS) == {
        "too long", "too short", "part of a longer movement", "blink", "head motion", "interrupted",
    }  # fmt: skip


def test_thresholds_are_settings() -> None:
    movement = Movement(2.0, 2.12, 2.3, 0.9)
    assert len(decided(steady(30), [movement])) == 1
    assert decided(steady(30), [movement], spotter=Spotter(SpotterConfig(min_displacement_percent=1.5))) == []


@pytest.mark.parametrize("fps", [30.0, 200.0])
def test_a_candidate_brings_its_frames_from_onset_to_offset(fps: float) -> None:
    """So that the movement can be looked at; 300 ms are 60 frames at 200 fps."""
    (found,) = decided(steady(fps), [Movement(2.0, 2.15, 2.35, 4.0)])
    indices = [crop.frame_index for crop in found.crops]
    assert (indices[0], indices[-1]) == (found.onset.frame_index, found.offset.frame_index)
    assert found.apex.frame_index in indices
    assert indices == sorted(set(indices))
    assert len(indices) == min(40, indices[-1] - indices[0] + 1)
