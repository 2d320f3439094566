"""Camera pictures as Qt pictures, without a conversion and without OpenCV."""

from __future__ import annotations

import numpy as np
from PyQt6.QtGui import QImage


def image_of(image_bgr: np.ndarray) -> QImage:
    """(H, W, 3) uint8 pixels as a picture to paint at once: QImage does not own them, so the array must outlive it."""
    assert image_bgr.flags.c_contiguous
    height, width = image_bgr.shape[:2]
    return QImage(image_bgr.data, width, height, image_bgr.strides[0], QImage.Format.Format_BGR888)
