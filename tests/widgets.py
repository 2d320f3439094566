"""What tests of widgets share."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from PyQt6.QtGui import QImage
from PyQt6.QtWidgets import QApplication, QLabel, QPushButton

from app.ui.theme import apply_theme


@pytest.fixture(autouse=True)
def dressed_and_tidy(qapp):
    """The application's look, and no widget that a collection in some worker's thread could free: it would crash Qt."""
    if not qapp.styleSheet():
        apply_theme(qapp)
    gc.disable()
    yield
    gc.collect()
    gc.enable()


def array_of(image: QImage) -> np.ndarray:
    """(H, W, 4) uint8, blue first."""
    image = image.convertToFormat(QImage.Format.Format_RGB32)
    pixels = image.constBits().asarray(image.sizeInBytes())
    return np.array(pixels, np.uint8).reshape(image.height(), image.width(), 4).copy()


def visible(kind) -> list:
    return [widget for widget in QApplication.topLevelWidgets() if isinstance(widget, kind) and widget.isVisible()]


def button(dialog, text: str) -> QPushButton:
    return next(b for b in dialog.findChildren(QPushButton) if b.text() == text)


def headline(dialog) -> str:
    return dialog.findChild(QLabel).text()
