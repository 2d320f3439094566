"""What a person makes of the events while the source is open: accepted, rejected, named, timed anew; all undoable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal

from app.datatypes import Event
from app.errors import MmnetError, SessionError
from app.session.folder import KEY_FRAMES
from app.session.reader import Session, Timeline
from app.session.records import Origin, SessionEvent, session_event
from app.session.review import Change, Review
from app.spotting.scoring import intersection_over_union
from app.ui.timeline_track import MotionTrack
from app.ui.workspace import Workspace

_MIN_IOU = 0.5  # of an event that was found again
_NOT_KEPT = (
    "What you decide here lasts until this source is closed. To keep it, analyse the recording into a session "
    "(mmnet analyze FILE --out FOLDER) and open the session's folder."
)


class EventReview(QObject):
    """A review of the events of the open source; of a session's it is saved in the session at every step.

    Args:
        track: the frames that are analysed so far; key frames can be moved to these.
        coder: who reviews.

    Signals:
        changed(event_id): an event stands otherwise than before.
    """

    changed = pyqtSignal(int)

    def __init__(self, workspace: Workspace, track: MotionTrack, coder: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace, self._track, self._coder = workspace, track, coder
        self.begin()

    def begin(self, session: Session | None = None) -> None:
        """Another source, or the medium of a session.

        Raises:
            SessionError: the earlier review of the session cannot be read.
        """
        self._session = session
        self._numbers: dict[int, int] = {}  # number of an event here → its number in the review
        empty = Timeline(np.empty(0, np.int64), np.empty(0))
        self.review = Review.open(session, self._coder) if session else Review((), empty, self._coder)

    def detect(self, event: Event) -> None:
        """Take in an event of the analysis; with a session, find it among those that are there."""
        record = self._record(event)
        if self._session is None:
            self.review.detect(record, self._timeline())
            self._numbers[event.event_id] = event.event_id
            return
        span = (record.onset_s, record.offset_s)
        known = {
            number: intersection_over_union(span, (found.onset_s, found.offset_s))
            for number, found in self.review.automatic.items()
            if number not in self._numbers.values()
        }
        best = max(known, key=known.__getitem__, default=None)
        if best is not None and known[best] >= _MIN_IOU:
            self._numbers[event.event_id] = best

    def standing(self, event: Event) -> SessionEvent:
        """The event as it stands after the review."""
        number = self._numbers.get(event.event_id)
        return self._record(event) if number is None else self.review.event(number)

    def times_ns(self, event: Event) -> tuple[int, int, int]:
        """Onset, apex and offset as they stand: of a corrected key frame the time of the frame."""
        standing, found = self.standing(event), event.candidate
        number = self._numbers.get(event.event_id)
        automatic = standing if number is None else self.review.automatic[number]
        onset, apex, offset = (
            getattr(found, f"{name}_ns")
            if getattr(standing, f"{name}_frame") == getattr(automatic, f"{name}_frame")
            else round(getattr(standing, f"{name}_s") * 1e9) + self._origin_ns()
            for name in KEY_FRAMES
        )
        return onset, apex, offset

    def accept(self, event: Event) -> None:
        self._do(event, self.review.accept)

    def reject(self, event: Event) -> None:
        self._do(event, self.review.reject)

    def relabel(self, event: Event, label: str) -> None:
        self._do(event, lambda number: self.review.relabel(number, label))

    def comment(self, event: Event, text: str) -> None:
        if text.strip() != self.standing(event).comment:
            self._do(event, lambda number: self.review.comment(number, text))

    def correct(self, event: Event, key_frame: str, timestamp_ns: int) -> None:
        """Move the onset, apex or offset to the analysed frame nearest to a moment."""
        if self._session is None:
            self.review.timeline = self._timeline()
        seconds = (timestamp_ns - self._origin_ns()) / 1e9
        self._do(
            event,
            lambda number: self.review.correct(
                number, **{f"{key_frame}_frame": self.review.timeline.frame_at(seconds)}
            ),
        )

    def reset(self, event: Event) -> None:
        """Back to the automatic values."""
        self._do(event, self.review.reset)

    def undo(self) -> None:
        self._tell(self.review.undo())

    def redo(self) -> None:
        self._tell(self.review.redo())

    def _do(self, event: Event, action: Callable[[int], object]) -> None:
        number = self._numbers.get(event.event_id)
        try:
            if number is None:
                raise SessionError("This event is not in the session: other settings or another version found it.")
            action(number)
            self._keep()
        except MmnetError as error:
            self._workspace.noticed.emit("review", str(error), "", None)
            return
        self.changed.emit(event.event_id)

    def _tell(self, change: Change | None) -> None:
        if change is None:
            return
        try:
            self._keep()
        except MmnetError as error:
            self._workspace.noticed.emit("review", str(error), "", None)
        for here, number in self._numbers.items():
            if number == change.event_id:
                self.changed.emit(here)

    def _keep(self) -> None:
        """Save the review of a session; of anything else, say how long it lasts."""
        self._workspace.settled_notice.emit("review")
        if self._session is not None:
            self.review.save()
        else:
            self._workspace.noticed.emit("review kept", _NOT_KEPT, "", None)

    def _record(self, event: Event) -> SessionEvent:
        return session_event(event, Origin(0, self._origin_ns()))

    def _origin_ns(self) -> int:
        return -round(self._workspace.seconds(0) * 1e9)

    def _timeline(self) -> Timeline:
        return Timeline(self._track.frames, (self._track.times_ns - self._origin_ns()) / 1e9)
