"""Capture without an analysis: what the commands use."""

from __future__ import annotations

import time

import pytest
from fakes import FakeSource

from app.config import SourceConfig
from app.errors import SourceError, TruncatedSourceError
from app.runtime.capture import Capture


def test_info_counts_and_all_frames():
    with Capture("fake", SourceConfig(), opener=lambda *_: FakeSource(count=50)) as capture:
        assert capture.info.frame_count == 50
        assert [f.index for f in capture] == list(range(50))
        assert (capture.captured, capture.dropped) == (50, 0)


def test_a_slow_reader_of_a_live_source_gets_declared_gaps():
    opener = FakeSource(count=300, fps=300, is_live=True)
    with Capture("fake", SourceConfig(), opener=lambda *_: opener) as capture:
        frames = []
        for frame in capture:
            frames.append(frame)
            age_s = (time.monotonic_ns() - frame.timestamp_ns) / 1e9
            assert age_s < 0.7 or not capture.is_alive
            time.sleep(0.02)
    assert len(frames) + capture.dropped == capture.captured == 300
    assert sum(f.dropped_before for f in frames) == capture.dropped > 0


def test_errors_arrive_where_the_frames_are_read():
    error = TruncatedSourceError("ended early")
    frames = []
    with (
        Capture("fake", SourceConfig(), opener=lambda *_: FakeSource(fails_at=5, error=error)) as capture,
        pytest.raises(TruncatedSourceError, match="ended early"),
    ):
        frames.extend(frame.index for frame in capture)
    assert capture.captured == 5


def test_info_raises_what_kept_the_source_from_opening():
    def refuse(spec, config):
        raise SourceError("no such file: x.mp4")

    with (
        Capture("x.mp4", SourceConfig(), opener=refuse) as capture,
        pytest.raises(SourceError, match="no such file"),
    ):
        _ = capture.info


def test_leaving_early_stops_the_thread():
    with Capture("fake", SourceConfig(), opener=lambda *_: FakeSource(count=10_000)) as capture:
        assert next(iter(capture)).index == 0
    assert not capture.is_alive
