"""Frames of a recording come at their media time."""

from __future__ import annotations

import threading
import time

import pytest

from app.runtime.playback import PlaybackClock


def play(clock: PlaybackClock, times_ms) -> float:
    """Seconds that it took until all these frames were due."""
    start_s = time.monotonic()
    for time_ms in times_ms:
        assert clock.wait_until_due(int(time_ms * 1e6))
    return time.monotonic() - start_s


@pytest.mark.parametrize(("speed", "expected_s"), [(1.0, 0.3), (2.0, 0.15), (0.5, 0.6)])
def test_frames_come_at_media_time(speed, expected_s):
    assert play(PlaybackClock(speed), range(1000, 1301, 50)) == pytest.approx(expected_s, abs=0.05)


def test_a_late_reader_is_not_hurried():
    clock = PlaybackClock()
    assert clock.wait_until_due(0)
    time.sleep(0.4)
    assert play(clock, range(100, 401, 50)) == pytest.approx(0.3, abs=0.05)


def test_pause_holds_the_frame_and_resume_goes_on_from_there():
    clock = PlaybackClock()
    clock.wait_until_due(0)
    clock.pause()
    due = threading.Event()
    thread = threading.Thread(target=lambda: clock.wait_until_due(20_000_000) and due.set(), daemon=True)
    thread.start()
    assert not due.wait(0.2)
    clock.resume()
    assert due.wait(0.2)
    thread.join(1)


def test_speed_changes_while_waiting():
    clock = PlaybackClock(0.01)
    clock.wait_until_due(0)
    threading.Timer(0.05, lambda: setattr(clock, "speed", 1.0)).start()
    assert play(clock, [100]) < 0.4


@pytest.mark.parametrize("is_paused", [False, True])
def test_closing_ends_every_wait(is_paused):
    clock = PlaybackClock()
    clock.wait_until_due(0)
    if is_paused:
        clock.pause()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(clock.wait_until_due(10**12)), daemon=True)
    thread.start()
    time.sleep(0.05)
    clock.close()
    thread.join(0.4)
    assert answers == [False]
    assert not clock.wait_while_paused()
