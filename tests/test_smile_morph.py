"""A person's own smile from a second picture: made here from the portrait, so that the truth is known."""

import cv2
import numpy as np
import pytest

from app.capture.demo import demo_portrait
from app.errors import FaceError
from app.face.animation import FaceAnimator, SmileMorph

SMILE = {"12": 0.08, "6": 0.04}
VISIBLE = [61, 291, 50, 280, 205, 425, 0, 17, 152, 105, 334, 129]
CHEEK = (205, 425)


@pytest.fixture(scope="module")
def landmarks_px() -> np.ndarray:
    return demo_portrait()[1]


@pytest.fixture(scope="module")
def smiling(landmarks_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The portrait smiling, with the head elsewhere, tilted, larger and in brighter light, and its landmarks."""
    image_bgr, _ = demo_portrait()
    animator = FaceAnimator(image_bgr, landmarks_px)
    head = cv2.getRotationMatrix2D((440, 220), 4.0, 1.08)
    head[:, 2] += (15, 20)
    picture = animator.render(SMILE, crease_gain=2.0, frame_from_portrait=head)
    moved = landmarks_px.copy()
    moved[:, :2] += animator.displacement_px(SMILE, landmarks_px[:, :2])
    moved[:, :2] = moved[:, :2] @ head[:, :2].T + head[:, 2]
    moved[:, 2] *= 1.08
    return cv2.convertScaleAbs(picture, alpha=1.1), moved.astype(np.float32)


@pytest.fixture(scope="module")
def morph(landmarks_px: np.ndarray, smiling: tuple[np.ndarray, np.ndarray]) -> SmileMorph:
    return SmileMorph(demo_portrait()[0], landmarks_px, *smiling)


@pytest.fixture(scope="module")
def animator(landmarks_px: np.ndarray, morph: SmileMorph) -> FaceAnimator:
    return FaceAnimator(demo_portrait()[0], landmarks_px, morph)


def test_movement_is_the_smile_without_the_head(
    animator: FaceAnimator, morph: SmileMorph, landmarks_px: np.ndarray
) -> None:
    points = landmarks_px[VISIBLE, :2]
    expected = FaceAnimator(demo_portrait()[0], landmarks_px).displacement_px(SMILE, points)
    found = animator.displacement_px({}, points, smile=1.0)
    # The cheeks that rise reach some of the points that the head is fitted to.
    np.testing.assert_allclose(found, expected, atol=0.02 * animator.inter_ocular_px)
    assert morph.peak == pytest.approx(0.08, abs=0.015)


def test_share_of_the_smile_is_a_share_of_its_movement(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    corner = landmarks_px[[291], :2]
    lengths = [np.linalg.norm(animator.displacement_px({}, corner, smile=f)) for f in (0, 0.05, 0.1, 0.2, 0.3)]
    np.testing.assert_allclose(np.array(lengths[1:]) / lengths[4], [1 / 6, 1 / 3, 2 / 3, 1], rtol=0.02)
    still, slight, more = (animator.render({}, smile=f).astype(int) for f in (0, 0.1, 0.3))
    np.testing.assert_array_equal(still, animator.image_bgr)
    face = (slice(100, 400), slice(300, 570))
    assert 0 < np.abs(slight - still)[face].mean() < np.abs(more - still)[face].mean()


def test_light_of_the_smile_comes_along_and_its_exposure_does_not(morph: SmileMorph, landmarks_px: np.ndarray) -> None:
    animator = FaceAnimator(demo_portrait()[0], landmarks_px)
    expected = animator.render(SMILE, crease_gain=2.0).mean() - animator.render(SMILE, crease_gain=0.0).mean()
    assert abs(expected) < 1
    on_face = morph.shading[np.abs(morph.shading) > 1e-3]
    assert len(on_face)
    assert abs(np.median(on_face)) < 0.03
    assert 0.01 < np.abs(morph.shading).max() <= 0.3


def test_background_and_eyeballs_stay(animator: FaceAnimator, landmarks_px: np.ndarray) -> None:
    changed = (animator.render({}, smile=0.3) != animator.image_bgr).any(axis=2)
    assert changed.any()
    assert not changed[430:].any()
    assert not changed[:, :240].any()
    for iris in (468, 473):
        x, y = np.rint(landmarks_px[iris, :2]).astype(int)
        assert not changed[y - 1 : y + 2, x - 2 : x + 3].any()


def test_same_picture_twice_is_no_smile(landmarks_px: np.ndarray) -> None:
    image_bgr, _ = demo_portrait()
    nothing = SmileMorph(image_bgr, landmarks_px, image_bgr, landmarks_px)
    assert nothing.peak == pytest.approx(0, abs=1e-6)
    assert np.abs(nothing.displacement).max() < 1e-4
    assert np.abs(nothing.shading).max() < 0.02


def test_opening_mouth_shows_what_the_smile_shows(landmarks_px: np.ndarray) -> None:
    image_bgr, _ = demo_portrait()
    x, y = landmarks_px[13, :2]
    teeth_bgr = image_bgr.copy()
    cv2.rectangle(teeth_bgr, (int(x) - 20, int(y)), (int(x) + 20, int(y) + 14), (20, 250, 20), -1)
    opened = landmarks_px.copy()
    below = [95, 88, 178, 87, 14, 317, 402, 318, 324, 146, 91, 181, 84, 17, 314, 405, 321, 375, 18, 200, 199, 152]
    opened[below, 1] += 12
    animator = FaceAnimator(image_bgr, landmarks_px, SmileMorph(image_bgr, landmarks_px, teeth_bgr, opened))
    lower = landmarks_px[14, 1]
    before, after = (
        animator.render({}, smile=f)[round(lower) : round(lower) + 3, int(x) - 3 : int(x) + 4].astype(int)
        for f in (0, 0.3)
    )
    greener = (after - before)[..., 1] - (after - before)[..., 2]
    assert greener.mean() > 40


def test_misuse_is_explained(landmarks_px: np.ndarray) -> None:
    image_bgr, _ = demo_portrait()
    with pytest.raises(FaceError, match="build the FaceAnimator with a SmileMorph"):
        FaceAnimator(image_bgr, landmarks_px).render({}, smile=0.1)
    with pytest.raises(FaceError, match="Landmarks of the smile must be"):
        SmileMorph(image_bgr, landmarks_px, image_bgr, landmarks_px[:468])
