"""Capture, analysis and recognition: in order, without backlog, and over when they are told to stop."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest
from fakes import FakeSource, face, fake_runs

from app.config import SourceConfig
from app.datatypes import SpotState
from app.errors import CameraError, ModelError, TruncatedSourceError
from app.runtime import capture
from app.runtime.records import RunState
from app.runtime.track import NOT_ANALYSED
from app.runtime.workers import on_uncaught


class Run:
    """A LiveAnalysis over fakes, started and stopped; see `fake_runs` for the arguments."""

    def __init__(self, **fakes):
        source_config = SourceConfig(end_s=fakes.pop("end_s", None))
        new_run, self.made = fake_runs(**fakes)
        self.analysis = new_run(source_config=source_config)

    def __enter__(self):
        self.analysis.start()
        return self

    def __exit__(self, *_):
        self.analysis.stop()

    def wait_for(self, condition, timeout_s=5.0):
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, "waited too long"
            time.sleep(0.005)

    def wait_until_ended(self):
        self.wait_for(lambda: self.analysis.is_analysed)

    def seen(self):
        return [f.index for f in self.made.pipeline.frames]


def test_a_recording_is_analysed_whole_and_in_order_ahead_of_its_playback():
    with Run(source={"count": 30, "fps": 2}, pipeline={"decides": {10: "", 20: "blink", 29: ""}}) as run:
        run.wait_until_ended()
        assert run.analysis.player.index < 10
        assert run.analysis.analysed_ns == 14_500_000_000
        assert run.seen() == list(range(30))
        assert [e.event_id for e in run.analysis.events.take_all()] == [1, 2]
        assert [c.rejected_because for c in run.analysis.rejected.take_all()] == ["blink"]
        assert len(run.analysis.motion.take_all()) == 30
        assert run.analysis.faults.take_all() == []


def test_a_played_frame_comes_with_what_was_learned_of_it():
    with Run(source={"count": 60, "fps": 30}) as run:
        run.analysis.pause()
        run.wait_until_ended()
        first = run.analysis.take()
        assert (first.frame.index, first.state) == (0, SpotState.IDLE)
        run.analysis.player.step(7)
        run.wait_for(lambda: run.analysis.player.index == 7)
        shown = []
        run.wait_for(lambda: shown.append(run.analysis.take()) or shown[-1])
        assert shown[-1].frame.index == 7
        expected = face(160, 120)
        np.testing.assert_allclose(shown[-1].face.landmarks_px[:, :2], expected.landmarks_px[:, :2], atol=1 / 16)
        assert shown[-1].motion.frame_index == 7
        assert run.analysis.take() is None


def test_what_is_not_analysed_yet_is_said():
    with Run(source={"count": 60, "fps": 30}, pipeline={"step_s": 0.2}) as run:
        run.analysis.pause()
        run.wait_for(lambda: run.analysis.player and run.analysis.player.is_ready)
        run.analysis.player.seek(8)
        shown = []
        run.wait_for(lambda: shown.append(run.analysis.take()) or shown[-1])
        assert (shown[-1].frame.index, shown[-1].quality.reason) == (8, NOT_ANALYSED)
        run.wait_for(lambda: shown.append(run.analysis.take()) or shown[-1], timeout_s=10)
        assert (shown[-1].frame.index, shown[-1].quality.reason) == (8, "")


def test_a_slow_analysis_of_a_recording_loses_nothing():
    with Run(source={"count": 40, "fps": 200}, pipeline={"step_s": 0.01}) as run:
        run.wait_until_ended()
        assert run.seen() == list(range(40))
        assert run.analysis.figures().dropped == 0


def test_a_live_source_too_fast_for_the_analysis_never_builds_a_backlog():
    with Run(source={"count": 200, "fps": 100, "is_live": True}, pipeline={"step_s": 0.03}) as run:
        run.wait_until_ended()
        frames = run.made.pipeline.frames
        dropped = run.analysis.figures().dropped
        assert dropped > 0
        assert len(frames) + dropped == 200
        assert sum(f.dropped_before for f in frames) == dropped
        # Of the frames declared lost, none was delivered.
        for earlier, later in itertools.pairwise(frames):
            assert later.index == earlier.index + 1 + later.dropped_before
        assert any(point.is_gap for point in run.analysis.motion.take_all())


def test_each_thread_opens_and_closes_what_it_owns():
    with Run(pipeline={"decides": {3: ""}}) as run:
        run.wait_until_ended()
        assert run.made.source.opened_on == run.made.source.closed_on == "capture"
        assert run.made.pipeline.built_on == run.made.pipeline.closed_on == "analysis"
        assert run.made.recogniser.built_on == run.made.recogniser.closed_on == "recognition"


def test_a_paused_recording_stands_still_while_it_is_analysed():
    with Run(source={"count": 60, "fps": 60}) as run:
        run.analysis.pause()
        run.wait_until_ended()
        assert run.analysis.is_paused
        assert run.analysis.state is RunState.PAUSED
        assert run.analysis.take().frame.index == 0
        run.analysis.speed = 4.0
        run.analysis.resume()
        run.wait_for(lambda: run.analysis.take() and run.analysis.state is RunState.ENDED)
        assert run.analysis.player.index == 59
        assert run.seen() == list(range(60))
        run.analysis.resume()
        assert run.analysis.state is RunState.RUNNING


def test_a_paused_live_source_is_read_on_and_the_pause_is_a_gap():
    with Run(source={"count": 90, "fps": 90, "is_live": True}) as run:
        run.wait_for(lambda: run.made.pipeline and len(run.made.pipeline.frames) > 5)
        run.analysis.pause()
        time.sleep(0.3)
        delivered = run.made.source.delivered
        assert delivered > 20
        run.analysis.resume()
        run.wait_until_ended()
        gaps = [f.dropped_before for f in run.made.pipeline.frames if f.dropped_before]
        assert len(gaps) == 1
        assert gaps[0] > 15
        assert len(run.seen()) + gaps[0] == 90


def test_stop_while_paused():
    with Run(source={"count": 1000}) as run:
        run.analysis.pause()
        time.sleep(0.05)
        start_s = time.monotonic()
        assert run.analysis.stop() == ()
        assert time.monotonic() - start_s < 0.5


def test_stop_in_the_middle_is_quick_and_complete():
    with Run(source={"count": 10_000, "fps": 100, "is_live": True}, pipeline={"step_s": 0.05}) as run:
        time.sleep(0.3)
        start_s = time.monotonic()
        assert run.analysis.stop() == ()
        assert time.monotonic() - start_s < 0.5
        assert run.analysis.state is RunState.ENDED
        assert run.made.source.closed_on == "capture"
        assert run.analysis.faults.take_all() == []


def test_stop_during_a_blocked_read_names_the_late_thread(caplog):
    with Run(source={"count": 20, "blocks_at": 5, "is_live": True}) as run:
        run.wait_for(lambda: run.made.source and run.made.source.delivered == 5)
        start_s = time.monotonic()
        assert run.analysis.stop(timeout_s=0.5) == ("capture",)
        assert time.monotonic() - start_s < 1
        assert "capture" in caplog.text
        run.made.source.release.set()


def test_silence_of_a_source_is_measured():
    with Run(source={"count": 20, "fps": 100, "blocks_at": 5, "is_live": True}) as run:
        run.wait_for(lambda: run.analysis.figures().silence_s > 0.3)
        assert run.analysis.figures().captured_fps < 100
        run.made.source.release.set()


def test_a_live_source_ends_when_its_time_is_over():
    with Run(source={"count": 1000, "fps": 60, "is_live": True}, end_s=0.5) as run:
        run.wait_until_ended()
        frames = run.made.pipeline.frames
        assert (frames[-1].timestamp_ns - frames[0].timestamp_ns) / 1e9 == pytest.approx(0.5, abs=0.05)


def test_stopping_twice_and_stopping_before_the_start_are_harmless():
    run = Run()
    assert run.analysis.stop() == ()
    with Run() as run:
        assert run.analysis.stop() == ()
        assert run.analysis.stop() == ()


def test_a_source_that_does_not_open_is_reported_and_the_run_ends():
    def refuse(spec, config):
        raise CameraError("camera 7 is busy: close the other program")

    with Run(opener=refuse) as run:
        run.wait_until_ended()
        (fault,) = run.analysis.faults.take_all()
        assert fault.thread == "capture"
        assert isinstance(fault.error, CameraError)
        assert run.analysis.info is None


@pytest.mark.parametrize("error", [TruncatedSourceError("ended early"), CameraError("vanished")])
def test_a_source_that_fails_keeps_what_was_readable(error):
    with Run(source={"fails_at": 12, "error": error, "fps": 100}, pipeline={"decides": {11: ""}}) as run:
        run.wait_until_ended()
        assert run.seen() == list(range(12))
        assert [f.error for f in run.analysis.faults.take_all()] == [error]
        assert len(run.analysis.events.take_all()) == 1


def test_a_bug_in_the_pipeline_is_carried_to_the_window_and_logged(caplog):
    error = ZeroDivisionError("bug")
    with Run(source={"count": 10_000}, pipeline={"fails_at": 4, "error": error}) as run:
        run.wait_until_ended()
        assert [(f.thread, f.error) for f in run.analysis.faults.take_all()] == [("analysis", error)]
    assert "ZeroDivisionError" in caplog.text


def test_a_network_that_cannot_be_loaded_leaves_spotting_working():
    def refuse(config):
        raise ModelError("sha256 differs")

    with Run(pipeline={"decides": {3: "", 9: ""}}, source={"fps": 100}, build_recogniser=refuse) as run:
        run.wait_until_ended()
        assert [(e.event_id, e.prediction) for e in run.analysis.events.take_all()] == [(1, None), (2, None)]
        assert [f.thread for f in run.analysis.faults.take_all()] == ["recognition"]
        assert run.analysis.recognition.provider == ""
        assert "spotting only" in run.analysis.recognition.status


def test_a_network_that_fails_on_a_pair_leaves_the_event_without_a_class():
    with Run(source={"fps": 100}, pipeline={"decides": {3: ""}}, recogniser={"fails": ModelError("cannot run")}) as run:
        run.wait_until_ended()
        assert [e.prediction for e in run.analysis.events.take_all()] == [None]
        assert [f.thread for f in run.analysis.faults.take_all()] == ["recognition"]


def test_figures_of_a_live_run():
    with Run(source={"count": 100, "fps": 50, "is_live": True}) as run:
        run.wait_for(lambda: run.made.pipeline and len(run.made.pipeline.frames) > 40)
        figures = run.analysis.figures()
        assert figures.captured_fps == pytest.approx(50, rel=0.3)
        assert figures.analysed_fps == pytest.approx(50, rel=0.3)
        assert figures.stage_ms["all"].p50_ms == pytest.approx(3.5)
        assert 0 <= figures.latency_ms.p50_ms < 50
        assert figures.memory_mib > 20
        assert run.analysis.recognition.provider == "CPUExecutionProvider"


def test_how_late_an_event_of_a_live_source_is():
    source = {"count": 30, "fps": 100, "is_live": True}
    with Run(source=source, pipeline={"decides": {9: ""}}, recogniser={"takes_s": 0.2}) as run:
        run.wait_until_ended()
        waited_ms = (time.perf_counter_ns() - run.analysis.events.take_all()[0].candidate.offset_ns) / 1e6
        latency = run.analysis.figures().event_latency_ms
        assert 200 <= latency.p50_ms == latency.p95_ms < waited_ms


@pytest.mark.parametrize(("is_live", "gate"), [(True, "blink"), (False, "")])
def test_neither_withdrawn_candidates_nor_events_of_recordings_are_late(is_live, gate):
    with Run(source={"count": 20, "fps": 100, "is_live": is_live}, pipeline={"decides": {9: gate}}) as run:
        run.wait_until_ended()
        assert len(run.analysis.events.take_all() + run.analysis.rejected.take_all()) == 1
        assert run.analysis.figures().event_latency_ms is None


def test_wishes_reach_the_pipeline_between_two_frames():
    with Run(source={"count": 1000, "fps": 100, "is_live": True}) as run:
        run.wait_for(lambda: run.made.pipeline and run.made.pipeline.frames)
        run.analysis.follow(30.0, 40.0)
        run.analysis.renew_reference()
        run.wait_for(lambda: len(run.made.pipeline.wishes) == 2)
        (follow, seen, x_px, y_px), (renew, _) = run.made.pipeline.wishes
        assert (follow, x_px, y_px, renew) == ("follow", 30.0, 40.0, "renew_reference")
        assert seen >= 1


class TestReturning:
    """A live source that is lost, or opened in another way, goes on with the same faces, events and numbers."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr(capture, "_RETRY_S", 0.05)

    def test_frames_go_on_counting_after_a_declared_gap(self):
        sources = iter(
            [
                FakeSource(100, 200, is_live=True, fails_at=5, error=CameraError("gone")),
                FakeSource(5, 200, is_live=True),
            ]
        )

        def opener(spec, config):
            if (source := next(sources, None)) is None:
                raise CameraError("never again")
            return source

        with Run(opener=opener, pipeline={"decides": {7: ""}}) as run:
            run.wait_for(lambda: run.made.pipeline and len(run.made.pipeline.frames) == 10)
            frames = run.made.pipeline.frames
            assert [f.index for f in frames] == list(range(10))
            assert [f.index for f in frames if f.dropped_before] == [5]
            faults = run.analysis.faults.take_all()
            assert [(str(fault.error), fault.is_passing) for fault in faults] == [("gone", True)]
            assert run.analysis.figures().dropped == 0

    def test_a_run_that_waits_for_its_source_stops_at_once(self):
        sources = iter([FakeSource(100, 200, is_live=True, fails_at=5, error=CameraError("gone"))])

        def opener(spec, config):
            if (source := next(sources, None)) is None:
                raise CameraError("still away")
            return source

        with Run(opener=opener) as run:
            run.wait_for(lambda: run.analysis.state is RunState.LOST)
            start_s = time.monotonic()
            assert run.analysis.stop() == ()
            assert time.monotonic() - start_s < 1
            assert run.analysis.state is RunState.ENDED

    def test_another_mode_while_running(self):
        opened = []

        def opener(spec, config):
            opened.append(config)
            return FakeSource(1000, 200, is_live=True, size=(config.width or 160, 120))

        with Run(opener=opener) as run:
            run.wait_for(lambda: run.made.pipeline and len(run.made.pipeline.frames) > 5)
            run.analysis.reopen(SourceConfig(width=200, rotation_deg=90))
            run.wait_for(lambda: run.made.pipeline.frames[-1].image_bgr.shape[1] == 200)
            assert opened == [SourceConfig(), SourceConfig(width=200, rotation_deg=90)]
            assert run.analysis.info.width == 200
            first = next(f for f in run.made.pipeline.frames if f.image_bgr.shape[1] == 200)
            assert first.dropped_before == 1
            indices = run.seen()
            assert indices == sorted(set(indices))

    def test_a_camera_that_never_opened_is_not_tried_again(self):
        def opener(spec, config):
            raise CameraError("busy")

        with Run(opener=opener) as run:
            run.wait_until_ended()
            (fault,) = run.analysis.faults.take_all()
            assert not fault.is_passing


def test_an_uncaught_error_of_any_thread_is_reported():
    reports = []
    undo = on_uncaught(lambda error, thread: reports.append((str(error), thread)))
    before = threading.excepthook
    try:
        thread = threading.Thread(target=lambda: 1 / 0, name="stray")
        thread.start()
        thread.join()
    finally:
        undo()
    assert reports == [("division by zero", "stray")]
    assert threading.excepthook is not before
