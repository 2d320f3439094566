"""A session with its own video, and the last seconds kept in memory. Without threads; app.runtime.recording has them.

The video has the true time of every frame (variable frame rate). While it is written it is a fragmented MP4, of which
everything up to the last half second can be read whatever happens; when it is closed it becomes a plain one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import PictureType

from app.datatypes import Candidate, Event, Frame, StepResult
from app.errors import OutputError
from app.resource import Resource
from app.session.folder import VIDEO
from app.session.writer import SessionWriter

QUALITIES = {
    # Players everywhere show it. The fastest preset takes half the time of the next one, for files of the same size.
    "high": ("libx264", "yuv420p", {"crf": "14", "preset": "ultrafast"}),
    # Every pixel as it was: a replay gives the very same events. Fewer players show it.
    "lossless": ("libx264rgb", "bgr24", {"qp": "0", "preset": "ultrafast"}),
}
_TIME_BASE = Fraction(1, 1_000_000)
_NOTHING = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    """How sessions are recorded."""

    quality: str = "high"  # one of QUALITIES
    keyframe_s: float = 0.5  # so much video is lost at most when the program is killed
    min_free_bytes: int = 500 * 2**20  # recording ends before the disk is full
    replay_s: float = 15.0  # kept in memory
    replay_max_bytes: int = 256 * 2**20
    replay_jpeg_quality: int = 95
    max_waiting_bytes: int = 128 * 2**20  # pictures that wait for the encoder


class VideoWriter(Resource):
    """Writes pictures with their times.

    Args:
        path: the .mp4; replaced when it is there.
        size: width and height; an odd last column or row is left out, because H.264 has none.

    Raises:
        OutputError: from every method, when the file cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], config: RecordingConfig) -> None:
        self._path, self._keyframe_ns = path, int(config.keyframe_s * 1e9)
        self._width, self._height = size[0] - size[0] % 2, size[1] - size[1] % 2
        codec, pixels, options = QUALITIES[config.quality]
        self._first_ns: int | None = None
        self._keyframe_at_ns = 0
        self._last_pts = -1
        self.frame_count = 0
        self._container: Any = None
        with _video_errors(path):
            flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "flush_packets": "1"}
            self._container = av.open(str(path), "w", format="mp4", options=flags)
            # No frame waits for a later one, or a crash would lose them all.
            stream = self._container.add_stream(codec, options=options | {"tune": "zerolatency", "bf": "0"})
            stream.width, stream.height, stream.pix_fmt = self._width, self._height, pixels
            stream.time_base = stream.codec_context.time_base = _TIME_BASE
            stream.codec_context.gop_size = 1_000_000  # key frames come by time, see add
            stream.codec_context.thread_count = 1
            self._stream = stream

    def add(self, image_bgr: np.ndarray, timestamp_ns: int) -> int:
        """Append a picture of (H, W, 3) uint8; returns its place in the video, from 0."""
        if self._first_ns is None:
            self._first_ns = self._keyframe_at_ns = timestamp_ns
        picture = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(image_bgr[: self._height, : self._width]), format="bgr24"
        )
        pts = max(round((timestamp_ns - self._first_ns) / 1000), self._last_pts + 1)
        picture.pts, picture.time_base = pts, _TIME_BASE
        if timestamp_ns >= self._keyframe_at_ns:
            picture.pict_type = PictureType.I
            self._keyframe_at_ns = timestamp_ns + self._keyframe_ns
        with _video_errors(self._path):
            self._container.mux(self._stream.encode(picture))
            if picture.pict_type == PictureType.I:
                self._sync()  # the fragment before it has just been written
        self._last_pts = pts
        self.frame_count += 1
        return self.frame_count - 1

    def _sync(self) -> None:
        descriptor = os.open(self._path, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @property
    def byte_count(self) -> int:
        """Size of the file so far."""
        with contextlib.suppress(OSError):
            return self._path.stat().st_size
        return 0

    def close(self) -> None:
        """Finish the file. Closing twice is harmless."""
        if self._container is None:
            return
        container, self._container = self._container, None
        with _video_errors(self._path):
            try:
                if self.frame_count:
                    container.mux(self._stream.encode())
            finally:
                container.close()
        if self.frame_count:
            _make_plain(self._path)
        else:
            self._path.unlink(missing_ok=True)


class SessionTape(Resource):
    """A session folder with a video of its own.

    Args:
        writer: of the session, which this closes.
        size: of the pictures.

    Raises:
        OutputError: from every method, when the folder cannot be written; when the disk is nearly full.
    """

    def __init__(self, writer: SessionWriter, size: tuple[int, int], config: RecordingConfig) -> None:
        self._writer, self._config = writer, config
        self._check_space()
        self._video = VideoWriter(writer.folder / VIDEO, size, config)
        self._size = size
        self._checked_ns: int | None = None
        self._event_count = 0
        self.lost_pictures = 0

    @property
    def folder(self) -> Path:
        """The session folder."""
        return self._writer.folder

    @property
    def byte_count(self) -> int:
        """Size of the video so far."""
        return self._video.byte_count

    def add_step(self, result: StepResult, image_bgr: np.ndarray | None) -> None:
        """Append a frame; without a picture when that could not be kept."""
        timestamp_ns = result.frame.timestamp_ns
        if self._checked_ns is None or timestamp_ns - self._checked_ns >= 1e9:
            self._check_space()
            self._checked_ns = timestamp_ns
        place = None
        if image_bgr is not None and image_bgr.shape[1::-1] == self._size:
            place = self._video.add(image_bgr, timestamp_ns)
        else:
            self.lost_pictures += 1
        self._writer.add_step(result, place)

    def add_event(self, event: Event) -> None:
        """Append an event, numbered within this session; one that began before the session did is left out."""
        if self._writer.is_within(event.candidate):
            self._event_count += 1
            self._writer.add_event(replace(event, event_id=self._event_count))

    def add_withdrawn(self, candidate: Candidate) -> None:
        """Append a candidate that was rejected after its frame."""
        self._writer.add_withdrawn(candidate)

    def close(self, error: str = "") -> None:
        """Finish video and session; `error` says what ended it early. Closing twice is harmless."""
        try:
            self._video.close()
        except OutputError as failure:
            error = error or str(failure)
            raise
        finally:
            self._writer.recording = {
                "video": VIDEO if self._video.frame_count else "",
                "quality": self._config.quality,
                "frames": self._video.frame_count,
                "lost_pictures": self.lost_pictures,
                "bytes": self._video.byte_count,
            }
            self._writer.close(error)

    def _check_space(self) -> None:
        free = shutil.disk_usage(self._writer.folder).free
        if free < self._config.min_free_bytes:
            raise OutputError(
                f"Only {free / 2**20:.0f} MiB are free at {self._writer.folder}: recording needs "
                f"{self._config.min_free_bytes / 2**20:.0f}. Make room or choose another folder."
            )


@dataclass(frozen=True, eq=False, slots=True)
class Shot:
    """A frame with what was learned from it, its picture compressed; `jpeg` is None when it was not kept."""

    result: StepResult  # without pictures
    jpeg: bytes | None

    def image_bgr(self) -> np.ndarray | None:
        """The picture, (H, W, 3) uint8."""
        return None if self.jpeg is None else cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)


class ReplayBuffer:
    """The last seconds of a run, bounded in time and in bytes. Used from one thread."""

    def __init__(self, config: RecordingConfig) -> None:
        self._config = config
        self._shots: deque[Shot] = deque()
        self._events: deque[Event] = deque()
        self._withdrawn: deque[Candidate] = deque()
        self.byte_count = 0

    def add_step(self, result: StepResult, image_bgr: np.ndarray | None) -> None:
        """Take in a frame; the oldest make room for it."""
        jpeg = None
        if image_bgr is not None:
            quality = [cv2.IMWRITE_JPEG_QUALITY, self._config.replay_jpeg_quality]
            jpeg = cv2.imencode(".jpg", image_bgr, quality)[1].tobytes()
        self._shots.append(Shot(without_pictures(result), jpeg))
        self.byte_count += len(jpeg or b"")
        oldest_ns = result.frame.timestamp_ns - self._config.replay_s * 1e9
        while self._shots[0].result.frame.timestamp_ns < oldest_ns or (
            self.byte_count > self._config.replay_max_bytes and len(self._shots) > 1
        ):
            self.byte_count -= len(self._shots.popleft().jpeg or b"")
        _forget_before(self._shots[0].result.frame.timestamp_ns, self._events, lambda event: event.candidate)
        _forget_before(self._shots[0].result.frame.timestamp_ns, self._withdrawn, lambda candidate: candidate)

    def add_event(self, event: Event) -> None:
        """Keep an event as long as its frames."""
        self._events.append(event)

    def add_withdrawn(self, candidate: Candidate) -> None:
        """Keep a candidate that was rejected after its frame."""
        self._withdrawn.append(candidate)

    @property
    def duration_s(self) -> float:
        """From the oldest to the newest frame."""
        if not self._shots:
            return 0.0
        return (self._shots[-1].result.frame.timestamp_ns - self._shots[0].result.frame.timestamp_ns) / 1e9

    def content(self) -> tuple[tuple[Shot, ...], tuple[Event, ...], tuple[Candidate, ...]]:
        """Everything that is kept now, oldest first."""
        return tuple(self._shots), tuple(self._events), tuple(self._withdrawn)


def without_pictures(result: StepResult) -> StepResult:
    """What was learned from a frame, in a few kilobytes."""
    frame = Frame(result.frame.index, result.frame.timestamp_ns, _NOTHING, result.frame.dropped_before)
    return replace(result, frame=frame, crop=None)


def _forget_before(start_ns: int, kept: deque, candidate_of: Callable[[Any], Candidate]) -> None:
    while kept and candidate_of(kept[0]).onset.timestamp_ns < start_ns:
        kept.popleft()


def _make_plain(path: Path) -> None:
    """Turn a fragmented MP4 into one with its index in front, which every player can seek in; no picture changes."""
    plain = path.with_name(path.name + ".part")
    with _video_errors(path):
        try:
            with (
                av.open(str(path)) as source,
                av.open(str(plain), "w", format="mp4", options={"movflags": "faststart"}) as target,
            ):
                stream = source.streams.video[0]
                copy = target.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.dts is not None:
                        packet.stream = copy
                        target.mux(packet)
            with plain.open("rb") as file:
                os.fsync(file.fileno())
            plain.replace(path)
        finally:
            plain.unlink(missing_ok=True)


@contextlib.contextmanager
def _video_errors(path: Path) -> Any:
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"cannot write to {path}: {error.strerror or error}. What was recorded is kept.") from error
