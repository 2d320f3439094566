"""Packed frames of a movement are small, and good enough to see the movement in."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from fakes import candidate

from app.datatypes import KeyFrame
from app.evidence.clips import PackedClip, packed
from app.evidence.magnification import Magnifier


def clip(astronaut_bgr: np.ndarray) -> tuple[KeyFrame, ...]:
    """The portrait's face with its mouth region moving up by a pixel, (224, 224, 3)."""
    face = cv2.resize(astronaut_bgr[60:181, 165:286], (224, 224), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:224, :224].astype(np.float32)
    bump = np.exp(-((x - 160) ** 2 + (y - 165) ** 2) / (2 * 18**2))
    frames = (cv2.remap(face, x, y + np.float32(level) * bump, cv2.INTER_CUBIC) for level in (0, 0.5, 1, 0.5, 0))
    return tuple(KeyFrame(index, index * 33_000_000, frame) for index, frame in enumerate(frames))


def test_frames_keep_their_numbers_times_and_pictures(astronaut_bgr):
    frames = clip(astronaut_bgr)
    kept = PackedClip(frames)
    assert len(kept) == 5
    assert [frame.frame_index for frame in kept] == [0, 1, 2, 3, 4]
    assert [frame.timestamp_ns for frame in kept[1:3]] == [33_000_000, 66_000_000]
    assert kept[-1].frame_index == 4
    for frame, original in zip(kept, frames, strict=True):
        assert np.abs(frame.crop_bgr.astype(int) - original.crop_bgr).mean() < 1.5
    assert kept.byte_count < sum(frame.crop_bgr.nbytes for frame in frames) / 4


def test_the_movement_in_packed_frames_is_that_of_the_originals(astronaut_bgr):
    frames = clip(astronaut_bgr)
    kept = packed(replace(candidate(), crops=frames))
    raw, unpacked = (
        Magnifier(crops[0].crop_bgr, [frame.crop_bgr for frame in crops]).movement_px(2)
        for crops in (frames, kept.crops)
    )
    assert np.abs(raw - unpacked).max() < 0.12
    assert np.abs(raw).max() > 0.7
