"""Each action unit as a field of displacement and one of shading on a face's grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.face.action_units import ActionUnit, Pull, mirrored
from app.face.animation.anatomy import Anatomy, PullVariation
from app.face.animation.grid import Box, FaceGrid, smooth_step, squared_length, support
from app.face.animation.mouth import Mouth

SIDES = ("R", "L")  # the person's own
_REACH = 4.0  # standard deviations of a patch that are computed
_NEGLIGIBLE = 2e-3  # of the peak: left out of the box
# Steeper fields are smoothed: at 3 % of the inter-ocular distance the skin is nowhere compressed to less than 60 %.
_MAX_SLOPE = 13.0
_SMOOTHING = (0.02, 0.03, 0.04, 0.05, 0.07, 0.1)


@dataclass(frozen=True, eq=False, slots=True)
class MuscleField:
    """One action unit of one side, at a peak of one inter-ocular distance (iod), within `box` of the grid.

    `displacement` (h, w, 2) float32, iod in the picture's axes; `below_lips`: the same, within the mouth's box, of what
    only moves below the line between the lips; `shading` (h, w) float32: change of brightness where creases reach their
    gain. None: all 0.
    `upper_lid`, `lower_lid`: travel of the lids' margins, iod down.
    """

    box: Box
    displacement: np.ndarray
    below_lips: np.ndarray | None
    shading: np.ndarray | None
    upper_lid: float
    lower_lid: float


def muscle_fields(
    grid: FaceGrid, mouth: Mouth, name: str, unit: ActionUnit, anatomy: Anatomy
) -> dict[str, MuscleField]:
    """Both sides of a unit, by "R" and "L": moved equally, the point that moves furthest reaches the peak."""
    whole = {side: _displacement(grid, name, unit, side, anatomy) for side in SIDES}
    furthest = float(np.sqrt(squared_length(whole["R"] + whole["L"]).max()))
    peak = max(furthest, abs(unit.upper_lid), abs(unit.lower_lid))
    fields = {}
    for side in SIDES:
        displacement = whole[side] * np.float32(1 / peak)
        below_lips = None
        if unit.opens_mouth:
            displacement, below_lips = mouth.parted(displacement)
        shading = _shading(grid, name, unit, side, anatomy)
        counts = squared_length(whole[side]) > (_NEGLIGIBLE * peak) ** 2
        box = support(counts if shading is None else counts | (np.abs(shading) > _NEGLIGIBLE))
        fields[side] = MuscleField(
            box,
            np.ascontiguousarray(displacement[box]),
            below_lips,
            None if shading is None else np.ascontiguousarray(shading[box]),
            unit.upper_lid / peak,
            unit.lower_lid / peak,
        )
    return fields


def _displacement(grid: FaceGrid, name: str, unit: ActionUnit, side: str, anatomy: Anatomy) -> np.ndarray:
    """Sum of the unit's patches, (h, w, 2), before it is scaled."""
    field = np.zeros((*grid.shape, 2), np.float32)
    for index, pull in enumerate(unit.pulls):
        _add(field, grid, pull, side, anatomy.pull(name, side, index))
    field *= (grid.face_mask * grid.skin_mask)[..., None]
    if field.any():
        # Smoothing must not carry movement off the face or onto the eyes.
        kept = (smooth_step(5 * grid.face_mask) * grid.skin_mask)[..., None]
        for sigma in _SMOOTHING:
            if grid.slope(field) <= _MAX_SLOPE * np.sqrt(squared_length(field).max()):
                break
            field = grid.blurred(field, sigma) * kept
    return field


def _add(field: np.ndarray, grid: FaceGrid, pull: Pull, side: str, variation: PullVariation) -> None:
    """Add one patch."""
    sign = 1 if side == "L" else -1  # the person's left is at picture right
    indices = mirrored(pull.landmarks) if side == "L" else pull.landmarks
    centre = grid.points[list(indices)].mean(axis=0) + np.array([sign * variation.across, variation.down])
    width, height = pull.width * variation.width, pull.height * variation.height
    turn = np.radians(variation.turn_deg)
    outward = pull.outward * np.cos(turn) - pull.downward * np.sin(turn)
    downward = pull.outward * np.sin(turn) + pull.downward * np.cos(turn)
    box = grid.box(centre, _REACH * max(width, height))
    across, down = grid.across[box] - np.float32(centre[0]), grid.down[box] - np.float32(centre[1])
    weight = _fall_off((across / np.float32(width)) ** 2 + (down / np.float32(height)) ** 2, variation.tail)
    field[box] += (variation.share * weight)[..., None] * grid.in_picture(np.array([sign * outward, downward]))


def _fall_off(squared: np.ndarray, tail: float) -> np.ndarray:
    """Weight of a patch by squared distance in standard deviations: a Gaussian, flatter, or with a longer tail."""
    half = squared / 2
    if tail < 0:
        return np.exp(-(half ** np.float32(1 - 0.8 * tail)))
    if tail > 0:
        length = np.float32(3 * tail)
        return np.exp(-(np.sqrt(1 + 2 * length * half) - 1) / length)
    return np.exp(-half)


def _shading(grid: FaceGrid, name: str, unit: ActionUnit, side: str, anatomy: Anatomy) -> np.ndarray | None:
    """Sum of the unit's creases, (h, w)."""
    if not unit.creases:
        return None
    shading = np.zeros(grid.shape, np.float32)
    for index, crease in enumerate(unit.creases):
        variation = anatomy.crease(name, side, index)
        line = [mirrored(point) if side == "L" else point for point in crease.line]
        corners = np.array([grid.points[list(point)].mean(axis=0) for point in line])
        box, fold = grid.fold(corners, crease.width * variation.width)
        shading[box] += np.float32(crease.gain * variation.gain) * fold
    return shading * grid.face_mask * grid.skin_mask
