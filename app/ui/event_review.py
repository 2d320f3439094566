"""What a person makes of the events while the source is open: accepted, rejected, named, timed anew; all undoable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PyQt6.QtCore import QObject, pyqtSignal

from app.datatypes import Event
from app.errors import MmnetError
from app.session.reader import Timeline
from app.session.records import Origin, SessionEvent, session_event
from app.session.review import Review
from app.ui.timeline_track import MotionTrack
from app.ui.workspace import Workspace


class EventReview(QObject):
    """A review of the events of the open source.

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
        self._events: dict[int, Event] = {}
        self.begin()

    def begin(self) -> None:
        """Another source: nothing is reviewed yet."""
        self._events.clear()
        self.review = Review((), Timeline(np.empty(0, np.int64), np.empty(0)), self._coder)

    def detect(self, event: Event) -> None:
        """Take in an event of the analysis."""
        self._events[event.event_id] = event
        origin = Origin(0, self._origin_ns())
        self.review.detect(session_event(event, origin), self._timeline())

    def standing(self, event: Event) -> SessionEvent:
        """The event as it stands after the review."""
        return self.review.event(event.event_id)

    def times_ns(self, event: Event) -> tuple[int, int, int]:
        """Onset, apex and offset as they stand: of a corrected key frame the time of the frame."""
        standing, found = self.standing(event), event.candidate
        names = ("onset", "apex", "offset")
        automatic = self.review.automatic[event.event_id]
        return tuple(  # type: ignore[return-value]
            getattr(found, f"{name}_ns")
            if getattr(standing, f"{name}_frame") == getattr(automatic, f"{name}_frame")
            else self._ns(getattr(standing, f"{name}_s"))
            for name in names
        )

    def accept(self, event: Event) -> None:
        self._do(lambda: self.review.accept(event.event_id), event.event_id)

    def reject(self, event: Event) -> None:
        self._do(lambda: self.review.reject(event.event_id), event.event_id)

    def relabel(self, event: Event, label: str) -> None:
        self._do(lambda: self.review.relabel(event.event_id, label), event.event_id)

    def comment(self, event: Event, text: str) -> None:
        self._do(lambda: self.review.comment(event.event_id, text), event.event_id)

    def correct(self, event: Event, key_frame: str, timestamp_ns: int) -> None:
        """Move the onset, apex or offset to the analysed frame nearest to a moment."""
        frame = self._track.frame_at(timestamp_ns)
        if frame is None:
            return
        self.review.timeline = self._timeline()
        self._do(lambda: self.review.correct(event.event_id, **{f"{key_frame}_frame": frame}), event.event_id)

    def reset(self, event: Event) -> None:
        """Back to the automatic values."""
        self._do(lambda: self.review.reset(event.event_id), event.event_id)

    def undo(self) -> None:
        if (change := self.review.undo()) is not None:
            self.changed.emit(change.event_id)

    def redo(self) -> None:
        if (change := self.review.redo()) is not None:
            self.changed.emit(change.event_id)

    def _do(self, action: Callable[[], object], event_id: int) -> None:
        try:
            action()
        except MmnetError as error:
            self._workspace.noticed.emit("review", str(error), "", None)
            return
        self._workspace.settled_notice.emit("review")
        self.changed.emit(event_id)

    def _origin_ns(self) -> int:
        return -round(self._workspace.seconds(0) * 1e9)

    def _ns(self, seconds: float) -> int:
        return round(seconds * 1e9) + self._origin_ns()

    def _timeline(self) -> Timeline:
        return Timeline(self._track.frames, (self._track.times_ns - self._origin_ns()) / 1e9)
