"""Motion magnification: the movement between onset and offset, k times as large, in the registered crops of an event.

Head motion is gone already: the crops are registered on the eyes and the nose. What is left of it, and the noise of the
flow, would be magnified as well, so the flow is cleaned first: over the frames it is reduced to the few patterns that a
single facial movement has, over the picture it counts only where there is texture to see it by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from app.errors import MmnetError

MAX_FACTOR = 20.0
_CELL_PX = 4  # flow is kept at a quarter of the crop's resolution: skin does not move in finer detail
_SMOOTH_CELLS = 1.2
_REFINE_BLUR_PX = 2.0
_PATTERNS = 2  # of movement in one event: going there and coming back need not take the same way
_NOISE_MULTIPLE = 2.0
# Pixels per pixel: at a compression of 1 two neighbouring points meet, and the picture would fold; a stretch beyond 1
# looks like rubber.
_MAX_COMPRESSION, _MAX_STRETCH = 0.8, 1.0
_INVERSION_ROUNDS, _INVERSION_STEP = 20, 0.5  # steps of half the error also settle where the picture is stretched
_FIT_ROUNDS = 5
# An upright face in the crop, as fractions of its size: centre and half axes. Hair and background move by themselves.
_FACE_CENTRE, _FACE_AXES = (0.5, 0.53), (0.40, 0.52)
_EDGE = 0.25  # the share of an axis over which the movement fades


class MagnificationError(MmnetError):
    """Crops that cannot be magnified together."""


class Magnifier:
    """The frames of one movement, to be drawn with any magnification.

    Args:
        onset_bgr: (S, S, 3) uint8, the face before the movement.
        crops_bgr: frames of the movement, each registered on the onset and of its size.
        before_frame: called before each frame is measured; what it raises ends the work.

    Attributes:
        max_factor: the largest magnification at which no frame tears or folds, at most `MAX_FACTOR`.

    Raises:
        MagnificationError: no frame, or frames of different sizes.
    """

    def __init__(
        self,
        onset_bgr: np.ndarray,
        crops_bgr: Sequence[np.ndarray],
        before_frame: Callable[[], object] = lambda: None,
    ) -> None:
        if not crops_bgr or any(crop.shape != onset_bgr.shape for crop in crops_bgr):
            sizes = sorted({"×".join(map(str, crop.shape)) for crop in (onset_bgr, *crops_bgr)})
            raise MagnificationError(
                f"Magnifying needs frames of one size, not {len(crops_bgr)} of {', '.join(sizes)}."
            )
        self._crops_bgr = list(crops_bgr)
        flows = _clean_flows(onset_bgr, self._crops_bgr, before_frame)
        distortion = max(_distortion(flow) for flow in flows)
        self.max_factor = float(np.clip(1 / max(distortion, 1e-6), 1.0, MAX_FACTOR))
        self._flows = flows

    def __len__(self) -> int:
        return len(self._crops_bgr)

    def frame(self, position: int, factor: float) -> np.ndarray:
        """Frame `position` with its movement since the onset `factor` times as large, but at most `max_factor` times.

        1 gives the frame as it was filmed. Returns (S, S, 3) uint8.
        """
        factor = float(np.clip(factor, 1.0, self.max_factor))
        crop_bgr = self._crops_bgr[position]
        if factor == 1.0:
            return crop_bgr
        height, width = crop_bgr.shape[:2]
        flow = cv2.resize(self._flows[position], (width, height), interpolation=cv2.INTER_CUBIC)
        grid = _grid(height, width)
        # What is shown at y was at x in the onset, with x + factor · flow(x) = y. In this frame it is at x + flow(x):
        # taken from there, new shadows and folds come along.
        at_onset = grid.copy()
        for _ in range(_INVERSION_ROUNDS):
            moved = cv2.remap(flow, at_onset, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            at_onset += _INVERSION_STEP * (grid - factor * moved - at_onset)
        moved = cv2.remap(flow, at_onset, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        source = at_onset + moved
        return cv2.remap(crop_bgr, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def movement_px(self, position: int) -> np.ndarray:
        """The cleaned movement that is magnified, (S/4, S/4, 2) float32: right and down in crop pixels."""
        return self._flows[position]


def magnified(
    onset_bgr: np.ndarray, crops_bgr: Sequence[np.ndarray], factor: float
) -> tuple[tuple[np.ndarray, ...], float]:
    """All frames of a movement magnified, and the factor that was possible: see `Magnifier`."""
    magnifier = Magnifier(onset_bgr, crops_bgr)
    frames = tuple(magnifier.frame(position, factor) for position in range(len(magnifier)))
    return frames, min(max(factor, 1.0), magnifier.max_factor)


def _clean_flows(onset_bgr: np.ndarray, crops_bgr: list[np.ndarray], before_frame: Callable[[], object]) -> np.ndarray:
    """(N, S/4, S/4, 2) float32: movement of each frame since the onset in crop pixels."""
    onset = cv2.cvtColor(onset_bgr, cv2.COLOR_BGR2GRAY)
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    size = (onset.shape[1] // _CELL_PX, onset.shape[0] // _CELL_PX)
    trust = cv2.resize(_texture(onset), size, interpolation=cv2.INTER_AREA) * _face_mask(*size)
    flows = []
    for crop_bgr in crops_bgr:
        before_frame()
        flow = _flow(search, onset, cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2GRAY))
        flow = cv2.resize(flow, size, interpolation=cv2.INTER_AREA)
        flow -= _rigid(flow, trust)
        # Where nothing can be seen to move, the movement of what is around is taken.
        weight = cv2.GaussianBlur(trust, (0, 0), _SMOOTH_CELLS) + 1e-3
        flows.append(cv2.GaussianBlur(flow * trust[..., None], (0, 0), _SMOOTH_CELLS) / weight[..., None])
    reduced = _reduced(np.stack(flows))
    return (reduced * _face_mask(*size)[..., None]).astype(np.float32)


def _flow(search: cv2.DISOpticalFlow, onset: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Dense flow in two steps: the first is a seventh short for a movement of one pixel, the second makes it good."""
    flow = cv2.GaussianBlur(search.calc(onset, frame, None), (0, 0), _REFINE_BLUR_PX)
    back = cv2.remap(frame, _grid(*frame.shape) + flow, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return flow + search.calc(onset, back, None)


def _reduced(flows: np.ndarray) -> np.ndarray:
    """(N, h, w, 2) with only its strongest patterns over time, shrunk to zero where they do not exceed the rest."""
    count = len(flows)
    matrix = flows.reshape(count, -1)
    left, strengths, right = np.linalg.svd(matrix, full_matrices=False)
    kept = min(_PATTERNS, count)
    smooth = ((left[:, :kept] * strengths[:kept]) @ right[:kept]).reshape(flows.shape)
    if count <= kept + 1:
        return smooth
    rest = flows - smooth
    noise = np.sqrt((rest**2).sum(axis=(0, 3)) / (count - kept))
    noise = cv2.GaussianBlur(noise, (0, 0), _SMOOTH_CELLS)
    power = (smooth**2).sum(axis=3).max(axis=0)
    return smooth * (power / (power + (_NOISE_MULTIPLE * noise) ** 2 + 1e-6))[..., None]


def _rigid(flow: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """The similarity that most of the face follows: what the registration left of the head's motion. (h, w, 2)."""
    height, width = flow.shape[:2]
    position = _grid(height, width) / width - 0.5
    x, y = position[..., 0].ravel(), position[..., 1].ravel()
    one, zero = np.ones_like(x), np.zeros_like(x)
    design = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    target = np.concatenate([flow[..., 0].ravel(), flow[..., 1].ravel()])
    base = np.tile(trust.ravel(), 2)
    weights = base
    solution = np.zeros(4)
    for _ in range(_FIT_ROUNDS):
        weighted = design * weights[:, None]
        solution = np.linalg.solve(weighted.T @ design + 1e-6 * np.eye(4), weighted.T @ target)
        error = np.hypot(*(target - design @ solution).reshape(2, -1))
        scale = max(0.03, 1.5 * float(np.median(error[trust.ravel() > 0.05]))) if (trust > 0.05).any() else 1.0
        weights = base / (1 + np.tile(error / scale, 2) ** 2)
    return (design @ solution).reshape(2, height, width).transpose(1, 2, 0)


def _texture(grey: np.ndarray) -> np.ndarray:
    """How well a movement can be seen at each pixel, 0–1: the smaller eigenvalue of the structure tensor, squashed."""
    smallest = cv2.cornerMinEigenVal(cv2.GaussianBlur(grey, (0, 0), 1.0), 7, ksize=3)
    typical = float(np.median(smallest)) + 1e-9
    return smallest / (smallest + typical)


def _distortion(flow: np.ndarray) -> float:
    """How much the movement distorts the picture where it does most: 1 is what may be shown."""
    down, right = np.gradient(flow, _CELL_PX, axis=(0, 1))
    half_trace = (right[..., 0] + down[..., 1]) / 2
    determinant = right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]
    compression = np.sqrt(np.maximum(half_trace**2 - determinant, 0)) - half_trace
    stretch = np.sqrt((down**2 + right**2).sum(axis=2))
    return max(float(compression.max()) / _MAX_COMPRESSION, float(stretch.max()) / _MAX_STRETCH)


def _face_mask(width: int, height: int) -> np.ndarray:
    """1 on the face, 0 outside, with a soft edge. (height, width) float32."""
    grid = _grid(height, width)
    x = (grid[..., 0] / (width - 1) - _FACE_CENTRE[0]) / _FACE_AXES[0]
    y = (grid[..., 1] / (height - 1) - _FACE_CENTRE[1]) / _FACE_AXES[1]
    inside = np.clip((1 - np.hypot(x, y)) / _EDGE, 0, 1)
    return (inside * inside * (3 - 2 * inside)).astype(np.float32)


def _grid(height: int, width: int) -> np.ndarray:
    """(height, width, 2) float32: x and y of every pixel."""
    return np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))
