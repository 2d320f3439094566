"""Camera pictures as Qt pictures, without a conversion and without OpenCV."""

from __future__ import annotations

import numpy as np
from PyQt6.QtGui import QImage, QPixmap


def image_of(image_bgr: np.ndarray) -> QImage:
    """A view of (H, W, 3) uint8 pixels. QImage does not own them: keep the array while the image is in use."""
    assert image_bgr.flags.c_contiguous
    height, width = image_bgr.shape[:2]
    return QImage(image_bgr.data, width, height, image_bgr.strides[0], QImage.Format.Format_BGR888)


def pixmap_of(image_bgr: np.ndarray) -> QPixmap:
    """A copy of (H, W, 3) uint8 pixels for painting."""
    return QPixmap.fromImage(image_of(np.ascontiguousarray(image_bgr)))
