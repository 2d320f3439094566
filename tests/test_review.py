"""Reviewing a session: every decision can be undone, and the automatic values stay."""

import os
from pathlib import Path

import numpy as np
import pytest
import sessions

from app.errors import OutputError, SessionError
from app.session.reader import Session, Timeline, read_session
from app.session.review import Review, reviewed_events


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return read_session(sessions.write_session(tmp_path / "talk"))


def test_accept_reject_and_relabel(session: Session) -> None:
    review = Review.open(session, "Ann")
    assert review.accept(1).review == "accepted"
    assert review.reject(2).review == "rejected"
    relabelled = review.relabel(3, "surprise")
    assert (relabelled.label, relabelled.review, relabelled.source) == ("surprise", "accepted", "corrected")
    assert {event.coder for event in review.events} == {"Ann"}
    assert [event.source for event in review.events] == ["auto", "auto", "corrected"]
    assert review.automatic[3].label == "positive"


def test_key_frames_are_moved_to_frames_of_the_session(session: Session) -> None:
    review = Review.open(session, "Ann")
    moved = review.correct(1, apex_frame=36)
    assert (moved.onset_frame, moved.apex_frame, moved.offset_frame) == (31, 36, 40)
    assert moved.apex_s == pytest.approx(36 / 30, abs=1e-6)
    assert (moved.source, moved.apex_exact_s) == ("corrected", None)
    assert review.correct(1, apex_frame=35).source == "auto"
    with pytest.raises(SessionError, match="not in this order"):
        review.correct(1, onset_frame=39, apex_frame=38)
    with pytest.raises(SessionError, match="not in this order"):
        review.correct(1, onset_frame=40, apex_frame=40)
    with pytest.raises(SessionError, match="no frame 4000"):
        review.correct(1, offset_frame=4000)


def test_every_step_can_be_undone_and_done_again(session: Session) -> None:
    review = Review.open(session, "Ann")
    states = [review.events]
    steps = [
        lambda: review.accept(1),
        lambda: review.correct(1, onset_frame=30),
        lambda: review.comment(1, " lip corner "),
        lambda: review.add(90, 94, 100, "negative"),
        lambda: review.reject(4),
        lambda: review.reset(1),
        lambda: review.reset(4),
    ]
    for take in steps:
        take()
        states.append(review.events)
    for state in reversed(states[:-1]):
        assert review.undo() is not None
        assert review.events == state
    assert (review.undo(), review.can_undo, review.can_redo) == (None, False, True)
    for state in states[1:]:
        assert review.redo() is not None
        assert review.events == state
    assert (review.redo(), review.can_redo) == (None, False)
    review.undo()
    review.accept(2)
    assert not review.can_redo


def test_a_step_that_changes_nothing_is_none(session: Session) -> None:
    review = Review.open(session, "Ann")
    review.accept(1)
    review.accept(1)
    assert review.undo().what == "accept event 1"
    assert not review.can_undo


def test_an_added_event_gets_a_number_of_its_own(session: Session) -> None:
    review = Review.open(session, "Ann")
    added = review.add(90, 94, 100, "negative")
    assert (added.event_id, added.source, added.subject_id, added.media_file) == (4, "manual", "p1", "talk.mp4")
    assert [event.event_id for event in review.events] == [1, 2, 4, 3]
    assert review.reset(4) is None
    with pytest.raises(SessionError, match="no event 4"):
        review.accept(4)


def test_what_was_saved_is_there_again_beside_the_automatic_values(session: Session) -> None:
    review = Review.open(session, "Ann 面部")
    review.relabel(1, "surprise")
    review.correct(2, offset_frame=79)
    review.reject(3)
    review.comment(3, 'a "quote", a comma\nand a line')
    review.add(90, 94, 100)
    assert not review.is_saved
    review.save()
    assert review.is_saved
    before = (session.folder / "events.csv").read_bytes()
    again = read_session(session.folder)
    assert again.coders == ("Ann 面部",)
    assert again.events == session.events
    assert Review.open(again, "Ann 面部").events == review.events
    assert reviewed_events(again) == review.events
    assert (session.folder / "events.csv").read_bytes() == before


def test_two_coders_are_kept_apart(session: Session) -> None:
    for coder in ("Ann", "Ben"):
        review = Review.open(session, coder)
        review.accept(1 if coder == "Ann" else 2)
        review.save()
    assert session.coders == ("Ann", "Ben")
    with pytest.raises(SessionError, match="reviewed by Ann, Ben: say whose"):
        reviewed_events(session)
    assert [event.review for event in reviewed_events(session, "Ben")] == ["", "accepted", ""]
    with pytest.raises(SessionError, match="no review by Cleo: it was reviewed by Ann, Ben"):
        reviewed_events(session, "Cleo")


def test_without_a_review_the_automatic_events_count(session: Session) -> None:
    assert reviewed_events(session) == session.events
    with pytest.raises(SessionError, match="no review by Ann: it was not reviewed"):
        reviewed_events(session, "Ann")


def test_a_coder_without_a_name(session: Session) -> None:
    with pytest.raises(SessionError, match="needs the name"):
        Review.open(session, "  ")


def test_the_second_to_save_under_one_name_is_refused(session: Session) -> None:
    first, second = Review.open(session, "Ann"), Review.open(session, "Ann")
    first.accept(1)
    first.save()
    second.reject(1)
    with pytest.raises(OutputError, match="changed by another program"):
        second.save()
    assert reviewed_events(session)[0].review == "accepted"
    first.reject(2)
    first.save()


def test_a_session_that_is_being_written_cannot_be_reviewed_yet(tmp_path: Path) -> None:
    with sessions.begin(tmp_path / "s") as writer:
        for index in range(60):
            writer.add_step(sessions.step(index))
        writer.add_event(sessions.event(1, 40))
        review = Review.open(read_session(tmp_path / "s"), "Ann")
        review.accept(1)
        with pytest.raises(OutputError, match="being written"):
            review.save()
    review.save()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_session_can_be_reviewed_but_not_saved(session: Session) -> None:
    session.folder.chmod(0o500)
    try:
        review = Review.open(read_session(session.folder), "Ann")
        review.accept(1)
        with pytest.raises(OutputError, match="Copy the session"):
            review.save()
    finally:
        session.folder.chmod(0o700)


def test_live_events_are_reviewed_without_a_folder(session: Session) -> None:
    timeline = Timeline(np.arange(200), np.arange(200) / 30)
    review = Review(session.events, timeline, "Ann")
    assert review.correct(1, onset_frame=29).onset_s == pytest.approx(29 / 30)
    with pytest.raises(SessionError, match="belongs to no session folder"):
        review.save()


def test_broken_rows_of_a_review_are_told(session: Session) -> None:
    review = Review.open(session, "Ann")
    review.reject(1)
    review.save()
    path = session.folder / "reviews" / "Ann.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("\n2,", "\ntwo,"), encoding="utf-8")
    again = Review.open(session, "Ann")
    assert again.notes == ("Ann.csv: 1 row cannot be read and left out (line 3).",)
    assert [event.review for event in again.events] == ["rejected", "", ""]


def test_events_of_an_analysis_that_goes_on_join_the_review(session: Session) -> None:
    first, *others = session.events
    review = Review([first], session.timeline, "Ada")
    review.reject(first.event_id)
    for event in others:
        review.detect(event, session.timeline)
    assert [event.event_id for event in review.events] == [event.event_id for event in session.events]
    assert review.event(first.event_id).review == "rejected"
    assert set(review.automatic) == {event.event_id for event in session.events}
    assert review.undo().event_id == first.event_id
