"""What is kept of each analysed frame: enough to paint it, for an hour of frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import FakePipeline, face, picture

from app.datatypes import AlignedCrop, Frame, SpotState, StepResult
from app.runtime.track import NOT_ANALYSED, ResultTrack, unanalysed


def frame(index: int, size: tuple[int, int] = (1920, 1080)) -> Frame:
    return Frame(index, index * 33_000_000, picture(*size, index))


def test_a_result_comes_back_with_its_frame_and_without_its_pictures():
    track, shown = ResultTrack(), frame(3)
    crop = AlignedCrop(np.zeros((224, 224, 3), np.uint8), np.array([[0.5, 0.0, 3.0], [0.0, 0.5, 4.0]]))
    result = replace(FakePipeline().step(shown), crop=crop)
    track.put(result)
    found = track.result_for(shown)
    assert found.frame is shown
    np.testing.assert_allclose(found.face.landmarks_px[:, :2], result.face.landmarks_px[:, :2], atol=1 / 16)
    assert found.face.landmarks_px.dtype == np.float32
    assert (found.face.face_id, found.face.pose) == (result.face.face_id, result.face.pose)
    assert found.quality is result.quality
    assert found.motion is result.motion
    assert found.state is SpotState.IDLE
    np.testing.assert_array_equal(found.crop.crop_from_frame, crop.crop_from_frame)
    assert found.crop.image_bgr.size == 0
    assert track.result_for(frame(4)) is None


def test_a_frame_without_a_face_has_none():
    track, shown = ResultTrack(), frame(0)
    track.put(StepResult(shown, None, None, None, None, SpotState.OFF))
    found = track.result_for(shown)
    assert (found.face, found.crop, found.motion, found.state) == (None, None, None, SpotState.OFF)


@pytest.mark.parametrize("width", [7680, 100_000])
def test_landmarks_of_very_large_pictures_stay_in_the_picture(width):
    track, shown = ResultTrack(), frame(0, (64, 64))
    track.put(StepResult(shown, face(width, 4320), None, None, None, SpotState.IDLE))
    assert track.result_for(shown).face.landmarks_px.min() >= 0


def test_the_oldest_go_when_there_are_too_many():
    track = ResultTrack(max_frames=10)
    for index in range(25):
        track.put(StepResult(frame(index, (8, 8)), None, None, None, None, SpotState.OFF))
    kept = [index for index in range(25) if track.result_for(frame(index, (8, 8)))]
    assert kept == list(range(15, 25))


def test_what_is_not_analysed_says_so():
    found = unanalysed(frame(1))
    assert (found.quality.reason, found.quality.is_usable, found.face) == (NOT_ANALYSED, False, None)
