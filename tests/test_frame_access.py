"""Any frame at once: the same picture, number and time as in a reading from the start, in any order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import FakeSource
from videos import number_of, numbers_of, read_until_error, write_numbered

from app.capture.frame_access import FrameAccess
from app.capture.source import open_source
from app.config import SourceConfig
from app.errors import SourceError

COUNT = 60
SHORT = {"codec_options": {"g": "12"}}
VIDEOS = {
    "h264.mp4": {},
    "short.mp4": SHORT,
    "open.mp4": {"codec_options": {"g": "12", "bf": "3", "x264-params": "open-gop=1"}},
    "variable.mp4": {"times_ms": [100 + index * 33 + index % 3 * 7 for index in range(COUNT)]},
    "vp8.webm": {"codec": "libvpx"},
    "jpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "stream.ts": SHORT,  # FFmpeg cannot jump to a frame in these two: it lands behind it
    "old.flv": SHORT,
    "bare.h264": {},  # has no times at all
}


def opened(spec: str | Path, **config: float) -> FrameAccess:
    return FrameAccess(str(spec), SourceConfig(**config), open_source)


@pytest.mark.parametrize("name", VIDEOS)
def test_every_order_gives_the_frames_of_a_reading_from_the_start(tmp_path: Path, name: str) -> None:
    path = write_numbered(tmp_path / name, COUNT, **VIDEOS[name])
    with open_source(str(path), SourceConfig()) as source:
        whole, _ = read_until_error(source)
    with opened(path) as access:
        assert access.is_exact == (name != "bare.h264")
        for index in (0, 41, 40, 39, 13, 12, 11, 59, 1, 58):
            frame = next(access.frames_from(index))
            assert (frame.index, frame.timestamp_ns) == (whole[index].index, whole[index].timestamp_ns)
            np.testing.assert_array_equal(frame.image_bgr, whole[index].image_bgr)
        if access.is_exact:
            assert (access.first, access.last) == (0, COUNT - 1)
            assert [access.time_ns(index) for index in range(COUNT)] == [frame.timestamp_ns for frame in whole]
        assert access.index_at(whole[30].timestamp_ns) == 30


def test_frames_follow_each_other_to_the_end(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "short.mp4", COUNT, **SHORT)
    with opened(path) as access:
        assert numbers_of(access.frames_from(20)) == list(range(20, COUNT))
        assert list(access.frames_from(COUNT)) == []


def test_a_span_keeps_the_numbers_of_the_whole(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "short.mp4", COUNT, **SHORT)
    with opened(path, start_s=0.5, end_s=1.0) as access:
        assert (access.first, access.last) == (15, 29)
        assert access.index_at(0) == 15
        assert access.index_at(10**12) == 29
        assert numbers_of(access.frames_from(28)) == [28, 29]


def test_images_and_the_demo_can_be_looked_at_in_any_order(tmp_path: Path, astronaut_bgr: np.ndarray) -> None:
    import cv2

    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), astronaut_bgr[number : number + 64, :64])
    with opened(tmp_path, fps=50) as access:
        assert [frame.index for frame in access.frames_from(3)] == [3, 4]
        assert access.index_at(41_000_000) == 2
        np.testing.assert_array_equal(next(access.frames_from(1)).image_bgr, astronaut_bgr[1:65, :64])
    with opened("demo", seed=3) as access, open_source("demo", SourceConfig(seed=3, start_s=2)) as source:
        frame, expected = next(access.frames_from(60)), next(iter(source))
        assert (frame.index, frame.timestamp_ns) == (expected.index, expected.timestamp_ns)
        np.testing.assert_array_equal(frame.image_bgr, expected.image_bgr)


def test_a_source_that_cannot_jump_is_read_again() -> None:
    made = []

    def open_fake(spec: str, config: SourceConfig) -> FakeSource:
        made.append(FakeSource(count=20))
        return made[-1]

    with FrameAccess("fake", SourceConfig(), open_fake) as access:
        assert not access.is_exact
        assert next(access.frames_from(10)).index == 10
        assert next(access.frames_from(11)).index == 11
        assert len(made) == 1
        assert [frame.index for frame in access.frames_from(4)] == list(range(4, 20))
    assert len(made) == 2
    assert all(source.closed_on for source in made)


def test_a_damaged_file_gives_what_can_be_read(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "cut.mp4", COUNT, container_options={"movflags": "+faststart"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with opened(path) as access:
        assert not access.is_exact
        frame = next(access.frames_from(7))
        assert number_of(frame.image_bgr) == frame.index == 7


def test_live_sources_are_refused() -> None:
    made = FakeSource(is_live=True)
    with pytest.raises(SourceError, match="is live"):
        FrameAccess("fake", SourceConfig(), lambda spec, config: made)
    assert made.closed_on
