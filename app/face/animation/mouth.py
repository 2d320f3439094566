"""The mouth opens without stretching the lips: what lies below their line goes down, and darkness shows between."""

from __future__ import annotations

import cv2
import numpy as np

from app.face import topology
from app.face.animation.grid import FaceGrid, curve, smooth_step

_LOWER_LIP_LINE = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_RAMP = 0.12  # height of the skin beside the mouth, and of the corners, over which a jaw's drop sets in
_INTERIOR = 0.3  # brightness of the mouth's inside, of that of the lips
_SOFT_CELLS = 1.2


class Mouth:
    """The line between the lips of one portrait.

    Attributes:
        height: (h, w) float32, every cell's distance below the lower lip's inner border, iod; negative above it.
        interior_bgr: (3,) float32, colour of the inside of the mouth.
    """

    def __init__(self, grid: FaceGrid, image_bgr: np.ndarray, landmarks_px: np.ndarray) -> None:
        self._grid = grid
        corners = grid.points[[78, 308]]
        along = (corners[1] - corners[0]) / np.linalg.norm(corners[1] - corners[0])
        down = np.array([-along[1], along[0]])
        middle = corners.mean(axis=0)
        reach = np.linalg.norm(corners[1] - corners[0]) / 2
        across, below = grid.across - np.float32(middle[0]), grid.down - np.float32(middle[1])
        position = across * np.float32(along[0]) + below * np.float32(along[1])
        height = across * np.float32(down[0]) + below * np.float32(down[1])
        line = (grid.points[list(_LOWER_LIP_LINE)] - middle) @ np.stack([along, down], axis=1)
        self.height = height - curve(line, position)
        self._lens = np.sqrt(smooth_step(1.15 * (1 - (position / np.float32(reach)) ** 2)))
        self._ramp = smooth_step((self.height / np.float32(_RAMP) + 1) / 2)
        self._down = grid.in_picture(down)
        self._soft = np.float32(_SOFT_CELLS * grid.portrait_from_grid[0, 0] / grid.inter_ocular_px)
        self.interior_bgr = _INTERIOR * _lip_colour(image_bgr, landmarks_px)

    def parted(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Split a jaw's displacement (h, w, 2) into what is smooth everywhere and what moves only below the lips."""
        return (
            displacement * ((1 - self._lens) * self._ramp)[..., None],
            displacement * (self._lens * (self.height > -_RAMP))[..., None],
        )

    def open(self, field: np.ndarray, below_lips: np.ndarray) -> np.ndarray:
        """Add to a field (h, w, 2) what moves only below the lips; returns where the inside shows, (h, w), 0–1."""
        height = self.height - field @ self._down
        is_below = np.clip((height - below_lips @ self._down) / self._soft + 0.5, 0, 1)
        field += below_lips * is_below[..., None]
        return np.clip(height / self._soft + 0.5, 0, 1) - is_below


def _lip_colour(image_bgr: np.ndarray, landmarks_px: np.ndarray) -> np.ndarray:
    """Median colour of the lips, (3,) float32."""
    outer, inner = (
        np.rint(landmarks_px[list(indices), :2]).astype(np.int32)
        for indices in (topology.OUTER_LIPS, topology.INNER_LIPS)
    )
    mask = np.zeros(image_bgr.shape[:2], np.uint8)
    cv2.fillPoly(mask, [outer], 1)
    cv2.fillPoly(mask, [inner], 0)
    lips = image_bgr[mask > 0]
    return np.median(lips, axis=0).astype(np.float32) if len(lips) else np.full(3, 90, np.float32)
