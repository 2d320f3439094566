"""The window's keys for playback and review, on fakes: step, jump, loop, correct, decide, undo."""

from __future__ import annotations

import pytest
import sessions
from fakes import fake_runs
from PyQt6.QtCore import Qt
from widgets import dressed_and_tidy  # noqa: F401 — the fixture

from app.config import PipelineConfig
from app.runtime.devices import CameraWatch
from app.session.reader import read_session
from app.session.review import reviewed_events
from app.ui.preferences import Preferences
from app.ui.window import MainWindow

DECIDES = {30: "", 60: "", 90: ""}  # three events, 300 ms each: 22–30, 51–60, 81–90


@pytest.fixture
def opened(qtbot, tmp_path):
    """A window on a recording of four seconds, paused, with everything analysed."""

    def open_window(**fakes):
        new_run, _ = fake_runs(**({"source": {"count": 120, "fps": 30}, "pipeline": {"decides": DECIDES}} | fakes))
        view = MainWindow(
            PipelineConfig(),
            Preferences(tmp_path / "settings.json"),
            report=lambda error, thread: pytest.fail(f"{thread}: {error}"),
            new_run=new_run,
            watch=CameraWatch(look_up=lambda known: ()),
        )
        qtbot.addWidget(view)
        view.show()
        view.activateWindow()
        qtbot.waitUntil(view.isActiveWindow, timeout=3000)
        view.open("fake")
        if not fakes:
            view.workspace.run.pause()
            qtbot.waitUntil(lambda: len(view.workspace.events) == 3, timeout=8000)
            view.tools.replay.seek(0)
            qtbot.waitUntil(lambda: frame_of(view) == 0, timeout=3000)
        return view

    return open_window


def frame_of(view: MainWindow) -> int:
    return view.workspace.newest.frame.index if view.workspace.newest is not None else -1


def press(qtbot, view, key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    qtbot.keyClick(view, key, modifier)


def wait_for_frame(qtbot, view, index: int) -> None:
    qtbot.waitUntil(lambda: frame_of(view) == index, timeout=4000)


def standing(view, event):
    return view.tools.review.standing(event)


class TestSteps:
    def test_arrows_step_and_ends_are_reached(self, qtbot, opened):
        view = opened()
        shift = Qt.KeyboardModifier.ShiftModifier
        for key, modifier, expected in (
            (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, 1),
            (Qt.Key.Key_Right, shift, 11),
            (Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier, 10),
            (Qt.Key.Key_Left, shift, 0),
            (Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier, 119),
            (Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier, 0),
        ):
            press(qtbot, view, key, modifier)
            wait_for_frame(qtbot, view, expected)

    def test_a_decoded_frame_is_there_without_a_tick(self, qtbot, opened):
        view = opened()
        qtbot.wait(200)
        view.workspace._timer.stop()
        press(qtbot, view, Qt.Key.Key_Right)
        assert frame_of(view) == 1
        view.workspace._timer.start()

    def test_next_and_previous_event(self, qtbot, opened):
        view = opened()
        first, second, third = view.workspace.events
        for key, event in (
            (Qt.Key.Key_N, first),
            (Qt.Key.Key_N, second),
            (Qt.Key.Key_N, third),
            (Qt.Key.Key_N, third),
            (Qt.Key.Key_P, second),
        ):
            press(qtbot, view, key)
            assert view.workspace.selected is event
            wait_for_frame(qtbot, view, event.candidate.apex.frame_index)
            assert view.page.event_list.events.row(view.page.event_list.currentIndex()).event is event
            assert view.page.evidence.item is event
        view.tools.replay.seek(third.candidate.offset_ns + 10**9)
        press(qtbot, view, Qt.Key.Key_P)
        assert view.workspace.selected is third

    def test_a_narrow_panel_widens_for_the_evidence(self, qtbot, opened):
        view = opened()
        evidence = view.page.evidence
        qtbot.waitUntil(lambda: evidence.width() > 400, timeout=3000)  # the first layout is settled
        view.page.resizeDocks([view.page.panels["Events"]], [320], Qt.Orientation.Horizontal)
        qtbot.waitUntil(lambda: evidence.width() < 340, timeout=3000)
        press(qtbot, view, Qt.Key.Key_N)
        qtbot.waitUntil(lambda: 340 < evidence.widget().width() <= evidence.viewport().width(), timeout=3000)

    def test_the_timeline_moves_the_picture(self, qtbot, opened):
        view = opened()
        view.page.timeline.seek_wanted.emit(2_000_000_000)
        wait_for_frame(qtbot, view, 60)
        assert view.page.timeline._head.value() == pytest.approx(2.0, abs=0.04)

    def test_live_sources_have_none_of_it(self, qtbot, opened):
        view = opened(source={"count": 3000, "fps": 60, "is_live": True})
        qtbot.waitUntil(lambda: frame_of(view) > 5, timeout=4000)
        for key in (Qt.Key.Key_Left, Qt.Key.Key_Home, Qt.Key.Key_L, Qt.Key.Key_N, Qt.Key.Key_I, Qt.Key.Key_Delete):
            press(qtbot, view, key)
        qtbot.waitUntil(lambda: not view.tools.buttons[0].isVisible(), timeout=3000)
        assert view.page.timeline._follows


class TestLoop:
    def test_l_loops_the_selected_event_slowly_and_gives_the_speed_back(self, qtbot, opened):
        view = opened()
        press(qtbot, view, Qt.Key.Key_N)
        press(qtbot, view, Qt.Key.Key_L)
        player = view.workspace.run.player
        assert player.is_looping
        assert player.is_playing
        assert view.workspace.speed == 0.25
        first, last = player.range
        event = view.workspace.selected
        assert first < event.candidate.onset.frame_index < event.candidate.offset.frame_index < last
        assert view.page.timeline._range.isVisible()
        press(qtbot, view, Qt.Key.Key_L)
        assert not player.is_looping
        assert player.range is None
        assert view.workspace.speed == 1.0
        assert not view.page.timeline._range.isVisible()

    def test_the_loop_goes_along_with_the_selection_and_ends_with_the_source(self, qtbot, opened):
        view = opened()
        press(qtbot, view, Qt.Key.Key_N)
        press(qtbot, view, Qt.Key.Key_L)
        press(qtbot, view, Qt.Key.Key_N)
        player, event = view.workspace.run.player, view.workspace.selected
        assert event is view.workspace.events[1]
        assert player.is_playing
        assert (
            player.range[0] < event.candidate.onset.frame_index < event.candidate.offset.frame_index < player.range[1]
        )
        qtbot.waitUntil(lambda: player.range[0] <= frame_of(view) <= player.range[1], timeout=4000)
        with qtbot.waitSignal(view.workspace.opening):
            view.workspace.restart()
        assert view.workspace.speed == 1.0
        assert not view.tools.buttons[-1].isChecked()

    def test_in_and_out_points(self, qtbot, opened):
        view = opened()
        shift = Qt.KeyboardModifier.ShiftModifier
        view.tools.replay.seek(1_000_000_000)
        wait_for_frame(qtbot, view, 30)
        press(qtbot, view, Qt.Key.Key_I, shift)
        view.tools.replay.seek(2_000_000_000)
        wait_for_frame(qtbot, view, 60)
        press(qtbot, view, Qt.Key.Key_O, shift)
        assert view.workspace.run.player.range == (30, 60)
        press(qtbot, view, Qt.Key.Key_Home)
        wait_for_frame(qtbot, view, 30)
        press(qtbot, view, Qt.Key.Key_A, shift)
        assert view.workspace.run.player.range is None


class TestReview:
    def test_key_frames_are_set_to_the_frame_on_screen(self, qtbot, opened):
        view = opened()
        press(qtbot, view, Qt.Key.Key_N)
        event = view.workspace.selected
        apex = event.candidate.apex.frame_index
        press(qtbot, view, Qt.Key.Key_Right)
        wait_for_frame(qtbot, view, apex + 1)
        press(qtbot, view, Qt.Key.Key_A)
        assert (standing(view, event).apex_frame, standing(view, event).source) == (apex + 1, "corrected")
        span = view.page.timeline.events.get(event.event_id)
        assert span.apex_s == pytest.approx((apex + 1) / 30, abs=1e-6)
        press(qtbot, view, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert standing(view, event).apex_frame == apex
        press(qtbot, view, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
        assert standing(view, event).apex_frame == apex + 1

    def test_an_order_that_cannot_be_is_refused_with_words(self, qtbot, opened):
        view = opened()
        press(qtbot, view, Qt.Key.Key_N)
        press(qtbot, view, Qt.Key.Key_End)
        wait_for_frame(qtbot, view, 119)
        press(qtbot, view, Qt.Key.Key_I)
        assert "not in this order" in view.page.messages.texts["review"]
        press(qtbot, view, Qt.Key.Key_Return)
        assert "review" not in view.page.messages.texts

    def test_accept_reject_and_name_by_keys(self, qtbot, opened):
        view = opened()
        press(qtbot, view, Qt.Key.Key_N)
        event = view.workspace.selected
        press(qtbot, view, Qt.Key.Key_Return)
        assert standing(view, event).review == "accepted"
        press(qtbot, view, Qt.Key.Key_Delete)
        assert standing(view, event).review == "rejected"
        assert view.page.timeline.events.get(event.event_id).is_faded
        press(qtbot, view, Qt.Key.Key_3)
        assert (standing(view, event).label, standing(view, event).review) == ("surprise", "accepted")
        row = view.page.event_list.events.row(view.page.event_list.currentIndex())
        assert (row.label, row.review) == ("surprise", "accepted")
        press(qtbot, view, Qt.Key.Key_9)  # there is no ninth class
        assert standing(view, event).label == "surprise"
        view.page.evidence.was_reset.emit()
        assert (standing(view, event).label, standing(view, event).review) == ("positive", "")

    def test_enter_ends_a_comment_and_accepts_nothing(self, qtbot, opened):
        view = opened()
        press(qtbot, view, Qt.Key.Key_N)
        event, field = view.workspace.selected, view.page.evidence._comment
        field.setFocus()
        qtbot.waitUntil(field.hasFocus, timeout=3000)
        qtbot.keyClicks(field, "a 1")
        qtbot.keyClick(field, Qt.Key.Key_Return)
        assert (standing(view, event).comment, standing(view, event).review) == ("a 1", "")
        view.page.event_list.setFocus()
        qtbot.waitUntil(view.page.event_list.hasFocus, timeout=3000)
        press(qtbot, view, Qt.Key.Key_Return)
        assert standing(view, event).review == "accepted"

    def test_a_dragged_edge_corrects_to_a_frame(self, qtbot, opened):
        view = opened()
        press(qtbot, view, Qt.Key.Key_N)
        event = view.workspace.selected
        view.page.timeline.key_frame_moved.emit(event, "offset", 1_213_000_000)
        assert standing(view, event).offset_frame == 36
        assert view.page.timeline._handles["offset"].value() == pytest.approx(1.2, abs=1e-6)

    def test_a_new_source_begins_with_no_decisions(self, qtbot, opened):
        view = opened()
        press(qtbot, view, Qt.Key.Key_N)
        press(qtbot, view, Qt.Key.Key_Return)
        with qtbot.waitSignal(view.workspace.opening):
            view.workspace.restart()
        qtbot.waitUntil(lambda: len(view.workspace.events) == 3, timeout=8000)
        assert [event.review for event in view.tools.review.review.events] == ["", "", ""]
        assert view.page.evidence.item is None


def test_withdrawn_candidates_are_chosen_on_the_timeline(qtbot, opened):
    view = opened(pipeline={"decides": {30: "", 60: "blink"}}, source={"count": 120, "fps": 30})
    qtbot.waitUntil(lambda: len(view.workspace.withdrawn) == 1, timeout=8000)
    (refused,) = view.workspace.withdrawn
    view.page.timeline.chosen.emit(refused)
    assert view.workspace.selected is refused
    assert view.page.evidence.item is refused
    assert view.page.event_list.selectedIndexes() == []
    wait_for_frame(qtbot, view, refused.apex.frame_index)
    assert view.page.timeline.withdrawn.at(1.85, 0.5, 0.0).item is refused


class TestSessions:
    """A session's folder is opened: its medium is played, and what is decided is saved in it."""

    @pytest.fixture
    def folder(self, tmp_path):
        (tmp_path / "talk.mp4").touch()
        return sessions.write_session(tmp_path / "talk")

    def open_session(self, qtbot, opened, folder, ends=sessions.EVENT_ENDS):
        fakes = {"source": {"count": 120, "fps": 30}, "pipeline": {"decides": dict.fromkeys(ends, "")}}
        view = opened(**fakes)
        with qtbot.waitSignal(view.workspace.opening):
            view.open(str(folder))
        qtbot.waitUntil(lambda: len(view.workspace.events) == len(ends), timeout=8000)
        return view

    def test_decisions_are_saved_at_once_and_are_there_again(self, qtbot, opened, folder):
        view = self.open_session(qtbot, opened, folder)
        assert view.workspace.run.spec.endswith("talk.mp4")
        press(qtbot, view, Qt.Key.Key_N)
        event = view.workspace.selected
        number = view.tools.review._numbers[event.event_id]
        press(qtbot, view, Qt.Key.Key_Delete)
        assert "review kept" not in view.page.messages.texts
        (kept,) = [e for e in reviewed_events(read_session(folder)) if e.event_id == number]
        assert (kept.review, kept.coder) == ("rejected", view.tools.review.review.coder)
        with qtbot.waitSignal(view.workspace.opening):
            view.open(str(folder))
        qtbot.waitUntil(lambda: len(view.workspace.events) == len(sessions.EVENT_ENDS), timeout=8000)
        again = next(e for e in view.workspace.events if e.event_id == event.event_id)
        assert standing(view, again).review == "rejected"
        assert view.page.timeline.events.get(again.event_id).is_faded
        assert view.page.event_list.events.row(view.page.event_list.events.index_of(again)).review == "rejected"

    def test_an_event_that_the_session_does_not_know_cannot_be_decided(self, qtbot, opened, folder):
        view = self.open_session(qtbot, opened, folder, ends=(15,))
        press(qtbot, view, Qt.Key.Key_N)
        press(qtbot, view, Qt.Key.Key_Return)
        assert "not in the session" in view.page.messages.texts["review"]
        assert reviewed_events(read_session(folder)) == read_session(folder).events

    def test_a_recording_that_is_gone_is_named(self, qtbot, opened, folder):
        (folder.parent / "talk.mp4").unlink()
        view = opened()
        view.open(str(folder))
        assert "talk.mp4) is not where it was" in view.page.messages.texts["session"]


def test_without_a_session_one_is_told_how_long_decisions_last(qtbot, opened):
    view = opened()
    press(qtbot, view, Qt.Key.Key_N)
    press(qtbot, view, Qt.Key.Key_Return)
    assert "until this source is closed" in view.page.messages.texts["review kept"]
