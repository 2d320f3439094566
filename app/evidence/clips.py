"""Frames of a movement, packed: hundreds of movements are kept while the viewer runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

import cv2
import numpy as np

from app.datatypes import Candidate, KeyFrame

# With full colour resolution: 25 kB a crop instead of 150, and errors far below a camera's noise.
_QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


class PackedClip(Sequence[KeyFrame]):
    """Key frames as JPEG; each is unpacked anew when it is asked for."""

    def __init__(self, frames: Sequence[KeyFrame]) -> None:
        self._frames = tuple(
            (frame.frame_index, frame.timestamp_ns, cv2.imencode(".jpg", frame.crop_bgr, _QUALITY)[1])
            for frame in frames
        )

    @property
    def byte_count(self) -> int:
        """Size of the packed pictures."""
        return sum(data.nbytes for *_, data in self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, position: int) -> KeyFrame: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[KeyFrame]: ...

    def __getitem__(self, position: int | slice) -> KeyFrame | Sequence[KeyFrame]:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(len(self)))]
        frame_index, timestamp_ns, data = self._frames[position]
        return KeyFrame(frame_index, timestamp_ns, np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)))

    def __iter__(self) -> Iterator[KeyFrame]:
        return (self[position] for position in range(len(self)))


def packed(candidate: Candidate) -> Candidate:
    """The candidate with its frames packed; its three key frames stay as they are."""
    return replace(candidate, crops=PackedClip(candidate.crops))
