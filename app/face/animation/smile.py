"""A person's own smile, from a second picture of them: how far every point moves and how the light on it changes."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator

from app.errors import FaceError
from app.face import topology
from app.face.animation.grid import FaceGrid, smooth_step
from app.face.animation.mouth import Mouth

_EVERY = 4  # grid cells between the points at which the spline is evaluated
_SMOOTHING = 2e-3  # of the spline: landmarks of two pictures are each off by about 1 % of the inter-ocular distance
_FIT_ROUNDS = 6
_FIT_ERROR = 0.01  # iod, at which a stable point's weight is halved
_LIDS = {"R": ((160, 159, 158), (144, 145, 153)), "L": ((387, 386, 385), (373, 374, 380))}
_MAX_LID = 0.06
_LIP_PATCH = (0.17, 0.13)  # of the lower lip and the skin below it that opens the mouth
_UPPER_INNER_LIP = (191, 80, 81, 82, 13, 312, 311, 310, 415)
_BLUR = 0.06  # of the light's change: finer detail would be skin that was not brought back exactly
_MAX_SHADING = 0.3
_DARK = 8.0  # grey levels, added so that black hair and pupils make no ratio


class SmileMorph:
    """What a whole smile does to one neutral portrait. The portrait keeps its own skin and eyes.

    Args:
        neutral_bgr, neutral_landmarks_px: (H, W, 3) uint8 and (478, 3), the portrait that will be animated.
        smile_bgr, smile_landmarks_px: the same person smiling, at any size and place.

    Attributes:
        peak: displacement of the landmark that moves furthest, as a fraction of the inter-ocular distance.
        displacement: (h, w, 2) float32 on the portrait's grid, fractions of the inter-ocular distance in the picture's
            axes.
        below_lips: the same, on the mouth's box, of what moves only below the line between the lips.
        shading: (h, w) float32, change of brightness.
        inside_bgr: what shows between the lips, on the mouth's box.
        lids: travel of each eye's upper and lower lid, down, fractions of the inter-ocular distance.

    Raises:
        FaceError: landmarks have another shape, or no face of at least 20 px lies inside a picture.
    """

    def __init__(
        self,
        neutral_bgr: np.ndarray,
        neutral_landmarks_px: np.ndarray,
        smile_bgr: np.ndarray,
        smile_landmarks_px: np.ndarray,
    ) -> None:
        self._grid = grid = FaceGrid(neutral_landmarks_px, neutral_bgr.shape[1::-1])
        if smile_landmarks_px.shape != neutral_landmarks_px.shape:
            raise FaceError(f"Landmarks of the smile must be (478, 3), not {smile_landmarks_px.shape}.")
        mouth = Mouth(grid, neutral_bgr, neutral_landmarks_px)
        moved = _on_neutral_head(neutral_landmarks_px, smile_landmarks_px, grid)
        visible = np.setdiff1d(
            np.arange(468), [*topology.RIGHT_EYE, *topology.LEFT_EYE, *topology.INNER_LIPS, *topology.FACE_OVAL]
        )
        self.peak = float(np.linalg.norm(moved[visible], axis=1).max())
        self.lids = {
            side: tuple(float(np.clip(moved[list(lid), 1].mean(), -_MAX_LID, _MAX_LID)) for lid in lids)
            for side, lids in _LIDS.items()
        }
        self.inside_bgr = mouth.inside_of(smile_bgr, smile_landmarks_px)
        smooth, self.below_lips = mouth.parted(self._lower_lip(moved[14, 1] - moved[13, 1]))
        # What the opening of the mouth explains is taken out of the landmarks: the rest is smooth across the lips.
        whole = np.zeros_like(smooth)
        whole[mouth.box] = self.below_lips
        opened, smooth_part = (grid.at_points(field) @ grid.axes.T for field in (whole, smooth))
        above = grid.at_points(mouth.height) < -2e-3
        above[list(_UPPER_INNER_LIP)] = True
        opened[above] = 0
        use = np.setdiff1d(np.arange(468), [*topology.RIGHT_EYE, *topology.LEFT_EYE])
        rest, place = moved - opened - smooth_part, smile_landmarks_px[:, :2].astype(np.float64)
        spline = RBFInterpolator(
            grid.points[use],
            np.column_stack([rest, place / grid.inter_ocular_px])[use],
            kernel="thin_plate_spline",
            smoothing=_SMOOTHING,
        )
        values = self._dense(spline)
        mask = (grid.face_mask * grid.skin_mask)[..., None]
        self.displacement = grid.in_picture(values[..., :2]) * mask + smooth
        self.shading = self._light(neutral_bgr, smile_bgr, values[..., 2:] * np.float32(grid.inter_ocular_px))

    def _lower_lip(self, opening: float) -> np.ndarray:
        """Displacement (h, w, 2) of the patch around the lower lip that opens the mouth."""
        grid = self._grid
        centre = grid.points[[14, 17]].mean(axis=0).astype(np.float32)
        width, height = _LIP_PATCH
        weight = np.exp(-0.5 * (((grid.across - centre[0]) / width) ** 2 + ((grid.down - centre[1]) / height) ** 2))
        return weight[..., None] * grid.in_picture(np.array([0.0, opening]))

    def _dense(self, spline: RBFInterpolator) -> np.ndarray:
        """The spline at every grid cell, (h, w, 4) float32."""
        coarse = np.dstack([self._grid.across[::_EVERY, ::_EVERY], self._grid.down[::_EVERY, ::_EVERY]])
        values = spline(coarse.reshape(-1, 2)).reshape(*coarse.shape[:2], -1).astype(np.float32)
        fine = np.array([(_EVERY, 0, 0), (0, _EVERY, 0)], np.float64)
        size = self._grid.shape[::-1]
        return cv2.warpAffine(values, fine, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _light(self, neutral_bgr: np.ndarray, smile_bgr: np.ndarray, place_px: np.ndarray) -> np.ndarray:
        """Change of brightness by a whole smile, low frequencies only, (h, w) float32."""
        grid = self._grid
        still = cv2.warpAffine(
            cv2.cvtColor(neutral_bgr, cv2.COLOR_BGR2GRAY),
            grid.portrait_from_grid,
            grid.shape[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        smiling = cv2.remap(cv2.cvtColor(smile_bgr, cv2.COLOR_BGR2GRAY), place_px, None, cv2.INTER_LINEAR)
        # Inside the oval, without eyes and mouth: hair, lashes and teeth tell nothing of the skin.
        mask = np.float32(1) - grid.soft_mask(topology.OUTER_LIPS, 0.05)
        mask *= smooth_step(grid.skin_mask * 1.4 - 0.4) * smooth_step(
            2 * grid.blurred(grid.soft_mask(topology.FACE_OVAL, 0.02), 0.08) - 1
        )
        before, after = (grid.blurred(np.float32(i) * mask, _BLUR) for i in (still, smiling))
        weight = grid.blurred(mask, _BLUR)
        log_ratio = np.log((after + _DARK * weight + 1e-3) / (before + _DARK * weight + 1e-3))
        log_ratio -= np.median(log_ratio[mask > 0.5])  # the two pictures may be exposed differently
        shading = np.clip(np.expm1(log_ratio), -_MAX_SHADING, _MAX_SHADING) * smooth_step(weight * 2)
        return grid.blurred(shading, _BLUR / 2) * grid.face_mask * grid.skin_mask


def _on_neutral_head(neutral_px: np.ndarray, smile_px: np.ndarray, grid: FaceGrid) -> np.ndarray:
    """Displacement of each landmark by the smile, rigid head motion taken out, (478, 2) iod across and down.

    First-order rigid motion from position and depth, fitted robustly to what muscles move least.
    """
    stable = list(topology.STABLE)
    smile = smile_px.astype(np.float64) - smile_px[stable].mean(axis=0)
    design = np.column_stack([smile, np.ones(len(smile))])
    target = grid.points
    weights = np.ones(len(stable))
    for _ in range(_FIT_ROUNDS):
        root = np.sqrt(weights)[:, None]
        fit = np.linalg.lstsq(design[stable] * root, target[stable] * root, rcond=None)[0]
        error = np.linalg.norm(design[stable] @ fit - target[stable], axis=1)
        weights = 1 / (1 + (error / _FIT_ERROR) ** 2)
    return design @ fit - target
