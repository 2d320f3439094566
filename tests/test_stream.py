"""Network streams, read from a real MJPEG server on this machine."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest
from mjpeg_server import MjpegServer
from videos import number_of, numbered_frame, numbers_of, read_until_error

from app.capture import live
from app.capture.source import open_source
from app.capture.stream import StreamSource
from app.config import SourceConfig
from app.errors import SourceError

FRAMES = [numbered_frame(number) for number in range(256)]


def test_stream_loses_no_frame_and_is_not_late() -> None:
    with MjpegServer(FRAMES, fps=30) as server, open_source(server.url, SourceConfig()) as source:
        info = source.info
        numbers, times_ns, behind = [], [], []
        for frame in source:
            numbers.append(number_of(frame.image_bgr))
            times_ns.append(frame.timestamp_ns)
            behind.append((server.sent - 1 - numbers[-1]) % 256)
            if len(numbers) == 45:
                break
    assert (info.kind, info.is_live, info.width, info.height) == ("stream", True, 128, 96)
    assert info.fps == pytest.approx(30, abs=4)
    assert info.warnings == ()
    assert numbers == list(range(numbers[0], numbers[0] + 45))
    assert np.median(np.diff(times_ns)) == pytest.approx(1e9 / 30, rel=0.15)
    assert np.median(behind) <= 2


def test_slow_stream_is_warned_of() -> None:
    with MjpegServer(FRAMES, fps=12) as server, StreamSource(server.url, SourceConfig()) as source:
        assert source.info.fps == pytest.approx(12, abs=2)
        assert "are needed" in source.info.warnings[0]


@pytest.fixture
def _measure_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SETTLING_S", 0.05)
    monkeypatch.setattr(live, "MEASURING_S", 0.25)


@pytest.mark.usefixtures("_measure_briefly")
@pytest.mark.parametrize("failure", ["disconnect", "stall"])
def test_lost_stream_raises_soon(failure: str) -> None:
    with MjpegServer(FRAMES, fps=60) as server, StreamSource(server.url, SourceConfig(), timeout_s=1) as source:
        started_s = time.perf_counter()
        frames, error = read_until_error(source, lambda count: count == 10 and getattr(server, failure)())
        assert time.perf_counter() - started_s < 4
    assert "was lost after" in str(error)
    assert len(frames) >= 10
    numbers = numbers_of(frames)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.usefixtures("_measure_briefly")
def test_stream_that_ends_while_it_is_opened() -> None:
    with MjpegServer(FRAMES[:3], fps=60, is_looping=False) as server, pytest.raises(SourceError, match="was lost"):
        StreamSource(server.url, SourceConfig(), timeout_s=1)


def test_address_where_nothing_answers_hides_the_password(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SourceError, match=f"http://127.0.0.1:{port}/v.mjpg gives no video") as caught:
        open_source(f"http://anna:secret@127.0.0.1:{port}/v.mjpg", SourceConfig())
    assert "secret" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_server_that_never_answers_is_given_up() -> None:
    started_s = time.perf_counter()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v.mjpg"
        with pytest.raises(SourceError, match=r"gives no video within 0\.5 s"):
            StreamSource(url, SourceConfig(), timeout_s=0.5)
    assert time.perf_counter() - started_s < 3
