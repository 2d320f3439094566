"""Rates, percentiles and memory as shown to the user."""

from __future__ import annotations

import mmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runtime.metrics import LatencyWindow, RateMeter, memory_mib


@given(st.floats(1, 200), st.integers(0, 500))
def test_the_rate_of_a_steady_source(fps, count):
    meter = RateMeter(window_s=2.0)
    for index in range(count):
        meter.tick(index / fps)
    rate_hz = meter.rate_hz(max(0, count - 1) / fps)
    enough = min(count, int(2.0 * fps) + 1) >= 2
    assert rate_hz == (pytest.approx(fps, rel=1e-6) if enough else 0.0)


def test_the_rate_falls_when_a_source_stops():
    meter = RateMeter(window_s=2.0)
    for index in range(61):
        meter.tick(index / 30)
    assert meter.rate_hz(2.0) == pytest.approx(30)
    assert meter.rate_hz(3.0) < 25
    assert meter.rate_hz(5.0) == 0.0


def test_stages_keep_their_order_and_only_the_newest_durations():
    window = LatencyWindow(count=100)
    for elapsed_ms in range(1000):
        window.add({"track": float(elapsed_ms), "spot": 1.0})
    figures = window.percentiles()
    assert list(figures) == ["track", "spot"]
    assert figures["track"].p50_ms == pytest.approx(949.5)
    assert figures["track"].p95_ms == pytest.approx(994.05)
    assert figures["spot"].p95_ms == 1.0


def test_memory_is_that_of_this_process():
    before_mib = memory_mib()
    # Straight from the system: what the C library has freed but kept would not count as more.
    with mmap.mmap(-1, 64 * 2**20) as ballast:
        ballast.write(b"x" * 2**20 * 64)
        assert 50 < memory_mib() - before_mib < 80
