"""What one sees first: cameras by name, what was opened lately, the demo, and a place to drop a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QLineEdit, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.capture.inputs import is_url, short_name
from app.runtime.devices import CameraChoice
from app.ui.layouts import ElidedLabel, column, label, row
from app.ui.words import modes_in_words

_WIDTH_PX = 980


class StartPage(QScrollArea):
    """Sources to choose from.

    Signals:
        chosen(spec): open this source.
        file_wanted, folder_wanted: let the user look for one.
    """

    chosen = pyqtSignal(str)
    file_wanted = pyqtSignal()
    folder_wanted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        page = QWidget()
        page.setObjectName("page")
        outer = column(page, margins=(32, 28, 32, 28), spacing=0)
        body = QWidget()
        body.setMaximumWidth(_WIDTH_PX)
        self._layout = column(body, spacing=14)
        outer.addLayout(_centred(body))
        outer.addStretch(1)
        self.setWidget(page)

        self._layout.addWidget(label("title", "Micro-expressions on video, in real time"))
        said = label("muted", "Choose what to look at. Pictures stay on this computer; nothing is recorded unasked.")
        said.setWordWrap(True)
        self._layout.addWidget(said)
        self._layout.addSpacing(4)
        left, right = QWidget(), QWidget()
        for side in (left, right):
            side.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        columns = row(left, right, spacing=28)
        columns.setStretch(0, 1)
        columns.setStretch(1, 1)
        self._layout.addLayout(columns)

        sources = column(left, spacing=8)
        sources.addWidget(label("heading", "Cameras"))
        self._cameras = QWidget()
        column(self._cameras, spacing=6)
        sources.addWidget(self._cameras)
        sources.addSpacing(10)
        sources.addWidget(label("heading", "Network camera"))
        self.address = QLineEdit()
        self.address.setPlaceholderText("rtsp://…  or  http://…/stream.mjpg")
        self.address.setAccessibleName("Address of a network camera")
        self.address.setToolTip("Address of a network camera; Enter opens it")
        self.address.returnPressed.connect(self._open_address)
        connect = QPushButton("Connect")
        connect.clicked.connect(self._open_address)
        sources.addLayout(row(self.address, connect))
        sources.addStretch(1)

        files = column(right, spacing=8)
        files.addWidget(label("heading", "Recordings"))
        files.addWidget(self._drop_area())
        self.demo = _card("Built-in demo", "A portrait with scripted movements; needs no camera", "demo")
        self.demo.clicked.connect(lambda: self.chosen.emit("demo"))
        files.addWidget(self.demo)
        files.addSpacing(10)
        self._recent_heading = label("heading", "Recent")
        files.addWidget(self._recent_heading)
        self._recent = QWidget()
        column(self._recent, spacing=6)
        files.addWidget(self._recent)
        files.addStretch(1)
        self.show_cameras(None)
        self.show_recent(())

    def show_cameras(self, cameras: Iterable[CameraChoice] | None) -> None:
        """Cameras that are there now; None while they are looked for."""
        _clear(self._cameras)
        layout = self._cameras.layout()
        assert layout is not None
        if cameras is None:
            layout.addWidget(label("muted", "Looking for cameras …"))
            return
        found = list(cameras)
        for choice in found:
            card = _card(choice.device.name, modes_in_words(choice.modes), choice.device.path)
            card.clicked.connect(lambda _, index=choice.device.index: self.chosen.emit(str(index)))
            layout.addWidget(card)
        if not found:
            none = label("muted", "No camera found. Plug one in: it appears here by itself.")
            none.setWordWrap(True)
            layout.addWidget(none)

    def show_recent(self, specs: Iterable[str]) -> None:
        """What was opened lately, newest first; the demo has its own place."""
        _clear(self._recent)
        layout = self._recent.layout()
        assert layout is not None
        listed = [spec for spec in specs if spec != "demo"]
        for spec in listed:
            card = _card(short_name(spec), _place(spec), spec)
            card.clicked.connect(lambda _, spec=spec: self.chosen.emit(spec))
            card.setEnabled(_may_be_there(spec))
            layout.addWidget(card)
        self._recent_heading.setVisible(bool(listed))

    def set_drop_shown(self, is_over: bool) -> None:
        """Whether something is being dragged over the window."""
        self._drop.setProperty("is_over", is_over)
        style = self._drop.style()
        assert style is not None
        style.polish(self._drop)

    def _drop_area(self) -> QFrame:
        self._drop = QFrame()
        self._drop.setObjectName("drop")
        layout = column(self._drop, margins=(16, 16, 16, 16), spacing=10)
        words = label("", "Drop a video or a folder of images here")
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        words.setWordWrap(True)
        file, folder = QPushButton("Open a video …"), QPushButton("Open a folder …")
        file.clicked.connect(self.file_wanted)
        folder.clicked.connect(self.folder_wanted)
        layout.addWidget(words)
        layout.addLayout(row(None, file, folder, None))
        return self._drop

    def _open_address(self) -> None:
        address = self.address.text().strip()
        if is_url(address):
            self.chosen.emit(address)
        else:
            self.address.setFocus()
            self.address.selectAll()


def _card(name: str, details: str, tip: str) -> QPushButton:
    card = QPushButton()
    card.setObjectName("card")
    card.setAccessibleName(f"{name}: {details}" if details else name)
    card.setToolTip(tip)
    layout = QVBoxLayout(card)
    layout.setContentsMargins(14, 9, 14, 9)
    layout.setSpacing(2)
    for style, text in (("heading", name), ("muted", details)):
        if text:
            line = ElidedLabel(text)
            line.setObjectName(style)
            line.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            layout.addWidget(line)
    # A button takes its size from its own text, not from its layout.
    card.setMinimumHeight(layout.sizeHint().height())
    return card


def _place(spec: str) -> str:
    if is_url(spec):
        return "network"
    return str(Path(spec).absolute().parent) if _is_path(spec) else "camera"


def _is_path(spec: str) -> bool:
    return not spec.isdecimal() and ("/" in spec or "\\" in spec or bool(Path(spec).suffix))


def _may_be_there(spec: str) -> bool:
    return is_url(spec) or not _is_path(spec) or Path(spec).exists()


def _clear(widget: QWidget) -> None:
    layout = widget.layout()
    assert layout is not None
    while (item := layout.takeAt(0)) is not None:
        if (child := item.widget()) is not None:
            child.hide()
            child.deleteLater()


def _centred(widget: QWidget):
    line = row(None, widget, None)
    line.setStretch(1, 1000)
    return line
