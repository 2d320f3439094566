"""Where a face is and what it does at any time: one person before one camera, drawn once, read at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from app.face.animation import Anatomy, FaceAnimator
from model.synth.camera import Conditions
from model.synth.movements import Movement

_FRAME_IN_INTER_OCULAR = (3.3, 3.7)  # the smallest frame around a face, width and height
_HARMONICS = 9


class Wander:
    """A smooth random trace, zero on average: body sway and pulse are band-limited.

    Args:
        limit_hz: no part of it is faster.
        sd: its standard deviation.
        period_s: it repeats after no less than this.
    """

    def __init__(self, rng: np.random.Generator, limit_hz: float, sd: float, period_s: float = 20.0) -> None:
        self._hz = np.exp(rng.uniform(np.log(1 / period_s), np.log(limit_hz), _HARMONICS))
        # Sway falls off with frequency; a 1/f amplitude keeps the speed of all parts alike.
        amplitude = rng.rayleigh(1, _HARMONICS) / self._hz**0.8
        self._amplitude = amplitude * (sd / (np.sqrt(0.5 * (amplitude**2).sum()) + 1e-12))
        self._phase = rng.uniform(0, 2 * np.pi, _HARMONICS)

    def at(self, time_s: float) -> float:
        """Its value at a time."""
        return float(self._amplitude @ np.sin(2 * np.pi * self._hz * time_s + self._phase))


@dataclass(frozen=True, slots=True)
class _Sway:
    """Head motion: shifts in inter-ocular distances, angles in degrees, relative size."""

    across: Wander
    down: Wander
    tremor_across: Wander
    tremor_down: Wander
    roll: Wander
    yaw: Wander
    pitch: Wander
    size: Wander

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Sway:
        amount = float(np.exp(rng.normal(0.1, 0.8)))
        return cls(
            across=Wander(rng, 1.0, 0.035 * amount),
            down=Wander(rng, 1.0, 0.025 * amount),
            tremor_across=Wander(rng, 5.0, 0.0012 * amount, period_s=1.0),
            tremor_down=Wander(rng, 5.0, 0.0012 * amount, period_s=1.0),
            roll=Wander(rng, 0.8, 0.8 * amount),
            yaw=Wander(rng, 0.8, 0.9 * amount),
            pitch=Wander(rng, 0.8, 0.7 * amount),
            size=Wander(rng, 0.5, 0.006 * amount),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Face:
    """A face at rest with the muscles that it has: `centre_px` (2,) is the middle of the portrait's landmarks,
    `smile_reach` how far the person's own whole smile goes, in inter-ocular distances; 0 where none is known."""

    animator: FaceAnimator
    centre_px: np.ndarray
    anatomy: Anatomy
    smile_reach: float = 0.0


class Scene:
    """A person before a camera.

    Args:
        face: whose eyes are open.
        movements: what happens.
        conditions: how far away, how turned.
        size: (width, height) of the frame; by default the smallest one that shows the face with its surroundings.

    Attributes:
        inter_ocular_px: of the face in the frame.
        size: of the frame.
    """

    def __init__(
        self,
        face: Face,
        movements: Sequence[Movement],
        conditions: Conditions,
        rng: np.random.Generator,
        *,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._face, self._movements = face, tuple(movements)
        self.inter_ocular_px = float(np.exp(rng.uniform(*np.log(conditions.inter_ocular_px))))
        if size is not None:
            self.inter_ocular_px = min(self.inter_ocular_px, size[0] / 3.2, size[1] / 3.2)
        self.inter_ocular_px = min(self.inter_ocular_px, 1.2 * face.animator.inter_ocular_px)
        self.size = size or tuple(2 * round(unit * self.inter_ocular_px / 2) for unit in _FRAME_IN_INTER_OCULAR)
        self._scale = self.inter_ocular_px / face.animator.inter_ocular_px
        self._sway = _Sway.drawn(rng)
        # Nobody's face is straight before the lens, nor are all pixels square.
        self._roll_deg = rng.normal(0, 4)
        sign = rng.choice([-1, 1])
        self._turn_deg = (sign * conditions.yaw_deg + rng.normal(0, 3), rng.normal(0, 2))
        self._aspect = np.exp(rng.normal(0, 0.015))
        self._gaze_deg = (rng.normal(0, 3), rng.normal(0, 2))
        self._shift = rng.uniform(-0.08, 0.08, 2) * self.inter_ocular_px
        self._crease_gain = rng.uniform(0, 1.6)
        self._is_drowsy = rng.uniform(0, 0.25) if rng.random() < 0.15 else 0.0

    def light(self, time_s: float) -> float:
        """Brightness relative to that at rest."""
        return float(np.prod([1 + m.light * m.level(time_s) for m in self._movements]))

    def render(self, time_s: float) -> np.ndarray:
        """The face at a time, sharp, evenly lit and without noise: (height, width, 3) uint8 BGR."""
        units: dict[str, float] = {}
        closure, smile = self._is_drowsy, 0.0
        gaze, turn = np.array(self._gaze_deg), np.array(self._turn_deg)
        for movement in self._movements:
            level = movement.level(time_s)
            if level == 0:
                continue
            for name, value in movement.units_at(time_s).items():
                units[name] = units.get(name, 0.0) + value
            closure = max(closure, level * movement.eye_closure)
            smile += level * movement.own_smile
            gaze = gaze + level * np.array(movement.gaze_deg)
            turn = turn + level * np.array(movement.turn_deg)
        turn = turn + np.array([self._sway.yaw.at(time_s), self._sway.pitch.at(time_s)])
        return self._face.animator.render(
            units,
            smile=smile,
            eye_closure=closure,
            gaze_deg=tuple(gaze),
            turn_deg=tuple(turn),
            crease_gain=self._crease_gain,
            anatomy=self._face.anatomy,
            detail_scale=self._scale,
            frame_from_portrait=self._frame_from_portrait(time_s),
            size=self.size,
        )

    def _frame_from_portrait(self, time_s: float) -> np.ndarray:
        """(2, 3): turn and size about the face's centre, then where the head is."""
        sway = self._sway
        scale = self._scale * (1 + sway.size.at(time_s))
        transform = cv2.getRotationMatrix2D((0, 0), self._roll_deg + sway.roll.at(time_s), scale)
        transform[:, :2] @= np.diag([self._aspect, 1 / self._aspect])
        across = sway.across.at(time_s) + sway.tremor_across.at(time_s)
        down = sway.down.at(time_s) + sway.tremor_down.at(time_s)
        centre = np.array(self.size) / 2 + self._shift + np.array([across, down]) * self.inter_ocular_px
        transform[:, 2] = centre - transform[:, :2] @ self._face.centre_px
        return transform
