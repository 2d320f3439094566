"""The demo clip: its script, its determinism, and what the real tracker makes of it."""

import hashlib
import itertools

import numpy as np
import pytest

from app.capture.demo import DEMO_SCRIPT, FPS, FRAME_COUNT, DemoSource, demo_expression, demo_portrait
from app.capture.source import open_source
from app.config import SourceConfig
from app.datatypes import Frame
from app.errors import SourceError
from app.face.tracker import FaceTracker

MICRO = [movement for movement in DEMO_SCRIPT if movement.kind == "micro"]


def test_script_holds_what_a_spotter_has_to_tell_apart() -> None:
    labels = [movement.label for movement in MICRO]
    assert all(labels.count(label) >= 2 for label in ("negative", "positive", "surprise"))
    assert [movement.kind for movement in DEMO_SCRIPT].count("macro") == 1
    assert [movement.kind for movement in DEMO_SCRIPT].count("blink") >= 4
    assert MICRO[0].onset_frame >= 2 * FPS
    for before, after in itertools.pairwise(DEMO_SCRIPT):
        assert before.offset_frame < after.onset_frame
    assert DEMO_SCRIPT[-1].offset_frame < FRAME_COUNT


@pytest.mark.parametrize("movement", MICRO, ids=lambda movement: f"{movement.label}-{movement.onset_frame}")
def test_micro_expressions_are_short_and_faint(movement) -> None:
    assert 0.2 <= (movement.offset_frame - movement.onset_frame) / FPS <= 0.46
    assert 0.015 <= max(movement.action_units.values()) <= 0.03
    strength = [movement.strength(i) for i in range(movement.onset_frame, movement.offset_frame + 1)]
    peak = movement.apex_frame - movement.onset_frame
    assert strength[0] == strength[-1] == 0
    assert strength[peak] == 1
    assert (np.diff(strength[: peak + 1]) > 0).all()
    assert (np.diff(strength[peak:]) < 0).all()
    assert movement.apex_frame - movement.onset_frame < movement.offset_frame - movement.apex_frame


def test_expression_follows_the_script() -> None:
    assert demo_expression(0) == ({}, 0.0)
    assert demo_expression(MICRO[0].apex_frame) == (dict(MICRO[0].action_units), 0.0)
    blink = next(movement for movement in DEMO_SCRIPT if movement.kind == "blink")
    assert demo_expression(blink.apex_frame) == ({}, 1.0)


def digest(config: SourceConfig) -> str:
    with DemoSource(config) as source:
        return hashlib.sha256(b"".join(frame.image_bgr.tobytes() for frame in source)).hexdigest()


def test_same_seed_same_pixels() -> None:
    first = digest(SourceConfig(end_s=0.2))
    assert digest(SourceConfig(end_s=0.2)) == first
    assert digest(SourceConfig(end_s=0.2, seed=1)) != first


def test_part_of_the_clip_keeps_its_numbers_and_its_pixels() -> None:
    with DemoSource(SourceConfig(start_s=1.0, end_s=1.2)) as part, DemoSource(SourceConfig(end_s=1.2)) as whole:
        assert part.info.frame_count == 6
        frames, expected = list(part), list(whole)[30:]
    assert [frame.index for frame in frames] == list(range(30, 36))
    assert frames[0].timestamp_ns == 1_000_000_000
    for frame, same in zip(frames, expected, strict=True):
        assert frame.timestamp_ns == same.timestamp_ns
        np.testing.assert_array_equal(frame.image_bgr, same.image_bgr)


def test_source_describes_itself_and_closes() -> None:
    source = open_source("demo", SourceConfig())
    assert isinstance(source, DemoSource)
    assert (source.info.label, source.info.kind, source.info.is_live) == ("demo", "demo", False)
    assert (source.info.width, source.info.height, source.info.fps, source.info.frame_count) == (640, 480, 30.0, 600)
    frames = iter(source)
    frame = next(frames)
    assert frame.image_bgr.shape == (480, 640, 3)
    assert not frame.image_bgr.flags.writeable
    source.close()
    source.close()
    assert next(frames, None) is None


@pytest.mark.parametrize(("start_s", "end_s"), [(20.0, None), (5.0, 5.0), (3.0, -1.0)])
def test_empty_part_is_refused(start_s: float, end_s: float | None) -> None:
    with pytest.raises(SourceError, match="nothing lies between"):
        DemoSource(SourceConfig(start_s=start_s, end_s=end_s))


def test_stored_landmarks_are_those_of_the_tracker() -> None:
    image_bgr, landmarks_px = demo_portrait()
    with FaceTracker(static=True) as tracker:
        face = tracker.track(Frame(0, 0, np.ascontiguousarray(image_bgr[:480, 100:740])))
    distance_px = np.linalg.norm((face.landmarks_px - landmarks_px)[:, :2] + np.array([100, 0]), axis=1)
    assert np.median(distance_px) < 1
    assert face.inter_ocular_px == pytest.approx(115, abs=3)


def test_tracker_keeps_the_face_and_sees_the_blinks() -> None:
    blinks = [movement for movement in DEMO_SCRIPT if movement.kind == "blink"][:2]
    end_s = (blinks[-1].offset_frame + 3) / FPS
    with DemoSource(SourceConfig(end_s=end_s)) as source, FaceTracker() as tracker:
        faces = [tracker.track(frame) for frame in source]
    assert all(face is not None for face in faces)
    assert {face.face_id for face in faces} == {faces[0].face_id}
    opening = np.array([face.eye_opening for face in faces])
    for blink in blinks:
        assert opening[blink.onset_frame : blink.offset_frame].min() < 0.5 * np.median(opening)
    at_rest = np.ones(len(faces), bool)
    for blink in blinks:
        at_rest[blink.onset_frame : blink.offset_frame + 3] = False
    assert opening[at_rest].min() > 0.75 * np.median(opening)
