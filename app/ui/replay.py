"""Commands of playback: steps, jumps from event to event, loops, in and out points."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal

from app.datatypes import Candidate, Event
from app.runtime.player import Player
from app.ui.workspace import Workspace

LOOP_SPEED = 0.25  # of an event: at full speed a micro-expression is over before one sees it
_SPARE_NS = 300_000_000  # of a looped event, before the onset and after the offset


class Replay(QObject):
    """Commands the player of the open recording; without one they do nothing.

    Signals:
        range_changed((first, last) in nanoseconds | None): in and out point of playback.
        loop_changed(bool).
    """

    range_changed = pyqtSignal(object)
    loop_changed = pyqtSignal(bool)

    def __init__(self, workspace: Workspace, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._speed_before: float | None = None  # of a loop that has slowed playback down

    @property
    def player(self) -> Player | None:
        """None for a live source, and until a source is open."""
        return self._workspace.run.player if self._workspace.run is not None else None

    def step(self, count: int) -> None:
        """So many frames forth or back, paused."""
        if self.player is not None:
            self.player.step(count)
            self._show()

    def seek(self, timestamp_ns: int) -> None:
        if self.player is not None:
            self.player.seek_time(timestamp_ns)
            self._show()

    def go_to_start(self) -> None:
        if self.player is not None:
            self.player.seek(self.player.range[0] if self.player.range else self.player.first)
            self._show()

    def go_to_end(self) -> None:
        if self.player is not None:
            self.player.seek(self.player.range[1] if self.player.range else self.player.last)
            self._show()

    def next_event(self, direction: int) -> None:
        """Select the next or, negative, the previous event, and show its apex; of a live source the next one kept."""
        events = sorted(self._workspace.events, key=lambda event: event.candidate.apex.timestamp_ns)
        if not events:
            return
        selected = self._workspace.selected
        here_ns = self._here_ns()
        if isinstance(selected, Event) and selected in events and (self.player is None or self._is_near(selected)):
            position = events.index(selected) + direction
        else:
            later = [i for i, event in enumerate(events) if event.candidate.apex.timestamp_ns > here_ns]
            position = (later[0] if later else len(events)) - (direction < 0)
        event = events[min(max(position, 0), len(events) - 1)]
        self._workspace.select(event)
        self.show_item(event)

    def show_item(self, item: Event | Candidate) -> None:
        """Pause at the apex of a movement; while an event is looped, loop this one instead."""
        player = self.player
        if player is None:
            return
        if player.is_looping and self._speed_before is not None and isinstance(item, Event):
            self._loop_event(item)
            return
        candidate = item.candidate if isinstance(item, Event) else item
        player.pause()
        player.seek_time(candidate.apex.timestamp_ns)  # the exact apex may lie before its frame
        self._show()

    def begin(self) -> None:
        """Another source: nothing is looped."""
        if self._speed_before is not None:
            self._workspace.set_speed(self._speed_before)
            self._speed_before = None
        self.loop_changed.emit(False)

    def set_looping(self, is_looping: bool) -> None:
        """Loop the selected event slowly; without one the range, or the whole recording."""
        player = self.player
        if player is None:
            return
        if is_looping == player.is_looping:
            return
        player.set_looping(is_looping)
        selected = self._workspace.selected
        if is_looping and isinstance(selected, Event):
            self._speed_before = self._workspace.speed
            self._workspace.set_speed(LOOP_SPEED)
            self._loop_event(selected)
        elif not is_looping and self._speed_before is not None:
            self._workspace.set_speed(self._speed_before)
            self._speed_before = None
            self.set_range(None, None)
        self.loop_changed.emit(is_looping)

    def set_range(self, first_ns: int | None, last_ns: int | None) -> None:
        """Play between these moments only; None: from the start, to the end."""
        player = self.player
        if player is None:
            return
        player.set_range(*(None if ns is None else player.index_at(ns) for ns in (first_ns, last_ns)))
        found = player.range
        self.range_changed.emit((player.time_ns(found[0]), player.time_ns(found[1])) if found else None)

    def set_in(self) -> None:
        """Play from here on."""
        if self.player is not None:
            last = self.player.range[1] if self.player.range else self.player.last
            self.set_range(self._here_ns(), self.player.time_ns(last))

    def set_out(self) -> None:
        """Play up to here."""
        if self.player is not None:
            first = self.player.range[0] if self.player.range else self.player.first
            self.set_range(self.player.time_ns(first), self._here_ns())

    def clear_range(self) -> None:
        """Play all."""
        self.set_range(None, None)

    def _loop_event(self, event: Event) -> None:
        assert self.player is not None
        found = event.candidate
        self.set_range(found.onset_ns - _SPARE_NS, found.offset_ns + _SPARE_NS)
        self.player.play()

    def _here_ns(self) -> int:
        if self.player is not None:
            return self.player.time_ns(self.player.index)
        newest = self._workspace.newest
        return newest.frame.timestamp_ns if newest is not None else 0

    def _is_near(self, event: Event) -> bool:
        return event.candidate.onset_ns <= self._here_ns() <= event.candidate.offset_ns

    def _show(self) -> None:
        """Without waiting for the next tick: a frame that is decoded is there at once."""
        self._workspace.show_newest()
