"""Moves the face of a portrait muscle by muscle: the test pattern of a micro-expression detector.

Every action unit is a smooth field of displacement plus a little shading, computed once for a portrait. A frame is
their weighted sum, the lids and the rigid head motion, joined into one backward warp: sub-pixel, without tearing, and
exactly zero outside the face, so that the background moves only with the camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from app.errors import FaceError
from app.face import geometry, topology
from app.face.action_units import ACTION_UNITS, ActionUnit, mirrored

SIDES = ("R", "L")  # the person's own
_FADE = 0.22  # fields end this far outside the face oval
_MARGIN = 0.3  # of the computed box around the oval
_SHADED_AT = 0.03  # the peak displacement at which creases reach their gain
_MAX_SHADING = 2.5  # multiples of that gain which creases approach in a large movement
_LID_FOLD = 0.14  # height of the skin above the eye that a blink unfolds
_LID_LIFT = 0.1  # share of a blink that the lower lid takes
_LID_OVERLAP = 0.012  # of both lids over the eyeball's visible border
_MIN_LIP_GAP_PX = 1.5
_EYES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362)),
)
_LIP_LINE = ((78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308), (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308))


@dataclass(frozen=True, eq=False, slots=True)
class _Unit:
    """Displacement (h, w, 2) in pixels at a peak of one inter-ocular distance, and shading (h, w) at `_SHADED_AT`."""

    displacement_px: np.ndarray
    shading: np.ndarray | None


@dataclass(frozen=True, eq=False, slots=True)
class _Eye:
    """Box of one eye within the face box, with its pixels' heights and those of both lid margins, in pixels.

    Heights run along `down`, the (2,) unit vector from the upper to the lower lid.
    """

    box: tuple[slice, slice]
    height_px: np.ndarray
    upper_px: np.ndarray
    lower_px: np.ndarray
    down: np.ndarray


class FaceAnimator:
    """Animates one portrait.

    Args:
        image_bgr: (H, W, 3) uint8, one frontal face.
        landmarks_px: (478, 3) float32 landmarks of MediaPipe's FaceMesh in its pixels.

    Raises:
        FaceError: the landmarks have another shape, or no face of at least 20 px lies inside the picture.
    """

    def __init__(self, image_bgr: np.ndarray, landmarks_px: np.ndarray) -> None:
        if landmarks_px.shape != (topology.LANDMARK_COUNT, 3):
            raise FaceError(f"Landmarks must be (478, 3), not {landmarks_px.shape}: refine FaceMesh's.")
        self.image_bgr = image_bgr
        self.inter_ocular_px = geometry.inter_ocular_px(landmarks_px)
        points = landmarks_px[:, :2].astype(np.float64)
        height, width = image_bgr.shape[:2]
        oval = points[list(topology.FACE_OVAL)]
        low = np.maximum(np.floor(oval.min(axis=0) - _MARGIN * self.inter_ocular_px), 0).astype(int)
        high = np.minimum(np.ceil(oval.max(axis=0) + _MARGIN * self.inter_ocular_px), (width, height)).astype(int)
        if self.inter_ocular_px < 20 or (high - low).min() < self.inter_ocular_px:
            raise FaceError("The portrait shows no face of at least 20 px between the eyes; use a larger, centred one.")
        self._low, self._shape = low, (int(high[1] - low[1]), int(high[0] - low[0]))
        self._points = points - low
        across = points[topology.LEFT_EYE_OUTER] - points[topology.RIGHT_EYE_OUTER]
        self._across = across / np.linalg.norm(across)
        self._down = np.array([-self._across[1], self._across[0]])
        y, x = np.mgrid[: self._shape[0], : self._shape[1]].astype(np.float32)
        self._x, self._y = x, y
        self._face_mask = self._soft_mask(topology.FACE_OVAL, _FADE * self.inter_ocular_px)
        fade_px = 0.03 * self.inter_ocular_px
        self._skin_mask = 1 - np.maximum(
            self._soft_mask(topology.RIGHT_EYE, fade_px), self._soft_mask(topology.LEFT_EYE, fade_px)
        )
        self._eyes = [self._eye(upper, lower) for upper, lower in _EYES]
        self._depth_px = landmarks_px[:, 2].astype(np.float32)
        self._units: dict[str, _Unit] = {}

    def displacement_px(self, action_units: Mapping[str, float], points_px: np.ndarray) -> np.ndarray:
        """How far (N, 2) points of the portrait move, (N, 2) float32 pixels; blinks and head motion left out."""
        field, _ = self._sum(action_units)
        at = (points_px - self._low).astype(np.float32)
        return cv2.remap(field, at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR)[0]

    def render(
        self,
        action_units: Mapping[str, float],
        *,
        eye_closure: float = 0.0,
        turn_deg: tuple[float, float] = (0.0, 0.0),
        crease_gain: float = 1.0,
        frame_from_portrait: np.ndarray | None = None,
        size: tuple[int, int] | None = None,
    ) -> np.ndarray:
        """Draw one frame, (h, w, 3) uint8 BGR.

        Args:
            action_units: peak displacement of each active unit as a fraction of the inter-ocular distance, e.g.
                {"12": 0.02, "4L": 0.01}; a side is the person's own.
            eye_closure: 0 as in the portrait, 1 shut.
            turn_deg: small change of the head's yaw and pitch, signed as in HeadPose; the face's outline stays.
            crease_gain: strength of the creases, 1 as in the tables.
            frame_from_portrait: (2, 3) head motion; by default none.
            size: (width, height) of the frame; by default that of the portrait.
        """
        field, shading = self._sum(action_units)
        if eye_closure > 0:
            for eye in self._eyes:
                field[eye.box] += _lid_displacement(eye, min(eye_closure, 1.0), _LID_FOLD * self.inter_ocular_px)
        for axis, angle_deg in enumerate(turn_deg):
            if angle_deg:
                field[..., axis] += np.float32(np.sin(np.radians(angle_deg))) * self._nearness_px
        if frame_from_portrait is None:
            frame_from_portrait = np.eye(2, 3)
        width, height = size or self.image_bgr.shape[1::-1]
        inverse = cv2.invertAffineTransform(np.asarray(frame_from_portrait, np.float64))
        columns, rows = np.arange(width)[None, :], np.arange(height)[:, None]
        source = np.empty((height, width, 2), np.float32)
        for axis in range(2):
            source[..., axis] = (inverse[axis, 0] * columns + inverse[axis, 2]) + inverse[axis, 1] * rows
        frame_from_box = frame_from_portrait @ np.vstack([np.column_stack([np.eye(2), self._low]), (0, 0, 1)])
        box, frame_from_box = self._visible_box(frame_from_box, width, height)
        box_size = (box[1].stop - box[1].start, box[0].stop - box[0].start)
        if min(box_size) > 0:
            source[box] -= cv2.warpAffine(field, frame_from_box, box_size, flags=cv2.INTER_LINEAR)
        image = cv2.remap(self.image_bgr, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        if shading is not None and min(box_size) > 0:
            gain = 1 + crease_gain * cv2.warpAffine(shading, frame_from_box, box_size, flags=cv2.INTER_LINEAR)
            image[box] = cv2.multiply(image[box], cv2.merge([gain] * 3), dtype=cv2.CV_8U)
        return image

    def _sum(self, action_units: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray | None]:
        """Displacement (h, w, 2) in pixels and shading (h, w) of several units at once."""
        field = np.zeros((*self._shape, 2), np.float32)
        shading = None
        for name, peak in action_units.items():
            if peak == 0:
                continue
            for side in SIDES if name[-1] not in SIDES else name[-1]:
                unit = self._unit(name.rstrip("RL"), side)
                cv2.scaleAdd(unit.displacement_px, peak, field, field)
                if unit.shading is not None:
                    strength = _MAX_SHADING * np.tanh(peak / _SHADED_AT / _MAX_SHADING)
                    shading = np.zeros(self._shape, np.float32) if shading is None else shading
                    cv2.scaleAdd(unit.shading, float(strength), shading, shading)
        return field, shading

    def _unit(self, name: str, side: str) -> _Unit:
        if name + side not in self._units:
            if name not in ACTION_UNITS:
                raise FaceError(f"There is no action unit {name!r}; known are {', '.join(ACTION_UNITS)}.")
            right, left = (self._displacement(ACTION_UNITS[name], s) for s in SIDES)
            peak = float(np.sqrt(((right + left) ** 2).sum(axis=2)).max())
            for s, field in zip(SIDES, (right, left), strict=True):
                scaled = field * np.float32(self.inter_ocular_px / peak)
                self._units[name + s] = _Unit(scaled, self._shading(ACTION_UNITS[name], s))
        return self._units[name + side]

    def _displacement(self, unit: ActionUnit, side: str) -> np.ndarray:
        """Sum of the unit's patches, (h, w, 2), before it is scaled."""
        outward = self._across if side == "L" else -self._across
        field = np.zeros((*self._shape, 2), np.float32)
        for pull in unit.pulls:
            indices = mirrored(pull.landmarks) if side == "L" else pull.landmarks
            dx, dy = self._offset_from(self._points[list(indices)].mean(axis=0))
            weight = np.exp(-0.5 * ((dx / pull.width) ** 2 + (dy / pull.height) ** 2)) * self._face_mask
            field += weight[..., None] * (pull.outward * outward + pull.downward * self._down).astype(np.float32)
        if unit.opens_mouth:
            field *= self._below_lips()[..., None]
        if not unit.moves_eye:
            field *= self._skin_mask[..., None]
        return field

    def _shading(self, unit: ActionUnit, side: str) -> np.ndarray | None:
        """Sum of the unit's creases, (h, w)."""
        if not unit.creases:
            return None
        shading = np.zeros(self._shape, np.float32)
        for crease in unit.creases:
            line = [mirrored(point) if side == "L" else point for point in crease.line]
            corners = np.array([self._points[list(point)].mean(axis=0) for point in line])
            stroke = np.zeros(self._shape, np.float32)
            cv2.polylines(stroke, [np.rint(corners).astype(np.int32)], False, 1.0)
            sigma = max(crease.width * self.inter_ocular_px, 0.8)
            stroke = cv2.GaussianBlur(stroke, (0, 0), sigma)
            # A fold darkens its bottom and catches light on its shoulders.
            stroke -= 0.5 * cv2.GaussianBlur(stroke, (0, 0), 1.7 * sigma)
            shading += stroke * (crease.gain / (stroke.max() + 1e-9))
        return shading * self._face_mask * self._skin_mask

    def _soft_mask(self, indices: tuple[int, ...], fade_px: float) -> np.ndarray:
        """1 inside a contour of landmarks, falling smoothly to 0 at `fade_px` outside it; (h, w) float32."""
        outside = np.ones(self._shape, np.uint8)
        cv2.fillPoly(outside, [np.rint(self._points[list(indices)]).astype(np.int32)], 0)
        ratio = np.clip(1 - cv2.distanceTransform(outside, cv2.DIST_L2, 5) / fade_px, 0, 1)
        return ratio * ratio * (3 - 2 * ratio)

    @cached_property
    def _nearness_px(self) -> np.ndarray:
        """How much nearer to the camera than the face's outline every pixel is, (h, w) float32; 0 off the face."""
        step = max(1, round(self.inter_ocular_px / 25))
        x, y = self._x[::step, ::step, None], self._y[::step, ::step, None]
        landmarks = self._points.astype(np.float32)
        squared = (x - landmarks[:, 0]) ** 2 + (y - landmarks[:, 1]) ** 2
        squared -= squared.min(axis=2, keepdims=True)  # a pixel far from all landmarks takes the nearest one's depth
        weight = np.exp(-squared / (2 * (0.07 * self.inter_ocular_px) ** 2))
        outline_px = np.median(self._depth_px[list(topology.FACE_OVAL)])
        nearness = outline_px - (weight @ self._depth_px) / weight.sum(axis=2)
        return cv2.resize(nearness, self._shape[::-1], interpolation=cv2.INTER_LINEAR) * self._face_mask

    def _offset_from(self, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every pixel's offset from a point, across and down the face, in inter-ocular distances."""
        dx, dy = (self._x - np.float32(centre[0])), (self._y - np.float32(centre[1]))
        across, down = (self._across / self.inter_ocular_px).astype(np.float32), self._down / self.inter_ocular_px
        down = down.astype(np.float32)
        return dx * across[0] + dy * across[1], dx * down[0] + dy * down[1]

    def _below_lips(self) -> np.ndarray:
        """0 above the upper lip's inner border, 1 below the lower lip's, smooth between; (h, w) float32."""
        origin, across, down = self._points[78], self._across, self._down
        position, height = self._projected(origin, across, down)
        upper, lower = (self._curve(indices, origin, across, down, position) for indices in _LIP_LINE)
        gap = np.maximum(lower - upper, _MIN_LIP_GAP_PX)
        ratio = np.clip((height - (upper + lower) / 2) / gap + 0.5, 0, 1)
        return ratio * ratio * (3 - 2 * ratio)

    def _eye(self, upper: tuple[int, ...], lower: tuple[int, ...]) -> _Eye:
        """Geometry of one eye; both lids' landmarks run from the outer to the inner corner."""
        corners = self._points[[upper[0], upper[-1]]]
        along = (corners[1] - corners[0]) * (1 if corners[1][0] > corners[0][0] else -1)
        along = along / np.linalg.norm(along)
        down = np.array([-along[1], along[0]])
        reach = 0.25 * self.inter_ocular_px
        low = np.maximum(np.floor(corners.min(axis=0) - reach), 0).astype(int)
        high = np.minimum(np.ceil(corners.max(axis=0) + reach), self._shape[::-1]).astype(int)
        box = (slice(low[1], high[1]), slice(low[0], high[0]))
        position, height = (values[box] for values in self._projected(corners[0], along, down))
        upper_px = self._curve(upper, corners[0], along, down, position)
        lower_px = np.maximum(self._curve(lower, corners[0], along, down, position), upper_px)
        # Landmarks lie on the lash line: without some overlap, the lid would carry a rim of eyeball down with it.
        half_width = np.float32(np.linalg.norm(corners[1] - corners[0]) / 2)
        middle = half_width if along @ (corners[1] - corners[0]) > 0 else -half_width
        overlap_px = _LID_OVERLAP * self.inter_ocular_px * np.clip(1 - ((position - middle) / half_width) ** 2, 0, 1)
        upper_px, lower_px = upper_px - overlap_px, lower_px + overlap_px
        return _Eye(box, height, upper_px, lower_px, down.astype(np.float32))

    def _projected(self, origin: np.ndarray, along: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every pixel's coordinates in a rotated frame, pixels."""
        dx, dy = self._x - np.float32(origin[0]), self._y - np.float32(origin[1])
        return (dx * np.float32(axis[0]) + dy * np.float32(axis[1]) for axis in (along, down))

    def _curve(
        self, indices: tuple[int, ...], origin: np.ndarray, along: np.ndarray, down: np.ndarray, position: np.ndarray
    ) -> np.ndarray:
        """Height of a smooth line through landmarks at every pixel's position; level beyond its ends."""
        offsets = self._points[list(indices)] - origin
        t, height = offsets @ along, offsets @ down
        middle, scale = t.mean(), np.ptp(t) / 2
        ends = np.clip(position, t.min(), t.max())
        return np.polyval(np.polyfit((t - middle) / scale, height, 4), (ends - middle) / scale).astype(np.float32)

    def _visible_box(
        self, frame_from_box: np.ndarray, width: int, height: int
    ) -> tuple[tuple[slice, slice], np.ndarray]:
        """The part of the frame that the face box covers, and the transform into that part."""
        h, w = self._shape
        corners = np.array([(0, 0, 1), (w, 0, 1), (0, h, 1), (w, h, 1)]) @ frame_from_box.T
        low = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, (width, height)).astype(int)
        shifted = frame_from_box.copy()
        shifted[:, 2] -= low
        return (slice(low[1], high[1]), slice(low[0], high[0])), shifted


def _lid_displacement(eye: _Eye, closure: float, fold_px: float) -> np.ndarray:
    """Displacement (h, w, 2) of a blink: the upper lid unfolds over the eyeball, which stays where it is."""
    gap = eye.lower_px - eye.upper_px
    lift = _LID_LIFT * closure * gap
    travel = closure * gap - lift
    margin = eye.upper_px + travel
    ratio = np.clip((eye.height_px - eye.upper_px + fold_px) / (fold_px + travel), 0, 1)
    covered = np.clip(margin - eye.height_px + 0.5, 0, 1)  # one soft pixel at the lid's margin
    below = np.clip(eye.height_px - (eye.lower_px - lift) + 0.5, 0, 1)
    fade = np.exp(-0.5 * (np.maximum(eye.height_px - eye.lower_px, 0) / (0.3 * fold_px)) ** 2)
    height = covered * travel * ratio * ratio * (3 - 2 * ratio) - (1 - covered) * below * lift * fade
    return height[..., None] * eye.down
