"""The face's own coordinates on a grid that is coarse enough to be quick and fine enough for lids and lips."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from app.errors import FaceError
from app.face import geometry, topology

_CELLS = 108  # between the outer eye corners; a smaller portrait is taken pixel by pixel
_FADE = 0.22  # fields end this far outside the face oval
_MARGIN = 0.3  # of the grid around the oval
_MIN_INTER_OCULAR_PX = 20

Box = tuple[slice, slice]


@dataclass(frozen=True, eq=False, slots=True)
class Paint:
    """Colour laid over part of the grid: `alpha` (h, w) float32 in 0–1, `colour_bgr` (h, w, 3) float32."""

    box: Box
    alpha: np.ndarray
    colour_bgr: np.ndarray


class FaceGrid:
    """A grid over the face, with lengths in inter-ocular distances (iod): across the face and down it.

    Args:
        landmarks_px: (478, 3) float32 landmarks of MediaPipe's FaceMesh.
        size: (width, height) of the portrait.

    Attributes:
        inter_ocular_px: distance between the outer eye corners, portrait pixels.
        shape: (h, w) of the grid.
        portrait_from_grid: (2, 3), grid cells to portrait pixels.
        axes: (2, 2), unit vectors across and down the face in the picture.
        points: (478, 2) landmarks, iod from the middle between the eyes.
        across, down: (h, w) float32, the same coordinates of every cell.
        face_mask: (h, w) float32, 1 on the face, falling smoothly to 0 around it.
        skin_mask: (h, w) float32, 0 on the eyeballs and the lids' margins, rising to 1 around them.

    Raises:
        FaceError: the landmarks have another shape, or no face of at least 20 px lies inside the picture.
    """

    def __init__(self, landmarks_px: np.ndarray, size: tuple[int, int]) -> None:
        if landmarks_px.shape != (topology.LANDMARK_COUNT, 3):
            raise FaceError(f"Landmarks must be (478, 3), not {landmarks_px.shape}: refine FaceMesh's.")
        self.inter_ocular_px = geometry.inter_ocular_px(landmarks_px)
        points_px = landmarks_px[:, :2].astype(np.float64)
        oval = points_px[list(topology.FACE_OVAL)]
        low = np.maximum(np.floor(oval.min(axis=0) - _MARGIN * self.inter_ocular_px), 0)
        high = np.minimum(np.ceil(oval.max(axis=0) + _MARGIN * self.inter_ocular_px), size)
        if self.inter_ocular_px < _MIN_INTER_OCULAR_PX or (high - low).min() < self.inter_ocular_px:
            raise FaceError("The portrait shows no face of at least 20 px between the eyes; use a larger, centred one.")
        cell_px = max(1.0, self.inter_ocular_px / _CELLS)
        width, height = (np.ceil((high - low) / cell_px)).astype(int)
        self.shape = (int(height), int(width))
        self.portrait_from_grid = np.column_stack([np.eye(2) * cell_px, low])
        self._points_cells = (points_px - low) / cell_px
        self._cells_per_iod = self.inter_ocular_px / cell_px
        across = points_px[topology.LEFT_EYE_OUTER] - points_px[topology.RIGHT_EYE_OUTER]
        across /= np.linalg.norm(across)
        self.axes = np.array([across, (-across[1], across[0])])
        self._origin_cells = self._points_cells[[topology.RIGHT_EYE_OUTER, topology.LEFT_EYE_OUTER]].mean(axis=0)
        self.points = (self._points_cells - self._origin_cells) @ self.axes.T / self._cells_per_iod
        y, x = np.mgrid[: self.shape[0], : self.shape[1]].astype(np.float32)
        x, y = x - np.float32(self._origin_cells[0]), y - np.float32(self._origin_cells[1])
        scaled = (self.axes / self._cells_per_iod).astype(np.float32)
        self.across, self.down = (x * axis[0] + y * axis[1] for axis in scaled)
        self.face_mask = self.soft_mask(topology.FACE_OVAL, _FADE)
        # Narrow where little skin lies between lid and brow would fold it; the lids' own travel is added elsewhere.
        eyes = (topology.RIGHT_EYE, topology.LEFT_EYE)
        self.skin_mask = 1 - np.maximum(*(self.soft_mask(eye, 0.11) for eye in eyes))

    def box(self, centre: np.ndarray, reach: float) -> Box:
        """The cells within a distance (iod) of a point (iod), clipped to the grid."""
        at = self._cells(centre[None])[0]
        low = np.clip(np.floor(at - reach * self._cells_per_iod), 0, self.shape[::-1]).astype(int)
        high = np.clip(np.ceil(at + reach * self._cells_per_iod) + 1, 0, self.shape[::-1]).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])

    def in_picture(self, vector: np.ndarray) -> np.ndarray:
        """A vector of the face, across and down, in the picture's axes: (..., 2) float32."""
        return (vector @ self.axes).astype(np.float32)

    def at_points(self, values: np.ndarray) -> np.ndarray:
        """Values on the grid, (h, w) or (h, w, C), at the (478, 2) landmarks."""
        x, y = self._points_cells.astype(np.float32).T
        return cv2.remap(values, x[None], y[None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]

    def soft_mask(self, indices: tuple[int, ...], fade: float) -> np.ndarray:
        """1 inside a contour of landmarks, falling smoothly to 0 at `fade` (iod) outside it; (h, w) float32."""
        outside = np.ones(self.shape, np.uint8)
        cv2.fillPoly(outside, [np.rint(self._points_cells[list(indices)]).astype(np.int32)], 0)
        distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5) / np.float32(fade * self._cells_per_iod)
        ratio = np.clip(1 - distance, 0, 1)
        return ratio * ratio * (3 - 2 * ratio)

    def fold(self, line: np.ndarray, width: float) -> tuple[Box, np.ndarray]:
        """A soft line through (N, 2) points (iod) with shoulders of the other sign; (h, w) float32, at most 1."""
        middle = (line.min(axis=0) + line.max(axis=0)) / 2
        box = self.box(middle, float(np.linalg.norm(line - middle, axis=1).max()) + 6 * width)
        stroke = np.zeros((box[0].stop - box[0].start, box[1].stop - box[1].start), np.float32)
        if not stroke.size:
            return box, stroke
        corners = self._cells(line) - (box[1].start, box[0].start)
        cv2.polylines(stroke, [np.rint(corners * 16).astype(np.int32)], False, 1.0, shift=4)
        sigma = max(width * self._cells_per_iod, 0.8)
        stroke = cv2.GaussianBlur(stroke, (0, 0), sigma)
        # A fold darkens its bottom and catches light on its shoulders.
        stroke -= 0.5 * cv2.GaussianBlur(stroke, (0, 0), 1.7 * sigma)
        return box, stroke / (stroke.max() + 1e-9)

    def blurred(self, values: np.ndarray, sigma: float) -> np.ndarray:
        """Values on the grid, smoothed by a Gaussian of `sigma` (iod)."""
        return cv2.GaussianBlur(values, (0, 0), sigma * self._cells_per_iod)

    def slope(self, field: np.ndarray) -> float:
        """Largest change of a displacement (h, w, 2) per unit of length (Frobenius norm of its Jacobian)."""
        right, below = field[:-1, 1:] - field[:-1, :-1], field[1:, :-1] - field[:-1, :-1]
        return float(np.sqrt((squared_length(right) + squared_length(below)).max())) * self._cells_per_iod

    def in_portrait(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) points in iod as (N, 2) portrait pixels."""
        return self._cells(points) * self.portrait_from_grid[0, 0] + self.portrait_from_grid[:, 2]

    def _cells(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) points in iod as (N, 2) grid coordinates."""
        return points @ self.axes * self._cells_per_iod + self._origin_cells


def curve(points: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Height of a smooth line through (N, 2) points at every position; level beyond its ends."""
    t, height = points.T
    middle, scale = (t.max() + t.min()) / 2, np.ptp(t) / 2
    ends = np.clip(position, t.min(), t.max())
    return np.polyval(np.polyfit((t - middle) / scale, height, 4), (ends - middle) / scale).astype(np.float32)


def squared_length(field: np.ndarray) -> np.ndarray:
    """Of the vectors of a field (h, w, 2); several times as quick as a sum over the last axis."""
    return field[..., 0] * field[..., 0] + field[..., 1] * field[..., 1]


def support(counts: np.ndarray) -> Box:
    """The smallest box that holds all True cells of (h, w); empty without any."""
    rows, columns = (np.flatnonzero(counts.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def smooth_step(ratio: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, with level ends between."""
    ratio = np.clip(ratio, 0, 1)
    return ratio * ratio * (3 - 2 * ratio)
