"""Small videos made by the tests. Each frame carries its number in its pixels, so that order and loss can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from app.capture.source import Source
from app.datatypes import Frame
from app.errors import SourceError

BITS = 8
WIDTH, HEIGHT = 128, 96


def numbered_frame(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A (height, width, 3) uint8 BGR ramp with noise, on which white and black bars spell `number` in binary."""
    ramp = np.linspace(60, 180, width, dtype=np.uint8)
    image = np.repeat(np.repeat(ramp[None, :, None], height, axis=0), 3, axis=2)
    # Noise, or the pictures of a short video would be smaller than its headers.
    noise = np.random.default_rng(number).integers(0, 75, (height - height // 2, width, 1), dtype=np.uint8)
    image[height // 2 :] += noise
    for bit in range(BITS):
        image[: height // 2, _bar(bit, width)] = 255 * (number >> bit & 1)
    return image


def number_of(image_bgr: np.ndarray) -> int:
    """The number written by `numbered_frame`, after any compression."""
    height, width = image_bgr.shape[:2]
    band = image_bgr[height // 8 : height * 3 // 8]
    return sum(int(band[:, _bar(bit, width)].mean() > 127) << bit for bit in range(BITS))


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    fps: int = 30,
    times_ms: Sequence[int] | None = None,
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Encode BGR frames; `times_ms` gives each its own time, else they are `fps` a second."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = None
        for index, image in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=fps, options=codec_options or {})
                stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], pixels
                if times_ms is not None:
                    stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
                if aspect is not None:
                    stream.codec_context.sample_aspect_ratio = aspect
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=pixels, threads=1)
            frame.time_base = Fraction(1, fps) if times_ms is None else Fraction(1, 1000)
            frame.pts = index if times_ms is None else times_ms[index]
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_numbered(path: Path, count: int = 40, **options: object) -> Path:
    """A video of `count` numbered frames."""
    return write_video(path, (numbered_frame(number) for number in range(count)), **options)


def read_until_error(
    source: Source, on_frame: Callable[[int], object] = lambda count: None
) -> tuple[list[Frame], SourceError | None]:
    """Frames that `source` delivers and the error it ends with; `on_frame` is told how many there are so far."""
    frames = []
    try:
        for frame in source:
            frames.append(frame)
            on_frame(len(frames))
    except SourceError as error:
        return frames, error
    return frames, None


def numbers_of(frames: Iterable[Frame]) -> list[int]:
    """The numbers written in the frames."""
    return [number_of(frame.image_bgr) for frame in frames]


def _bar(bit: int, width: int) -> slice:
    return slice(bit * width // BITS, (bit + 1) * width // BITS)
