"""Moves the face of a portrait muscle by muscle: the test pattern of a micro-expression detector.

Every action unit is a smooth field of displacement plus a little shading, computed once for a portrait and an anatomy.
A frame is their weighted sum, the lids, the mouth's opening and the rigid head motion, joined into one backward warp:
sub-pixel, without tearing, and exactly zero outside the face, so that the background moves only with the camera.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from scipy import ndimage

from app.errors import FaceError
from app.face import topology
from app.face.action_units import ACTION_UNITS
from app.face.animation.anatomy import TEXTBOOK, Anatomy
from app.face.animation.eyes import Eye
from app.face.animation.grid import FaceGrid, Paint
from app.face.animation.mouth import Mouth
from app.face.animation.muscles import SIDES, MuscleField, muscle_fields
from app.face.animation.smile import SmileMorph

_SHADED_AT = 0.03  # the peak displacement at which creases reach their gain
_MAX_SHADING = 2.5  # multiples of that gain which creases approach in a large movement
_ANATOMIES = 6  # whose fields are kept, some megabytes each
_LEVELS_PER_HALVING = 4  # sizes at which the portrait is kept, each averaged down from the original


@dataclass(frozen=True, eq=False, slots=True)
class _Expression:
    """Displacement (h, w, 2) in inter-ocular distances, brightness (h, w) or None, and what lids and lips uncover."""

    field: np.ndarray
    gain: np.ndarray | None
    paints: tuple[Paint, ...]


class FaceAnimator:
    """Animates one portrait. Build it once: fields and smaller versions of the picture are kept.

    Args:
        image_bgr: (H, W, 3) uint8, one frontal face.
        landmarks_px: (478, 3) float32 landmarks of MediaPipe's FaceMesh in its pixels.
        smile: the same portrait's smile, if `render` is to be asked for it.

    Raises:
        FaceError: the landmarks have another shape, or no face of at least 20 px lies inside the picture.
    """

    def __init__(self, image_bgr: np.ndarray, landmarks_px: np.ndarray, smile: SmileMorph | None = None) -> None:
        self._grid = FaceGrid(landmarks_px, image_bgr.shape[1::-1])
        self.image_bgr = image_bgr
        self.inter_ocular_px = self._grid.inter_ocular_px
        self._depth = landmarks_px[:, 2] / np.float32(self.inter_ocular_px)
        self._eyes = {side: Eye(self._grid, side, image_bgr) for side in SIDES}
        self._mouth = Mouth(self._grid, image_bgr, landmarks_px)
        self._smile = smile
        self._muscles: OrderedDict[Anatomy, dict[str, dict[str, MuscleField]]] = OrderedDict()
        self._levels: dict[int, np.ndarray] = {}

    def displacement_px(
        self,
        action_units: Mapping[str, float],
        points_px: np.ndarray,
        *,
        smile: float = 0.0,
        anatomy: Anatomy = TEXTBOOK,
    ) -> np.ndarray:
        """How far (N, 2) points of the portrait move, (N, 2) float32 pixels, without blinks, gaze and head motion."""
        field = self._expression(action_units, smile, anatomy).field
        from_portrait = cv2.invertAffineTransform(self._grid.portrait_from_grid)
        x, y = (points_px @ from_portrait[:, :2].T + from_portrait[:, 2]).T
        moved = [ndimage.map_coordinates(field[..., axis], (y, x), order=1) for axis in range(2)]
        return np.column_stack(moved) * np.float32(self.inter_ocular_px)

    def render(
        self,
        action_units: Mapping[str, float],
        *,
        smile: float = 0.0,
        eye_closure: float | tuple[float, float] = 0.0,
        gaze_deg: tuple[float, float] = (0.0, 0.0),
        turn_deg: tuple[float, float] = (0.0, 0.0),
        crease_gain: float = 1.0,
        anatomy: Anatomy = TEXTBOOK,
        frame_from_portrait: np.ndarray | None = None,
        size: tuple[int, int] | None = None,
        detail_scale: float | None = None,
    ) -> np.ndarray:
        """Draw one frame, (h, w, 3) uint8 BGR.

        Args:
            action_units: peak displacement of each active unit as a fraction of the inter-ocular distance, e.g.
                {"12": 0.02, "4L": 0.01}; a side is the person's own.
            smile: share of the way to the person's own smile; up to about 0.3 it follows the landmarks closely.
            eye_closure: 0 as in the portrait, 1 shut; of both eyes, or of the right and the left.
            gaze_deg: turn of the eyeballs to picture right and down, up to about 20 across and 10 up and down.
            turn_deg: change of the head's yaw and pitch up to about 8, signed as in HeadPose; its outline stays.
            crease_gain: strength of the creases, 1 as in the tables.
            anatomy: how this face's muscles differ from the tables.
            frame_from_portrait: (2, 3) head motion and size; by default none. Around the portrait, its edge repeats.
            size: (width, height) of the frame; by default that of the portrait.
            detail_scale: the scale whose detail the frame shows; by default that of `frame_from_portrait`. A clip
                whose scale changes a little takes one for all its frames, so that sharpness does not jump.

        Raises:
            FaceError: a unit is not known, or a smile was asked for and none was given.
        """
        expression = self._expression(action_units, smile, anatomy, crease_gain, eye_closure, gaze_deg)
        if any(turn_deg):
            expression = self._turned(expression, turn_deg)
        transform = np.eye(2, 3) if frame_from_portrait is None else np.asarray(frame_from_portrait, np.float64)
        width, height = size or self.image_bgr.shape[1::-1]
        scale = detail_scale or float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))
        return self._drawn(expression, transform, (width, height), scale)

    def _expression(
        self,
        action_units: Mapping[str, float],
        smile: float,
        anatomy: Anatomy,
        crease_gain: float = 1.0,
        eye_closure: float | tuple[float, float] = 0.0,
        gaze_deg: tuple[float, float] = (0.0, 0.0),
    ) -> _Expression:
        """The sum of all that moves in the face, the head at rest."""
        field = np.zeros((*self._grid.shape, 2), np.float32)
        below_lips, shading = None, None
        lids = {side: np.zeros(2) for side in SIDES}
        for name, side, peak in self._active(action_units, anatomy):
            muscle = self._fields(name, anatomy)[side]
            field[muscle.box] += np.float32(peak) * muscle.displacement
            if muscle.below_lips is not None:
                moved = np.float32(peak) * muscle.below_lips
                below_lips = moved if below_lips is None else below_lips + moved
            if muscle.shading is not None and crease_gain:
                shading = np.zeros(self._grid.shape, np.float32) if shading is None else shading
                strength = crease_gain * _MAX_SHADING * np.tanh(peak / _SHADED_AT / _MAX_SHADING)
                shading[muscle.box] += np.float32(strength) * muscle.shading
            lids[side] += peak * np.array([muscle.upper_lid, muscle.lower_lid])
        if smile:
            if self._smile is None:
                raise FaceError("This portrait has no smile to move to: build the FaceAnimator with a SmileMorph.")
            cv2.scaleAdd(self._smile.displacement, smile, field, field)
            moved = np.float32(smile) * self._smile.below_lips
            below_lips = moved if below_lips is None else below_lips + moved
            shading = np.zeros(self._grid.shape, np.float32) if shading is None else shading
            cv2.scaleAdd(self._smile.shading, smile, shading, shading)
            for side in SIDES:
                lids[side] += smile * np.array(self._smile.lids[side])
        closures = eye_closure if isinstance(eye_closure, tuple) else (eye_closure, eye_closure)
        paints = [
            eye.move(field[eye.box], min(closure, 1.0), *lids[side], gaze_deg)
            for (side, eye), closure in zip(self._eyes.items(), closures, strict=True)
        ]
        if below_lips is not None:
            inside_bgr = self._smile.inside_bgr if smile else None
            paints.append(self._mouth.open(field[self._mouth.box], below_lips, inside_bgr))
        shown = tuple(paint for paint in paints if paint is not None)
        return _Expression(field, None if shading is None else 1 + shading, shown)

    def _active(self, action_units: Mapping[str, float], anatomy: Anatomy) -> list[tuple[str, str, float]]:
        """Unit, side and peak of all that moves."""
        active = []
        for name, peak in action_units.items():
            unit = name[:-1] if name.endswith(SIDES) else name
            if unit not in ACTION_UNITS:
                raise FaceError(f"There is no action unit {unit!r}; known are {', '.join(ACTION_UNITS)}.")
            if peak and name != unit:
                active.append((unit, name[-1], peak))
            elif peak:
                active += [(unit, side, peak * share) for side, share in anatomy.side_strength(unit).items()]
        return active

    def _fields(self, name: str, anatomy: Anatomy) -> dict[str, MuscleField]:
        """Both sides of a unit."""
        known = self._muscles.setdefault(anatomy, {})
        self._muscles.move_to_end(anatomy)
        if len(self._muscles) > _ANATOMIES:
            self._muscles.popitem(last=False)
        if name not in known:
            known[name] = muscle_fields(self._grid, self._mouth, name, ACTION_UNITS[name], anatomy)
        return known[name]

    def _turned(self, expression: _Expression, turn_deg: tuple[float, float]) -> _Expression:
        """The expression on a head that is turned a little: what is nearer to the camera moves further."""
        turn = np.sin(np.radians(turn_deg)).astype(np.float32) * self._nearness[..., None]
        h, w = self._grid.shape
        cells = turn * np.float32(self.inter_ocular_px / self._grid.portrait_from_grid[0, 0])
        x, y = np.arange(w, dtype=np.float32) - cells[..., 0], np.arange(h, dtype=np.float32)[:, None] - cells[..., 1]
        field, gain = (
            None if values is None else cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for values in (expression.field, expression.gain)
        )
        paints = []
        for paint in expression.paints:
            rows, columns = paint.box
            at = x[paint.box] - np.float32(columns.start), y[paint.box] - np.float32(rows.start)
            alpha, colour = (cv2.remap(v, *at, cv2.INTER_LINEAR) for v in (paint.alpha, paint.colour_bgr))
            paints.append(Paint(paint.box, alpha, colour))
        return _Expression(field + turn, gain, tuple(paints))

    def _drawn(
        self, expression: _Expression, frame_from_portrait: np.ndarray, size: tuple[int, int], scale: float
    ) -> np.ndarray:
        """Warp the portrait and its face into a frame."""
        level, level_from_portrait = self._level(scale)
        level_from_frame = _composed(level_from_portrait, cv2.invertAffineTransform(frame_from_portrait))
        frame_from_level = cv2.invertAffineTransform(level_from_frame)
        drawn, _ = _covered(level.shape, frame_from_level, size, spare_px=2)
        if (drawn[0].stop - drawn[0].start, drawn[1].stop - drawn[1].start) == size[::-1]:
            image = np.empty((size[1], size[0], 3), np.uint8)
        else:
            image = cv2.warpAffine(
                level, frame_from_level, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        rows, columns = (np.arange(s.start, s.stop) for s in drawn)
        if not len(rows) or not len(columns):
            return image
        source = np.empty((len(rows), len(columns), 2), np.float32)
        for axis, (along_x, along_y, shift) in enumerate(level_from_frame):
            np.add(
                (along_x * columns + shift).astype(np.float32),
                (along_y * rows).astype(np.float32)[:, None],
                out=source[..., axis],
            )
        box, box_from_grid = _covered(
            self._grid.shape, _composed(frame_from_portrait, self._grid.portrait_from_grid), size
        )
        box_size = (box[1].stop - box[1].start, box[0].stop - box[0].start)
        if min(box_size) <= 0:
            image[drawn] = cv2.remap(level, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            return image
        in_level_px = expression.field * np.float32(self.inter_ocular_px * level_from_portrait[0, 0])
        moved = source[_relative(box, drawn)]
        moved -= cv2.warpAffine(in_level_px, box_from_grid, box_size, flags=cv2.INTER_LINEAR)
        image[drawn] = cv2.remap(level, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for paint in expression.paints:
            _lay(paint, image[box], box_from_grid)
        if expression.gain is not None:
            gain = cv2.warpAffine(expression.gain, box_from_grid, box_size, borderValue=1.0)
            image[box] = cv2.multiply(image[box], cv2.merge([gain] * 3), dtype=cv2.CV_8U)
        return image

    def _level(self, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """The portrait prepared for a scale, and the transform (2, 3) from the portrait to it.

        It is averaged down to that scale, so that nothing aliases, and then doubled: sampled linearly, twice as many
        pixels are sharper than cubic interpolation of the single ones, and five times as quick.
        """
        number = max(0, int(np.floor(-_LEVELS_PER_HALVING * np.log2(scale) + 1e-6)))
        height, width = self.image_bgr.shape[:2]
        if number not in self._levels:
            factor = 2.0 ** (-number / _LEVELS_PER_HALVING)
            size = (max(1, round(width * factor)), max(1, round(height * factor)))
            small = cv2.resize(self.image_bgr, size, interpolation=cv2.INTER_AREA)
            doubled = (2 * size[0] - 1, 2 * size[1] - 1)  # every other pixel is the single one, unchanged
            self._levels[number] = cv2.warpAffine(small, np.eye(2, 3) * 2, doubled, flags=cv2.INTER_CUBIC)
        level = self._levels[number]
        ratio = np.array([(level.shape[1] + 1) / 2 / width, (level.shape[0] + 1) / 2 / height])
        # Pixel centres lie at +0.5, so a shrunken picture is shifted as well as scaled.
        return level, 2 * np.column_stack([np.diag(ratio), (ratio - 1) / 2])

    @cached_property
    def _nearness(self) -> np.ndarray:
        """How much nearer to the camera than the face's outline every cell is, (h, w) float32; 0 off the face."""
        grid, step = self._grid, 5
        points = grid.points.astype(np.float32)
        across, down = grid.across[::step, ::step, None], grid.down[::step, ::step, None]
        squared = (across - points[:, 0]) ** 2 + (down - points[:, 1]) ** 2
        squared -= squared.min(axis=2, keepdims=True)  # a cell far from all landmarks takes the nearest one's depth
        weight = np.exp(-squared / (2 * 0.07**2))
        outline = np.median(self._depth[list(topology.FACE_OVAL)])
        nearness = outline - (weight @ self._depth) / weight.sum(axis=2)
        fine = np.array([(step, 0, 0), (0, step, 0)], np.float64)
        dense = cv2.warpAffine(nearness, fine, grid.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        return dense * grid.face_mask


def _composed(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The (2, 3) transform that applies `first`, then `second`."""
    return second @ np.vstack([first, (0, 0, 1)])


def _covered(
    shape: tuple[int, ...], frame_from_area: np.ndarray, size: tuple[int, int], spare_px: int = 0
) -> tuple[tuple[slice, slice], np.ndarray]:
    """The part of a frame (width, height) that an area (h, w) covers, and the transform from the area into it."""
    h, w = shape[:2]
    corners = np.array([(0, 0, 1), (w, 0, 1), (0, h, 1), (w, h, 1)]) @ frame_from_area.T
    low = np.clip(np.floor(corners.min(axis=0)) - spare_px, 0, size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1 + spare_px, 0, size).astype(int)
    shifted = frame_from_area.copy()
    shifted[:, 2] -= low
    return (slice(low[1], high[1]), slice(low[0], high[0])), shifted


def _relative(box: tuple[slice, slice], outer: tuple[slice, slice]) -> tuple[slice, slice]:
    """A box in the coordinates of another that holds it."""
    return tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(box, outer, strict=True))


def _lay(paint: Paint, image: np.ndarray, image_from_grid: np.ndarray) -> None:
    """Lay a paint over an image, in place."""
    rows, columns = paint.box
    from_paint = _composed(image_from_grid, np.array([(1.0, 0, columns.start), (0, 1.0, rows.start)]))
    part, part_from_paint = _covered(paint.alpha.shape, from_paint, image.shape[1::-1])
    size = (part[1].stop - part[1].start, part[0].stop - part[0].start)
    if min(size) <= 0:
        return
    alpha = cv2.warpAffine(paint.alpha, part_from_paint, size, flags=cv2.INTER_LINEAR)[..., None]
    colour = cv2.warpAffine(paint.colour_bgr, part_from_paint, size, borderMode=cv2.BORDER_REPLICATE)
    image[part] = np.rint(image[part] * (1 - alpha) + alpha * colour).astype(np.uint8)
