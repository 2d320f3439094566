"""Video files: true times and order, every pixel format, and no silence about what is missing."""

from __future__ import annotations

import socket
import struct
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from videos import number_of, numbered_frame, numbers_of, read_until_error, write_numbered, write_video

from app.capture import video_file
from app.capture.container_size import missing_bytes
from app.capture.media_clock import JUMP_NS, MediaClock
from app.capture.video_file import VideoFileSource
from app.config import SourceConfig
from app.datatypes import Frame
from app.errors import SourceError, TruncatedSourceError

COUNT = 40
MS = 1_000_000
RATE = {"b": "3000000"}
CONTAINERS = {
    "front.mp4": {"container_options": {"movflags": "+faststart"}},
    "fragments.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "codec_options": {"g": "10"}},
    "mpeg4.mp4": {"codec": "mpeg4", "codec_options": RATE, "container_options": {"movflags": "+faststart"}},
    "h264.mkv": {},
    "lossless.mkv": {"codec": "ffv1"},
    "vp8.webm": {"codec": "libvpx"},
    "mpeg4.avi": {"codec": "mpeg4", "codec_options": RATE},
    "jpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
}


def read(path: Path, config: SourceConfig | None = None) -> tuple[list[Frame], VideoFileSource, SourceError | None]:
    """Frames delivered, the closed source, and the error that followed."""
    with VideoFileSource(str(path), config or SourceConfig()) as source:
        frames, error = read_until_error(source)
    return frames, source, error


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same numbered frames in several containers and codecs."""
    folder = tmp_path_factory.mktemp("whole")
    return {name: write_numbered(folder / name, COUNT, **options) for name, options in CONTAINERS.items()}


@pytest.mark.parametrize("name", CONTAINERS)
def test_whole_file_gives_every_frame_in_order_without_complaint(whole: dict[str, Path], name: str) -> None:
    frames, source, error = read(whole[name])
    assert error is None
    assert source.info.warnings == ()
    assert numbers_of(frames) == list(range(COUNT))
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert all(frame.dropped_before == 0 for frame in frames)
    expected_ns = [round(number * 1e9 / 30) for number in range(COUNT)]
    # Matroska keeps whole milliseconds.
    np.testing.assert_allclose([frame.timestamp_ns for frame in frames], expected_ns, atol=0.51 * MS)
    assert (source.info.kind, source.info.is_live, source.info.label) == ("file", False, name)
    assert (source.info.width, source.info.height) == (128, 96)
    assert source.info.fps == pytest.approx(30, abs=0.2)
    assert source.info.frame_count == pytest.approx(COUNT, abs=1)


def test_frames_outlive_the_source_and_each_other(whole: dict[str, Path]) -> None:
    with VideoFileSource(str(whole["front.mp4"]), SourceConfig()) as source:
        first, second, *_ = source
    assert (number_of(first.image_bgr), number_of(second.image_bgr)) == (0, 1)


def test_variable_rate_keeps_each_frames_own_time(tmp_path: Path) -> None:
    times_ms = [100, 114, 164, 178, 200, 250, 251, 400]
    path = write_numbered(tmp_path / "phone.mp4", len(times_ms), times_ms=times_ms)
    frames, _, error = read(path)
    assert error is None
    assert [frame.timestamp_ns for frame in frames] == [(t - 100) * MS for t in times_ms]


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [(0.5, None, range(15, COUNT)), (0.0, 0.5, range(15)), (0.34, 0.66, range(11, 20)), (1.3, 9.0, range(39, COUNT))],
)
def test_part_keeps_index_and_time_of_the_whole(
    whole: dict[str, Path], start_s: float, end_s: float | None, expected: range
) -> None:
    frames, _, error = read(whole["front.mp4"], SourceConfig(start_s=start_s, end_s=end_s))
    assert error is None
    assert numbers_of(frames) == [frame.index for frame in frames] == list(expected)
    assert frames[0].timestamp_ns == round(expected[0] * 1e9 / 30)


def test_part_without_a_frame_is_an_error(whole: dict[str, Path]) -> None:
    frames, _, error = read(whole["front.mp4"], SourceConfig(start_s=60))
    assert not frames
    assert "--start" in str(error)
    with pytest.raises(SourceError, match="--end"):
        VideoFileSource(str(whole["front.mp4"]), SourceConfig(start_s=2, end_s=1))


@pytest.mark.parametrize("pixels", ["gray", "gray10le", "gray16le", "yuva420p", "bgra", "yuv444p10le", "yuv420p"])
def test_every_pixel_format_becomes_bgr(tmp_path: Path, pixels: str) -> None:
    image = np.full((97, 131, 3), (40, 120, 200), np.uint8)  # odd on both sides
    (frame,), source, error = read(write_video(tmp_path / "one.mkv", [image], codec="ffv1", pixels=pixels))
    assert error is None
    assert frame.image_bgr.shape == (source.info.height, source.info.width, 3) == (97, 131, 3)
    assert frame.image_bgr.dtype == np.uint8
    assert frame.image_bgr.flags.c_contiguous
    grey = round(0.114 * 40 + 0.587 * 120 + 0.299 * 200)
    np.testing.assert_allclose(frame.image_bgr, grey if pixels.startswith("gray") else image, atol=5)


def test_one_frame_of_4k(tmp_path: Path) -> None:
    path = write_video(tmp_path / "4k.mp4", [numbered_frame(5, 3840, 2160)], codec_options={"preset": "ultrafast"})
    (frame,), _, error = read(path)
    assert error is None
    assert frame.image_bgr.shape == (2160, 3840, 3)
    assert number_of(frame.image_bgr) == 5


@pytest.mark.parametrize(("matrix", "turns"), [((0, 1, -1, 0), 3), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)])
def test_a_phone_held_upright_gives_upright_pictures(tmp_path: Path, matrix: tuple[int, ...], turns: int) -> None:
    image = np.zeros((96, 128, 3), np.uint8)
    image[:32, :32] = 255  # top left as stored
    path = write_video(tmp_path / "phone.mp4", [image] * 3, codec_options={"crf": "10"})
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    # Track header version 0 (ISO/IEC 14496-12, 8.3.2): the matrix starts 40 bytes behind its version field.
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    frames, source, _ = read(path)
    np.testing.assert_allclose(frames[0].image_bgr, np.rot90(image, turns), atol=40)
    assert frames[0].image_bgr.flags.c_contiguous
    assert (source.info.height, source.info.width) == frames[0].image_bgr.shape[:2]


def test_oblong_pixels_are_made_square(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "dv.mp4", 2, aspect=Fraction(4, 3))
    frames, source, _ = read(path)
    assert frames[0].image_bgr.shape == (96, 171, 3)
    assert source.info.width == 171


def test_frames_that_an_edit_list_hides_are_not_delivered(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "edited.mp4", 30, codec_options={"bf": "0"})
    data = bytearray(path.read_bytes())
    # Edit list version 0 (ISO/IEC 14496-12, 8.6.6): media_time follows version, entry count and duration.
    at = data.index(b"elst") + 16
    struct.pack_into(">i", data, at, 5 * 512)  # ticks of 1/15360 s, so 512 a frame
    path.write_bytes(data)
    frames, source, error = read(path)
    assert error is None  # although the container counts 30
    assert source.info.frame_count == 30
    assert numbers_of(frames) == list(range(5, 30))
    assert (frames[0].index, frames[0].timestamp_ns) == (0, 0)


@pytest.mark.parametrize("kept", [0.35, 0.6, 0.999])
@pytest.mark.parametrize("name", CONTAINERS)
def test_cut_file_gives_its_readable_frames_and_then_the_error(
    whole: dict[str, Path], tmp_path: Path, name: str, kept: float
) -> None:
    data = whole[name].read_bytes()
    size = int(len(data) * kept)
    path = tmp_path / name
    path.write_bytes(data[:size])
    frames, _, error = read(path)
    assert isinstance(error, TruncatedSourceError)
    assert f"{len(frames)} frames" in str(error)
    with av.open(str(whole[name])) as container:
        complete = sum(packet.size > 0 and packet.pos + packet.size <= size for packet in container.demux(video=0))
    found = numbers_of(frames)
    assert complete > 3
    assert complete - 3 <= len(found) <= complete
    # The very last ones may be out of order: B-frames whose neighbour is gone.
    assert found[: complete - 3] == list(range(complete - 3))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["front.mp4", "h264.mkv", "mpeg4.avi", "lossless.mkv"]))
def test_no_cut_goes_unnoticed(whole: dict[str, Path], tmp_path: Path, data: st.DataObject, name: str) -> None:
    content = whole[name].read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(SourceError):
        _raise_what_reading_raises(path)


def _raise_what_reading_raises(path: Path) -> None:
    _, _, error = read(path)
    if error is not None:
        raise error


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, 3000), name=st.sampled_from(["h264.mkv", "vp8.webm", "mpeg4.avi", "lossless.mkv"]))
def test_missing_bytes_are_counted(whole: dict[str, Path], tmp_path: Path, cut: int, name: str) -> None:
    content = whole[name].read_bytes()
    path = tmp_path / name
    path.write_bytes(content[:-cut])
    assert missing_bytes(path) == cut
    path.write_bytes(content + b"notes of the camera")
    assert missing_bytes(path) == 0


def test_missing_bytes_of_large_and_odd_boxes(tmp_path: Path) -> None:
    path = tmp_path / "any"
    large = b"\0\0\0\x08ftyp" + struct.pack(">I4sQ", 1, b"mdat", 1016) + bytes(1000)
    path.write_bytes(large)
    assert missing_bytes(path) == 0
    path.write_bytes(large[:-300])
    assert missing_bytes(path) == 300
    to_the_end = b"\0\0\0\x08ftyp" + struct.pack(">I4s", 0, b"mdat") + bytes(10)
    path.write_bytes(to_the_end)
    assert missing_bytes(path) == 0
    without_padding = b"RIFF" + struct.pack("<I", 7) + b"AVI 123"
    path.write_bytes(without_padding)
    assert missing_bytes(path) == 0
    path.write_bytes(without_padding + b"\0" + without_padding[:-2])  # a second chunk, as in files above 1 GB
    assert missing_bytes(path) == 2


def test_half_a_picture_is_not_delivered(whole: dict[str, Path], tmp_path: Path) -> None:
    with av.open(str(whole["jpeg.avi"])) as container:
        packet = [p for p in container.demux(video=0) if p.size][20]
    path = tmp_path / "half.avi"
    path.write_bytes(whole["jpeg.avi"].read_bytes()[: packet.pos + packet.size * 2 // 3])
    frames, _, error = read(path)
    assert isinstance(error, TruncatedSourceError)
    assert numbers_of(frames) == list(range(20))


def test_recording_that_was_never_finished_says_so(whole: dict[str, Path], tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "plain.mp4")  # its index is at the end
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(TruncatedSourceError, match="index"):
        VideoFileSource(str(path), SourceConfig())


def test_damage_in_the_middle_leaves_a_gap_that_is_told(whole: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "scratched.mp4"
    data = bytearray(whole["mpeg4.mp4"].read_bytes())
    with av.open(str(whole["mpeg4.mp4"])) as container:
        packet = [p for p in container.demux(video=0) if p.size][20]
    data[packet.pos : packet.pos + packet.size] = np.random.default_rng(0).bytes(packet.size)
    path.write_bytes(data)
    frames, _, error = read(path)
    assert isinstance(error, TruncatedSourceError)
    assert "damaged" in str(error)
    assert [frame.index for frame in frames] == [*range(20), *range(21, COUNT)]
    assert [frame.dropped_before for frame in frames] == [0] * 20 + [1] + [0] * 18
    assert [frame.timestamp_ns for frame in frames] == [round(frame.index * 1e9 / 30) for frame in frames]


def test_damage_at_the_very_start_is_told(whole: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "scratched.mp4"
    data = bytearray(whole["mpeg4.mp4"].read_bytes())
    with av.open(str(whole["mpeg4.mp4"])) as container:
        packet = next(container.demux(video=0))
    data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    frames, _, error = read(path)
    assert isinstance(error, TruncatedSourceError)
    assert "damaged" in str(error)
    assert number_of(frames[-1].image_bgr) == COUNT - 1


def test_end_before_the_damage_is_no_error(whole: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "cut.mkv"
    data = whole["h264.mkv"].read_bytes()
    path.write_bytes(data[: int(len(data) * 0.8)])
    frames, _, error = read(path, SourceConfig(end_s=0.2))
    assert error is None
    assert len(frames) == 6


@pytest.mark.parametrize("bad_input", ["missing", "empty", "text", "sound", "no frames", "folder"])
def test_bad_files_say_what_is_wrong(tmp_path: Path, bad_input: str) -> None:
    path = tmp_path / "talk.mp4"
    expected = {
        "missing": "does not exist",
        "empty": "is empty",
        "text": "not a video",
        "sound": "no video in it",
        "no frames": "cut off|not one frame|not a video",
        "folder": "cannot be read|not a video|cannot be opened",
    }
    if bad_input == "empty":
        path.touch()
    elif bad_input == "text":
        path.write_text("Dear diary,\n" * 50, encoding="utf-8")
    elif bad_input == "sound":
        _write_sound(path)
    elif bad_input == "no frames":
        write_numbered(path, 5)
        data = bytearray(path.read_bytes())
        start = data.index(b"mdat") + 4
        data[start : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - start)
        path.write_bytes(data)
    elif bad_input == "folder":
        path.mkdir()
    with pytest.raises(SourceError, match=expected[bad_input]):
        VideoFileSource(str(path), SourceConfig())


def _write_sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_two_recordings_joined_into_one_stream_run_on(tmp_path: Path) -> None:
    part = write_numbered(tmp_path / "part.mpg", 60, codec="mpeg2video")
    path = tmp_path / "joined.mpg"
    path.write_bytes(part.read_bytes() * 2)  # so the clock goes back by two seconds half-way
    frames, source, error = read(path)
    assert error is None
    steps_ms = np.diff([frame.timestamp_ns for frame in frames]) / 1e6
    assert len(frames) == 120
    assert steps_ms.min() > 10
    assert steps_ms.max() < 50
    assert [frame.index for frame in frames if frame.dropped_before] == [60]
    assert "starts anew once" in source.info.warnings[-1]


def test_stream_without_times_runs_at_its_rate(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "raw.h264", 20, container_options={})
    frames, source, error = read(path)
    assert error is None
    assert numbers_of(frames) == list(range(20))
    assert set(np.diff([frame.timestamp_ns for frame in frames])) == {round(1e9 / source.info.fps)}


@pytest.mark.parametrize(("name", "codec"), [("tv.ts", "mpeg2video"), ("tv.ts", "libx264"), ("tv.h264", "libx264")])
def test_stream_that_begins_between_key_frames_is_not_called_damaged(tmp_path: Path, name: str, codec: str) -> None:
    path = write_numbered(tmp_path / name, 60, codec=codec, codec_options={"g": "20"})
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 188 // 6 * 188 :])
    frames, _, error = read(path)
    assert error is None
    assert numbers_of(frames)[-1] == 59
    assert len(frames) >= 30


def test_recording_on_a_web_server(whole: dict[str, Path]) -> None:
    class QuietHandler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keep the terminal free."""

    handler = partial(QuietHandler, directory=whole["front.mp4"].parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = False
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/front.mp4"
            with VideoFileSource(url, SourceConfig()) as source:
                found = numbers_of(source)
            with pytest.raises(SourceError, match="cannot be opened"):
                VideoFileSource(url.replace("front", "absent"), SourceConfig())
        finally:
            server.shutdown()
            thread.join()
    assert found == list(range(COUNT))


def test_web_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video_file, "NETWORK_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://anna:secret@127.0.0.1:{listener.getsockname()[1]}/talk.mp4"
        with pytest.raises(SourceError, match="no answer in time") as caught:
            VideoFileSource(url, SourceConfig())
    assert "secret" not in str(caught.value)


@given(st.lists(st.one_of(st.none(), st.integers(-(10**13), 10**13)), min_size=1), st.integers(0, 10**9))
def test_clock_always_increases(times: list[int | None], interval_ns: int) -> None:
    clock = MediaClock(interval_ns)
    stamps = [clock.stamp(time) for time in times]
    assert stamps[0] == 0
    assert all(earlier < later for earlier, later in pairwise(stamps))


@given(st.lists(st.integers(1, 10**10)), st.integers(-(10**13), 10**13))
def test_clock_leaves_good_times_alone(steps: list[int], zero_ns: int) -> None:
    clock = MediaClock(33 * MS)
    times = np.cumsum([0, *steps])
    assert [clock.stamp(int(time) + zero_ns) for time in times] == times.tolist()
    assert clock.repairs == 0


@given(st.integers(1, 20), st.integers(0, JUMP_NS))
def test_clock_returns_to_good_times_after_repeats(repeats: int, back_ns: int) -> None:
    clock = MediaClock(33 * MS)
    for time in (0, 2 * JUMP_NS, *[2 * JUMP_NS - back_ns] * repeats):
        clock.stamp(time)
    assert clock.repairs == repeats
    good_ns = 2 * JUMP_NS + repeats * 33 * MS
    assert clock.stamp(good_ns) == good_ns


def test_clock_follows_a_clock_that_was_set_back() -> None:
    clock = MediaClock(40 * MS)
    stamps_ms = [clock.stamp(time * MS) // MS for time in (5000, 9000, 100, 140, 200)]
    assert stamps_ms == [0, 4000, 4040, 4080, 4140]
    assert (clock.repairs, clock.jumps) == (1, 1)
