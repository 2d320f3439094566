"""Tracking, measuring and judging one face: real MediaPipe on NASA's portrait of an astronaut."""

import os
import threading
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from mediapipe.framework.formats.landmark_pb2 import NormalizedLandmarkList

from app.config import FaceConfig
from app.datatypes import Frame, HeadPose, TrackedFace
from app.face import geometry, topology
from app.face.alignment import align
from app.face.animation import FaceAnimator
from app.face.quality import REASONS, assess
from app.face.tracker import FaceTracker, landmark_points


@pytest.fixture(scope="module")
def photographer() -> Iterator[FaceTracker]:
    with FaceTracker(static=True) as tracker:
        yield tracker


@pytest.fixture(scope="module")
def face(photographer: FaceTracker, astronaut_bgr: np.ndarray) -> TrackedFace:
    found = photographer.track(Frame(0, 0, astronaut_bgr))
    assert found is not None
    return found


def turned(image_bgr: np.ndarray, angle_deg: float) -> np.ndarray:
    """Turned clockwise about the astronaut's face."""
    matrix = cv2.getRotationMatrix2D((222, 115), -angle_deg, 1.0)
    return cv2.warpAffine(image_bgr, matrix, image_bgr.shape[1::-1])


def test_finds_478_landmarks_with_fractions(face: TrackedFace) -> None:
    assert face.landmarks_px.shape == (topology.LANDMARK_COUNT, 3)
    assert face.landmarks_px.dtype == np.float32
    fractions = face.landmarks_px[:, :2] % 1
    assert ((fractions > 0.05) & (fractions < 0.95)).mean() > 0.7
    assert face.inter_ocular_px == pytest.approx(60, abs=4)
    assert face.face_count == 1


def test_landmarks_are_where_the_topology_says(face: TrackedFace) -> None:
    x, y = face.landmarks_px[:, 0], face.landmarks_px[:, 1]
    assert x[topology.RIGHT_EYE_OUTER] < x[topology.RIGHT_EYE_INNER] < x[topology.LEFT_EYE_INNER]
    assert y[topology.FOREHEAD_TOP] < y[topology.RIGHT_EYE_OUTER] < y[topology.CHIN_BOTTOM]
    for name, indices in topology.REGIONS.items():
        middle = x[list(indices)].mean()
        if name.startswith("right"):
            assert middle < x[168]
        elif name.startswith("left"):
            assert middle > x[168]
    assert y[list(topology.REGIONS["right inner brow"])].mean() < y[list(topology.REGIONS["right cheek"])].mean()
    assert y[list(topology.REGIONS["upper lip"])].mean() < y[list(topology.REGIONS["lower lip"])].mean()


def test_left_and_right_regions_mirror_each_other() -> None:
    right = [name for name in topology.REGION_NAMES if name.startswith("right")]
    for name in right:
        other = "left" + name.removeprefix("right")
        assert len(topology.REGIONS[name]) == len(topology.REGIONS[other])
    assert topology.BROW_REGIONS.isdisjoint(topology.MOUTH_REGIONS)
    assert set(topology.REGION_NAMES) >= topology.BROW_REGIONS | topology.MOUTH_REGIONS


@pytest.mark.parametrize("visibility", [None, 0.5], ids=["x, y, z", "visibility as well"])
def test_landmarks_are_read_to_the_last_bit(visibility: float | None) -> None:
    landmarks = NormalizedLandmarkList()
    expected = np.random.default_rng(0).normal(0.5, 0.3, (topology.LANDMARK_COUNT, 3)).astype(np.float32)
    expected[7] = 0.0  # zeros are written as well
    for x, y, z in expected.tolist():
        landmarks.landmark.add(x=x, y=y, z=z, **({} if visibility is None else {"visibility": visibility}))
    points = landmark_points(landmarks)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, expected)


def test_landmarks_of_another_make_are_read_one_by_one() -> None:
    """As long as three floats in all, but not laid out as such."""
    landmarks = NormalizedLandmarkList()
    landmarks.landmark.add(x=1.0, y=2.0, visibility=3.0)
    np.testing.assert_array_equal(landmark_points(landmarks), [(1.0, 2.0, 0.0)])


def test_no_face_in_noise(photographer: FaceTracker) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    assert photographer.track(Frame(0, 0, noise)) is None


@pytest.mark.parametrize("angle_deg", [-12, 12])
def test_roll_is_clockwise_in_the_image(photographer, astronaut_bgr, face, angle_deg) -> None:
    found = photographer.track(Frame(0, 0, turned(astronaut_bgr, angle_deg)))
    assert found.pose.roll_deg - face.pose.roll_deg == pytest.approx(angle_deg, abs=2)


def test_pose_signs() -> None:
    """Yaw and pitch of a drawn head turned by known angles; MediaPipe's z grows away from the camera."""
    head = np.zeros((topology.LANDMARK_COUNT, 3))
    head[topology.RIGHT_EYE_OUTER], head[topology.LEFT_EYE_OUTER] = (-50, 0, 0), (50, 0, 0)
    head[topology.FOREHEAD_TOP], head[topology.CHIN_BOTTOM] = (0, -60, 0), (0, 90, 0)
    angle = np.radians(20)
    nose_to_image_right = np.array([(np.cos(angle), 0, -np.sin(angle)), (0, 1, 0), (np.sin(angle), 0, np.cos(angle))])
    nose = np.array((0, 0, -1.0))
    assert (nose_to_image_right @ nose)[0] > 0
    assert geometry.head_pose(head @ nose_to_image_right.T).yaw_deg == pytest.approx(20, abs=0.1)
    nose_down = np.array([(1, 0, 0), (0, np.cos(angle), -np.sin(angle)), (0, np.sin(angle), np.cos(angle))])
    assert (nose_down @ nose)[1] > 0
    down_deg = geometry.head_pose(head @ nose_down.T).pitch_deg - geometry.head_pose(head).pitch_deg
    assert down_deg == pytest.approx(20, abs=0.1)


def test_eye_opening_falls_when_the_lids_close(photographer, astronaut_bgr, face) -> None:
    shut = FaceAnimator(astronaut_bgr, face.landmarks_px).render({}, eye_closure=1.0)
    found = photographer.track(Frame(0, 0, shut))
    assert face.eye_opening > 0.25
    assert found.eye_opening < 0.5 * face.eye_opening


def test_the_tracked_face_stays_when_a_larger_one_appears(astronaut_bgr: np.ndarray) -> None:
    scene = np.full((480, 900, 3), 127, np.uint8)
    portrait = astronaut_bgr[20:220, 120:320]
    scene[60:410, 40:390] = cv2.resize(portrait, (350, 350), interpolation=cv2.INTER_CUBIC)
    alone = scene.copy()
    scene[10:470, 420:880] = cv2.resize(portrait, (460, 460), interpolation=cv2.INTER_CUBIC)
    with FaceTracker(FaceConfig(count_period_s=0.1)) as tracker:
        first = [tracker.track(Frame(index, index * 40_000_000, alone)) for index in range(3)][-1]
        for index in range(3, 9):
            found = tracker.track(Frame(index, index * 40_000_000, scene))
            assert found.face_id == first.face_id
            assert np.abs(found.landmarks_px - first.landmarks_px)[:, :2].max() < 6
    assert (first.face_count, found.face_count) == (1, 2)


def test_another_face_is_followed_when_it_is_pointed_at(astronaut_bgr: np.ndarray) -> None:
    scene = np.full((480, 1024, 3), 127, np.uint8)
    portrait = astronaut_bgr[20:220, 120:320]
    scene[60:410, 40:390] = cv2.resize(portrait, (350, 350), interpolation=cv2.INTER_CUBIC)
    scene[10:470, 520:980] = cv2.resize(portrait, (460, 460), interpolation=cv2.INTER_CUBIC)
    frames = (Frame(index, index * 40_000_000, scene) for index in range(20))
    with FaceTracker() as tracker:

        def middle_of(face):
            return float(face.landmarks_px[:, 0].mean())

        first = tracker.track(next(frames))
        is_left = middle_of(first) < 455
        for _ in range(2):
            ((left, top, width, height),) = first.other_boxes_px
            assert (left < 455) != is_left
            tracker.follow(left + width / 2, top + height / 2)
            for _ in range(3):
                found = tracker.track(next(frames))
                assert (middle_of(found) < 455) != is_left
                assert found.face_id == first.face_id + 1
            first, is_left = found, not is_left


def test_pointing_at_an_empty_place_follows_the_nearest_face(astronaut_bgr: np.ndarray) -> None:
    with FaceTracker() as tracker:
        first = tracker.track(Frame(0, 0, astronaut_bgr))
        tracker.follow(5, 5)
        found = tracker.track(Frame(1, 40_000_000, astronaut_bgr))
        assert np.abs(found.landmarks_px - first.landmarks_px)[:, :2].max() < 8
        assert found.other_boxes_px == ()


def test_a_face_elsewhere_gets_a_new_identity(astronaut_bgr: np.ndarray) -> None:
    portrait = astronaut_bgr[20:220, 120:320]
    left, right = np.full((2, 300, 900, 3), 127, np.uint8)
    left[50:250, 40:240] = right[50:250, 640:840] = portrait
    with FaceTracker() as tracker:
        identities = []
        for index, image in enumerate([left] * 3 + [right] * 4):
            found = tracker.track(Frame(index, index * 33_000_000, image))
            identities.append(found and found.face_id)
    assert identities[0] == identities[2]
    assert identities[-1] is not None
    assert identities[-1] != identities[0]


def test_closing_twice_is_harmless() -> None:
    tracker = FaceTracker()
    tracker.close()
    tracker.close()
    with pytest.raises(ValueError, match="_graph is None"):
        tracker.track(Frame(0, 0, np.zeros((64, 64, 3), np.uint8)))


def test_quality_accepts_the_portrait(face, astronaut_bgr) -> None:
    quality = assess(face, align(astronaut_bgr, face.landmarks_px).image_bgr, FaceConfig())
    assert quality.is_usable
    assert quality.reason == ""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inter_ocular_px": 12.0}, "too small"),
        ({"pose": HeadPose(0, 50, 0)}, "turned away"),
        ({"pose": HeadPose(-45, 0, 0)}, "turned away"),
    ],
)
def test_quality_names_what_is_wrong_with_the_head(face, astronaut_bgr, change, reason) -> None:
    crop_bgr = align(astronaut_bgr, face.landmarks_px).image_bgr
    quality = assess(replace(face, **change), crop_bgr, FaceConfig())
    assert (quality.is_usable, quality.reason) == (False, reason)
    assert reason in REASONS


def test_quality_names_what_is_wrong_with_the_picture(face, astronaut_bgr) -> None:
    crop_bgr = align(astronaut_bgr, face.landmarks_px).image_bgr
    dark = assess(face, (crop_bgr * 0.1).astype(np.uint8), FaceConfig())
    noise = np.random.default_rng(0).normal(0, 3, crop_bgr.shape)
    noisy_blur = np.clip(cv2.GaussianBlur(crop_bgr, (0, 0), 8) + noise, 0, 255).astype(np.uint8)
    blurred = assess(face, noisy_blur, FaceConfig())
    dim = assess(face, (crop_bgr * 0.4).astype(np.uint8), FaceConfig())
    assert (dark.reason, blurred.reason, dim.reason) == ("too dark", "blurred", "")


def test_trackers_that_start_together_leave_standard_error_open(capfd: pytest.CaptureFixture[str]) -> None:
    def start() -> None:
        FaceTracker().close()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"still here")
    assert capfd.readouterr().err.endswith("still here")
