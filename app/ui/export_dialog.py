"""A saved session in the format of another program, written beside a window that goes on answering."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, QTimer, QUrl
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QCheckBox, QComboBox, QDialog, QFileDialog, QFormLayout, QLineEdit, QPushButton, QWidget

from app.runtime.tasks import Task
from app.ui.layouts import column, label, row

_LOOK_MS = 100


class ExportDialog(QDialog):
    """Asks for a session, a format and a place.

    Args:
        session_folder: what to propose, or None.
        sessions_path: where sessions are.
    """

    def __init__(self, session_folder: Path | None, sessions_path: Path, parent: QWidget | None = None) -> None:
        from app.export import FORMATS

        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Export a session")
        self.setMinimumWidth(640)
        self._formats, self._sessions_path = FORMATS, sessions_path
        self._task: Task[Path] | None = None
        self._written: Path | None = None
        self.session = QLineEdit(str(session_folder or ""))
        self.session.setPlaceholderText("a session folder")
        self.format, self.is_blurred = QComboBox(), QCheckBox("Make faces unrecognisable in pictures and clips")
        for name, form in FORMATS.items():
            self.format.addItem(f"{name}: {form.meaning}", name)
        choose, self.export, self.show_button, close = (
            QPushButton(text) for text in ("Choose …", "Export …", "Open folder", "Close")
        )
        choose.clicked.connect(self._choose)
        self.export.clicked.connect(self.ask_and_export)
        self.export.setDefault(True)
        self.show_button.clicked.connect(self._show_folder)
        self.show_button.hide()
        close.clicked.connect(self.reject)
        self.said = label("muted")
        self.said.setWordWrap(True)
        layout = column(self, margins=(24, 20, 24, 16), spacing=12)
        fields = QFormLayout()
        fields.setHorizontalSpacing(16)
        fields.setVerticalSpacing(10)
        fields.addRow("Session", row(self.session, choose))
        fields.addRow("Format", self.format)
        fields.addRow("", self.is_blurred)
        layout.addLayout(fields)
        layout.addWidget(self.said)
        layout.addLayout(row(None, self.show_button, self.export, close))
        self._timer = QTimer(self, interval=_LOOK_MS)
        self._timer.timeout.connect(self._look)

    def ask_and_export(self) -> None:
        """Ask for the place, then write."""
        name = self.format.currentData()
        suffix, folder = self._formats[name].suffix, Path(self.session.text())
        proposed = folder.parent / f"{folder.name}{suffix or '-' + name}"
        path, _ = QFileDialog.getSaveFileName(self, "Export to", str(proposed))
        if path:
            self.write(Path(path))

    def write(self, path: Path) -> None:
        """Write the session to `path`, replacing what the user has agreed to replace."""
        folder, name, is_blurred = Path(self.session.text()), self.format.currentData(), self.is_blurred.isChecked()

        def export() -> Path:
            from app.export import export_session
            from app.session.reader import read_session

            return export_session(read_session(folder), name, path, exist_ok=True, is_blurred=is_blurred)

        self.export.setEnabled(False)
        self.show_button.hide()
        self.said.setText("Writing …")
        self._task = Task("export", export)
        self._timer.start()

    def reject(self) -> None:
        # A half-written export would be taken for a whole one.
        if self._task is None or self._task.is_over:
            super().reject()

    def _look(self) -> None:
        assert self._task is not None
        if not self._task.is_over:
            return
        self._timer.stop()
        self.export.setEnabled(True)
        self._written = self._task.result
        self.said.setText(f"Written: {self._written}" if self._written else str(self._task.error))
        self.show_button.setVisible(self._written is not None)

    def _choose(self) -> None:
        path = QFileDialog.getExistingDirectory(
            self, "A session folder", self.session.text() or str(self._sessions_path)
        )
        if path:
            self.session.setText(path)

    def _show_folder(self) -> None:
        assert self._written is not None
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written.parent)))
