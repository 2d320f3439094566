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
    "flags": cv2.OPTFLOW_LK_GET_MIN_EIGENVALS,  # at hand, while the default error costs another pass over the windows
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
_STABLE = np.array(topology.STABLE)
_STABLE_COUNT = len(topology.STABLE)
_TRACE = 1e-6  # of weight: keeps a fit defined when nothing else carries it
_MARGIN_PX = 8  # crop pixels: what is cut out of the frame by landmarks serves the registered crop as well


def canonical_transform(landmarks_px: np.ndarray) -> np.ndarray:
    """Similarity (2, 3) that puts the outer eye corners of (478, ≥2) landmarks on their places in the crop."""
    corners = landmarks_px[[topology.RIGHT_EYE_OUTER, topology.LEFT_EYE_OUTER], :2].astype(np.float64)
    return _similarity(corners, _EYE_CORNERS_PX, np.ones(2))


def align(image_bgr: np.ndarray, landmarks_px: np.ndarray) -> AlignedCrop:
    """Cut the face out of (H, W, 3) uint8 by its landmarks alone."""
    transform = canonical_transform(landmarks_px)
    return AlignedCrop(_warp(_cut(image_bgr, transform), transform), transform)


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
        cut = _cut(image_bgr, transform)
        self.crop = AlignedCrop(_warp(cut, transform), transform)
        points = _transformed(transform, landmarks_px[:, :2])
        scale = np.sqrt(abs(np.linalg.det(transform[:, :2])))
        depth_px = landmarks_px[:, 2].astype(np.float64) * scale
        self.inter_ocular_px = geometry.inter_ocular_px(points)  # in crop pixels
        self._stable_px = points[_STABLE]
        region_indices = [index for indices in topology.REGIONS.values() for index in indices]
        tracked = [*topology.STABLE, *region_indices]
        self._points_px = points[tracked].astype(np.float32)
        # Depth lets the rigid fit follow a small turn of the head: a point nearer to the camera moves further.
        depth = depth_px[tracked] - depth_px[tracked].mean()
        design = _rigid_design(self._points_px, depth)
        self._design = design.reshape(-1, design.shape[2])
        still = [_REGION_WEIGHT * (name in topology.STEADY_REGIONS) for name in topology.REGION_NAMES]
        counts = [len(indices) for indices in topology.REGIONS.values()]
        fit_weights = np.concatenate([np.ones(_STABLE_COUNT), np.repeat(still, counts)])
        self._grey = _even_contrast(_warp(cut.in_grey(), transform))
        self._texture = _texture(self._grey, self._points_px)
        used = np.flatnonzero(fit_weights)
        self._fit = _RigidFit(used, fit_weights[used], design[used], _root(self._texture)[used])
        ends = _STABLE_COUNT + np.cumsum(counts)
        self._region_slices = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        self._region_means = self._mean_weights(np.ones(len(tracked), bool))

    def register(self, image_bgr: np.ndarray, landmarks_px: np.ndarray) -> Registration:
        """Register the same face in another frame: landmarks give the first guess, pixels the rest.

        Args:
            image_bgr: (H, W, 3) uint8.
            landmarks_px: (478, ≥2) landmarks in it.
        """
        guess = _similarity(landmarks_px[_STABLE, :2].astype(np.float64), self._stable_px, np.ones(_STABLE_COUNT))
        cut = _cut(image_bgr, guess)
        grey = _even_contrast(_warp(cut.in_grey(), guess))
        moved, status, _ = cv2.calcOpticalFlowPyrLK(self._grey, grey, self._points_px, None, **_FLOW)
        flow = moved.astype(np.float64) - self._points_px
        has_flow = (status[:, 0] == 1) & (np.abs(flow).max(axis=1) < CROP_SIZE / 8)
        if np.count_nonzero(has_flow[:_STABLE_COUNT]) < _MIN_FIT_POINTS:
            return Registration(AlignedCrop(_warp(cut, guess), guess), np.full_like(flow, np.nan), float("inf"))
        solution, weights = self._fit.solve(flow, has_flow)
        rigid = (self._design @ solution).reshape(-1, 2)
        displacement = flow - rigid
        displacement[~has_flow] = np.nan
        left_x, left_y = displacement[:_STABLE_COUNT][has_flow[:_STABLE_COUNT]].T
        residual = _median(np.hypot(left_x, left_y))
        stable_px = self._points_px[:_STABLE_COUNT].astype(np.float64)
        correction = _similarity(stable_px + rigid[:_STABLE_COUNT], stable_px, weights[:_STABLE_COUNT] + _TRACE)
        crop_from_frame = _composed(correction, guess)
        if np.abs(rigid[:_STABLE_COUNT]).max() > _MARGIN_PX:
            cut = _cut(image_bgr, crop_from_frame)
        return Registration(AlignedCrop(_warp(cut, crop_from_frame), crop_from_frame), displacement, residual)

    def regional(self, displacement_px: np.ndarray) -> np.ndarray:
        """Displacement of each region, (R, 2) in percent of the inter-ocular distance; NaN where none was seen.

        Least squares over the pixels of a region: a point counts along directions in which its texture shows motion.
        """
        is_seen = ~np.isnan(displacement_px[:, 0])
        to_percent = 100 / self.inter_ocular_px
        if is_seen.all():
            return (self._region_means @ displacement_px.ravel()).reshape(-1, 2) * to_percent
        means = self._mean_weights(is_seen) @ np.where(is_seen[:, None], displacement_px, 0.0).ravel()
        means = means.reshape(-1, 2) * to_percent
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


class _RigidFit:
    """Robust fit of a rigid motion to the flow of some points, iteratively reweighted (Cauchy).

    Each point counts along the directions in which its texture shows motion.

    Args:
        used: (N,) which points of the flow.
        prior: (N,) their weights.
        design: (N, 2, 6) their flow for each degree of freedom.
        roots: (N, 2, 2) square roots of their textures.
    """

    def __init__(self, used: np.ndarray, prior: np.ndarray, design: np.ndarray, roots: np.ndarray) -> None:
        known = roots @ design
        self._used, self._prior = used, prior
        self._roots = roots
        self._known = known
        self._rows = known.transpose(1, 0, 2).reshape(-1, known.shape[2])  # all in x, then all in y
        # Of the normal equations, what each point adds; only its weight changes from round to round.
        self._squares = (known.transpose(0, 2, 1) @ known).reshape(len(used), -1)
        self._ridge = 1e-9 * np.eye(known.shape[2])

    def solve(self, flow: np.ndarray, has_flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The motion's six parameters and the weights (N,) of the points, from the flow (P, 2) of all points."""
        target = (self._roots @ flow[self._used, :, None])[:, :, 0]
        pulls = (target[:, None, :] @ self._known)[:, 0, :]
        flat = target.T.ravel()
        seen = has_flow[self._used]
        prior = self._prior * seen
        all_seen = seen.all()
        count, size = len(prior), len(self._ridge)
        weights = prior
        for _ in range(_FIT_ROUNDS):
            normal = (weights @ self._squares).reshape(size, size) + self._ridge
            solution = cv2.solve(normal, weights @ pulls, flags=cv2.DECOMP_CHOLESKY)[1][:, 0]
            error = flat - self._rows @ solution
            error *= error
            squared = error[:count] + error[count:]
            spread = _median(np.sqrt(squared if all_seen else squared[seen]))
            weights = prior / (1 + squared / max(0.05, 1.5 * spread) ** 2)
        return solution, weights


def _median(values: np.ndarray) -> float:
    """Median of (N,); numpy's own takes four times as long on a few dozen values."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (low, high))
    return float(ordered[low] + ordered[high]) / 2


def _rigid_design(points_px: np.ndarray, depth_px: np.ndarray) -> np.ndarray:
    """Flow of points under a small rigid motion, (P, 2, 6): shift, change of size, roll, yaw and pitch.

    A full affine map would have two more terms, and they would take a raised brow for a stretched head.
    """
    x, y = ((points_px - CROP_SIZE / 2) / CROP_SIZE).T
    z, one, zero = depth_px / CROP_SIZE, np.ones(len(x)), np.zeros(len(x))
    across = np.column_stack([one, zero, x, -y, z, zero])
    down = np.column_stack([zero, one, y, x, zero, z])
    return np.stack([across, down], axis=1)


def _even_contrast(grey: np.ndarray) -> np.ndarray:
    """(S, S) uint8 grey to the same with one mean and spread everywhere."""
    window = (_CONTRAST_WINDOW_PX, _CONTRAST_WINDOW_PX)
    # Whole numbers in, fractions out: a third faster than sums of fractions.
    mean = cv2.boxFilter(grey, cv2.CV_32F, window)
    spread = cv2.sqrBoxFilter(grey, cv2.CV_32F, window)
    spread -= cv2.multiply(mean, mean)
    cv2.sqrt(cv2.max(spread, 0, spread), spread)
    spread += np.float32(_CONTRAST_FLOOR)
    np.subtract(grey, mean, out=mean)
    return cv2.add(cv2.divide(mean, spread, mean, _CONTRAST_GAIN), 128.0, dtype=cv2.CV_8U)


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


@dataclass(frozen=True, eq=False, slots=True)
class _Cut:
    """The part of a frame that a crop shows, averaged down if it is large, and where it was."""

    image: np.ndarray
    frame_from_cut: np.ndarray

    def in_grey(self) -> _Cut:
        """The same without colour: flow needs none, and it is warped in half the time."""
        return _Cut(cv2.cvtColor(self.image, cv2.COLOR_BGR2GRAY), self.frame_from_cut)


def _cut(image_bgr: np.ndarray, crop_from_frame: np.ndarray) -> _Cut:
    """What a crop needs of a frame; large faces are averaged down so that no detail aliases into motion."""
    height, width = image_bgr.shape[:2]
    (a, b, x), (c, d, y) = cv2.invertAffineTransform(crop_from_frame).tolist()
    shrink = max(1, min(int(np.sqrt(abs(a * d - b * c))), width, height))
    near, far = -_MARGIN_PX, CROP_SIZE + _MARGIN_PX
    left, right = _span(x, (a * near, a * far), (b * near, b * far), width, shrink)
    top, bottom = _span(y, (c * near, c * far), (d * near, d * far), height, shrink)
    part = image_bgr[top:bottom, left:right]
    if shrink == 1:
        # Close together in memory it is warped faster, and it is warped twice.
        return _Cut(np.ascontiguousarray(part), np.array([(1.0, 0.0, left), (0.0, 1.0, top)]))
    size = (right - left) // shrink, (bottom - top) // shrink
    # Pixel centres lie at +0.5, so a shrunken picture is shifted as well as scaled.
    centre = (shrink - 1) / 2
    return _Cut(
        cv2.resize(part, size, interpolation=cv2.INTER_AREA),
        np.array([(shrink, 0.0, left + centre), (0.0, shrink, top + centre)]),
    )


def _span(
    shift: float, first: tuple[float, float], second: tuple[float, float], length: int, shrink: int
) -> tuple[int, int]:
    """Where a cut begins and ends along one side of a frame: a whole number of shrunken pixels, at least one."""
    low = int(min(max(shift + min(first) + min(second) - 2 * shrink, 0), length - shrink))
    high = int(min(max(shift + max(first) + max(second) + 2 * shrink, low + shrink), length))
    return low, high - (high - low) % shrink


def _warp(cut: _Cut, crop_from_frame: np.ndarray) -> np.ndarray:
    """The crop, (S, S, …) uint8, by one bilinear warp of a cut."""
    return cv2.warpAffine(
        cut.image,
        _composed(crop_from_frame, cut.frame_from_cut),
        (CROP_SIZE, CROP_SIZE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _transformed(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 2) points through a (2, 3) transform."""
    return points.astype(np.float64) @ transform[:, :2].T + transform[:, 2]


def _composed(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The (2, 3) transform that applies `first`, then `second`."""
    composed = second[:, :2] @ first
    composed[:, 2] += second[:, 2]
    return composed


def _similarity(source: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted least-squares similarity (2, 3) from (N, 2) float64 source to target points.

    In the plane, turning and scaling is one product of complex numbers (Umeyama 1991 in two dimensions).
    """
    s, t = (np.ascontiguousarray(points).view(np.complex128)[:, 0] for points in (source, target))
    weights = weights / weights.sum()
    s_mean, t_mean = weights @ s, weights @ t
    weighted, t = weights * (s - s_mean).conj(), t - t_mean
    turn = (weighted @ t) / ((weighted @ (s - s_mean)).real + 1e-12)
    shift = t_mean - turn * s_mean
    return np.array([(turn.real, -turn.imag, shift.real), (turn.imag, turn.real, shift.imag)])
