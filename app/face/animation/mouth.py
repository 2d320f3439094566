"""The mouth opens without stretching the lips: what lies below their line goes down, and darkness shows between."""

from __future__ import annotations

import cv2
import numpy as np

from app.face import geometry, topology
from app.face.animation.grid import FaceGrid, Paint, curve, smooth_step, support

_LOWER_LIP_LINE = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_UPPER_LIP_LINE = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_UNDER_LIP = 0.01  # from the upper lip's border, to be clear of the lip itself
_RAMP = 0.12  # height of the skin beside the mouth, and of the corners, over which a jaw's drop sets in
_INTERIOR = 0.3  # brightness of the mouth's inside, of that of the lips
_SOFT_CELLS = 1.2


class Mouth:
    """The line between the lips of one portrait.

    Attributes:
        box: the cells below the line between the lips, from corner to corner.
        height: (h, w) float32, every cell's distance below the lower lip's inner border, iod; negative above it.
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
        self.box = support((self._lens > 0) & (self.height > -_RAMP))
        self._place = position[self.box] / np.float32(reach)
        self._dark_bgr = np.empty((*self._place.shape, 3), np.float32)
        self._dark_bgr[:] = _INTERIOR * _lip_colour(image_bgr, landmarks_px)

    def inside_of(self, image_bgr: np.ndarray, landmarks_px: np.ndarray) -> np.ndarray:
        """What another picture's open mouth shows, on this mouth's box, (h, w, 3) float32.

        Teeth belong to the upper jaw: as the mouth opens, they appear from above at their own size.
        """
        points = landmarks_px[:, :2].astype(np.float64)
        corners = points[[78, 308]]
        width = np.linalg.norm(corners[1] - corners[0])
        along = (corners[1] - corners[0]) / width
        axes = np.stack([along, (-along[1], along[0])])
        middle = corners.mean(axis=0)
        line = (points[list(_UPPER_LIP_LINE)] - middle) @ axes.T
        position = np.clip(self._place, -0.98, 0.98) * np.float32(width / 2)
        per_iod = geometry.inter_ocular_px(landmarks_px)
        height = curve(line, position) + (self.height[self.box] + _UNDER_LIP) * np.float32(per_iod)
        at = (np.dstack([position, height]) @ axes + middle).astype(np.float32)
        return cv2.remap(image_bgr, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)

    def parted(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Split a jaw's displacement (h, w, 2) into what is smooth and, in `box`, what moves only below the lips."""
        return (
            displacement * ((1 - self._lens) * self._ramp)[..., None],
            displacement[self.box] * self._lens[self.box][..., None],
        )

    def open(self, field: np.ndarray, below_lips: np.ndarray, inside_bgr: np.ndarray | None = None) -> Paint:
        """Add what moves only below the lips to the part of a field in `box`; returns what shows of the inside.

        The inside is dark unless `inside_of` another picture is given.
        """
        height = self.height[self.box] - field @ self._down
        is_below = np.clip((height - below_lips @ self._down) / self._soft + 0.5, 0, 1)
        field += below_lips * is_below[..., None]
        shows = np.maximum(np.clip(height / self._soft + 0.5, 0, 1) - is_below, 0)
        return Paint(self.box, shows, self._dark_bgr if inside_bgr is None else inside_bgr)


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
