"""Magnified movement: k times as far where something moved, nothing elsewhere, and no tearing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from app.evidence.magnification import MAX_FACTOR, MagnificationError, Magnifier, magnified

PLACE = (160, 165)  # x, y of the movement in the crop: beside the mouth
PROFILE = (0.0, 0.3, 0.7, 1.0, 0.8, 0.5, 0.2, 0.0)
APEX = 3


@pytest.fixture(scope="module")
def face_bgr(astronaut_bgr: np.ndarray) -> np.ndarray:
    """The portrait's face about where the aligner would put it, (224, 224, 3)."""
    return cv2.resize(astronaut_bgr[60:181, 165:286], (224, 224), interpolation=cv2.INTER_CUBIC)


def moved(image_bgr: np.ndarray, up_px: float, *, shift_px: float = 0.0, seed: int | None = None) -> np.ndarray:
    """The picture with a smooth bump moved up, all of it moved right, and noise."""
    y, x = np.mgrid[:224, :224].astype(np.float32)
    bump = np.exp(-((x - PLACE[0]) ** 2 + (y - PLACE[1]) ** 2) / (2 * 18**2))
    image = cv2.remap(image_bgr, x - np.float32(shift_px), y + up_px * bump, cv2.INTER_CUBIC)
    if seed is None:
        return image
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def frames(face_bgr: np.ndarray, peak_px: float, *, shift_px: float = 0.0) -> list[np.ndarray]:
    return [
        moved(face_bgr, peak_px * level, shift_px=shift_px * level, seed=index) for index, level in enumerate(PROFILE)
    ]


def upward_px(onset_bgr: np.ndarray, frame_bgr: np.ndarray, place: tuple[int, int]) -> float:
    """How far the surroundings of a place moved up, found by trying: whole-picture flow would smooth a small bump."""
    x, y = place
    patch = cv2.cvtColor(onset_bgr, cv2.COLOR_BGR2GRAY)[y - 8 : y + 9, x - 8 : x + 9]
    area = cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2GRAY)[y - 28 : y + 29, x - 12 : x + 13]
    score = cv2.matchTemplate(area, patch, cv2.TM_CCOEFF_NORMED)
    return 20.0 - cv2.minMaxLoc(score)[3][1]


@pytest.mark.parametrize("factor", [4.0, 8.0])
def test_a_movement_is_enlarged_in_its_place_and_direction(face_bgr: np.ndarray, factor: float) -> None:
    crops = frames(face_bgr, 1.4)
    magnifier = Magnifier(crops[0], crops)
    shown = magnifier.frame(APEX, factor)
    assert magnifier.max_factor > factor
    expected_px = upward_px(crops[0], moved(face_bgr, 1.4 * factor, seed=1), PLACE)
    assert upward_px(crops[0], shown, PLACE) == pytest.approx(expected_px, rel=0.12, abs=0.5)
    np.testing.assert_array_equal(shown[:30, :30], crops[APEX][:30, :30])  # hair and background stay


def test_factor_one_is_the_frame_as_it_was_filmed(face_bgr: np.ndarray) -> None:
    crops = frames(face_bgr, 1.4)
    magnifier = Magnifier(crops[0], crops)
    assert all(magnifier.frame(position, 1.0) is crop for position, crop in enumerate(crops))
    assert len(magnifier) == len(crops)


def test_what_the_registration_left_of_head_motion_is_not_enlarged(face_bgr: np.ndarray) -> None:
    crops = frames(face_bgr, 1.4, shift_px=0.5)
    right = Magnifier(crops[0], crops).movement_px(APEX)[..., 0]
    assert np.abs(right[14:42, 14:42]).mean() < 0.08


def test_noise_is_not_enlarged(face_bgr: np.ndarray) -> None:
    crops = frames(face_bgr, 0.0)
    movement = np.hypot(*Magnifier(crops[0], crops).movement_px(APEX).transpose(2, 0, 1))
    assert movement.max() < 0.15


def test_a_strong_movement_is_enlarged_only_until_the_picture_would_fold(face_bgr: np.ndarray) -> None:
    weak, strong = (Magnifier(crops[0], crops) for crops in (frames(face_bgr, 0.8), frames(face_bgr, 4.0)))
    assert 1 < strong.max_factor < weak.max_factor <= MAX_FACTOR
    np.testing.assert_array_equal(strong.frame(APEX, 20), strong.frame(APEX, strong.max_factor))


def test_all_frames_at_once_with_the_factor_that_was_possible(face_bgr: np.ndarray) -> None:
    crops = frames(face_bgr, 4.0)
    shown, factor = magnified(crops[0], crops, 20)
    assert len(shown) == len(crops)
    assert 1 < factor < 20
    np.testing.assert_array_equal(shown[APEX], Magnifier(crops[0], crops).frame(APEX, factor))


def test_one_frame_and_a_blank_picture_are_no_trouble() -> None:
    blank = np.full((224, 224, 3), 90, np.uint8)
    assert Magnifier(blank, [blank]).frame(0, 20).tobytes() == blank.tobytes()


@pytest.mark.parametrize("crops", [[], [np.zeros((224, 224, 3), np.uint8), np.zeros((112, 112, 3), np.uint8)]])
def test_frames_of_different_sizes_are_refused(crops: list[np.ndarray]) -> None:
    with pytest.raises(MagnificationError, match=r"one size.*224×224×3"):
        Magnifier(np.zeros((224, 224, 3), np.uint8), crops)
