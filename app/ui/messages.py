"""What the user should know, above the picture: one line each, with what can be done about it."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget


class MessageArea(QWidget):
    """Messages by topic: a new one replaces the last of its topic."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self._bars: dict[str, QFrame] = {}

    def post(self, topic: str, text: str, action: str = "", on_action: Callable[[], None] | None = None) -> None:
        """Show `text`; `action` names a button that calls `on_action`."""
        self.dismiss(topic)
        bar = QFrame()
        bar.setObjectName("message")
        row = QHBoxLayout(bar)
        row.setContentsMargins(12, 6, 6, 6)
        label = QLabel(text)
        label.setWordWrap(True)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addWidget(label, 1)
        if on_action is not None:
            button = QPushButton(action)
            button.clicked.connect(on_action)
            row.addWidget(button)
        close = QToolButton()
        close.setText("✕")
        close.setToolTip("Dismiss")
        close.setAccessibleName("Dismiss")
        close.clicked.connect(lambda: self.dismiss(topic))
        row.addWidget(close)
        self._bars[topic] = bar
        self._layout.addWidget(bar)

    def dismiss(self, topic: str) -> None:
        """Take the message of this topic away, if there is one."""
        if bar := self._bars.pop(topic, None):
            self._layout.removeWidget(bar)
            bar.hide()
            bar.deleteLater()

    def dismiss_all(self) -> None:
        for topic in list(self._bars):
            self.dismiss(topic)

    @property
    def texts(self) -> dict[str, str]:
        """Topic → text of what is shown now."""
        return {topic: label.text() for topic, bar in self._bars.items() if (label := bar.findChild(QLabel))}
