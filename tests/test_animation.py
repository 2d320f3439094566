"""Animating the portrait: movements where and as large as asked, lids that shut, and nothing else in motion."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from app.capture.demo import demo_portrait
from app.datatypes import Frame
from app.errors import FaceError
from app.face.action_units import ACTION_UNITS
from app.face.animation import FaceAnimator
from app.face.tracker import FaceTracker

CORNERS = [61, 291]  # of the mouth: the person's right, left


@pytest.fixture(scope="module")
def animator() -> FaceAnimator:
    return FaceAnimator(*demo_portrait())


@pytest.fixture(scope="module")
def landmarks_px() -> np.ndarray:
    return demo_portrait()[1]


@pytest.fixture(scope="module")
def tracker() -> Iterator[FaceTracker]:
    with FaceTracker(static=True) as tracker:
        yield tracker


def track(tracker: FaceTracker, image_bgr: np.ndarray):
    face = tracker.track(Frame(0, 0, image_bgr[:480, 100:740]))
    assert face is not None
    return face


def test_portrait_at_rest_is_left_as_it_is(animator: FaceAnimator) -> None:
    np.testing.assert_array_equal(animator.render({}), animator.image_bgr)


@pytest.mark.parametrize("name", ACTION_UNITS)
def test_unit_reaches_its_peak_and_leaves_the_background_alone(animator: FaceAnimator, name: str) -> None:
    rows, columns = np.mgrid[0:972:2, 0:972:2]
    everywhere = np.column_stack([columns.ravel(), rows.ravel()])
    moved_px = np.linalg.norm(animator.displacement_px({name: 0.03}, everywhere), axis=1)
    assert moved_px.max() == pytest.approx(0.03 * animator.inter_ocular_px, rel=0.04)
    at_rest = (moved_px == 0).reshape(rows.shape)
    assert at_rest[rows < 20].all()
    assert at_rest[rows > 400].all()
    assert at_rest[(columns < 250) | (columns > 620)].all()
    changed = (animator.render({name: 0.03}) != animator.image_bgr).any(axis=2)
    assert changed.any()
    assert not changed[400:].any()


def test_pixels_move_as_far_as_scripted(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    before, after = (cv2.cvtColor(animator.render(units), cv2.COLOR_BGR2GRAY) for units in ({}, {"1": 0.02, "2": 0.02}))
    brow = landmarks_px[[105, 66, 296, 334], :2]
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, after, brow, None, winSize=(15, 15))
    assert status.all()
    np.testing.assert_allclose(found - brow, animator.displacement_px({"1": 0.02, "2": 0.02}, brow), atol=0.6)


def test_tracker_sees_the_smile(animator: FaceAnimator, tracker: FaceTracker) -> None:
    units = {"12": 0.06}
    before, after = (track(tracker, animator.render(u)).landmarks_px[CORNERS, :2] for u in ({}, units))
    scripted = animator.displacement_px(units, before + np.array([100, 0]))
    np.testing.assert_allclose(after - before, scripted, atol=2.5)


def test_one_sided_movement_stays_on_its_side(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    right, left = np.linalg.norm(animator.displacement_px({"12L": 0.03}, landmarks_px[CORNERS, :2]), axis=1)
    assert left > 3
    assert right < 0.1
    # The person's left is at image right, where a smile pulls to the right.
    assert animator.displacement_px({"12L": 0.03}, landmarks_px[CORNERS, :2])[1, 0] > 1


def test_lids_shut_and_open(animator: FaceAnimator, tracker: FaceTracker) -> None:
    opening = [track(tracker, animator.render({}, eye_closure=c)).eye_opening for c in (0.0, 0.5, 1.0)]
    assert opening[0] > opening[1] > opening[2]
    assert opening[2] < 0.5 * opening[0]


def test_head_motion_is_composed_into_the_same_warp(animator: FaceAnimator) -> None:
    shift = np.array([(1.0, 0, 7), (0, 1, -4)])
    still = animator.render({"12": 0.03, "4": 0.02})
    moved = animator.render({"12": 0.03, "4": 0.02}, frame_from_portrait=shift)
    difference = cv2.absdiff(moved[20:-20, 20:-20], np.roll(still, (-4, 7), (0, 1))[20:-20, 20:-20])
    assert difference.max() <= 2


def test_turning_the_head_moves_the_nose_more_than_the_outline(animator: FaceAnimator, tracker: FaceTracker) -> None:
    still, turned = (track(tracker, animator.render({}, turn_deg=turn)) for turn in ((0, 0), (4, 0)))
    moved_px = (turned.landmarks_px - still.landmarks_px)[:, 0]
    assert moved_px[4] > 2
    assert moved_px[4] > 2 * abs(moved_px[[234, 454]].mean())
    assert turned.pose.yaw_deg > still.pose.yaw_deg


def test_frown_darkens_the_furrow_between_the_brows(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    x, y = np.rint(landmarks_px[[9, 107, 8, 55], :2].mean(axis=0)).astype(int)
    furrow = (slice(y - 4, y + 5), slice(x - 1, x + 2))
    before, after = (animator.render(units)[furrow].mean() for units in ({}, {"4": 0.03}))
    assert after < 0.97 * before
    without = animator.render({"4": 0.03}, crease_gain=0.0)[furrow].mean()
    assert without > after + 1


def test_unknown_units_and_unsuitable_landmarks_are_refused(landmarks_px: np.ndarray) -> None:
    image_bgr, _ = demo_portrait()
    with pytest.raises(FaceError, match="no action unit '99'"):
        FaceAnimator(image_bgr, landmarks_px).render({"99": 0.02})
    with pytest.raises(FaceError, match="478, 3"):
        FaceAnimator(image_bgr, landmarks_px[:468])
    with pytest.raises(FaceError, match="20 px"):
        FaceAnimator(image_bgr, landmarks_px / 10)
