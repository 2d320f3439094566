"""Video files through FFmpeg (PyAV): every frame with its own media time, and a word when some are missing."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from app.capture.container_size import missing_bytes
from app.capture.inputs import is_url, short_name
from app.capture.media_clock import MediaClock
from app.capture.span import TimeSpan
from app.capture.video_index import VideoIndex
from app.config import SourceConfig
from app.datatypes import Frame, SourceInfo
from app.errors import SourceError, TruncatedSourceError
from app.resource import Resource

logger = logging.getLogger("mmnet.capture")

NETWORK_TIMEOUT_S = 5.0
FALLBACK_FPS = 25.0
# One thread decodes 1080p in a third of a frame's time; more threads only take cores from the face tracker.
ONE_THREAD_MAX_PIXELS = 1920 * 1088
MAX_THREADS = 4
SQUARE_TOLERANCE = 0.01
EARLY_END_S = 1.0
# Where decoding begins before a wanted frame: some files are joined too late, or in mid-picture.
EARLIER_FRAMES = (0, 60, 600)
ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class VideoFileSource(Resource):
    """Frames of a video file, or of a recording at a web address, in the order of presentation.

    Iterate it once; or look at frames in any order with `timestamps_ns` and `frames_from`.

    Index and time count from the first frame of the recording, also when only a part of it is asked for. Damaged
    frames are left out but keep their index, and the next frame tells of them in `dropped_before`. When frames were
    damaged, or the file is shorter than its container declares, TruncatedSourceError follows the last readable frame.
    Raises SourceError when there is nothing to read.
    """

    def __init__(self, path: str, config: SourceConfig) -> None:
        self._span = TimeSpan.of(config)
        self._path, self._name = path, short_name(path)
        self._index: VideoIndex | None = None
        self._missing_bytes = 0 if is_url(path) else _check_file(Path(path))
        self._read_error = ""
        if logger.isEnabledFor(logging.DEBUG):
            # Straight to the terminal: PyAV's way through Python's logging can lock up with decoding threads.
            av.logging.restore_default_callback()
            av.logging.set_libav_level(av.logging.WARNING)
        self._container = self._open(path)
        try:
            self._stream = self._pick_stream()
            self._decoded = self._decode()
            self._head = self._up_to_first_sound_frame()
            self.info = self._describe(self._head[-1][0])
        except BaseException:
            self._container.close()
            raise
        self._reformatter = VideoReformatter()

    def __iter__(self) -> Iterator[Frame]:
        clock = MediaClock(round(1e9 / (self.info.fps or FALLBACK_FPS)))
        index, last_ns, readable, delivered = -1, 0, 0, 0
        damaged, lost = 0, 0  # in all, and since the last sound frame
        for decoded, is_sound in chain(self._head, self._decoded):
            # A packet that gives no frame takes a number too, so that the frames behind it keep theirs.
            index += decoded is not None or index >= 0
            if decoded is not None:
                jumps = clock.jumps
                last_ns = clock.stamp(_media_ns(decoded, self._stream))
                # Another recording begins here: what happened between the two is not known.
                lost += clock.jumps > jumps
            if decoded is None or not is_sound:
                damaged += 1
                lost += 1
                continue
            if self._span.is_over(last_ns):
                break
            readable += 1
            if self._span.has_begun(last_ns):
                yield Frame(index, last_ns, self._picture(decoded), dropped_before=lost)
                delivered += 1
            lost = 0
        else:
            self._note_end(clock, last_ns)
            self._check_complete(readable, last_ns, damaged)
        if not delivered:
            raise self._span.missed_error(self._name, last_ns)

    def timestamps_ns(self) -> np.ndarray | None:
        """(N,) int64 times of all frames, before the span is cut out; reads the file through without decoding it.

        None when that cannot be told without decoding: a damaged file, one without times, or one on the network.
        """
        if is_url(self._path) or self._missing_bytes:
            return None
        first = next((decoded for decoded, _ in self._head if decoded is not None), None)
        with self._open(self._path) as container:
            stream = container.streams[self._stream.index]
            first_pts = first.pts if first is not None else None
            self._index = VideoIndex.scan(container, stream, first_pts, round(1e9 / (self.info.fps or FALLBACK_FPS)))
        return None if self._index is None else self._index.timestamps_ns

    def frames_from(self, index: int) -> Iterator[Frame]:
        """Sound frames from this one on, as often as wanted; `timestamps_ns` must have told their times."""
        table = self._index
        assert table is not None
        if index >= len(table.pts):
            return
        for earlier in (*EARLIER_FRAMES, None):
            self._go_to(None if earlier is None else int(table.pts[max(0, index - earlier)]))
            wanted = index
            for decoded, is_sound in self._decode():
                number = table.number_of(decoded.pts) if decoded is not None else None
                if number is None or number < wanted or not is_sound:
                    continue
                if wanted == index and number > index and earlier is not None:
                    break  # joined too late to see the wanted one
                yield Frame(number, int(table.timestamps_ns[number]), self._picture(decoded))
                wanted = number + 1
            if wanted > index:
                return

    def _go_to(self, pts: int | None) -> None:
        """Decode next what is at or before this time; None: the whole file, for those in which seeking goes astray."""
        if pts is None:
            self._container.close()
            self._container = self._open(self._path)
            self._stream = self._pick_stream()
        else:
            self._container.seek(pts, stream=self._stream, backward=True)

    def close(self) -> None:
        """Release the file; frames already delivered stay valid."""
        self._container.close()

    def _open(self, path: str) -> InputContainer:
        try:
            if is_url(path):
                return av.open(path, timeout=NETWORK_TIMEOUT_S)
            # An absolute path, because FFmpeg would take the part before a colon for the name of a protocol.
            return av.open(os.path.abspath(path))
        except av.FFmpegError as error:
            if self._missing_bytes:
                raise TruncatedSourceError(
                    f"{self._name} was cut off before its index was written ({self._missing_bytes} bytes are missing): "
                    "nothing in it can be read. Copy it again, or repair it with a tool for its camera."
                ) from None
            if isinstance(error, av.InvalidDataError):
                raise SourceError(
                    f"{self._name} is not a video that can be read: damaged, never finished, or a file of another type."
                ) from None
            raise SourceError(f"{self._name} cannot be opened: {_reason(error)}.") from None

    def _pick_stream(self) -> VideoStream:
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise SourceError(f"{self._name} has no video in it (only sound, a cover picture or text).")
        stream = max(streams, key=lambda s: bool(s.disposition & Disposition.default))
        codec = stream.codec_context
        if codec is None:
            raise SourceError(f"{self._name} is coded in a way that this FFmpeg does not know. Convert it to H.264.")
        if codec.width * codec.height > ONE_THREAD_MAX_PIXELS:
            codec.thread_type = "AUTO"
            codec.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
        else:
            codec.thread_count = 1
        return stream

    def _decode(self) -> Iterator[tuple[VideoFrame | None, bool]]:
        """Every decoded frame and whether it is sound; (None, False) for a packet that gave no frame."""
        cut_pts = set()
        packets = self._container.demux(self._stream)
        is_last = False
        while not is_last:
            try:
                packet = next(packets)
                is_last = packet.size == 0
                if packet.is_corrupt:
                    cut_pts.add(packet.pts)
            except av.FFmpegError as error:
                self._read_error = _reason(error)
                packet, is_last = None, True
            try:
                decoded = self._stream.decode(packet)
            except av.FFmpegError:
                yield None, False
                continue
            for frame in decoded:
                yield frame, not frame.is_corrupt and frame.pts not in cut_pts

    def _up_to_first_sound_frame(self) -> list[tuple[VideoFrame | None, bool]]:
        head = []
        for decoded, is_sound in self._decoded:
            head.append((decoded, is_sound))
            if decoded is not None and is_sound:
                return head
        if self._missing_bytes or self._read_error:
            raise TruncatedSourceError(f"{self._name} is cut off before its first whole frame. Copy it again.")
        raise SourceError(
            f"{self._name} has a video track ({self._stream.codec_context.name}) but not one frame that can be read. "
            "It is damaged or was never recorded: copy it again."
        )

    def _describe(self, first: VideoFrame) -> SourceInfo:
        stream = self._stream
        ratio = stream.codec_context.sample_aspect_ratio or Fraction(1)
        self._rotation = ROTATIONS.get(first.rotation % 360)
        # Pixels that are not square would make every face too wide or too narrow.
        self._width = first.width if abs(ratio - 1) < SQUARE_TOLERANCE else max(1, round(first.width * ratio))
        self._height = first.height
        is_turned = self._rotation is not None and self._rotation != cv2.ROTATE_180
        width, height = (self._height, self._width) if is_turned else (self._width, self._height)
        rate = stream.average_rate or stream.guessed_rate
        duration_s = self._declared_duration_s()
        estimate = round(duration_s * rate) if rate and duration_s else None
        warnings = [] if rate else [f"{self._name} tells no frame rate: {FALLBACK_FPS:g} assumed where times lack."]
        return SourceInfo(
            label=self._name,
            kind="file",
            width=width,
            height=height,
            fps=float(rate) if rate else None,
            frame_count=stream.frames or estimate,
            is_live=False,
            codec=stream.codec_context.codec.canonical_name,
            warnings=tuple(warnings),
        )

    def _declared_duration_s(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        return None if self._container.duration is None else self._container.duration / av.time_base

    def _picture(self, decoded: VideoFrame) -> np.ndarray:
        # One thread: it is enough, and with several swscale errs where the strips of odd-sized pictures meet.
        scaled = self._reformatter.reformat(decoded, self._width, self._height, "bgr24", threads=1)
        image = scaled.to_ndarray()
        return np.ascontiguousarray(image) if self._rotation is None else cv2.rotate(image, self._rotation)

    def _note_end(self, clock: MediaClock, last_ns: int) -> None:
        notes = []
        if clock.jumps:
            often = "once" if clock.jumps == 1 else f"{clock.jumps} times"
            notes.append(f"The clock of {self._name} starts anew {often}: no movement is followed across that.")
        if repairs := clock.repairs - clock.jumps:
            notes.append(f"{_frames(repairs)} of {self._name} had no time, or one that did not increase: estimated.")
        declared_s = self._declared_duration_s()
        if declared_s is not None and declared_s - last_ns / 1e9 > EARLY_END_S:
            notes.append(f"{self._name} claims {declared_s:.3f} s, its last frame is at {last_ns / 1e9:.3f} s.")
        for note in notes:
            logger.info(note)
        self.info = replace(self.info, warnings=(*self.info.warnings, *notes))

    def _check_complete(self, readable: int, last_ns: int, damaged: int) -> None:
        read = f"{_frames(readable)} ({last_ns / 1e9:.3f} s) could be read"
        if self._missing_bytes:
            raise TruncatedSourceError(
                f"{self._name} is cut off: {self._missing_bytes} bytes are missing at its end; {read}. "
                "Copy it again, or take the results as those of a part."
            )
        if self._read_error:
            raise TruncatedSourceError(f"{self._name} cannot be read to its end ({self._read_error}); {read}.")
        if damaged:
            raise TruncatedSourceError(
                f"{self._name} is damaged: {_frames(damaged)} could not be decoded and were left out; {read}. "
                "Copy it again, or mind the gaps in the results."
            )


def _reason(error: av.FFmpegError) -> str:
    # FFmpeg calls a time-out "Immediate exit requested".
    return "no answer in time" if isinstance(error, av.ExitError) else error.strerror or str(error)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _check_file(path: Path) -> int:
    """Bytes missing at the end; SourceError when there is no file that can be read."""
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{path.name} is empty (0 bytes). Copy or record it again.")
        return missing_bytes(path)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist. Check the spelling and the folder.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from None


def _media_ns(decoded: VideoFrame, stream: VideoStream) -> int | None:
    if decoded.pts is None:
        return None
    time_base = decoded.time_base or stream.time_base
    return round(decoded.pts * time_base * 1_000_000_000)
