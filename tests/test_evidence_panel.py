"""The evidence of a movement with the real worker: pictures, a loop that runs, words, and decisions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import candidate, prediction
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QApplication, QLabel
from test_magnification import face_bgr, frames  # noqa: F401 — the fixture
from widgets import array_of, button, dressed_and_tidy  # noqa: F401 — the fixture

from app.config import SpotterConfig
from app.datatypes import Event, KeyFrame, Prediction
from app.evidence.clips import packed
from app.session.records import Origin, session_event
from app.ui import theme
from app.ui.class_bars import ClassBars
from app.ui.evidence_panel import EvidencePanel

MS = 1_000_000


@pytest.fixture
def panel(qtbot):
    made = EvidencePanel(SpotterConfig(), lambda ns: ns / 1e9)
    qtbot.addWidget(made)
    made.resize(430, 900)
    made.show()
    yield made
    assert made.stop()


@pytest.fixture
def event(face_bgr) -> Event:  # noqa: F811 — the fixture
    """A movement of eight frames in the portrait's face, packed as the analysis packs it."""
    crops = [KeyFrame(100 + i, 4_000 * MS + i * 33 * MS, crop) for i, crop in enumerate(frames(face_bgr, 1.4))]
    found = replace(
        candidate(), onset=crops[0], apex=crops[3], offset=crops[-1], onset_ns=crops[0].timestamp_ns,
        apex_ns=crops[3].timestamp_ns, offset_ns=crops[-1].timestamp_ns, crops=tuple(crops),
    )  # fmt: skip
    attention = np.full((112, 112), 0.2, np.float32)
    attention[70:90, 70:90] = 0.9
    return Event(4, packed(found), replace(prediction(), attention=attention))


def shown(panel: EvidencePanel) -> str:
    """All the words that can be seen."""
    QApplication.processEvents()
    return "\n".join(label.text() for label in panel.findChildren(QLabel) if label.isVisible())


def wait_for_loop(qtbot, panel: EvidencePanel) -> None:
    qtbot.waitUntil(lambda: panel.loop_view.loop is not None, timeout=15_000)


def show(panel: EvidencePanel, event: Event) -> None:
    panel.show_item(event, session_event(event, Origin(0, 0)))


class TestPictures:
    def test_the_four_pictures_of_an_event(self, qtbot, panel, event):
        show(panel, event)
        qtbot.waitUntil(lambda: panel._tiles[0].image_bgr is not None, timeout=15_000)
        onset, apex, difference, attention = (tile.image_bgr for tile in panel._tiles)
        np.testing.assert_array_equal(onset, event.candidate.onset.crop_bgr)
        np.testing.assert_array_equal(apex, event.candidate.apex.crop_bgr)
        assert attention[160, 160].sum() > attention[40, 40].sum() + 200
        assert difference[150:180, 145:175].std() > 2 * difference[100:120, 100:120].std()
        assert panel._tiles[2].caption.startswith("difference ")
        tile = panel._tiles[1]
        painted = array_of(tile.grab().toImage())
        assert painted[tile.width() // 2, tile.width() // 2, :3].std() >= 0
        assert painted[: tile.width()].std() > 30

    def test_without_a_network_there_is_no_attention(self, qtbot, panel, event):
        panel.show_item(replace(event, prediction=None))
        qtbot.waitUntil(lambda: panel._tiles[0].image_bgr is not None, timeout=15_000)
        assert panel._tiles[3].image_bgr is None
        assert "What the network says" not in shown(panel)

    def test_a_quick_change_of_mind_shows_the_last_one_only(self, qtbot, panel, event):
        others = [replace(event, event_id=i, candidate=replace(event.candidate)) for i in range(5)]
        for other in others:
            show(panel, other)
        wait_for_loop(qtbot, panel)
        assert panel.loop_view.loop.candidate is others[-1].candidate


class TestLoop:
    def test_it_runs_at_its_speed_and_starts_again(self, qtbot, panel, event):
        show(panel, event)
        wait_for_loop(qtbot, panel)
        loop = panel.loop_view
        loop._timer.stop()
        positions = []
        for _ in range(6):
            loop._clock = FakeClock(200)
            loop.tick()
            positions.append(round(loop._position_s, 3))
        assert positions == [0.05, 0.1, 0.15, 0.2, 0.25, 0.3]  # a quarter of the time that passes
        qtbot.mouseClick(loop._speeds.buttons()[0], Qt.MouseButton.LeftButton)
        loop.tick()
        assert loop._position_s == pytest.approx(0.5)
        loop.tick()
        assert loop._position_s == 0.0

    def test_the_magnified_frame_differs_where_something_moved(self, qtbot, panel, event):
        show(panel, event)
        wait_for_loop(qtbot, panel)
        panel.loop_view.phase.moved.emit(3 / 7)
        filmed, magnified = panel.loop_view.filmed.image_bgr, panel.loop_view.magnified.image_bgr
        change = np.abs(filmed.astype(int) - magnified).sum(axis=2)
        assert change[140:185, 135:185].mean() > 10 * change[:30, :30].mean()
        assert not panel.loop_view.play.isChecked()
        assert panel.loop_view.magnified.caption == "magnified 6×"

    def test_the_slider_asks_for_more_and_says_when_it_cannot_be_had(self, qtbot, panel, event):
        show(panel, event)
        wait_for_loop(qtbot, panel)
        panel.loop_view.slider.setValue(20)
        qtbot.waitUntil(lambda: panel.loop_view.loop.factor > 6, timeout=15_000)
        most = panel.loop_view.loop.max_factor
        assert 6 < most < 19
        assert panel.loop_view.factor_label.text() == f"20×, shown {most:.2g}×"
        panel.loop_view.slider.setValue(2)
        qtbot.waitUntil(lambda: panel.loop_view.loop.factor == 2, timeout=15_000)
        assert panel.loop_view.factor_label.text() == "2×"

    def test_a_movement_without_frames_is_still_shown(self, qtbot, panel, event):
        panel.show_item(replace(event, candidate=replace(event.candidate, crops=())))
        wait_for_loop(qtbot, panel)
        assert len(panel.loop_view.loop.filmed_bgr) == 3

    def test_the_bar_is_dragged(self, qtbot, panel, event):
        show(panel, event)
        wait_for_loop(qtbot, panel)
        bar = panel.loop_view.phase
        qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=QPoint(bar.width() - 6, 10))
        assert bar._cursor == pytest.approx(1.0)
        assert panel.loop_view.filmed.image_bgr is panel.loop_view.loop.filmed_bgr[-1]


class FakeClock:
    """An elapsed timer that always says the same."""

    def __init__(self, elapsed_ms: int) -> None:
        self._elapsed_ms = elapsed_ms

    def restart(self) -> int:
        return self._elapsed_ms


class TestWords:
    def test_what_is_said_of_an_event(self, panel, event):
        panel.set_synthetic(True)
        show(panel, event)
        said = shown(panel)
        for words in (
            "Expression consistent with positive",
            "Event 4 · 0:04.099 · 231 ms",
            "mouth corner, left, up and outward 1.4 %",
            "± 0.1 %",
            "Fits action units 12",
            "prefers positive (70\u00a0%)",
            "never seen a real micro-expression",
            "SYNTHETIC WEIGHTS",
            "Why it was accepted",
            "✓ head speed",
            "frame 103",
        ):
            assert words in said, words
        panel.set_synthetic(False)
        assert "SYNTHETIC" not in shown(panel)

    def test_a_withdrawn_candidate_tells_its_gate_and_cannot_be_decided(self, panel, event):
        refused = candidate(rejected_because="blink")
        panel.show_item(replace(refused, crops=event.candidate.crops, onset=event.candidate.onset,
                                apex=event.candidate.apex, offset=event.candidate.offset))  # fmt: skip
        said = shown(panel)
        assert "Withdrawn: blink (the eyes closed at the same time)." in said
        assert "✗ blink" in said
        assert "NOT REVIEWED" not in said

    def test_nothing_selected(self, panel, event):
        show(panel, event)
        panel.show_item(None)
        assert "Select an event" in shown(panel)
        assert "Event 4" not in shown(panel)


class TestDecisions:
    def test_buttons_and_fields_tell_what_is_wanted(self, qtbot, panel, event):
        panel.set_classes(("negative", "positive", "surprise"))
        show(panel, event)
        for text, signal in (("Accept", panel.accepted), ("Reject", panel.rejected)):
            with qtbot.waitSignal(signal):
                qtbot.mouseClick(button(panel, text), Qt.MouseButton.LeftButton)
        with qtbot.waitSignal(panel.labelled) as labelled:
            qtbot.keyClicks(panel._labels.lineEdit(), "x")
            qtbot.keyClick(panel._labels.lineEdit(), Qt.Key.Key_Return)
        assert labelled.args == ["positivex"]
        with qtbot.waitSignal(panel.commented) as commented:
            qtbot.keyClicks(panel._comment, "a smirk")
            qtbot.keyClick(panel._comment, Qt.Key.Key_Return)
        assert commented.args == ["a smirk"]

    def test_what_was_decided_is_shown(self, panel, event):
        standing = session_event(event, Origin(0, 0))
        panel.show_item(event, standing)
        assert "NOT REVIEWED" in shown(panel)
        assert not button(panel, "Reset").isEnabled()
        panel.show_standing(
            replace(standing, review="accepted", label="contempt", source="corrected", coder="Ada", apex_frame=104)
        )
        said = shown(panel)
        assert "ACCEPTED" in said
        assert "Corrected by Ada: onset 100, apex 104, offset 107, contempt" in said
        assert panel._labels.currentText() == "contempt"
        panel.show_standing(replace(standing, review="rejected"))
        assert "REJECTED" in shown(panel)
        assert button(panel, "Reset").isEnabled()


def test_class_bars_are_as_long_as_the_classes_are_probable(qtbot):
    bars = ClassBars()
    qtbot.addWidget(bars)
    probabilities = Prediction(("negative", "positive", "none"), np.array([0.2, 0.7, 0.1]), np.zeros((2, 2)), 1.0)
    bars.show_prediction(probabilities)
    bars.resize(300, bars.sizeHint().height())
    bars.show()
    image = array_of(bars.grab().toImage()).astype(int)

    def count(colour: str) -> int:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return int((np.abs(image[..., :3] - (blue, green, red)).sum(axis=2) < 24).sum())

    negative, positive = (count(theme.colours().classes[i]) for i in (0, 1))
    assert positive > 2.5 * negative > 0
    assert bars.accessibleName() == "negative 20 %, positive 70 %, none 10 %"
    bars.show_prediction(None)
    assert not bars.isVisible()
