"""Recording from the window: the person's consent first, a light that stays on, and where it was saved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, Qt, QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QFormLayout, QLabel, QLineEdit, QMainWindow, QWidget

from app.errors import MmnetError
from app.ui.layouts import column, label, set_tone
from app.ui.preferences import Preferences
from app.ui.words import CONSENT_STATEMENT, clock
from app.ui.workspace import Workspace

if TYPE_CHECKING:
    from app.runtime.recording import Recording, RecordingStatus
    from app.session.writer import Consent, ModelRecord

    Act = Callable[[Recording, Path, Consent, ModelRecord], None]


class Recorder(QObject):
    """What the keys R and B do.

    Attributes:
        light: shows that pictures are written, in the corner of the menu bar: every page has it, nobody closes it.
        last_folder: the session that was saved last, None before.
    """

    def __init__(self, workspace: Workspace, preferences: Preferences, window: QMainWindow) -> None:
        super().__init__(window)
        self._workspace, self._preferences, self._window = workspace, preferences, window
        self._consent: tuple[str, str] | None = None  # participant and statement, for the open source
        self._recordings: list[Recording] = []  # whose word is still awaited
        self.light = label("badge")
        self.light.hide()
        self.last_folder: Path | None = None
        workspace.opening.connect(self._forget_consent)
        workspace.figures_changed.connect(lambda *_: self.renew())

    @property
    def is_recording(self) -> bool:
        recording = self._current()
        return recording is not None and recording.status.folder is not None

    def toggle(self) -> None:
        """Begin to record, or end it."""
        if self.is_recording:
            recording = self._current()
            assert recording is not None
            recording.end()
            self.renew()
        else:
            self._with_consent(lambda recording, *what: recording.begin(*what))

    def save_last(self) -> None:
        """Keep what just happened."""
        if self._preferences.settings.replay_s == 0:
            self._say("Saving the last seconds is switched off in the settings, under Files.")
        else:
            self._with_consent(lambda recording, *what: recording.save_last(*what))

    def renew(self) -> None:
        """Show what the recordings say now."""
        recording = self._current()
        if recording is not None and recording not in self._recordings:
            self._recordings.append(recording)
        for known in list(self._recordings):
            for error in known.faults.take_all():
                self._workspace.noticed.emit("recording fault", f"{error}", "", None)
            for folder in known.finished.take_all():
                self._tell_saved(folder)
            if known is not recording and not known.is_alive:
                self._recordings.remove(known)
        self._show_light(recording.status if recording is not None else None)

    def _show_light(self, status: RecordingStatus | None) -> None:
        if status is None or status.folder is None:
            self.light.hide()
            return
        lost = f" · {status.lost_pictures} pictures lost" if status.lost_pictures else ""
        size = f"{status.byte_count / 2**20:.0f} MiB"
        set_tone(self.light, f"● REC  {clock(status.duration_s, decimals=0)} · {size}{lost}", "live")
        self.light.setToolTip(f"Being recorded to {status.folder}")
        self.light.show()
        bar = self._window.menuBar()
        assert bar is not None
        # The bar gives a corner the room that it needs at this moment, and looks again only when it is told.
        bar.setCornerWidget(self.light)

    def _current(self) -> Recording | None:
        return self._workspace.run.recording if self._workspace.run is not None else None

    def _with_consent(self, act: Act) -> None:
        if self._current() is None:
            self._say("Only a live source can be recorded: open a camera or a network camera.")
        elif self._workspace.run is None or self._workspace.run.model is None:
            self._say("The network is still being loaded: try again in a moment.")
        elif self._consent is not None:
            self._act(act)
        else:
            dialog = ConsentDialog(self._window)
            dialog.accepted.connect(lambda: self._take_consent(dialog.participant.text().strip(), act))
            dialog.open()

    def _take_consent(self, participant: str, act: Act) -> None:
        self._consent = participant, CONSENT_STATEMENT
        self._act(act)

    def _act(self, act: Act) -> None:
        # The module loads OpenCV, which the capture has loaded long ago.
        from app.session.writer import Consent

        assert self._consent is not None
        recording, run = self._current(), self._workspace.run
        if recording is None or run is None or run.model is None:
            return
        try:
            act(recording, self._new_folder(self._consent[0]), Consent(*self._consent), run.model)
        except MmnetError as error:
            self._say(str(error))
        self.renew()

    def _new_folder(self, participant: str) -> Path:
        name = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in participant)
        moment = datetime.now().strftime("%Y-%m-%d_%H%M%S")
        folder = self._preferences.settings.sessions_path() / f"{moment}_{name}"
        return folder if not folder.exists() else folder.with_name(f"{folder.name}_2")

    def _tell_saved(self, folder: Path) -> None:
        self.last_folder = folder
        url = QUrl.fromLocalFile(str(folder))
        self._workspace.noticed.emit(
            "recording", f"Saved: {folder}", "Open folder", lambda: QDesktopServices.openUrl(url)
        )

    def _say(self, text: str) -> None:
        self._workspace.noticed.emit("recording", text, "", None)

    def _forget_consent(self, spec: str) -> None:
        # Somebody else may sit in front of another source.
        self._consent = None


class ConsentDialog(QDialog):
    """Who is filmed, and that this person knows and agrees. Nothing is recorded without it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Consent")
        self.setMinimumWidth(520)
        self.participant, self.agrees = QLineEdit(), QCheckBox("The person in the picture has agreed to this")
        self.participant.setPlaceholderText("a number or code, rather than a name")
        self.participant.setAccessibleName("Participant")
        statement = QLabel(CONSENT_STATEMENT)
        statement.setWordWrap(True)
        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.addRow("Participant", self.participant)
        buttons = QDialogButtonBox()
        self._accept = buttons.addButton("Record", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = column(self, margins=(24, 20, 24, 16), spacing=12)
        layout.addWidget(label("heading", "Before anything is recorded"))
        layout.addWidget(statement)
        layout.addLayout(form)
        layout.addWidget(self.agrees)
        layout.addWidget(buttons)
        self.participant.textChanged.connect(lambda _: self._renew())
        self.agrees.toggled.connect(lambda _: self._renew())
        self._renew()

    def _renew(self) -> None:
        assert self._accept is not None
        self._accept.setEnabled(bool(self.participant.text().strip()) and self.agrees.isChecked())
        self._accept.setDefault(True)
