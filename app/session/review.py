"""What people make of a session's events: accepted, rejected, named and timed anew, with every step undoable.

The automatic values stay in events.csv for good. A coder's work is a table of the same columns, reviews/CODER.csv.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from app.errors import OutputError, SessionError
from app.session.folder import REVIEWS, SessionLock, output_errors, safe_name, write_whole
from app.session.reader import Session, Timeline, read_rows
from app.session.records import SessionEvent, event_columns, event_row, read_event

ACCEPTED, REJECTED = "accepted", "rejected"


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a review: `before` is None for an event that was added, `after` for one that was taken out again."""

    what: str  # in words, e.g. "accept event 3"
    event_id: int
    before: SessionEvent | None
    after: SessionEvent | None


class Review:
    """One coder's review of the events of a session.

    Args:
        events: as detected.
        timeline: of the session: corrected key frames must be among its frames.
        coder: who reviews; the name goes into every reviewed event.
        reviewed: what the coder has decided before.

    Attributes:
        automatic: the detected events by event_id, whatever was decided.
        notes: what could not be read of an earlier review.

    Raises:
        SessionError: the coder has no name; from every method, when there is no such event or the frames do not fit.
    """

    def __init__(
        self,
        events: Iterable[SessionEvent],
        timeline: Timeline,
        coder: str,
        reviewed: Iterable[SessionEvent] = (),
    ) -> None:
        if not coder.strip():
            raise SessionError("A review needs the name of its coder.")
        self.coder, self.timeline = coder.strip(), timeline
        self.automatic: Mapping[int, SessionEvent] = MappingProxyType({event.event_id: event for event in events})
        self.notes: tuple[str, ...] = ()
        self._events = dict(self.automatic) | {event.event_id: event for event in reviewed}
        self._done: list[Change] = []
        self._undone: list[Change] = []
        self._saved = dict(self._events)
        self._session: Session | None = None
        self._file_text: bytes | None = None

    @classmethod
    def open(cls, session: Session, coder: str) -> Review:
        """The review that `coder` has begun in this session, or a new one.

        Raises:
            SessionError: the coder has no name, or the earlier review cannot be read.
        """
        notes: list[str] = []
        path = review_path(session, coder)
        reviewed = read_rows(path, read_event, notes) if path.exists() else ()
        review = cls(session.events, session.timeline, coder, reviewed)
        review.notes, review._session = tuple(notes), session
        review._file_text = path.read_bytes() if path.exists() else None
        return review

    @property
    def events(self) -> tuple[SessionEvent, ...]:
        """All events as they stand now, rejected ones too, by onset."""
        return tuple(sorted(self._events.values(), key=lambda event: (event.onset_frame, event.event_id)))

    def event(self, event_id: int) -> SessionEvent:
        """One event as it stands now."""
        if event_id not in self._events:
            raise SessionError(f"There is no event {event_id} in this session.")
        return self._events[event_id]

    def detect(self, event: SessionEvent, timeline: Timeline) -> None:
        """Take in one more detected event of an analysis that goes on; `timeline` is as far as it has come."""
        self.automatic = MappingProxyType({**self.automatic, event.event_id: event})
        self.timeline = timeline
        self._events[event.event_id] = self._saved[event.event_id] = event

    def accept(self, event_id: int) -> SessionEvent:
        """It is a micro-expression."""
        return self._change("accept", event_id, review=ACCEPTED)

    def reject(self, event_id: int) -> SessionEvent:
        """It is none."""
        return self._change("reject", event_id, review=REJECTED)

    def relabel(self, event_id: int, label: str) -> SessionEvent:
        """It is a micro-expression, of this class."""
        return self._change(f"label {label!r}", event_id, label=label.strip(), review=ACCEPTED)

    def correct(
        self,
        event_id: int,
        *,
        onset_frame: int | None = None,
        apex_frame: int | None = None,
        offset_frame: int | None = None,
    ) -> SessionEvent:
        """Move key frames; those not named stay. The event counts as accepted."""
        event = self.event(event_id)
        times = self._placed(
            event.onset_frame if onset_frame is None else onset_frame,
            event.apex_frame if apex_frame is None else apex_frame,
            event.offset_frame if offset_frame is None else offset_frame,
        )
        return self._change("time", event_id, review=ACCEPTED, **times)

    def comment(self, event_id: int, text: str) -> SessionEvent:
        """Replace the comment."""
        return self._change("comment on", event_id, comment=text.strip())

    def add(self, onset_frame: int, apex_frame: int, offset_frame: int, label: str = "") -> SessionEvent:
        """An event that was not detected; it gets the next free event_id."""
        times = self._placed(onset_frame, apex_frame, offset_frame)
        event_id = max([0, *self._events, *self.automatic]) + 1
        like = next(iter(self.automatic.values()), None)
        about = {"subject_id": like.subject_id, "media_file": like.media_file} if like else {}
        if self._session is not None:
            about = {"subject_id": self._session.subject_id, "media_file": self._session.media_file}
        added = SessionEvent(
            event_id=event_id, label=label.strip(), source="manual", review=ACCEPTED, coder=self.coder, **times, **about
        )
        self._take(Change(f"add event {event_id}", event_id, None, added))
        return added

    def reset(self, event_id: int) -> SessionEvent | None:
        """Back to the automatic values, unreviewed; an event that was added goes away (None)."""
        before, after = self.event(event_id), self.automatic.get(event_id)
        if before != after:
            self._take(Change(f"reset event {event_id}", event_id, before, after))
        return after

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def undo(self) -> Change | None:
        """Take back the last step and return it; None when there is none."""
        if not self._done:
            return None
        change = self._done.pop()
        self._undone.append(change)
        self._put(change.event_id, change.before)
        return change

    def redo(self) -> Change | None:
        """Do again what was undone last and return it; None when there is nothing."""
        if not self._undone:
            return None
        change = self._undone.pop()
        self._done.append(change)
        self._put(change.event_id, change.after)
        return change

    @property
    def is_saved(self) -> bool:
        """Whether everything decided so far is on the disk."""
        return self._events == self._saved

    def save(self) -> None:
        """Write reviews/CODER.csv, all at once.

        Raises:
            SessionError: the review does not belong to a session folder.
            OutputError: it cannot be written, the session is being written, or somebody else saved a review of this
                name since it was opened.
        """
        if self._session is None:
            raise SessionError("This review belongs to no session folder: save the session first.")
        session, path = self._session, review_path(self._session, self.coder)
        table = io.StringIO(newline="")
        classes = session.class_names or tuple({name: 0 for e in self.events for name in e.probabilities})
        writer = csv.DictWriter(table, event_columns(classes), restval="", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(map(event_row, self.events))
        text = table.getvalue().encode()
        with output_errors(session.folder, "Copy the session to where you may write."), SessionLock(session.folder):
            if (path.read_bytes() if path.exists() else None) != self._file_text:
                raise OutputError(
                    f"{path} was changed by another program since it was opened. Open the session again, or review "
                    "under another coder's name."
                )
            path.parent.mkdir(exist_ok=True)
            write_whole(path, text)
        self._file_text, self._saved = text, dict(self._events)

    def _change(self, what: str, event_id: int, **values: object) -> SessionEvent:
        before = self.event(event_id)
        after = replace(before, **values, coder=self.coder)
        after = replace(after, source=self._source(after))
        if after != before:
            self._take(Change(f"{what} event {event_id}", event_id, before, after))
        return after

    def _source(self, event: SessionEvent) -> str:
        detected = self.automatic.get(event.event_id)
        if detected is None:
            return "manual"
        return "auto" if _decided(event) == _decided(detected) else "corrected"

    def _placed(self, onset_frame: int, apex_frame: int, offset_frame: int) -> dict[str, float | None]:
        if not (onset_frame <= apex_frame <= offset_frame and onset_frame < offset_frame):
            raise SessionError(
                f"Onset {onset_frame}, apex {apex_frame} and offset {offset_frame} are not in this order: a movement "
                "begins, peaks and ends."
            )
        frames = {"onset": onset_frame, "apex": apex_frame, "offset": offset_frame}
        return {
            **{f"{name}_frame": frame for name, frame in frames.items()},
            **{f"{name}_s": self.timeline.second_of(frame) for name, frame in frames.items()},
            # what the spotter measured more finely is not true of other frames
            **{f"{name}_exact_s": None for name in frames},
        }

    def _take(self, change: Change) -> None:
        self._done.append(change)
        self._undone.clear()
        self._put(change.event_id, change.after)

    def _put(self, event_id: int, event: SessionEvent | None) -> None:
        if event is None:
            del self._events[event_id]
        else:
            self._events[event_id] = event


def _decided(event: SessionEvent) -> tuple[str, int, int, int]:
    return event.label, event.onset_frame, event.apex_frame, event.offset_frame


def review_path(session: Session, coder: str) -> Path:
    """Where a coder's review of a session lies, or would lie."""
    return session.folder / REVIEWS / f"{safe_name(coder.strip(), 'coder')}.csv"


def reviewed_events(session: Session, coder: str | None = None) -> tuple[SessionEvent, ...]:
    """The events of a session as a coder left them, rejected ones too.

    Args:
        coder: None takes the only review there is, or the automatic events where there is none.

    Raises:
        SessionError: the coder has not reviewed it; or several have, and none was named.
    """
    coders = session.coders
    if coder is None and not coders:
        return session.events
    if coder is None and len(coders) > 1:
        raise SessionError(
            f"{session.folder} was reviewed by {', '.join(coders)}: say whose review, with --coder NAME."
        )
    chosen = coder or coders[0]
    if review_path(session, chosen).stem not in coders:
        known = f"reviewed by {', '.join(coders)}" if coders else "not reviewed"
        raise SessionError(f"{session.folder} has no review by {chosen}: it was {known}.")
    return Review.open(session, chosen).events
