"""Registration: known rigid motion comes out, known local motion stays in."""

import cv2
import numpy as np
import pytest

from app.datatypes import Frame
from app.face import topology
from app.face.alignment import CROP_SIZE, Reference, align, canonical_transform
from app.face.animation import FaceAnimator
from app.face.tracker import FaceTracker

CHECKED_PX = np.array([(60.0, 60.0), (160.0, 60.0), (112.0, 110.0), (112.0, 180.0)])


@pytest.fixture(scope="module")
def scene_bgr(astronaut_bgr: np.ndarray) -> np.ndarray:
    """The portrait as a webcam sees it: 640×480, 115 px between the outer eye corners."""
    large = cv2.resize(astronaut_bgr, None, fx=1.9, fy=1.9, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(large[0:480, 100:740])


def tracked(tracker: FaceTracker, image_bgr: np.ndarray) -> np.ndarray:
    face = tracker.track(Frame(0, 0, image_bgr))
    assert face is not None
    return face.landmarks_px


@pytest.fixture(scope="module")
def landmarks_px(scene_bgr: np.ndarray) -> np.ndarray:
    with FaceTracker(static=True) as tracker:
        return tracked(tracker, scene_bgr)


def through(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ transform[:, :2].T + transform[:, 2]


def with_noise(image_bgr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.clip(image_bgr + rng.normal(0, 2.5, image_bgr.shape), 0, 255).astype(np.uint8)


def test_eye_corners_land_on_their_places(scene_bgr, landmarks_px) -> None:
    crop = align(scene_bgr, landmarks_px)
    corners = landmarks_px[[topology.RIGHT_EYE_OUTER, topology.LEFT_EYE_OUTER], :2]
    np.testing.assert_allclose(through(crop.crop_from_frame, corners), [(56, 84), (168, 84)], atol=1e-3)
    assert crop.image_bgr.shape == (CROP_SIZE, CROP_SIZE, 3)


def test_head_motion_comes_out_to_a_tenth_of_a_pixel(scene_bgr, landmarks_px) -> None:
    rng = np.random.default_rng(0)
    reference = Reference(scene_bgr, landmarks_px)
    errors_px, noise_percent = [], []
    with FaceTracker(static=True) as tracker:
        for _ in range(8):
            matrix = cv2.getRotationMatrix2D((320, 240), rng.normal(0, 1.5), 1 + rng.normal(0, 0.015))
            matrix[:, 2] += rng.normal(0, 6, 2)
            moved = cv2.warpAffine(
                scene_bgr, matrix, (640, 480), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            moved = with_noise(moved, rng)
            registered = reference.register(moved, tracked(tracker, moved))
            in_scene = through(
                cv2.invertAffineTransform(matrix),
                through(cv2.invertAffineTransform(registered.crop.crop_from_frame), CHECKED_PX),
            )
            errors_px.append(np.abs(through(reference.crop.crop_from_frame, in_scene) - CHECKED_PX))
            noise_percent.append(np.linalg.norm(reference.regional(registered.displacement_px), axis=1))
    assert np.mean(errors_px) < 0.06
    assert np.max(errors_px) < 0.2
    assert np.median(noise_percent) < 0.15


@pytest.mark.parametrize(
    ("action_units", "region", "direction", "quiet"),
    [
        ({"12": 0.03}, "left mouth corner", (0.5, -0.5), "left inner brow"),
        ({"12": 0.03}, "right mouth corner", (-0.5, -0.5), "right inner brow"),
        ({"1": 0.03, "2": 0.03}, "right inner brow", (0.0, -1.0), "right mouth corner"),
        ({"4": 0.03}, "left inner brow", (-0.3, 0.7), "left mouth corner"),
    ],
)
def test_local_motion_stays_and_has_its_direction(
    scene_bgr, landmarks_px, action_units, region, direction, quiet
) -> None:
    moved = FaceAnimator(scene_bgr, landmarks_px).render(action_units)
    moved = with_noise(moved, np.random.default_rng(1))
    reference = Reference(scene_bgr, landmarks_px)
    with FaceTracker(static=True) as tracker:
        registered = reference.register(moved, tracked(tracker, moved))
    regional = dict(zip(topology.REGION_NAMES, reference.regional(registered.displacement_px), strict=True))
    size = np.linalg.norm(regional[region])
    # Percent; a field peaks at 3 %, a region averages over it, and where two units overlap they add up.
    assert 1.0 < size < 4.0
    assert regional[region] @ np.array(direction) / np.linalg.norm(direction) > 0.7 * size
    assert np.linalg.norm(regional[quiet]) < 0.35 * size


def test_large_faces_are_averaged_not_aliased(scene_bgr, landmarks_px) -> None:
    """The same face four times as large gives the same crop, although the file holds noise finer than the crop."""
    rng = np.random.default_rng(0)
    large = cv2.resize(scene_bgr, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(large + rng.normal(0, 40, large.shape), 0, 255).astype(np.uint8)
    centres = (landmarks_px[:, :2] + 0.5) * 4 - 0.5
    crop = align(noisy, np.column_stack([centres, landmarks_px[:, 2] * 4])).image_bgr.astype(float)
    expected = align(scene_bgr, landmarks_px).image_bgr.astype(float)
    inner = slice(40, 184)
    assert np.abs(crop - expected)[inner, inner].std() < 15


@pytest.mark.parametrize("shift_px", [(0, 0), (-260, 0), (240, -190)], ids=["inside", "cut off left", "cut off above"])
def test_a_crop_is_what_a_warp_of_the_whole_frame_gives(scene_bgr, landmarks_px, shift_px) -> None:
    moved = np.roll(scene_bgr, shift_px, axis=(1, 0))
    landmarks = landmarks_px + np.array([*shift_px, 0], np.float32)
    crop = align(moved, landmarks)
    expected = cv2.warpAffine(
        moved, crop.crop_from_frame, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    difference = np.abs(crop.image_bgr.astype(int) - expected)
    # A warp rounds positions to 1/32 px, which steep edges show.
    assert difference.mean() < 0.05
    assert difference.max() <= 12


def test_a_covered_face_is_reported_as_unregistered(scene_bgr, landmarks_px) -> None:
    reference = Reference(scene_bgr, landmarks_px)
    noise = np.random.default_rng(0).integers(0, 255, scene_bgr.shape, np.uint8)
    assert reference.register(noise, landmarks_px).residual_px > 2
    flat = reference.register(np.full_like(scene_bgr, 90), landmarks_px)
    assert not flat.residual_px < 2


def test_a_reference_continues_from_an_earlier_registration(scene_bgr, landmarks_px) -> None:
    first = Reference(scene_bgr, landmarks_px)
    shifted = first.crop.crop_from_frame + np.array([(0, 0, 1.5), (0, 0, -2.0)])
    second = Reference(scene_bgr, landmarks_px, shifted)
    np.testing.assert_array_equal(second.crop.crop_from_frame, shifted)
    assert second.inter_ocular_px == pytest.approx(first.inter_ocular_px)
    again = second.register(scene_bgr, landmarks_px)
    np.testing.assert_allclose(again.crop.crop_from_frame, shifted, atol=0.01)


def test_canonical_transform_is_a_similarity(landmarks_px) -> None:
    transform = canonical_transform(landmarks_px)
    linear = transform[:, :2]
    np.testing.assert_allclose(linear @ linear.T, np.linalg.det(linear) * np.eye(2), atol=1e-12)
