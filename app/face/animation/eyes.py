"""Lids that travel over eyeballs, and eyeballs that turn between the lids: neither stretches the other."""

from __future__ import annotations

import cv2
import numpy as np

from app.face.animation.grid import FaceGrid, Paint, curve, smooth_step, support

_LANDMARKS = {
    "R": ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    "L": ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362)),
}
_IRIS = {"R": (468, (469, 470, 471, 472)), "L": (473, (474, 475, 476, 477))}
_REACH = 0.32  # of the box around an eye's middle
_UPPER_FOLD = 0.14  # height of the skin above the eye that a blink unfolds, iod
_LOWER_FOLD = 0.06  # standard deviation of what moves below it
_LID_LIFT = 0.1  # share of a blink that the lower lid takes
# Of the upper and the lower lid's margin below their landmarks, which lie on the lash lines.
_LASHES = np.array([[0.006], [0.01]])
_WET_RIM = 0.016  # height of the lower lid's margin, which neither turns with the eyeball nor covers it
_OVERLAP = 0.02  # of the upper lid of a shut eye over the lower one
_SOFT_CELLS = 1.0  # of the lids' margins
_SAMPLED = (0.15, 0.75)  # share of the opening, from lid to lid, that tells the colour of what the lids hide
_SHADE = 0.88  # brightness of what the upper lid hid, of what is seen
_COLUMNS = 48  # across the eye
_EYEBALL_RADIUS = 0.135  # 12 mm where the outer eye corners are 89 mm apart
_UPPER_FOLLOWS, _LOWER_FOLLOWS = 0.7, 0.15  # of the eyeball's vertical turn


class Eye:
    """One eye of a portrait: its opening and its iris, on a box of the face's grid.

    Positions run along the line between the corners, heights from the upper to the lower lid; iod from the middle.
    """

    def __init__(self, grid: FaceGrid, side: str, image_bgr: np.ndarray) -> None:
        lids = _LANDMARKS[side]
        corners = grid.points[[lids[0][0], lids[0][-1]]]
        along = (corners[1] - corners[0]) * (1 if side == "R" else -1)
        self._half_width = float(np.linalg.norm(along)) / 2
        along = along / np.linalg.norm(along)
        down = np.array([-along[1], along[0]])
        self._middle, self._axes = corners.mean(axis=0), np.stack([along, down])
        self._along, self._down = grid.in_picture(along), grid.in_picture(down)
        self._soft = np.float32(_SOFT_CELLS * grid.portrait_from_grid[0, 0] / grid.inter_ocular_px)
        self.box = grid.box(self._middle, _REACH)
        cells = np.dstack([grid.across[self.box], grid.down[self.box]]) - self._middle.astype(np.float32)
        self._position, self._height = np.moveaxis(cells @ self._axes.T.astype(np.float32), 2, 0)
        self._bell = self._rounded(self._position)
        self._columns = self._half_width * np.linspace(-1, 1, _COLUMNS)
        upper, lower = ((grid.points[list(lid)] - self._middle) @ self._axes.T for lid in lids)
        upper, lower = curve(upper, self._columns), curve(lower, self._columns)
        self._margins = (upper, np.maximum(lower, upper)) + _LASHES * self._rounded(self._columns)
        self._upper, self._lower = self._at(self._position)
        centre, rim = _IRIS[side]
        iris = (grid.points[[centre, *rim]] - self._middle) @ self._axes.T
        self._iris = iris[0]
        self._iris_radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
        self._white_bgr, self._iris_bgr, self._lash_bgr = self._colours(grid, image_bgr)

    def move(
        self, field: np.ndarray, closure: float, upper_lid: float, lower_lid: float, gaze_deg: tuple[float, float]
    ) -> Paint | None:
        """Add lids and eyeball to the part of a displacement field that lies in `box`, (h, w, 2), in iod.

        Args:
            field: changed in place.
            closure: 0 as in the portrait, 1 shut.
            upper_lid, lower_lid: travel of the lids' margins down, iod.
            gaze_deg: turn of the eyeball to picture right and down.

        Returns:
            What comes out from under the lids, None if nothing does.
        """
        turn = _EYEBALL_RADIUS * np.sin(np.radians(gaze_deg))
        upper_lid = upper_lid + _UPPER_FOLLOWS * turn[1]
        lower_lid = lower_lid + _LOWER_FOLLOWS * turn[1]
        if not (closure or upper_lid or lower_lid or turn.any()):
            return None
        gap, height = self._lower - self._upper, self._height
        upper_travel = closure * (1 - _LID_LIFT) * gap + upper_lid * self._bell
        lower_travel = lower_lid * self._bell - closure * _LID_LIFT * gap
        lower_travel = np.maximum(lower_travel, upper_travel - gap)  # lids meet; they do not cross
        upper_travel += closure * _OVERLAP * self._bell
        above = np.clip((self._upper + upper_travel - height) / self._soft + 0.5, 0, 1)
        below = np.clip((height - self._lower - lower_travel) / self._soft + 0.5, 0, 1) * (1 - above)
        unfolded = smooth_step((height - self._upper + _UPPER_FOLD) / (_UPPER_FOLD + upper_travel))
        fade = np.exp(-0.5 * (np.maximum(height - self._lower - lower_travel, 0) / _LOWER_FOLD) ** 2)
        ball = (1 - above) * (1 - below) * np.clip(gap / self._soft, 0, 1)  # there is none beyond the corners
        across_ball = self._across(float(turn[0]))
        position, seen = self._position - across_ball, height - np.float32(turn[1])
        upper, lower = self._at(position)
        down = above * upper_travel * unfolded + below * lower_travel * fade
        rim = self._lower - _WET_RIM * self._bell
        # Within a cell of a margin, skin and eyeball mix: this must set in as gently as the movement.
        travel = abs(upper_lid) + abs(lower_lid) + closure * float(gap.max()) + float(np.hypot(*turn))
        turns = min(1.0, travel / float(self._soft)) * ball * np.clip((rim - height) / self._soft + 1, 0, 1)
        lower = np.maximum(lower - _WET_RIM * self._bell, upper)
        down += turns * (height - np.minimum(np.maximum(seen, upper), lower))
        field += down[..., None] * self._down + (turns * across_ball)[..., None] * self._along
        hidden = turns * np.clip(np.maximum(upper - seen, seen - lower) / self._soft, 0, 1)
        # Where lids have met, the warp jumps from one to the other: lashes lie over that line.
        left_open = gap + lower_travel - upper_travel
        line = np.exp(-(((height - self._upper - upper_travel) / (1.5 * self._soft)) ** 2))
        lashes = line * np.clip(1 - left_open / (2 * self._soft), 0, 1) * np.clip((gap - left_open) / self._soft, 0, 1)
        alpha = np.maximum(hidden, lashes)
        shown = support(alpha > 0.01)
        if not alpha[shown].size:
            return None
        box = tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(self.box, shown, strict=True))
        colour = self._hidden_bgr(position[shown], seen[shown])
        is_lash = (lashes > hidden)[shown][..., None]
        return Paint(box, alpha[shown], np.where(is_lash, self._lash_bgr, colour))

    def _across(self, turn: float) -> np.ndarray:
        """Displacement of the eyeball across, (h, w): the iris moves as it is, the white beside it gives way."""
        if not turn:
            return np.zeros_like(self._position)
        # From the iris's rim to the corner, the white is squeezed on one side and stretched on the other.
        centre, rim = float(self._iris[0] + turn), 1.05 * self._iris_radius
        offset = self._position - centre
        room = np.float32(self._half_width) - np.where(offset > 0, np.float32(centre), np.float32(-centre))
        return np.float32(turn) * (1 - np.clip((np.abs(offset) - rim) / np.maximum(room - rim, 0.02), 0, 1))

    def _rounded(self, position: np.ndarray) -> np.ndarray:
        """1 in the middle of the eye, 0 from the corners on."""
        return np.clip(1 - (position / self._half_width) ** 2, 0, 1)

    def _at(self, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Heights of the upper and the lower lid's margins."""
        upper, lower = (np.interp(position, self._columns, margin).astype(np.float32) for margin in self._margins)
        return upper, lower

    def _hidden_bgr(self, position: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Colour of the eyeball under the lids, (h, w, 3) float32."""
        white = np.dstack([np.interp(position, self._columns, channel) for channel in self._white_bgr.T])
        distance = np.hypot(position - self._iris[0], height - self._iris[1])
        iris = smooth_step((self._iris_radius - distance) / (2 * self._soft) + 0.5)[..., None]
        colour = white * (1 - iris) + iris * self._iris_bgr
        return (np.where(height < self._iris[1], _SHADE, 1)[..., None] * colour).astype(np.float32)

    def _colours(self, grid: FaceGrid, image_bgr: np.ndarray) -> tuple[np.ndarray, ...]:
        """Of the white in every column, (columns, 3); of the iris without glints and of the lashes, (3,) float32."""

        def seen_at(height: np.ndarray) -> np.ndarray:
            points = np.dstack([np.broadcast_to(self._columns, height.shape), height]) @ self._axes + self._middle
            at = grid.in_portrait(points.reshape(-1, 2)).astype(np.float32).reshape(*height.shape, 2)
            return cv2.remap(image_bgr, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)

        share = np.linspace(*_SAMPLED, 8)[:, None]
        seen = seen_at((1 - share) * self._margins[0] + share * self._margins[1])
        lid = seen_at(self._margins[0] + np.linspace(-0.03, 0.01, 5)[:, None])
        from_iris = np.abs(self._columns - self._iris[0]) / self._iris_radius
        # Near the corners there is skin, near the iris its edge.
        is_white = (from_iris > 1.2) & (np.abs(self._columns) < 0.8 * self._half_width)
        white = np.median(seen, axis=0)
        if is_white.any():
            known = self._columns[is_white]
            white = np.column_stack([np.interp(self._columns, known, channel[is_white]) for channel in white.T])
        iris = np.percentile(seen[:, from_iris < 0.8].reshape(-1, 3), 35, axis=0)
        lash = np.percentile(lid.reshape(-1, 3), 20, axis=0)
        return white, iris.astype(np.float32), lash.astype(np.float32)
