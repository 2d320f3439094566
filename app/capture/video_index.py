"""Which frame of a video file is where: numbers and times of all frames, from the packets, without decoding them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from app.capture.media_clock import JUMP_NS, MediaClock


@dataclass(frozen=True, eq=False, slots=True)
class VideoIndex:
    """Frames in the order of presentation, numbered from the first one that can be decoded.

    `pts` (N,) int64 in the stream's time base, increasing; `timestamps_ns` (N,) int64 as a reader of the whole file
    would stamp them.
    """

    pts: np.ndarray
    timestamps_ns: np.ndarray

    @classmethod
    def scan(
        cls, container: InputContainer, stream: VideoStream, first_pts: int | None, interval_ns: int
    ) -> Self | None:
        """Read every packet of a freshly opened file.

        Args:
            first_pts: of the frame with the number 0.
            interval_ns: between two frames, for those without a usable time.

        Returns:
            None when only decoding can tell the frames' numbers: times are missing, repeated or start anew, or packets
            are damaged.
        """
        found: list[int] = []
        jump = JUMP_NS / 1e9 / float(stream.time_base)
        try:
            for packet in container.demux(stream):
                if packet.size == 0 or packet.is_discard:
                    continue
                if packet.pts is None or packet.is_corrupt or (found and packet.pts < found[-1] - jump):
                    return None
                found.append(packet.pts)
        except av.FFmpegError:
            return None
        pts = np.unique(np.array(found, np.int64))
        if first_pts is None or len(pts) != len(found):
            return None
        pts = pts[pts >= first_pts]
        clock = MediaClock(interval_ns)
        time_base = stream.time_base
        times = [clock.stamp(round(int(value) * time_base * 1_000_000_000)) for value in pts]
        return cls(pts, np.array(times, np.int64))

    def number_of(self, pts: int | None) -> int | None:
        """The number of the frame with this time; None when there is no such frame."""
        if pts is None:
            return None
        position = int(np.searchsorted(self.pts, pts))
        return position if position < len(self.pts) and self.pts[position] == pts else None
