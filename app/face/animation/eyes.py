"""Lids that travel over eyeballs, and eyeballs that turn between the lids: neither stretches the other."""

from __future__ import annotations

import numpy as np

from app.face.animation.grid import FaceGrid, curve, smooth_step

_LANDMARKS = {
    "R": ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    "L": ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362)),
}
_IRIS = {"R": (468, (469, 470, 471, 472)), "L": (473, (474, 475, 476, 477))}
_REACH = 0.32  # of the box around an eye's middle
_UPPER_FOLD = 0.14  # height of the skin above the eye that a blink unfolds, iod
_LOWER_FOLD = 0.06  # standard deviation of what moves below it
_LID_LIFT = 0.1  # share of a blink that the lower lid takes
_LASHES = 0.008  # of the lids' margins, counted as skin
_SOFT_CELLS = 1.0  # of the lids' margins
_EYEBALL_RADIUS = 0.135  # 12 mm where the outer eye corners are 89 mm apart
_UPPER_FOLLOWS, _LOWER_FOLLOWS = 0.7, 0.35  # of the eyeball's vertical turn


class Eye:
    """One eye of a portrait: its opening and its iris, on a box of the face's grid.

    Heights run along `down`, from the upper to the lower lid, positions along the line between the corners; iod.
    """

    def __init__(self, grid: FaceGrid, side: str) -> None:
        upper, lower = _LANDMARKS[side]
        corners = grid.points[[upper[0], upper[-1]]]
        along = (corners[1] - corners[0]) * (1 if side == "R" else -1)
        half_width = np.linalg.norm(along) / 2
        along = along / np.linalg.norm(along)
        down = np.array([-along[1], along[0]])
        frame, middle = np.stack([along, down], axis=1), corners.mean(axis=0)
        self.box = grid.box(middle, _REACH)
        cells = np.dstack([grid.across[self.box], grid.down[self.box]]) - middle.astype(np.float32)
        self._position, self._height = np.moveaxis(cells @ frame.astype(np.float32), 2, 0)
        upper_line, lower_line = ((grid.points[list(line)] - middle) @ frame for line in (upper, lower))
        self._bell = np.clip(1 - (self._position / np.float32(half_width)) ** 2, 0, 1)
        self._upper = curve(upper_line, self._position)
        self._lower = np.maximum(curve(lower_line, self._position), self._upper)
        # Landmarks lie on the lash line, which belongs to the lid.
        self._upper_margin = self._upper + _LASHES * self._bell
        self._lower_margin = self._lower - _LASHES * self._bell
        centre, rim = _IRIS[side]
        iris = (grid.points[[centre, *rim]] - middle) @ frame
        self._iris_position = float(iris[0, 0])
        self._iris_radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
        self._half_width = float(half_width)
        self._along, self._down = grid.in_picture(along), grid.in_picture(down)
        self._soft = np.float32(_SOFT_CELLS * grid.portrait_from_grid[0, 0] / grid.inter_ocular_px)

    def move(
        self, field: np.ndarray, closure: float, upper_lid: float, lower_lid: float, gaze_deg: tuple[float, float]
    ) -> None:
        """Add lids and eyeball to the part of a displacement field that lies in `box`, (h, w, 2), in iod.

        Args:
            field: changed in place.
            closure: 0 as in the portrait, 1 shut.
            upper_lid, lower_lid: travel of the lids' margins down, iod.
            gaze_deg: turn of the eyeball to picture right and down.
        """
        turn = _EYEBALL_RADIUS * np.sin(np.radians(gaze_deg))
        upper_lid = upper_lid + _UPPER_FOLLOWS * turn[1]
        lower_lid = lower_lid + _LOWER_FOLLOWS * turn[1]
        if not (closure or upper_lid or lower_lid or turn.any()):
            return
        gap = self._lower - self._upper
        upper_travel = closure * (1 - _LID_LIFT) * gap + upper_lid * self._bell
        lower_travel = lower_lid * self._bell - closure * _LID_LIFT * gap
        lower_travel = np.maximum(lower_travel, upper_travel - gap)  # lids meet; they do not cross
        height = self._height
        above = np.clip((self._upper_margin + upper_travel - height) / self._soft + 0.5, 0, 1)
        below = np.clip((height - self._lower_margin - lower_travel) / self._soft + 0.5, 0, 1) * (1 - above)
        fold = self._upper_margin - _UPPER_FOLD
        unfolded = smooth_step((height - fold) / (_UPPER_FOLD + upper_travel))
        fade = np.exp(-0.5 * (np.maximum(height - self._lower_margin - lower_travel, 0) / _LOWER_FOLD) ** 2)
        ball = (1 - above) * (1 - below)
        across_ball, down_ball = self._turned(turn)
        down = above * upper_travel * unfolded + below * lower_travel * fade + ball * down_ball
        field += down[..., None] * self._down + (ball * across_ball)[..., None] * self._along

    def _turned(self, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Displacement of the eyeball's picture, across and down, (h, w) each.

        The iris moves as it is and the white beside it gives way. What the lids hid repeats the row next to them.
        """
        across = np.zeros_like(self._position)
        if turn[0]:
            # From the iris's rim to the corner, the white is squeezed on one side and stretched on the other.
            offset = self._position - np.float32(self._iris_position + turn[0])
            edge = 1.05 * self._iris_radius
            room = self._half_width - np.where(offset > 0, 1, -1) * np.float32(self._iris_position + turn[0])
            share = 1 - np.clip((np.abs(offset) - edge) / np.maximum(room - edge, 0.02), 0, 1)
            across = np.float32(turn[0]) * share
        source = np.maximum(self._height - np.float32(turn[1]), self._upper_margin)
        source = np.minimum(source, np.maximum(self._lower_margin, self._upper_margin))
        return across, self._height - source
