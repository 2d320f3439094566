"""Images in natural order as a recording, at a frame rate that the user has to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from app.capture.pixels import to_bgr
from app.capture.span import TimeSpan
from app.config import SourceConfig
from app.datatypes import Frame, SourceInfo
from app.errors import SourceError
from app.resource import Resource

DEFAULT_FPS = 30.0


class ImageFolderSource(Resource):
    """Frames from image files; frame i is at i / fps seconds.

    Raises SourceError when the first image is unreadable, and while iterating for a later image that is unreadable or
    of another size: the frames before it have been delivered.
    """

    def __init__(self, images: Sequence[Path], config: SourceConfig) -> None:
        if not images:
            raise SourceError("No images to read. Known are .png .jpg .jpeg .bmp .tif .tiff .webp.")
        if config.fps is not None and not 0 < config.fps < 1e6:
            raise SourceError(f"A frame rate of {config.fps:g} makes no sense: give --fps above 0.")
        self._images = list(images)
        self._span = TimeSpan.of(config)
        self._fps = config.fps or DEFAULT_FPS
        warnings = []
        if config.fps is None:
            warnings.append(f"Images carry no times: {DEFAULT_FPS:g} frames a second assumed; else say --fps.")
        self._first = _read(self._images[0])
        height, width = self._first.shape[:2]
        self.info = SourceInfo(
            label=self._images[0].absolute().parent.name if len(images) > 1 else self._images[0].name,
            kind="images",
            width=width,
            height=height,
            fps=self._fps,
            frame_count=len(self._images),
            is_live=False,
            codec=self._images[0].suffix.lower().lstrip("."),
            warnings=tuple(warnings),
        )

    def __iter__(self) -> Iterator[Frame]:
        delivered = 0
        for index, path in enumerate(self._images):
            timestamp_ns = round(index * 1e9 / self._fps)
            if self._span.is_over(timestamp_ns):
                break
            if not self._span.has_begun(timestamp_ns):
                continue
            yield Frame(index, timestamp_ns, self._checked(path) if index else self._first)
            delivered += 1
        if not delivered:
            raise self._span.missed_error(self.info.label, round(len(self._images) * 1e9 / self._fps))

    def timestamps_ns(self) -> np.ndarray:
        """(N,) int64 times of all images, before the span is cut out."""
        return np.array([round(index * 1e9 / self._fps) for index in range(len(self._images))], np.int64)

    def frames_from(self, index: int) -> Iterator[Frame]:
        """The images from this one on, as often as wanted."""
        for number in range(index, len(self._images)):
            yield Frame(number, round(number * 1e9 / self._fps), self._checked(self._images[number]))

    def close(self) -> None:
        """Release the source; there is nothing to hold."""

    def _checked(self, path: Path) -> np.ndarray:
        image = _read(path)
        if image.shape != self._first.shape:
            height, width = image.shape[:2]
            raise SourceError(
                f"{path.name} is {width}×{height}, the images before it {self.info.width}×{self.info.height}: "
                f"one recording needs one size. Remove it, or put each size into its own folder ({path.parent})."
            )
        return image


def _read(path: Path) -> np.ndarray:
    try:
        # cv2.imread cannot open a name outside the code page on Windows.
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError:
        raise SourceError(f"{path} does not exist.") from None
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if data.size else None
        if image is None:
            raise SourceError(f"{path} is not an image that can be read: it is empty, damaged or of another type.")
        return to_bgr(image)
    except (cv2.error, ValueError) as error:
        raise SourceError(f"{path} cannot be used: {error}.") from None
