"""Everything that can be commanded, once: for the menus, the buttons, and the sheet of keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QMainWindow, QMenu, QToolButton

MENUS = ("File", "Playback", "Events", "View", "Help")


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the sheet of keys."""

    menu: str
    keys: tuple[str, ...]
    meaning: str


class Commands:
    """The menus of a window, with one action for each command."""

    def __init__(self, window: QMainWindow) -> None:
        bar = window.menuBar()
        assert bar is not None
        self._menus: dict[str, QMenu] = {name: bar.addMenu(f"&{name}") for name in MENUS}
        self.listed: list[Command] = []

    def menu(self, name: str) -> QMenu:
        """One of `MENUS`."""
        return self._menus[name]

    def add(
        self, menu: str, name: str, keys: str | tuple[str, ...], meaning: str, slot: Callable[[], object]
    ) -> QAction:
        """A command in a menu: its keys, and what it does in words for tooltips and the sheet of keys."""
        action = self._new(menu, name, keys, meaning)
        action.triggered.connect(lambda _: slot())
        return action

    def add_switch(
        self,
        menu: str,
        name: str,
        keys: str | tuple[str, ...],
        meaning: str,
        is_on: bool,
        slot: Callable[[bool], object],
    ) -> QAction:
        """A command that is on or off; `slot(is_on)` hears of every change, whoever made it."""
        action = self._new(menu, name, keys, meaning)
        action.setCheckable(True)
        action.setChecked(is_on)
        action.toggled.connect(slot)
        return action

    def _new(self, menu: str, name: str, keys: str | tuple[str, ...], meaning: str) -> QAction:
        keys = (keys,) if isinstance(keys, str) else keys
        action = self._menus[menu].addAction(name)
        assert action is not None
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.setToolTip(f"{meaning} ({' or '.join(keys)})" if keys else meaning)
        if keys:
            self.listed.append(Command(menu, keys, meaning))
        return action

    def separate(self, menu: str) -> None:
        """A line in a menu."""
        self._menus[menu].addSeparator()


def button(action: QAction, width: int = 0) -> QToolButton:
    """A button for a command, at least so wide."""
    made = QToolButton()
    made.setDefaultAction(action)
    made.setMinimumWidth(width)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made
