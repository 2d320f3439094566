"""From landmarks to a registered face crop: first by landmarks, then by pixels, with one warp of the picture each.

The same lines cut the crops of the viewer and the crops that networks are trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from app.datatypes import AlignedCrop
from app.face import geometry, topology

CROP_SIZE = 224
# Outer eye corners at half the crop's width: forehead to chin fit for an upright head, an open mouth included.
_EYE_CORNERS_PX = np.array([(56.0, 84.0), (168.0, 84.0)])
CROP_RECIPE = "224 px; outer eye corners at (56, 84) and (168, 84); apex registered on the onset by optical flow, v1"
AS_IS_RECIPE = "as-is"  # a data set's own crops, as in the published protocol

# Lucas–Kanade: a window of 17 px spans 15 % of the inter-ocular distance, two halvings catch 10 px of tracker jitter.
_WINDOW_PX = 17
_FLOW = {
    "winSize": (_WINDOW_PX, _WINDOW_PX),
    "maxLevel": 2,
    "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01),
    "minEigThreshold": 1e-4,
}
_FIT_ROUNDS = 6
_MIN_FIT_POINTS = 8
# Flow is taken on pictures of equal local contrast: a change of light or of the camera's gain then moves nothing.
_CONTRAST_WINDOW_PX = 41
_CONTRAST_FLOOR = 6.0  # grey levels; smooth skin stays smooth
_CONTRAST_GAIN = 42.0
# Regions that seldom move steady the rigid fit, in which the stable points count this much more.
_REGION_WEIGHT = 0.3
_LEAST_TEXTURE = 1.0  # grey levels² a pixel², so that a flat patch has a flow of little weight, not of none


def canonical_transform(landmarks_px: np.ndarray) -> np.ndarray:
    """Similarity (2, 3) that puts the outer eye corners of (478, ≥2) landmarks on their places in the crop."""
    corners = landmarks_px[[topology.RIGHT_EYE_OUTER, topology.LEFT_EYE_OUTER], :2].astype(np.float64)
    return _similarity(corners, _EYE_CORNERS_PX, np.ones(2))


def align(image_bgr: np.ndarray, landmarks_px: np.ndarray) -> AlignedCrop:
    """Cut the face out of (H, W, 3) uint8 by its landmarks alone."""
    return _warp(image_bgr, canonical_transform(landmarks_px))


@dataclass(frozen=True, eq=False, slots=True)
class Registration:
    """A face registered on a reference.

    `crop`: the registered crop. `displacement_px` (P, 2): what is left of each flow point's movement in crop pixels
    when rigid head motion is taken out; NaN where the flow failed. `residual_px`: median of the same over the stable
    points, a measure of how well the registration worked.
    """

    crop: AlignedCrop
    displacement_px: np.ndarray
    residual_px: float


class Reference:
    """A crop that later frames of the same face are registered on, to a few hundredths of a pixel.

    Args:
        image_bgr: the whole frame, (H, W, 3) uint8.
        landmarks_px: (478, 3) landmarks in it.
        crop_from_frame: an earlier registration to continue from; by default the eye corners decide.
    """

    def __init__(
        self, image_bgr: np.ndarray, landmarks_px: np.ndarray, crop_from_frame: np.ndarray | None = None
    ) -> None:
        transform = canonical_transform(landmarks_px) if crop_from_frame is None else crop_from_frame
        self.crop = _warp(image_bgr, transform)
        points = _transformed(transform, landmarks_px[:, :2])
        scale = np.sqrt(abs(np.linalg.det(transform[:, :2])))
        depth_px = landmarks_px[:, 2].astype(np.float64) * scale
        self.inter_ocular_px = geometry.inter_ocular_px(points)  # in crop pixels
        self._stable_px = points[list(topology.STABLE)]
        region_indices = [index for indices in topology.REGIONS.values() for index in indices]
        tracked = [*topology.STABLE, *region_indices]
        self._stable_count = len(topology.STABLE)
        self._points_px = points[tracked].astype(np.float32)
        # Depth lets the rigid fit follow a small turn of the head: a point nearer to the camera moves further.
        depth = depth_px[tracked] - depth_px[tracked].mean()
        self._design = _rigid_design(self._points_px, depth)
        still = [_REGION_WEIGHT * (name in topology.STEADY_REGIONS) for name in topology.REGION_NAMES]
        counts = [len(indices) for indices in topology.REGIONS.values()]
        self._fit_weights = np.concatenate([np.ones(self._stable_count), np.repeat(still, counts)])
        self._grey = _even_contrast(self.crop.image_bgr)
        self._texture = _texture(self._grey, self._points_px)
        roots = _root(self._texture)
        self._used = self._fit_weights > 0
        self._known = np.einsum("nij,njk->nik", roots, self._design)[self._used]
        self._root_used = roots[self._used]
        ends = self._stable_count + np.cumsum(counts)
        self._region_slices = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        self._region_means = self._mean_weights(np.ones(len(tracked), bool))

    def register(self, image_bgr: np.ndarray, landmarks_px: np.ndarray) -> Registration:
        """Register the same face in another frame: landmarks give the first guess, pixels the rest.

        Args:
            image_bgr: (H, W, 3) uint8.
            landmarks_px: (478, ≥2) landmarks in it.
        """
        stable_frame = landmarks_px[list(topology.STABLE), :2].astype(np.float64)
        guess = _similarity(stable_frame, self._stable_px, np.ones(len(stable_frame)))
        grey = _even_contrast(_warp(image_bgr, guess).image_bgr)
        moved, status, _ = cv2.calcOpticalFlowPyrLK(self._grey, grey, self._points_px, None, **_FLOW)
        flow = moved.astype(np.float64) - self._points_px
        has_flow = status.ravel() == 1
        has_flow &= np.abs(flow).max(axis=1) < CROP_SIZE / 8
        stable = np.arange(len(flow)) < self._stable_count
        if (has_flow & stable).sum() < _MIN_FIT_POINTS:
            return Registration(_warp(image_bgr, guess), np.full_like(flow, np.nan), float("inf"))
        rigid, weights = self._fit_rigid_flow(flow, has_flow)
        displacement = flow - rigid
        displacement[~has_flow] = np.nan
        residual = float(np.median(np.linalg.norm(displacement[has_flow & stable], axis=1)))
        stable_px = self._points_px[: self._stable_count].astype(np.float64)
        # A trace of weight keeps the fit defined when the regions alone carry it.
        correction = _similarity(
            stable_px + rigid[: self._stable_count], stable_px, weights[: self._stable_count] + 1e-6
        )
        crop = _warp(image_bgr, _composed(correction, guess))
        return Registration(crop, displacement, residual)

    def regional(self, displacement_px: np.ndarray) -> np.ndarray:
        """Displacement of each region, (R, 2) in percent of the inter-ocular distance; NaN where none was seen.

        Least squares over the pixels of a region: a point counts along directions in which its texture shows motion.
        """
        is_seen = ~np.isnan(displacement_px[:, 0])
        weights = self._region_means if is_seen.all() else self._mean_weights(is_seen)
        means = weights @ np.where(is_seen[:, None], displacement_px, 0.0).ravel()
        means = means.reshape(-1, 2) * (100 / self.inter_ocular_px)
        means[[not is_seen[region].any() for region in self._region_slices]] = np.nan
        return means

    def _mean_weights(self, is_seen: np.ndarray) -> np.ndarray:
        """Weights (2R, 2P) from the flow of those points that were seen to the regions' displacement."""
        weights = np.zeros((len(self._region_slices), 2, len(is_seen), 2))
        for row, region in enumerate(self._region_slices):
            texture = self._texture[region] * is_seen[region, None, None]
            if is_seen[region].any():
                weights[row][:, region] = (np.linalg.inv(texture.sum(axis=0)) @ texture).transpose(1, 0, 2)
        return weights.reshape(2 * len(self._region_slices), -1)

    def _fit_rigid_flow(self, flow: np.ndarray, has_flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Robust first-order rigid motion, iteratively reweighted (Cauchy).

        Each point counts along the directions in which its texture shows motion. Returns the fitted flow at every point
        (P, 2) and the weight of every point (P,).
        """
        prior = self._fit_weights[self._used] * has_flow[self._used]
        target = np.einsum("nij,nj->ni", self._root_used, flow[self._used])
        known, flat = self._known.reshape(-1, self._known.shape[2]), target.ravel()
        weights = prior
        for _ in range(_FIT_ROUNDS):
            weighted = known * np.repeat(weights, 2)[:, None]
            solution = np.linalg.solve(weighted.T @ known + 1e-9 * np.eye(known.shape[1]), weighted.T @ flat)
            error = np.hypot(*(flat - known @ solution).reshape(-1, 2).T)
            scale = max(0.05, 1.5 * float(np.median(error[prior > 0])))
            weights = prior / (1 + (error / scale) ** 2)
        all_weights = np.zeros(len(flow))
        all_weights[self._used] = weights
        return self._design @ solution, all_weights


def _rigid_design(points_px: np.ndarray, depth_px: np.ndarray) -> np.ndarray:
    """Flow of points under a small rigid motion, (P, 2, 6): shift, change of size, roll, yaw and pitch.

    A full affine map would have two more terms, and they would take a raised brow for a stretched head.
    """
    x, y = ((points_px - CROP_SIZE / 2) / CROP_SIZE).T
    z, one, zero = depth_px / CROP_SIZE, np.ones(len(x)), np.zeros(len(x))
    across = np.column_stack([one, zero, x, -y, z, zero])
    down = np.column_stack([zero, one, y, x, zero, z])
    return np.stack([across, down], axis=1)


def _even_contrast(image_bgr: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8 to (S, S) uint8 grey with the same mean and spread everywhere."""
    grey = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)
    window = (_CONTRAST_WINDOW_PX, _CONTRAST_WINDOW_PX)
    mean = cv2.boxFilter(grey, -1, window)
    variance = cv2.max(cv2.sqrBoxFilter(grey, cv2.CV_32F, window) - mean * mean, 0)
    even = cv2.divide(grey - mean, cv2.sqrt(variance) + _CONTRAST_FLOOR)
    return cv2.addWeighted(even, _CONTRAST_GAIN, even, 0, 128, dtype=cv2.CV_8U)


def _texture(grey: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Structure tensor of the flow window around each point, (P, 2, 2)."""
    across, down = cv2.Scharr(grey, cv2.CV_32F, 1, 0) / 32, cv2.Scharr(grey, cv2.CV_32F, 0, 1) / 32
    x, y = np.clip(points_px.round().astype(int), 0, CROP_SIZE - 1).T
    xx, xy, yy = (
        cv2.boxFilter(product, -1, (_WINDOW_PX, _WINDOW_PX))[y, x].astype(np.float64)
        for product in (across * across, across * down, down * down)
    )
    return np.stack([xx, xy, xy, yy], axis=-1).reshape(-1, 2, 2) + _LEAST_TEXTURE * np.eye(2)


def _root(tensors: np.ndarray) -> np.ndarray:
    """Symmetric square roots of (P, 2, 2), scaled so that an error through them is in pixels at a typical texture."""
    values, vectors = np.linalg.eigh(tensors)
    roots = vectors * np.sqrt(values)[:, None, :] @ vectors.transpose(0, 2, 1)
    return roots / np.sqrt(np.median(values))


def _warp(image_bgr: np.ndarray, crop_from_frame: np.ndarray) -> AlignedCrop:
    """One bilinear warp; large faces are averaged down first so that no detail aliases into motion."""
    shrink = int(1 / np.sqrt(abs(np.linalg.det(crop_from_frame[:, :2])) + 1e-12))
    from_frame = crop_from_frame
    if shrink >= 2:
        image_bgr, from_frame = _shrunken(image_bgr, crop_from_frame, shrink)
    crop = cv2.warpAffine(
        image_bgr, from_frame, (CROP_SIZE, CROP_SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return AlignedCrop(crop, crop_from_frame)


def _shrunken(image_bgr: np.ndarray, crop_from_frame: np.ndarray, shrink: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of the frame that the crop shows, averaged down by about `shrink`, and the crop's transform from it."""
    height, width = image_bgr.shape[:2]
    corners = np.array([(0, 0), (CROP_SIZE, 0), (0, CROP_SIZE), (CROP_SIZE, CROP_SIZE)])
    shown = _transformed(cv2.invertAffineTransform(crop_from_frame), corners)
    low = np.clip(np.floor(shown.min(axis=0)) - 2 * shrink, 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(shown.max(axis=0)) + 2 * shrink, low + 1, (width, height)).astype(int)
    part = image_bgr[low[1] : high[1], low[0] : high[0]]
    size = np.maximum((high - low) // shrink, 1)
    small = cv2.resize(part, tuple(map(int, size)), interpolation=cv2.INTER_AREA)
    ratio = (high - low) / size
    # Pixel centres lie at +0.5, so a shrunken picture is shifted as well as scaled.
    frame_from_small = np.column_stack([np.diag(ratio), (ratio - 1) / 2 + low])
    return small, _composed(crop_from_frame, frame_from_small)


def _transformed(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 2) points through a (2, 3) transform."""
    return points.astype(np.float64) @ transform[:, :2].T + transform[:, 2]


def _composed(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The (2, 3) transform that applies `first`, then `second`."""
    return second @ np.vstack([first, (0, 0, 1)])


def _similarity(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted least-squares similarity (2, 3) from (N, 2) source to target points (Umeyama 1991, planar case)."""
    weights = weights / weights.sum()
    source_mean, target_mean = weights @ source, weights @ target
    s, t = source - source_mean, target - target_mean
    power = weights @ (s**2).sum(axis=1) + 1e-12
    a = weights @ (s * t).sum(axis=1) / power
    b = weights @ (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]) / power
    rotation = np.array([(a, -b), (b, a)])
    return np.column_stack([rotation, target_mean - rotation @ source_mean])
