"""What one sees first: what can be opened."""

from __future__ import annotations

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QPushButton, QWidget

from app.ui.layouts import column, label, row


class StartPage(QWidget):
    """Sources to choose from.

    Signals:
        chosen(spec): open this source.
        file_wanted: let the user look for a file.
    """

    chosen = pyqtSignal(str)
    file_wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = column(self, margins=(40, 40, 40, 40), spacing=12)
        layout.addWidget(label("title", "Micro-expressions on video, in real time"))
        demo, file = QPushButton("Play the demo"), QPushButton("Open a video …")
        demo.clicked.connect(lambda: self.chosen.emit("demo"))
        file.clicked.connect(self.file_wanted)
        layout.addLayout(row(demo, file, None))
        layout.addStretch(1)
