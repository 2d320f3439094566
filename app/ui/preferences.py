"""The settings while the program runs: changed in one place, saved at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from app.errors import SettingsError
from app.settings import Settings, load_settings, settings_path, write_settings


class Preferences(QObject):
    """The user's settings.

    Args:
        path: where they are kept; by default in the system's folder for settings.

    Attributes:
        settings: as they are now; problems: what was wrong with the file at the start.

    Signals:
        changed(Settings, Settings): now and before.
        unsaved(str): they could not be saved, and why.
    """

    changed = pyqtSignal(object, object)
    unsaved = pyqtSignal(str)

    def __init__(self, path: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = path or settings_path()
        loaded = load_settings(self._path)
        self.settings, self.problems = loaded.settings, loaded.problems

    def change(self, **values: Any) -> None:
        """Set single values of Settings."""
        self.take(replace(self.settings, **values))

    def take(self, settings: Settings) -> None:
        """Put all of them in place."""
        if settings == self.settings:
            return
        before, self.settings = self.settings, settings
        try:
            write_settings(settings, self._path)
        except SettingsError as error:
            self.unsaved.emit(str(error))
        self.changed.emit(settings, before)
