"""The built-in demo: a portrait brought to life, with known movements at known frames.

The picture is NASA's portrait of Eileen Collins (public domain), which scikit-image ships. `DEMO_SCRIPT` is the ground
truth of the clip: it does not depend on the seed, which only draws head motion, light and noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Literal

import cv2
import numpy as np

from app.config import SourceConfig
from app.datatypes import Frame, SourceInfo
from app.errors import SourceError
from app.face.animation import FaceAnimator
from app.resource import Resource

FPS = 30
FRAME_COUNT = 600
WIDTH, HEIGHT = 640, 480
PORTRAIT_SCALE = 1.9  # 115 px between the outer eye corners
_ORIGIN_PX = (100, 0)  # of the frame in the scaled portrait, head at rest
_NOISE_SD = 2.5  # grey levels, of a webcam in room light
_HOLD = {"micro": 0.0, "macro": 0.4, "blink": 0.25}  # share of the way from apex to offset before the decay starts
_NOISE_SPARE_PX = 96  # the noise texture is this much larger than a frame, and every frame cuts it elsewhere


@dataclass(frozen=True, slots=True)
class DemoMovement:
    """One scripted movement.

    `label` is the expression class, or "blink". `action_units` holds peak displacements as fractions of the
    inter-ocular distance, empty for a blink. The face is at rest in the onset and the offset frame.
    """

    kind: Literal["micro", "macro", "blink"]
    label: str
    onset_frame: int
    apex_frame: int
    offset_frame: int
    action_units: MappingProxyType[str, float]

    def strength(self, frame_index: int) -> float:
        """Share of the peak reached in a frame: a fast rise, then a slower decay that ends smoothly."""
        if not self.onset_frame < frame_index < self.offset_frame:
            return 0.0
        if frame_index <= self.apex_frame:
            rise = (frame_index - self.onset_frame) / (self.apex_frame - self.onset_frame)
            return float(0.5 - 0.5 * np.cos(np.pi * rise))
        decay = (frame_index - self.apex_frame) / (self.offset_frame - self.apex_frame)
        hold = _HOLD[self.kind]
        decay = max(0.0, (decay - hold) / (1 - hold))
        return float(0.5 + 0.5 * np.cos(np.pi * decay**0.85))


def _micro(label: str, onset: int, apex: int, offset: int, **units: float) -> DemoMovement:
    return DemoMovement("micro", label, onset, apex, offset, _by_number(units))


def _macro(label: str, onset: int, apex: int, offset: int, **units: float) -> DemoMovement:
    return DemoMovement("macro", label, onset, apex, offset, _by_number(units))


def _blink(onset: int) -> DemoMovement:
    return DemoMovement("blink", "blink", onset, onset + 3, onset + 10, MappingProxyType({}))


def _by_number(units: dict[str, float]) -> MappingProxyType[str, float]:
    return MappingProxyType({name.removeprefix("au"): peak for name, peak in units.items()})


DEMO_SCRIPT: tuple[DemoMovement, ...] = (
    _blink(36),
    _micro("positive", 76, 80, 87, au12=0.024),
    _blink(106),
    _micro("surprise", 134, 138, 145, au1=0.022, au2=0.022),
    _blink(165),
    _micro("negative", 192, 197, 204, au4=0.024),
    _micro("positive", 244, 248, 256, au6=0.017, au12=0.022),
    _blink(276),
    _macro("positive", 302, 317, 356, au6=0.04, au12=0.075),
    _blink(372),
    _micro("surprise", 404, 408, 414, au1=0.02, au2=0.026, au5=0.012),
    _micro("negative", 450, 455, 463, au15=0.024, au17=0.012),
    _blink(480),
    _micro("negative", 508, 512, 520, au4=0.012, au9=0.022),
    _micro("positive", 558, 562, 568, au12L=0.024),
    _blink(584),
)


class DemoSource(Resource):
    """The demo clip as a source: 600 frames of 640×480 at 30 fps, the same for the same `config.seed`.

    `config.start_s` and `config.end_s` cut it; sizes and rate are fixed.

    Raises:
        SourceError: nothing is left between start and end.
    """

    def __init__(self, config: SourceConfig) -> None:
        end_s = FRAME_COUNT / FPS if config.end_s is None else config.end_s
        self._frames = range(
            max(0, int(np.ceil(config.start_s * FPS))), min(FRAME_COUNT, max(0, int(np.ceil(end_s * FPS))))
        )
        if not self._frames:
            raise SourceError(
                f"The demo lasts {FRAME_COUNT // FPS} s: nothing lies between {config.start_s:g} and {end_s:g} s."
                " Choose a start before the end, within the clip."
            )
        self.info = SourceInfo(
            label="demo",
            kind="demo",
            width=WIDTH,
            height=HEIGHT,
            fps=float(FPS),
            frame_count=len(self._frames),
            is_live=False,
        )
        self._seed = config.seed
        self._animator = FaceAnimator(*demo_portrait())
        rng = np.random.default_rng(config.seed)
        seconds = np.arange(FRAME_COUNT) / FPS
        self._shift_px = np.column_stack([_wander(rng, seconds, 0.8, 3.0), _wander(rng, seconds, 0.8, 2.4)])
        self._shift_px += np.column_stack([_wander(rng, seconds, 5.0, 0.12) for _ in range(2)])
        self._roll_deg = _wander(rng, seconds, 0.6, 0.5)
        self._scale = 1 + _wander(rng, seconds, 0.4, 0.005)
        self._gain = 1 + _wander(rng, seconds, 0.3, 0.012)
        noise = rng.normal(0, 1, (HEIGHT + _NOISE_SPARE_PX, WIDTH + _NOISE_SPARE_PX, 3)).astype(np.float32)
        # Demosaicing and compression leave noise of neighbouring pixels and of the channels related.
        noise = cv2.GaussianBlur(0.6 * noise + 0.8 * noise.mean(axis=2, keepdims=True) * np.sqrt(3), (0, 0), 0.55)
        self._noise = np.rint(noise * (_NOISE_SD / noise.std())).astype(np.int16)
        self._is_closed = False

    def __iter__(self) -> Iterator[Frame]:
        return self.frames_from(self._frames.start)

    def timestamps_ns(self) -> np.ndarray:
        """(600,) int64 times of all frames, before the span is cut out."""
        return np.arange(FRAME_COUNT, dtype=np.int64) * 1_000_000_000 // FPS

    def frames_from(self, index: int) -> Iterator[Frame]:
        """The frames from this one on."""
        for number in range(index, self._frames.stop):
            if self._is_closed:
                return
            image = self._render(number)
            image.flags.writeable = False
            yield Frame(index=number, timestamp_ns=number * 1_000_000_000 // FPS, image_bgr=image)

    def close(self) -> None:
        """End the clip; closing twice is harmless."""
        self._is_closed = True

    def _render(self, index: int) -> np.ndarray:
        units, eye_closure = demo_expression(index)
        image = self._animator.render(
            units, eye_closure=eye_closure, frame_from_portrait=self._frame_from_portrait(index), size=(WIDTH, HEIGHT)
        )
        light = np.clip(np.rint(np.arange(256) * self._gain[index]), 0, 255).astype(np.uint8)
        rng = np.random.default_rng((self._seed, index))
        top, left = rng.integers(0, _NOISE_SPARE_PX, 2)
        noise = self._noise[top : top + HEIGHT, left : left + WIDTH]
        return cv2.add(cv2.LUT(image, light), noise, dtype=cv2.CV_8U)

    def _frame_from_portrait(self, index: int) -> np.ndarray:
        """Head motion of a frame, (2, 3): a turn and a change of size about the frame's centre, then a shift."""
        centre = (WIDTH / 2, HEIGHT / 2)
        transform = cv2.getRotationMatrix2D(centre, self._roll_deg[index], self._scale[index])
        transform[:, 2] += self._shift_px[index] - transform[:, :2] @ _ORIGIN_PX
        return transform


def demo_expression(frame_index: int) -> tuple[dict[str, float], float]:
    """What the face does in a frame: displacement of each action unit, and how far the eyes are shut (0–1)."""
    units: dict[str, float] = {}
    eye_closure = 0.0
    for movement in DEMO_SCRIPT:
        strength = movement.strength(frame_index)
        if movement.kind == "blink":
            eye_closure = max(eye_closure, strength)
        elif strength > 0:
            for name, peak in movement.action_units.items():
                units[name] = units.get(name, 0.0) + strength * peak
    return units, eye_closure


def demo_portrait() -> tuple[np.ndarray, np.ndarray]:
    """The scaled portrait, (973, 973, 3) uint8 BGR, and its (478, 3) float32 landmarks in pixels.

    The landmarks are stored: the clip then starts at once and is the same whatever face tracker is installed.
    """
    from skimage import data  # a second of imports that only the demo pays for

    image_bgr = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)
    image_bgr = cv2.resize(image_bgr, None, fx=PORTRAIT_SCALE, fy=PORTRAIT_SCALE, interpolation=cv2.INTER_CUBIC)
    with resources.files("app.capture").joinpath("demo_landmarks.npy").open("rb") as file:
        landmarks_px = np.load(file)
    return image_bgr, landmarks_px


def _wander(rng: np.random.Generator, seconds: np.ndarray, limit_hz: float, sd: float) -> np.ndarray:
    """A smooth random trace below a frequency, zero on average, with a given standard deviation."""
    frequencies_hz = np.linspace(limit_hz / 12, limit_hz, 12)
    phases = rng.uniform(0, 2 * np.pi, len(frequencies_hz))
    amplitudes = rng.rayleigh(1, len(frequencies_hz)) / frequencies_hz
    trace = amplitudes @ np.sin(2 * np.pi * frequencies_hz[:, None] * seconds + phases[:, None])
    return (trace - trace.mean()) * (sd / trace.std())
