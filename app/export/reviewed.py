"""What is exported of a session."""

from __future__ import annotations

from dataclasses import dataclass

from app.session.reader import Session
from app.session.records import SessionCandidate, SessionEvent
from app.session.review import REJECTED


@dataclass(frozen=True, eq=False, slots=True)
class Reviewed:
    """A session with its events as a coder left them."""

    session: Session
    events: tuple[SessionEvent, ...]  # rejected ones too, by onset

    @property
    def kept(self) -> tuple[SessionEvent, ...]:
        """The events that nobody rejected."""
        return tuple(event for event in self.events if event.review != REJECTED)

    @property
    def rejected(self) -> tuple[SessionEvent, ...]:
        """The events that the coder rejected."""
        return tuple(event for event in self.events if event.review == REJECTED)

    @property
    def candidates(self) -> tuple[SessionCandidate, ...]:
        """The movements that the detector withdrew."""
        return self.session.candidates

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that have a probability."""
        return self.session.class_names or tuple({name: 0 for event in self.events for name in event.probabilities})

    @property
    def coder(self) -> str:
        """Who reviewed the events; "" when nobody did."""
        return next((event.coder for event in self.events if event.coder), "")
