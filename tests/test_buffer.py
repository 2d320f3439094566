"""The time buffer: cut by time, whatever the frame rate."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.spotting.buffer import TimeBuffer


@dataclass(frozen=True)
class Moment:
    timestamp_ns: int


@given(
    st.lists(st.integers(1, 200_000_000), min_size=1, max_size=200),
    st.floats(0.01, 3.0),
)
def test_keeps_exactly_the_last_seconds(steps_ns: list[int], duration_s: float) -> None:
    buffer: TimeBuffer[Moment] = TimeBuffer(duration_s)
    times, now = [], 0
    for step_ns in steps_ns:
        now += step_ns
        times.append(now)
        buffer.append(Moment(now))
    kept = [moment.timestamp_ns for moment in buffer]
    assert kept == [t for t in times if now - t <= int(duration_s * 1e9)]
    assert len(buffer) == len(kept)
    assert buffer.span_ns == kept[-1] - kept[0]
    assert buffer[-1].timestamp_ns == now


@pytest.mark.parametrize("later_ns", [5, 4])
def test_refuses_time_that_does_not_advance(later_ns: int) -> None:
    buffer: TimeBuffer[Moment] = TimeBuffer(1.0)
    buffer.append(Moment(5))
    with pytest.raises(ValueError, match="time went from 5"):
        buffer.append(Moment(later_ns))


def test_clear_forgets_time_too() -> None:
    buffer: TimeBuffer[Moment] = TimeBuffer(1.0)
    buffer.append(Moment(5))
    buffer.clear()
    assert (len(buffer), buffer.span_ns) == (0, 0)
    buffer.append(Moment(1))
    assert [moment.timestamp_ns for moment in buffer] == [1]
