"""The whole flow on the built-in demo: real MediaPipe, real flow, and the script as the truth."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from app.capture.demo import DEMO_SCRIPT, DemoSource
from app.config import SourceConfig
from app.datatypes import Candidate, Frame, SpotState
from app.pipeline import Pipeline
from app.spotting.scoring import match

MICRO = [movement for movement in DEMO_SCRIPT if movement.kind == "micro"]
FIRST = MICRO[0]


def demo_frames(start_s: float = 0.0, end_s: float | None = None) -> Iterator[Frame]:
    with DemoSource(SourceConfig(start_s=start_s, end_s=end_s)) as source:
        yield from source


@dataclass(frozen=True)
class Outcome:
    """What a run over some frames leaves behind, without the pictures."""

    decided: list[Candidate]
    states: list[SpotState]
    strengths: list[float]

    @property
    def accepted(self) -> list[Candidate]:
        return [candidate for candidate in self.decided if not candidate.rejected_because]

    @property
    def key_frames(self) -> list[tuple[int, int, int, str]]:
        return [
            (c.onset.frame_index, c.apex.frame_index, c.offset.frame_index, c.rejected_because) for c in self.decided
        ]


def run(frames: Iterator[Frame]) -> Outcome:
    outcome = Outcome([], [], [])
    with Pipeline() as pipeline:
        for frame in frames:
            result = pipeline.step(frame)
            outcome.decided.extend(result.decided)
            outcome.states.append(result.state)
            outcome.strengths.append(result.motion.strength if result.motion is not None else -1.0)
    return outcome


@pytest.fixture(scope="module")
def demo() -> Outcome:
    return run(demo_frames())


def test_finds_the_scripted_micro_expressions(demo: Outcome) -> None:
    score = match(
        [(m.onset_frame, m.offset_frame) for m in MICRO],
        [(c.onset.frame_index, c.offset.frame_index) for c in demo.accepted],
    )
    assert score.false_negatives <= 1
    assert score.false_positives <= 1
    for true, found in score.pairs:
        assert abs(demo.accepted[found].apex.frame_index - MICRO[true].apex_frame) <= 1


def test_no_blink_and_no_macro_expression_becomes_an_event(demo: Outcome) -> None:
    others = [movement for movement in DEMO_SCRIPT if movement.kind != "micro"]
    for candidate in demo.accepted:
        for movement in others:
            assert not movement.onset_frame <= candidate.apex.frame_index <= movement.offset_frame
    assert {candidate.rejected_because for candidate in demo.decided} >= {"blink", "too long"}


def test_regions_say_where_it_moved(demo: Outcome) -> None:
    for candidate in demo.accepted:
        movement = min(MICRO, key=lambda m: abs(m.apex_frame - candidate.apex.frame_index))
        strongest = candidate.regions[0]
        if movement.label == "positive":
            assert "mouth" in strongest or "cheek" in strongest
        if movement.label == "surprise":
            assert "brow" in strongest


def test_key_frames_carry_their_registered_crops(demo: Outcome) -> None:
    for candidate in demo.accepted:
        crops = [key.crop_bgr for key in (candidate.onset, candidate.apex, candidate.offset)]
        assert all(crop.shape == (224, 224, 3) and crop.dtype == np.uint8 for crop in crops)
        onset, apex, offset = (crop.astype(float) for crop in crops)
        # The face moved between onset and apex and came back, while the crop stayed where it was.
        assert np.abs(apex - onset).max() > 1.5 * np.abs(offset - onset).mean()
        assert np.abs(np.median(apex - onset)) < 6


def test_same_frames_same_result(demo: Outcome) -> None:
    again = run(demo_frames(end_s=5.0))
    assert again.strengths == demo.strengths[: len(again.strengths)]
    assert again.key_frames == demo.key_frames[: len(again.key_frames)]


def around_first(frames: Iterator[Frame]) -> Iterator[Frame]:
    return (frame for frame in frames if frame.index >= FIRST.onset_frame - 45)


END_S = FIRST.offset_frame / 30 + 0.5


def test_candidates_know_when_they_were_announced_and_decided() -> None:
    with Pipeline() as pipeline:
        results = [pipeline.step(frame) for frame in around_first(demo_frames(end_s=END_S))]
    announced = [(result.frame.timestamp_ns, found) for result in results for found in result.announced]
    decided = [(result.frame.timestamp_ns, found) for result in results for found in result.decided]
    assert announced
    assert decided
    assert all(found.announced_ns == time_ns and found.decided_ns is None for time_ns, found in announced)
    assert all(found.decided_ns == time_ns for time_ns, found in decided)
    times_ns = {found.candidate_id: time_ns for time_ns, found in announced}
    assert all(found.announced_ns == times_ns.get(found.candidate_id) for _, found in decided)


def test_a_declared_gap_in_a_movement_keeps_its_sides_apart() -> None:
    def with_gap() -> Iterator[Frame]:
        for frame in around_first(demo_frames(end_s=END_S)):
            yield replace(frame, dropped_before=3) if frame.index == FIRST.apex_frame + 4 else frame

    (found,) = run(around_first(demo_frames(end_s=END_S))).accepted
    assert abs(found.apex.frame_index - FIRST.apex_frame) <= 1
    outcome = run(with_gap())
    assert outcome.accepted == []
    assert outcome.decided[-1].rejected_because == "interrupted"
    assert outcome.states[-1] is SpotState.WARMUP


@pytest.mark.parametrize("jump_ns", [400_000_000, -400_000_000], ids=["forward", "back"])
def test_a_jump_in_time_is_a_gap(jump_ns: int) -> None:
    def jumping() -> Iterator[Frame]:
        for frame in around_first(demo_frames(end_s=END_S)):
            late = frame.index > FIRST.apex_frame
            yield replace(frame, timestamp_ns=frame.timestamp_ns + (jump_ns if late else 0))

    outcome = run(jumping())
    assert outcome.accepted == []
    assert outcome.states[-1] is SpotState.WARMUP


def test_no_event_spans_a_lost_face() -> None:
    def covered() -> Iterator[Frame]:
        for frame in around_first(demo_frames(end_s=END_S)):
            is_covered = FIRST.apex_frame < frame.index <= FIRST.apex_frame + 3
            yield replace(frame, image_bgr=np.full_like(frame.image_bgr, 60)) if is_covered else frame

    outcome = run(covered())
    assert outcome.accepted == []
    assert SpotState.OFF in outcome.states


def test_a_frozen_video_is_silent_and_free_of_nan() -> None:
    still = next(demo_frames())
    frames = (Frame(index, index * 33_333_333, still.image_bgr) for index in range(45))
    outcome = run(frames)
    assert outcome.decided == []
    assert max(outcome.strengths) < 0.5
    assert np.isfinite(outcome.strengths).all()


def test_black_frames_are_no_face() -> None:
    frames = (Frame(index, index * 33_333_333, np.zeros((120, 161, 3), np.uint8)) for index in range(3))
    assert set(run(frames).states) == {SpotState.OFF}


def test_a_renewed_reference_ends_a_movement_and_learns_the_face_anew() -> None:
    rising = FIRST.apex_frame
    frames = demo_frames(end_s=(FIRST.offset_frame + 30) / 30)
    decided: list[Candidate] = []
    with Pipeline() as pipeline:
        for frame in frames:
            if frame.index == rising:
                pipeline.renew_reference()
            result = pipeline.step(frame)
            decided.extend(result.decided)
            if frame.index == rising:
                assert result.state is SpotState.WARMUP
    assert not [c for c in decided if not c.rejected_because and c.onset.frame_index < rising]
