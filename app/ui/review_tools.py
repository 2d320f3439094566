"""Looking at what was found: ties timeline, evidence, playback and review to the workspace and to keys."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path

from PyQt6 import sip
from PyQt6.QtCore import QObject, Qt
from PyQt6.QtGui import QAction, QColor
from PyQt6.QtWidgets import QApplication, QFileDialog, QLineEdit, QToolButton, QWidget

from app.datatypes import Candidate, Event, StepResult
from app.errors import MmnetError, SessionError
from app.runtime.records import Figures, RecognitionStatus
from app.session.reader import Session, read_session
from app.ui import theme
from app.ui.commands import Command, Commands, button
from app.ui.event_review import EventReview
from app.ui.evidence_panel import withdrawal_in_words
from app.ui.replay import Replay
from app.ui.timeline_spans import KEY_FRAMES
from app.ui.words import clock, consistent_with, regions_in_words
from app.ui.work_page import WorkPage
from app.ui.workspace import Workspace

_MAX_CLASS_KEYS = 9


def _user_name() -> str:
    """Who reviews: the name of whoever is logged in."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        return "reviewer"


class ReviewTools(QObject):
    """Everything that happens between the widgets of the work page.

    Attributes:
        replay: the commands of playback.
        review: what a person has decided.
        buttons: for the row under the picture, from left to right.
    """

    def __init__(self, workspace: Workspace, page: WorkPage, commands: Commands, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._workspace, self._page = workspace, page
        self._session: Session | None = None  # the one that is about to be opened
        self.replay = Replay(workspace, self)
        self.review = EventReview(workspace, page.timeline.track, _user_name(), self)
        self._build_commands(commands)
        self._listen()

    # What is told

    def _listen(self) -> None:
        workspace, timeline, evidence = self._workspace, self._page.timeline, self._page.evidence
        workspace.opening.connect(self._begin)
        workspace.motion_added.connect(timeline.add_motion)
        workspace.stepped.connect(self._show_moment)
        workspace.event_added.connect(self._add_event)
        workspace.candidate_withdrawn.connect(self._add_withdrawn)
        workspace.selection_changed.connect(self._show_selection)
        workspace.figures_changed.connect(self._show_figures)
        timeline.seek_wanted.connect(self.replay.seek)
        timeline.chosen.connect(self._choose)
        timeline.key_frame_moved.connect(self.review.correct)
        self.review.changed.connect(self._show_decision)
        self.replay.range_changed.connect(timeline.set_range)
        self.replay.loop_changed.connect(self._loop.setChecked)
        evidence.accepted.connect(lambda: self._decide(self.review.accept))
        evidence.rejected.connect(lambda: self._decide(self.review.reject))
        evidence.was_reset.connect(lambda: self._decide(self.review.reset))
        evidence.labelled.connect(lambda label: self._decide(lambda event: self.review.relabel(event, label)))
        evidence.commented.connect(lambda text: self._decide(lambda event: self.review.comment(event, text)))
        theme.notifier().changed.connect(self._dress)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._mind_typing)

    def open_session(self, folder: Path) -> None:
        """Open the medium of a session to review its events; every decision is saved in the session."""
        try:
            session = read_session(folder)
            spec = "demo" if session.media_file == "demo" else str(session.media_path or "")
            if not spec:
                raise SessionError(f"The recording of {session.name} ({session.media_file}) is not where it was.")
            self._session = session
            self._workspace.open_source(spec)
        except MmnetError as error:
            self._workspace.noticed.emit("session", str(error), "", None)

    def _begin(self, spec: str) -> None:
        session, self._session = self._session, None
        self._page.timeline.clear()
        try:
            self.review.begin(session)
        except MmnetError as error:
            self.review.begin()
            self._workspace.noticed.emit("session", str(error), "", None)
        for note in (*session.notes, *self.review.review.notes) if session is not None else ():
            self._workspace.noticed.emit(f"session {note}", note, "", None)
        self.replay.begin()

    def _show_moment(self, result: StepResult) -> None:
        player = self.replay.player
        timeline = self._page.timeline
        origin_ns = -round(self._workspace.seconds(0) * 1e9)
        end_ns = player.span_ns[1] if player is not None and player.is_ready else None
        timeline.set_extent(origin_ns, end_ns, is_live=self._workspace.is_live)
        timeline.set_playhead(result.frame.timestamp_ns)

    def _show_figures(self, figures: Figures, recognition: RecognitionStatus | None) -> None:
        for button_ in self.buttons:
            button_.setVisible(not self._workspace.is_live)
        if recognition is not None:
            self._page.evidence.set_synthetic(recognition.is_synthetic)

    def _add_event(self, event: Event) -> None:
        self.review.detect(event)
        if event.prediction is not None:
            self._page.evidence.set_classes(event.prediction.class_names)
        self._show_decision(event.event_id)
        kept = {event.event_id for event in self._workspace.events}
        self._page.timeline.events.keep(kept)

    def _add_withdrawn(self, candidate: Candidate) -> None:
        self._page.timeline.put_withdrawn(candidate, withdrawal_in_words(candidate))
        self._page.timeline.withdrawn.keep(found.candidate_id for found in self._workspace.withdrawn)

    def _put(self, event: Event) -> None:
        """Show an event on the timeline as it stands."""
        standing = self.review.standing(event)
        names = event.prediction.class_names if event.prediction is not None else ()
        colour = QColor(theme.colours().text)
        if standing.label:
            position = names.index(standing.label) if standing.label in names else len(names)
            colour = theme.class_colour(standing.label, position)
        lines = [
            f"Event {event.event_id}: {consistent_with(event)}",
            f"{clock(standing.onset_s)} to {clock(standing.offset_s)}; {regions_in_words(event.candidate.regions)}",
        ]
        if standing.review:
            lines.append(f"{standing.review} ({standing.label or 'no class'})")
        self._page.timeline.put_event(
            event.event_id,
            event,
            self.review.times_ns(event),
            colour,
            "\n".join(lines),
            is_faded=standing.review == "rejected",
        )

    def _dress(self) -> None:
        for event in self._workspace.events:
            self._put(event)
        for candidate in self._workspace.withdrawn:
            self._page.timeline.put_withdrawn(candidate, withdrawal_in_words(candidate))

    def _show_selection(self, item: Event | Candidate | None) -> None:
        self._page.timeline.select(item)
        self._page.evidence.show_item(item, self.review.standing(item) if isinstance(item, Event) else None)
        index = self._page.event_list.events.index_of(item) if isinstance(item, Event) else None
        if index is None:
            self._page.event_list.clearSelection()
        elif index != self._page.event_list.currentIndex():
            self._page.event_list.setCurrentIndex(index)

    def _show_decision(self, event_id: int) -> None:
        event = next((event for event in self._workspace.events if event.event_id == event_id), None)
        if event is None:
            return
        standing = self.review.standing(event)
        self._put(event)
        self._page.event_list.events.decide(event_id, standing.apex_s, standing.label, standing.review)
        if self._page.evidence.item is event:
            self._page.evidence.show_standing(standing)

    # What is commanded

    def _build_commands(self, commands: Commands) -> None:
        replay, timeline = self.replay, self._page.timeline
        back = commands.add("Playback", "Step back", "Left", "One frame back", lambda: replay.step(-1))
        forth = commands.add("Playback", "Step forth", "Right", "One frame forth", lambda: replay.step(1))
        commands.add("Playback", "Ten back", "Shift+Left", "Ten frames back", lambda: replay.step(-10))
        commands.add("Playback", "Ten forth", "Shift+Right", "Ten frames forth", lambda: replay.step(10))
        commands.add("Playback", "To the start", "Home", "First frame", replay.go_to_start)
        commands.add("Playback", "To the end", "End", "Last frame", replay.go_to_end)
        self._loop = commands.add_switch(
            "Playback", "Loop", "L", "Loop the event, the range or all", False, replay.set_looping
        )
        commands.add("Playback", "In point", "Shift+I", "Play from here on", replay.set_in)
        commands.add("Playback", "Out point", "Shift+O", "Play up to here", replay.set_out)
        commands.add("Playback", "All again", "Shift+A", "Forget in and out point", replay.clear_range)
        before = commands.add("Events", "Previous", "P", "Previous event", lambda: replay.next_event(-1))
        after = commands.add("Events", "Next", "N", "Next event", lambda: replay.next_event(1))
        commands.separate("Events")
        for key, name in zip("IAO", KEY_FRAMES, strict=True):
            meaning = f"This frame is the {name} of the event"
            commands.add("Events", f"Set {name}", key, meaning, lambda _=False, name=name: self._correct(name))
        self._accept = commands.add(
            "Events",
            "Accept",
            ("Return", "Enter"),
            "It is a micro-expression",
            lambda: self._decide(self.review.accept),
        )
        commands.add("Events", "Reject", "Del", "It is none", lambda: self._decide(self.review.reject))
        for number in range(1, _MAX_CLASS_KEYS + 1):
            self._add_class_key(number)
        commands.listed.append(Command("Events", ("1", "…", "9"), "Name the event: first to ninth class"))
        commands.separate("Events")
        commands.add("Events", "Undo", "Ctrl+Z", "Take back the last decision", self.review.undo)
        commands.add("Events", "Redo", "Ctrl+Shift+Z", "Decide it again", self.review.redo)
        commands.separate("Events")
        commands.add("Events", "Review a session …", "Ctrl+Shift+R", "Open a session's folder", self._choose_session)
        commands.add("View", "Zoom in", "Ctrl+=", "Less time on the timeline", lambda: timeline.zoom(0.5))
        commands.add("View", "Zoom out", "Ctrl+-", "More time on the timeline", lambda: timeline.zoom(2.0))
        commands.add("View", "Whole timeline", "Ctrl+0", "All of the recording; live: follow", timeline.show_all)
        commands.add("View", "Zoom to event", "Z", "The selected event on the timeline", timeline.show_selected)
        self.buttons: list[QToolButton] = [button(action) for action in (before, back, forth, after, self._loop)]
        for made, sign in zip(self.buttons, ("|◀", "−1", "+1", "▶|", "⟳"), strict=True):
            made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            made.defaultAction().setIconText(sign)
            made.setAccessibleName(made.defaultAction().toolTip())

    def _mind_typing(self, before: QWidget | None, now: QWidget | None) -> None:
        """Enter ends a text where somebody types; other keys go to the text by themselves."""
        if not sip.isdeleted(self._accept):  # the focus moves once more while a window is taken down
            self._accept.setEnabled(not isinstance(now, QLineEdit))

    def _add_class_key(self, number: int) -> None:
        action = QAction(self._page)
        action.setShortcut(str(number))
        action.triggered.connect(lambda: self._relabel(number))
        self._page.addAction(action)

    def _relabel(self, number: int) -> None:
        event = self._workspace.selected
        if isinstance(event, Event) and event.prediction and number <= len(event.prediction.class_names):
            self.review.relabel(event, event.prediction.class_names[number - 1])

    def _correct(self, key_frame: str) -> None:
        newest = self._workspace.newest
        if newest is not None:
            self._decide(lambda event: self.review.correct(event, key_frame, newest.frame.timestamp_ns))

    def _decide(self, action: Callable[[Event], object]) -> None:
        """Do something with the selected event."""
        event = self._workspace.selected
        if isinstance(event, Event) and event in self._workspace.events:
            action(event)

    def _choose_session(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self._page, "Review a session"):
            self.open_session(Path(folder))

    def _choose(self, item: Event | Candidate) -> None:
        self._workspace.select(item)
        self.replay.show_item(item)

    def stop(self) -> bool:
        """End the thread that makes pictures; False when it is late."""
        return self._page.evidence.stop()
