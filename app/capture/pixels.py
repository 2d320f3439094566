"""The one picture format that passes between the stages: (H, W, 3) uint8, blue first."""

from __future__ import annotations

import cv2
import numpy as np


def to_bgr(image: np.ndarray) -> np.ndarray:
    """Turn a decoded picture, (H, W) or (H, W, 1|3|4) of uint8 or uint16, into (H, W, 3) uint8 BGR, contiguous.

    16 bits are scaled by their full range (65535 → 255); transparency is dropped, not blended.
    Raises ValueError for any other depth or number of channels.
    """
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=1 / 257)
    if image.dtype != np.uint8:
        raise ValueError(f"pixels are {image.dtype}, not 8 or 16 bits")
    channels = image.shape[2] if image.ndim == 3 else 1
    if channels == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    if channels == 4:
        return cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)
    if channels != 3:
        raise ValueError(f"the picture has {channels} channels")
    return np.ascontiguousarray(image)
