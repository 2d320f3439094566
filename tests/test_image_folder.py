"""Images as a recording: order, times, every depth, and clear words about the one that does not fit."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from videos import number_of, numbered_frame, numbers_of, read_until_error

from app.capture.image_folder import ImageFolderSource
from app.capture.inputs import image_files
from app.capture.pixels import to_bgr
from app.config import SourceConfig
from app.errors import SourceError

BGR = np.array([40, 120, 200], np.uint8)
GREY = round(0.114 * 40 + 0.587 * 120 + 0.299 * 200)


def write(folder: Path, name: str, image: np.ndarray) -> Path:
    path = folder / name
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())
    return path


def opened(folder: Path, config: SourceConfig | None = None) -> ImageFolderSource:
    return ImageFolderSource(image_files(str(folder)), config or SourceConfig())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"])
def test_images_come_in_numeric_order_at_the_asked_rate(tmp_path: Path, suffix: str) -> None:
    for number in (100, 9, 10, 1):
        write(tmp_path, f"Gesicht ä 面{number}{suffix}", numbered_frame(number))
    with opened(tmp_path, SourceConfig(fps=200)) as source:
        frames = list(source)
    assert numbers_of(frames) == [1, 9, 10, 100]
    assert [frame.timestamp_ns for frame in frames] == [0, 5_000_000, 10_000_000, 15_000_000]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    info = source.info
    assert (info.kind, info.width, info.height, info.fps, info.frame_count) == ("images", 128, 96, 200, 4)
    assert info.warnings == ()
    assert info.label == tmp_path.name


def test_unknown_rate_is_assumed_and_said(tmp_path: Path) -> None:
    write(tmp_path, "1.png", numbered_frame(1))
    with opened(tmp_path) as source:
        assert source.info.fps == 30
        assert "--fps" in source.info.warnings[0]


def test_part_of_the_images(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path, f"{number}.png", numbered_frame(number))
    with opened(tmp_path, SourceConfig(fps=10, start_s=0.3, end_s=0.6)) as source:
        assert [(frame.index, number_of(frame.image_bgr)) for frame in source] == [(3, 3), (4, 4), (5, 5)]
    with opened(tmp_path, SourceConfig(fps=10, start_s=5)) as source, pytest.raises(SourceError, match="--start"):
        list(source)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("grey", np.full((5, 7), GREY, np.uint8), GREY),
        ("grey 16 bit", np.full((5, 7), GREY * 257, np.uint16), GREY),
        ("colour 16 bit", np.tile(BGR.astype(np.uint16) * 257, (5, 7, 1)), BGR),
        ("alpha", np.dstack([np.tile(BGR, (5, 7, 1)), np.zeros((5, 7), np.uint8)]), BGR),
        ("alpha 16 bit", np.dstack([np.tile(BGR, (5, 7, 1)), np.zeros((5, 7), np.uint8)]).astype(np.uint16) * 257, BGR),
    ],
)
def test_every_depth_becomes_bgr(tmp_path: Path, suffix: str, name: str, image: np.ndarray, expected: object) -> None:
    write(tmp_path, f"{name}{suffix}", image)
    with opened(tmp_path) as source:
        (frame,) = source
    assert frame.image_bgr.dtype == np.uint8
    assert frame.image_bgr.flags.c_contiguous
    assert frame.image_bgr.shape == (5, 7, 3)
    np.testing.assert_array_equal(frame.image_bgr, np.broadcast_to(expected, (5, 7, 3)))


def test_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path, f"{number}.png", np.zeros((48, 64 if number < 2 else 80, 3), np.uint8))
    with opened(tmp_path) as source:
        frames, error = read_until_error(source)
    assert len(frames) == 2
    assert "2.png is 80×48, the images before it 64×48" in str(error)


@pytest.mark.parametrize("content", [b"", b"not a picture", "half"])
def test_unreadable_image_is_named_after_those_before_it(tmp_path: Path, content: bytes | str) -> None:
    first = write(tmp_path, "1.png", numbered_frame(1))
    data = first.read_bytes()
    (tmp_path / "2.png").write_bytes(content if isinstance(content, bytes) else data[: len(data) // 2])
    write(tmp_path, "3.png", numbered_frame(3))
    with opened(tmp_path) as source:
        frames, error = read_until_error(source)
    assert numbers_of(frames) == [1]
    assert "2.png is not an image" in str(error)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No images"):
        opened(tmp_path)
    with pytest.raises(SourceError, match=r"gone\.png does not exist"):
        ImageFolderSource([tmp_path / "gone.png"], SourceConfig())
    write(tmp_path, "1.png", numbered_frame(1))
    with pytest.raises(SourceError, match="--fps"):
        opened(tmp_path, SourceConfig(fps=0))


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8)])
def test_other_pixels_are_refused(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"float32|2 channels"):
        to_bgr(image)


def test_floating_point_image_is_named(tmp_path: Path) -> None:
    write(tmp_path, "depth.tif", np.zeros((4, 4, 3), np.float32))
    with pytest.raises(SourceError, match=r"depth\.tif cannot be used.*float32"):
        opened(tmp_path)
