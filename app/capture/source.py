"""Every source of frames behind one protocol, and the function that turns what a user typed into one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

import numpy as np

from app.capture.inputs import expand_inputs, image_files, is_recording, is_url, short_name
from app.config import SourceConfig
from app.datatypes import Frame, SourceInfo
from app.errors import SourceError

__all__ = ["RandomAccess", "Source", "expand_inputs", "open_source"]


class Source(Protocol):
    """Frames in order. Opened by its constructor; read and closed on the thread that opened it.

    A recording ends quietly, or raises `TruncatedSourceError` after its last readable frame; a live source raises
    `SourceError` when it is lost. `info` may gain warnings while frames are read.
    """

    info: SourceInfo

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class RandomAccess(Protocol):
    """A recording whose frames can be had in any order, as often as wanted; not while it is iterated."""

    def timestamps_ns(self) -> np.ndarray | None:
        """(N,) int64 times of all frames, also outside the span; None when only reading through can tell them."""

    def frames_from(self, index: int) -> Iterator[Frame]:
        """The frames from this one on; after `timestamps_ns` has told the times."""


def open_source(spec: str, config: SourceConfig) -> Source:
    """Open what `spec` names: `demo`, a URL, an existing file or folder, a glob of images, a camera number or name.

    A path that exists comes before a camera of that name or number.
    Raises SourceError (CameraError for cameras) when nothing fits or the source cannot be opened.
    """
    if not spec.strip():
        raise SourceError("No source was named: give a camera, a file, a folder, an address or `demo`.")
    if spec == "demo":
        from app.capture.demo import DemoSource

        return DemoSource(config)
    if is_url(spec) and not is_recording(spec):
        from app.capture.stream import StreamSource

        return StreamSource(spec, config)
    single = _single(spec)
    if Path(single).is_dir() and not image_files(single):
        raise SourceError(f"The folder {single} holds no images and no videos. Name the folder that they are in.")
    if images := image_files(single):
        from app.capture.image_folder import ImageFolderSource

        return ImageFolderSource(images, config)
    if is_recording(single) or Path(single).exists():
        from app.capture.video_file import VideoFileSource

        return VideoFileSource(single, config)
    from app.capture.camera import CameraSource, find_camera

    return CameraSource(find_camera(single), config)


def _single(spec: str) -> str:
    sources = expand_inputs([spec])
    if len(sources) != 1:
        names = ", ".join(short_name(source) for source in sources[:3])
        raise SourceError(f"{spec!r} holds {len(sources)} recordings ({names}, …). Name one, or use `mmnet analyze`.")
    return sources[0]
