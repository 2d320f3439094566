"""Channels lose nothing silently, keep the order, and end every wait."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.datatypes import Frame
from app.runtime.channels import FrameQueue, Inbox, Mailbox

PIXEL = np.zeros((1, 1, 3), np.uint8)


def frame(index: int, time_ms: float | None = None, dropped_before: int = 0) -> Frame:
    return Frame(index, int((index * 33 if time_ms is None else time_ms) * 1e6), PIXEL, dropped_before)


def in_thread(work) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_mailbox_keeps_the_newest_and_counts_the_rest():
    mailbox: Mailbox[int] = Mailbox()
    assert mailbox.take() is None
    for item in range(5):
        mailbox.put(item)
    assert (mailbox.take(), mailbox.take(), mailbox.overwritten) == (4, None, 4)


@given(st.lists(st.one_of(st.integers(), st.none())))
def test_mailbox_counts_add_up(actions):
    mailbox: Mailbox[int] = Mailbox()
    put = [item for item in actions if item is not None]
    taken = []
    for item in actions:
        if item is not None:
            mailbox.put(item)
        elif (newest := mailbox.take()) is not None:
            taken.append(newest)
    if (newest := mailbox.take()) is not None:
        taken.append(newest)
    assert len(taken) + mailbox.overwritten == len(put)
    assert taken[-1:] == put[-1:]


@given(st.lists(st.integers(), max_size=40), st.integers(1, 10))
def test_inbox_keeps_order_and_is_bounded(items, limit):
    inbox: Inbox[int] = Inbox(limit)
    for item in items:
        inbox.put(item)
    assert inbox.take_all() == items[-limit:]
    assert inbox.lost == max(0, len(items) - limit)
    assert inbox.take_all() == []


# Each step: put a frame after so many milliseconds with so many already lost, or take one (None).
STEPS = st.lists(st.one_of(st.none(), st.tuples(st.integers(1, 400), st.integers(0, 3))), max_size=60)


@given(STEPS, st.integers(2, 8))
def test_a_live_queue_declares_every_lost_frame(steps, max_count):
    queue = FrameQueue(max_span_s=0.5, max_count=max_count)
    offered, delivered, time_ms = [], [], 0
    for step in steps:
        if step is None:
            if queue.depth:
                delivered.append(queue.get())
        else:
            time_ms += step[0]
            offered.append(frame(len(offered), time_ms, step[1]))
            assert queue.offer(offered[-1])
    queue.close()
    delivered.extend(queue)
    indices = [f.index for f in delivered]
    assert indices == sorted(set(indices))
    # Frame by frame: what lies between two delivered frames is exactly what the later one declares.
    previous = -1
    for f in delivered:
        between = sum(1 + o.dropped_before for o in offered[previous + 1 : f.index])
        assert f.dropped_before == between + offered[f.index].dropped_before
        previous = f.index
    assert len(delivered) + queue.dropped == len(offered)
    assert indices[-1:] == [f.index for f in offered][-1:]


@given(STEPS)
def test_a_queue_never_spans_more_than_its_limit(steps):
    queue = FrameQueue(max_span_s=0.5)
    waiting, time_ms = [], 0
    for index, step in enumerate(s for s in steps if s is not None):
        time_ms += step[0]
        queue.offer(frame(index, time_ms))
        if queue.depth == 1:
            waiting = []
        waiting.append(time_ms)
        assert queue.depth == len(waiting)
        assert queue.depth <= 2 or waiting[-1] - waiting[0] <= 500


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=50), st.integers(2, 5))
def test_a_recording_loses_nothing(gaps_ms, max_count):
    queue = FrameQueue(max_span_s=0.5, max_count=max_count)
    frames = [frame(i, float(t)) for i, t in enumerate(np.cumsum(gaps_ms))]

    def put_all() -> None:
        for f in frames:
            queue.put(f)
        queue.close()

    producer = in_thread(put_all)
    assert list(queue) == frames
    producer.join(5)
    assert not producer.is_alive()
    assert queue.dropped == 0


def test_offer_never_waits():
    queue = FrameQueue(max_count=3)
    start_s = time.monotonic()
    for index in range(10_000):
        queue.offer(frame(index))
    assert time.monotonic() - start_s < 2
    assert queue.depth <= 3


def test_put_waits_for_room():
    queue = FrameQueue(max_count=2)
    queue.put(frame(0))
    queue.put(frame(1))
    producer = in_thread(lambda: queue.put(frame(2)))
    producer.join(0.1)
    assert producer.is_alive()
    assert queue.get().index == 0
    producer.join(5)
    assert not producer.is_alive()


@pytest.mark.parametrize("discard", [False, True])
def test_closing_ends_a_waiting_reader_and_a_waiting_writer(discard):
    empty, full = FrameQueue(), FrameQueue(max_count=2)
    full.put(frame(0))
    full.put(frame(1))
    answers = {}
    reader = in_thread(lambda: answers.update(got=empty.get()))
    writer = in_thread(lambda: answers.update(put=full.put(frame(2))))
    time.sleep(0.05)
    empty.close(discard=discard)
    full.close(discard=discard)
    for thread in (reader, writer):
        thread.join(0.4)  # at once, not at the next look-up
        assert not thread.is_alive()
    assert answers == {"got": None, "put": False}
    assert [f.index for f in full] == ([] if discard else [0, 1])
    assert not full.offer(frame(3))
    assert full.get() is None
