"""Frame-exact playback: the clock decides what is shown, stepping is immediate, memory is bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from app.capture.frame_access import FrameAccess
from app.config import SourceConfig
from app.datatypes import Frame, SourceInfo
from app.errors import SourceError
from app.runtime.player import Player

MS = 1_000_000
STEP_NS = 33_333_333


class FakeRecording:
    """`count` frames of 1 kB, 30 a second; those in `holes` are damaged. Counts what is decoded."""

    def __init__(self, count: int = 300, *, holes: frozenset[int] = frozenset(), error_at: int | None = None) -> None:
        self.info = SourceInfo("fake", "file", 16, 21, 30.0, count, False)
        self.first, self.last, self.is_exact = 0, count - 1, True
        self.decoded: list[int] = []
        self.hold = threading.Event()
        self.hold.set()
        self._holes, self._error_at = holes, error_at

    def __enter__(self) -> FakeRecording:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def time_ns(self, index: int) -> int:
        return index * STEP_NS

    def index_at(self, timestamp_ns: int) -> int:
        return min(max(timestamp_ns // STEP_NS, self.first), self.last)

    def frames_from(self, index: int) -> Iterator[Frame]:
        for number in range(index, self.last + 1):
            self.hold.wait(10)
            if number == self._error_at:
                raise SourceError("cut off")
            if number not in self._holes:
                self.decoded.append(number)
                yield Frame(number, number * STEP_NS, np.zeros((21, 16, 3), np.uint8))


class Clock:
    """Time that only passes when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def opened() -> Iterator[Callable[..., tuple[Player, FakeRecording, Clock]]]:
    players: list[Player] = []

    def open_player(
        recording: FakeRecording | None = None, *, is_playing: bool = False, **options: object
    ) -> tuple[Player, FakeRecording, Clock]:
        recording, clock, errors = recording or FakeRecording(), Clock(), []
        player = Player(lambda: recording, report=errors.append, now_ns=clock, **options)
        players.append(player)
        if not is_playing:
            player.pause()
        player.start()
        wait_for(lambda: player.is_ready)
        return player, recording, clock

    yield open_player
    for player in players:
        player.request_stop()
        assert player.join(5)


def wait_for(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def shown(player: Player) -> int:
    """The number of the next frame that is there to be shown."""
    frames: list[Frame] = []

    def is_there() -> bool:
        frame = player.take()
        if frame is not None:
            frames.append(frame)
        return bool(frames)

    wait_for(is_there)
    return frames[0].index


def settle(player: Player, recording: FakeRecording) -> None:
    """Wait until nothing more is decoded."""
    counts = [-1, len(recording.decoded)]
    while counts[-1] != counts[-2]:
        time.sleep(0.05)
        counts.append(len(recording.decoded))
        assert len(counts) < 100, "it decodes without end"


class TestClock:
    def test_each_frame_is_shown_when_it_is_due(self, opened):
        player, recording, clock = opened(is_playing=True)
        assert shown(player) == 0
        settle(player, recording)
        numbers = []
        for _ in range(30):
            clock.now_ns += 20 * MS
            frame = player.take()
            numbers.append(frame.index if frame else None)
        assert [number for number in numbers if number is not None] == list(range(1, 19))  # 600 ms
        assert numbers[0] is None

    @pytest.mark.parametrize(("speed", "expected"), [(0.1, 3), (1.0, 30), (4.0, 120)])
    def test_speed(self, opened, speed, expected):
        player, recording, clock = opened(is_playing=True)
        player.set_speed(speed)
        assert shown(player) == 0
        for _ in range(100):
            settled = len(recording.decoded)
            clock.now_ns += 10 * MS
            player.take()
            wait_for(lambda: len(recording.decoded) >= min(300, player.index + 5), 2) if settled else None
        assert player.index == pytest.approx(expected, abs=1)

    def test_a_late_decoder_stops_the_clock_instead_of_losing_frames(self, opened):
        player, recording, clock = opened(is_playing=True)
        assert shown(player) == 0
        settle(player, recording)
        decoded = max(recording.decoded)
        recording.hold.clear()
        clock.now_ns += 10_000 * MS
        player.take()
        player.take()
        assert player.index == decoded
        recording.hold.set()
        settle(player, recording)
        clock.now_ns += 40 * MS
        assert player.take().index == decoded + 1

    def test_it_stops_at_the_end_and_plays_again_from_the_start(self, opened):
        player, recording, clock = opened(FakeRecording(10), is_playing=True)
        assert shown(player) == 0
        settle(player, recording)
        clock.now_ns += 1000 * MS
        assert player.take().index == 9
        player.take()
        assert not player.is_playing
        assert player.is_at_end
        player.play()
        assert shown(player) == 0


class TestSteps:
    def test_steps_are_there_at_once_forth_and_back(self, opened):
        player, recording, _ = opened()
        player.seek(150)
        assert shown(player) == 150
        settle(player, recording)
        for count, expected in ((1, 151), (1, 152), (-1, 151), (-10, 141), (10, 151), (-100, 51)):
            player.step(count)
            assert player.take().index == expected

    def test_going_back_decodes_runs_and_no_frame_twice(self, opened):
        player, recording, _ = opened()
        player.seek(299)
        assert shown(player) == 299
        for expected in range(298, 100, -1):
            player.step(-1)
            assert shown(player) == expected
        assert len(recording.decoded) == len(set(recording.decoded))

    def test_ends_are_respected(self, opened):
        player, _, _ = opened(FakeRecording(10))
        player.step(-1)
        assert shown(player) == 0
        player.seek(10_000)
        assert shown(player) == 9
        player.step(5)
        assert player.index == 9

    def test_damaged_frames_are_stepped_over(self, opened):
        player, recording, _ = opened(FakeRecording(20, holes=frozenset({5, 6})))
        player.seek(4)
        assert shown(player) == 4
        settle(player, recording)
        player.step(1)
        assert shown(player) == 7
        player.step(-1)
        assert shown(player) == 4
        player.seek(5)
        assert shown(player) == 7

    def test_a_step_pauses(self, opened):
        player, _, _ = opened(is_playing=True)
        player.step(1)
        assert not player.is_playing


class TestRange:
    def test_a_loop_stays_inside_and_each_frame_is_shown(self, opened):
        player, recording, clock = opened()
        player.set_range(20, 25)
        player.set_looping(True)
        player.play()
        assert shown(player) == 20
        settle(player, recording)
        numbers = []
        for _ in range(140):
            clock.now_ns += 10 * MS
            if frame := player.take():
                numbers.append(frame.index)
        assert numbers[:14] == [21, 22, 23, 24, 25, 20, 21, 22, 23, 24, 25, 20, 21, 22]

    def test_playing_ends_at_the_out_point(self, opened):
        player, recording, clock = opened()
        player.set_range(20, 25)
        player.play()
        assert shown(player) == 20
        settle(player, recording)
        clock.now_ns += 1000 * MS
        assert player.take().index == 25
        player.take()
        assert not player.is_playing

    def test_an_empty_range_is_none(self, opened):
        player, _, _ = opened()
        player.set_range(30, 20)
        assert player.range is None
        player.set_range(None, 20)
        assert player.range == (0, 20)
        player.set_range(None, None)
        assert player.range is None


class TestSeeking:
    def test_only_the_last_of_many_jumps_counts(self, opened):
        player, recording, _ = opened(FakeRecording(5000))
        recording.hold.clear()
        for index in range(0, 4000, 100):
            player.seek(index)
        recording.hold.set()
        assert shown(player) == 3900
        assert len(recording.decoded) < 400

    def test_a_moment_asked_for_before_the_recording_is_open(self):
        gate = threading.Event()
        recording = FakeRecording()

        def open_late() -> FakeRecording:
            gate.wait(5)
            return recording

        player = Player(open_late, report=print)
        player.pause()
        player.start()
        player.seek_time(5_000 * MS)
        assert player.take() is None
        gate.set()
        assert shown(player) == 150
        assert player.span_ns == (0, 299 * STEP_NS)
        player.request_stop()
        assert player.join(5)


def test_memory_is_bounded(opened):
    player, recording, _ = opened(FakeRecording(5000), max_bytes=60 * 1008)
    for index in (0, 1000, 500, 4000):
        player.seek(index)
        assert shown(player) == index
        settle(player, recording)
        assert len(player._frames) <= 60
    player.step(-10)
    assert player.take().index == 3990


def test_a_recording_that_ends_early_ends_there(opened):
    player, recording, _ = opened(FakeRecording(100, error_at=40))
    player.seek(90)
    settle(player, recording)
    player.seek(0)
    assert shown(player) == 0
    player.seek(30)
    assert shown(player) == 30
    settle(player, recording)
    assert player.last == 39


def test_what_cannot_be_opened_is_reported():
    def refuse() -> FrameAccess:
        raise SourceError("gone")

    errors = []
    player = Player(refuse, report=errors.append)
    player.start()
    assert player.join(5)
    assert [str(error) for error in errors] == ["gone"]
    assert (player.take(), player.is_ready, player.span_ns) == (None, False, (0, 0))


def test_the_real_demo_is_stepped_through():
    from app.capture.source import open_source

    player = Player(lambda: FrameAccess("demo", SourceConfig(), open_source), report=print)
    player.pause()
    player.seek_time(2_000 * MS)
    player.start()
    assert shown(player) == 60
    player.step(-1)
    assert shown(player) == 59
    assert player.last == 599
    player.request_stop()
    assert player.join(5)
