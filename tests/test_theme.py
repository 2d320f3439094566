"""Light and dark: readable, complete, and switched while the window is open."""

from __future__ import annotations

import pytest
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QApplication, QLabel
from widgets import array_of, dressed_and_tidy  # noqa: F401 — the fixture

from app.ui import theme
from app.ui.theme import DARK, LIGHT, Colours


@pytest.fixture(autouse=True)
def dark_again(qapp):
    yield
    theme.apply_theme(qapp)


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    parts = [channel / 255 for channel in QColor(colour).getRgb()[:3]]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
class TestContrast:
    @pytest.mark.parametrize("ground", ["background", "panel", "raised"])
    @pytest.mark.parametrize("text", ["text", "muted", "accent", "warning", "alarm"])
    def test_text_is_readable(self, colours: Colours, ground: str, text: str):
        assert contrast(getattr(colours, text), getattr(colours, ground)) >= 4.5

    @pytest.mark.parametrize("ground", ["accent", "warning", "alarm"])
    def test_text_on_badges_is_readable(self, colours: Colours, ground: str):
        assert contrast(getattr(colours, f"on_{ground}"), getattr(colours, ground)) >= 4.5

    def test_messages_are_readable(self, colours: Colours):
        assert contrast(colours.text, colours.notice) >= 4.5

    def test_classes_stand_out_from_the_panel(self, colours: Colours):
        assert min(contrast(colour, colours.panel) for colour in colours.classes) >= 3


class TestSwitching:
    def test_everything_changes_its_colour(self, qtbot, qapp):
        title = QLabel("Micro-expressions")
        title.setObjectName("title")
        qtbot.addWidget(title)
        title.show()
        heights, means = [], []
        for name, scale in (("dark", 1.0), ("light", 1.0), ("light", 1.75)):
            with qtbot.waitSignal(theme.notifier().changed, timeout=1000):
                theme.apply_theme(qapp, name, scale)
            heights.append(title.sizeHint().height())
            means.append(array_of(title.grab().toImage())[..., :3].mean())
        assert theme.colours() is LIGHT
        assert means[0] < 100 < 180 < means[1]
        assert heights[0] == heights[1] < heights[2] / 1.6

    def test_the_font_does_not_grow_with_each_switch(self, qapp):
        theme.apply_theme(qapp, "dark", 1.3)
        size = QApplication.font().pointSizeF()
        for _ in range(3):
            theme.apply_theme(qapp, "light", 1.3)
        assert QApplication.font().pointSizeF() == size

    def test_known_classes_keep_their_colour_wherever_they_stand(self, qapp):
        assert theme.class_colour("positive", 5) == QColor(DARK.classes[1])
        assert theme.class_colour("none", 0) == QColor(DARK.classes[5])
        assert theme.class_colour("contempt", 7) == QColor(DARK.classes[1])
