"""The evidence of one movement: pictures, the magnified loop, what moved, what the network says, and why it counted."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QEvent, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.config import SpotterConfig
from app.datatypes import Candidate, Event
from app.evidence.words import (
    certainty_in_words,
    checks,
    movement_in_words,
    rejection_in_words,
    reservation_in_words,
    uncertainty_in_words,
)
from app.runtime.evidence import EvidenceWorker, Loop, Pictures
from app.session.records import SessionEvent
from app.ui.class_bars import ClassBars
from app.ui.evidence_pictures import LoopView, PictureTile
from app.ui.layouts import column, label, row, set_tone
from app.ui.words import clock, consistent_with

_POLL_MS = 33
_NOTHING = (
    "Select an event in the list or on the timeline: here are its pictures, the movement enlarged, and why it counted."
)
_ATTENTION_TIP = (
    "Where the network's first attention map differs most from its usual value. "
    "Colours of two events cannot be compared."
)


class EvidencePanel(QScrollArea):
    """Shows one Event or withdrawn Candidate.

    Args:
        seconds: the time of the source in seconds from its start, of nanoseconds.

    Signals:
        accepted, rejected, reset: of the event that is shown.
        labelled(str): it is of this class.
        commented(str).
    """

    accepted = pyqtSignal()
    rejected = pyqtSignal()
    was_reset = pyqtSignal()
    labelled = pyqtSignal(str)
    commented = pyqtSignal(str)

    def __init__(
        self, spotter_config: SpotterConfig, seconds: Callable[[int], float], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._spotter_config, self._seconds = spotter_config, seconds
        self._item: Event | Candidate | None = None
        self._is_synthetic = False
        self._worker = EvidenceWorker()
        self._timer = QTimer(self, interval=_POLL_MS)
        self._timer.timeout.connect(self.poll)
        self.setAccessibleName("Evidence")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._build()
        self.show_item(None)

    def minimumSizeHint(self) -> QSize:
        # Nothing of the content may be cut off at its right, whatever the font.
        body, bar = self.widget(), self.verticalScrollBar()
        assert body is not None
        assert bar is not None
        return QSize(body.minimumSizeHint().width() + bar.sizeHint().width() + 4, 160)

    def viewportEvent(self, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()  # a scroll area does not pass on that its content needs more room
        return super().viewportEvent(event)

    # What is shown

    @property
    def item(self) -> Event | Candidate | None:
        return self._item

    def set_synthetic(self, is_synthetic: bool) -> None:
        """Whether the network has learned from synthetic movements only."""
        if is_synthetic != self._is_synthetic:
            self._is_synthetic = is_synthetic
            self._tell_class()

    def show_item(self, item: Event | Candidate | None, standing: SessionEvent | None = None) -> None:
        """Show another movement; `standing`: an event as it stands after the review."""
        self._item = item
        self._placeholder.setVisible(item is None)
        self._content.setVisible(item is not None)
        if item is None:
            return
        candidate, prediction = _parts(item)
        self._tell_head()
        self._tell_class()
        self._tell_movements(candidate)
        self._tell_checks(candidate)
        self._tell_numbers(candidate)
        self.show_standing(standing)
        for tile, caption in zip(self._tiles, ("onset", "apex", "difference", "attention"), strict=True):
            tile.show_image(None, caption)
        self.loop_view.clear("measuring the movement …")
        self._worker.show(candidate, prediction, self.loop_view.factor)
        self._timer.start()
        bar = self.verticalScrollBar()
        assert bar is not None
        bar.setValue(0)

    def show_standing(self, standing: SessionEvent | None) -> None:
        """The decisions about the event that is shown; None: there is nothing to decide."""
        self._review.setVisible(standing is not None)
        if standing is None:
            return
        words = {"accepted": "ACCEPTED", "rejected": "REJECTED"}.get(standing.review, "NOT REVIEWED")
        tone = {"accepted": "active", "rejected": "warning"}.get(standing.review, "")
        set_tone(self._review_badge, words, tone)
        is_corrected = standing.source == "corrected"
        self._corrected.setText(_corrections(standing) if is_corrected else "")
        self._corrected.setVisible(is_corrected)
        self._undo_all.setEnabled(bool(standing.review or is_corrected or standing.comment))
        self._labels.blockSignals(True)
        if standing.label and self._labels.findText(standing.label) < 0:
            self._labels.addItem(standing.label)
        self._labels.setCurrentText(standing.label)
        self._labels.blockSignals(False)
        if not self._comment.hasFocus():
            self._comment.setText(standing.comment)

    def poll(self) -> None:
        """Take the pictures that are ready."""
        for made in self._worker.made.take_all():
            if self._item is None or made.candidate is not _parts(self._item)[0]:
                continue
            if isinstance(made, Pictures):
                self._show_pictures(made)
            else:
                self._show_loop(made)
        for _ in self._worker.faults.take_all():
            self.loop_view.clear("this movement cannot be magnified")

    def stop(self) -> bool:
        """End the thread that makes pictures; False when it is late."""
        self._timer.stop()
        return self._worker.stop()

    def _show_pictures(self, made: Pictures) -> None:
        onset, apex, difference, attention = self._tiles
        onset.show_image(made.onset_bgr)
        apex.show_image(made.apex_bgr)
        difference.show_image(made.difference_bgr, f"difference {made.amplification:.0f}×")
        why = "no network" if isinstance(self._item, Event) else "the network was not asked"
        attention.show_image(made.attention_bgr, placeholder=why)

    def _show_loop(self, made: Loop) -> None:
        self.loop_view.show_loop(made)

    def _magnify(self, factor: float) -> None:
        self._worker.magnify(factor)

    # Words

    def _tell_head(self) -> None:
        item = self._item
        assert item is not None
        candidate = _parts(item)[0]
        when = f"{clock(self._seconds(candidate.apex_ns))} · {candidate.duration_ms:.0f} ms"
        if isinstance(item, Event):
            self._title.setText(consistent_with(item))
            self._subtitle.setText(f"Event {item.event_id} · {when}")
        else:
            self._title.setText("Withdrawn candidate")
            self._subtitle.setText(f"{when}\n{withdrawal_in_words(candidate)}")

    def _tell_class(self) -> None:
        prediction = _parts(self._item)[1] if self._item is not None else None
        self._class.setVisible(prediction is not None)
        self.bars.show_prediction(prediction)
        if prediction is None:
            return
        set_tone(self._synthetic_badge, "SYNTHETIC WEIGHTS", "warning")
        self._synthetic_badge.setVisible(self._is_synthetic)
        self._certainty.setText(_unbroken(certainty_in_words(prediction)))
        self._reservation.setText(reservation_in_words(is_synthetic=self._is_synthetic))

    def _tell_movements(self, candidate: Candidate) -> None:
        rows = [(movement_in_words(m), uncertainty_in_words(m)) for m in candidate.movements]
        _fill(self._movements, rows or [("no region stands out", "")])
        units = ", ".join(candidate.action_units)
        self._units.setText(f"Fits action units {units}" if units else "")
        self._units.setVisible(bool(units))

    def _tell_checks(self, candidate: Candidate) -> None:
        self._why.setText("Why it was withdrawn" if candidate.rejection else "Why it was accepted")
        _fill(
            self._checks,
            [
                (f"{'✓' if check.is_passed else '✗'} {check.name}", check.measured, check.allowed)
                for check in checks(candidate, self._spotter_config)
            ],
        )

    def _tell_numbers(self, candidate: Candidate) -> None:
        rows = [
            (name, f"frame {key_frame.frame_index}", clock(self._seconds(time_ns)))
            for name, key_frame, time_ns in (
                ("onset", candidate.onset, candidate.onset_ns),
                ("apex", candidate.apex, candidate.apex_ns),
                ("offset", candidate.offset, candidate.offset_ns),
            )
        ]
        rows.append(("frame rate", f"{candidate.fps_effective:.4g} fps", ""))
        _fill(self._numbers, rows)

    # Building

    def _build(self) -> None:
        body = QWidget()
        body.setObjectName("page")
        layout = column(body, margins=(4, 4, 10, 8), spacing=8)
        self._placeholder = label("muted", _NOTHING)
        self._placeholder.setWordWrap(True)
        self._placeholder.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._placeholder.setMinimumHeight(120)
        layout.addWidget(self._placeholder)
        self._content = QWidget()
        layout.addWidget(self._content)
        layout.addStretch(1)
        content = column(self._content, spacing=8)
        self._title, self._subtitle = label("heading"), label("muted")
        for line in (self._title, self._subtitle):
            line.setWordWrap(True)
            content.addWidget(line)
        content.addWidget(self._build_review())
        self._tiles = (
            PictureTile("onset", "The face before the movement"),
            PictureTile("apex", "The face where the movement is largest"),
            PictureTile("difference", "What became brighter (orange) and darker (blue) from onset to apex"),
            PictureTile("attention", _ATTENTION_TIP),
        )
        content.addLayout(row(*self._tiles, spacing=6))
        self.loop_view = LoopView()
        self.loop_view.factor_wanted.connect(self._magnify)
        content.addWidget(self.loop_view)
        self._movements = _section(content, "What moved, in percent of the distance between the eyes")
        self._units = label("muted")
        content.addWidget(self._units)
        content.addWidget(self._build_class())
        self._why = label("heading")
        content.addWidget(self._why)
        self._checks = _grid(content)
        self._numbers = _section(content, "Numbers")
        self.setWidget(body)

    def _build_class(self) -> QWidget:
        self._class = QWidget()
        layout = column(self._class, spacing=6)
        self._synthetic_badge = label("badge")
        layout.addLayout(row(label("heading", "What the network says"), self._synthetic_badge, None))
        self.bars = ClassBars()
        self._certainty, self._reservation = QLabel(), label("muted")
        layout.addWidget(self.bars)
        for line in (self._certainty, self._reservation):
            line.setWordWrap(True)
            layout.addWidget(line)
        return self._class

    def _build_review(self) -> QWidget:
        self._review = QFrame()
        self._review.setObjectName("card")
        layout = column(self._review, margins=(10, 8, 10, 8))
        self._review_badge = label("badge")
        accept, reject, self._undo_all = QPushButton("Accept"), QPushButton("Reject"), QPushButton("Reset")
        accept.setToolTip("It is a micro-expression (Enter)")
        reject.setToolTip("It is none (Del)")
        self._undo_all.setToolTip("Back to what was detected")
        accept.clicked.connect(self.accepted)
        reject.clicked.connect(self.rejected)
        self._undo_all.clicked.connect(self.was_reset)
        self._labels = QComboBox(editable=True)
        self._labels.setToolTip("Another class (1–9), or a name of your own")
        self._labels.setAccessibleName("Class")
        self._labels.textActivated.connect(self.labelled)
        self._corrected = label("muted")
        self._corrected.setWordWrap(True)
        self._comment = QLineEdit(placeholderText="Comment")
        self._comment.setAccessibleName("Comment")
        self._comment.editingFinished.connect(lambda: self.commented.emit(self._comment.text()))
        layout.addLayout(row(self._review_badge, None, accept, reject, spacing=6))
        layout.addLayout(row(self._labels, self._comment, self._undo_all, spacing=6))
        layout.addWidget(self._corrected)
        return self._review

    def set_classes(self, names: tuple[str, ...]) -> None:
        """What an event can be named."""
        if names == tuple(self._labels.itemText(i) for i in range(self._labels.count())):
            return
        self._labels.blockSignals(True)
        self._labels.clear()
        self._labels.addItems(names)
        self._labels.blockSignals(False)


def withdrawal_in_words(candidate: Candidate) -> str:
    """Which gate a candidate failed, what was measured, and what the gate is for."""
    # Loaded by the analysis thread before it can withdraw anything.
    from app.spotting.gates import REJECTIONS

    return rejection_in_words(candidate, REJECTIONS)


def _parts(item: Event | Candidate):
    return (item.candidate, item.prediction) if isinstance(item, Event) else (item, None)


def _corrections(standing: SessionEvent) -> str:
    frames = f"onset {standing.onset_frame}, apex {standing.apex_frame}, offset {standing.offset_frame}"
    return f"Corrected by {standing.coder}: {frames}, {standing.label or 'no class'}"


def _unbroken(text: str) -> str:
    """A number stays on the line of its unit."""
    return text.replace(" %", "\u00a0%")


def _section(layout: QVBoxLayout, heading: str) -> QGridLayout:
    line = label("heading", heading)
    line.setWordWrap(True)
    layout.addWidget(line)
    return _grid(layout)


def _grid(layout: QVBoxLayout) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(14)
    grid.setVerticalSpacing(3)
    grid.setColumnStretch(2, 1)
    layout.addLayout(grid)
    return grid


def _fill(grid: QGridLayout, rows: list[tuple[str, ...]]) -> None:
    """Replace all lines of a grid: the first column in plain text, the others muted."""
    while (item := grid.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
    for line, texts in enumerate(rows):
        for place, text in enumerate(texts):
            cell = label("" if place == 0 else "muted", text)
            cell.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(cell, line, place)
