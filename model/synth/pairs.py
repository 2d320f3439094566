"""Onset/apex pairs of one person: filmed, tracked and registered like the viewer's, with a spotter's errors in time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np

from app.datatypes import Frame
from app.face.alignment import CROP_RECIPE, Reference
from app.face.animation import Anatomy, FaceAnimator, SmileMorph
from app.face.tracker import FaceTracker
from model.crops import aligned
from model.synth.camera import Camera, Conditions
from model.synth.movements import DISTRACTORS, MICRO, NEUTRAL, NONE, Course, Movement, distractor, micro
from model.synth.people import Portrait
from model.synth.scene import Face, Scene

DATASET = "synthetic"
RESIDUE = "residue"  # nothing moves but the registration errs
STILL = "still"  # twice the same picture
SHARES = {"negative": 0.27, "positive": 0.22, "surprise": 0.2, NONE: 0.31}
_KINDS_OF_NONE = {
    "speech": 0.26, "macro": 0.13, "blink": 0.11, "gaze": 0.09, "swallow": 0.07, "nod": 0.06, "turn": 0.06,
    "light": 0.05, NEUTRAL: 0.1, RESIDUE: 0.04, STILL: 0.03,
}  # fmt: skip
_SPREAD = (0.3, 1.1)  # how far anatomies are from the textbook's
_PAIRS_OF_AN_ANATOMY = 12
_ONSET_ERROR = (-2, 2)  # frames at 30 fps that a live spotter errs by
_APEX_ERROR = (-2, 3)
_FRAME_S = 1 / 30
_LEAST_RISE = 0.4  # of the peak between the two key frames
_LEAST_MOVED = 0.0045  # of the inter-ocular distance; less is not spotted
_BESIDE = 0.35  # how strong what happens beside a micro-expression is
_ATTEMPTS = 6
_MOVEMENT_AT_S = 8.0  # later than any reference frame


@dataclass(frozen=True, slots=True)
class PairRow:
    """A row of the manifest. `onset`, `apex`: files beside it. `peak_percent`, `moved_percent`: displacement of the
    strongest unit at its apex and between the two key frames, percent of the inter-ocular distance."""

    dataset: str
    subject: str
    onset: str
    apex: str
    label: str
    aus: str
    kind: str
    peak_percent: float
    moved_percent: float
    onset_error_ms: float
    apex_error_ms: float
    inter_ocular_px: float
    noise_sd: float
    compression: str
    sex: str
    ethnicity: str
    crop_recipe: str = CROP_RECIPE


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """One pair: crops (224, 224, 3) uint8 BGR and what is known of them (see `PairRow`)."""

    onset_bgr: np.ndarray
    apex_bgr: np.ndarray
    facts: dict


class Actor:
    """A person who can be animated with other anatomies: nobody's muscles pull quite alike.

    Args:
        neutral: the neutral portrait.
        smile: the same person smiling, if there is one.

    Raises:
        FaceError: a portrait is too small to be animated.
    """

    def __init__(self, neutral: Portrait, smile: Portrait | None = None) -> None:
        self.smile_reach, morph = 0.0, None
        if smile is not None:
            morph = SmileMorph(neutral.image_bgr, neutral.landmarks_px, smile.image_bgr, smile.landmarks_px)
            self.smile_reach = morph.peak
        self._neutral, self._smile = neutral, smile or neutral
        self._neutral_animator = FaceAnimator(neutral.image_bgr, neutral.landmarks_px, morph)
        self._smile_animator = FaceAnimator(smile.image_bgr, smile.landmarks_px) if smile else self._neutral_animator

    def face(self, rng: np.random.Generator, *, is_smiling: bool = False) -> Face:
        """The face with muscles drawn anew; with `is_smiling` it rests in its smile, if that is known."""
        is_smiling = is_smiling and self.smile_reach > 0
        portrait, animator = (
            (self._smile, self._smile_animator) if is_smiling else (self._neutral, self._neutral_animator)
        )
        centre_px = portrait.landmarks_px[:, :2].mean(axis=0).astype(np.float64)
        anatomy = Anatomy.drawn(rng, spread=rng.uniform(*_SPREAD))
        return Face(animator, centre_px, anatomy, 0.0 if is_smiling else self.smile_reach)


def pairs_of(
    actor: Actor, name: str, count: int, seed: int, conditions: Conditions, tracker: FaceTracker
) -> Iterator[Pair]:
    """Draw pairs of a person, each from (seed, name, number) alone but for the anatomy, which some share.

    Pairs in which the face is lost are left out.

    Args:
        tracker: a static one.
    """
    person = zlib.crc32(name.encode())
    labels = np.random.default_rng((seed, person)).choice(list(SHARES), size=count, p=list(SHARES.values()))
    for first in range(0, count, _PAIRS_OF_AN_ANATOMY):
        rng = np.random.default_rng((seed, person, first))
        face = actor.face(rng, is_smiling=rng.random() < 0.15)
        for number in range(first, min(first + _PAIRS_OF_AN_ANATOMY, count)):
            rng = np.random.default_rng((seed, person, first, number))
            for _ in range(_ATTEMPTS):
                pair = _pair(str(labels[number]), face, conditions, rng, tracker)
                if pair is not None:
                    yield pair
                    break


def _pair(
    label: str,
    face: Face,
    conditions: Conditions,
    rng: np.random.Generator,
    tracker: FaceTracker,
) -> Pair | None:
    kind = MICRO if label != NONE else str(rng.choice(list(_KINDS_OF_NONE), p=list(_KINDS_OF_NONE.values())))
    movement = _placed(micro(label, rng, smile_reach=face.smile_reach) if kind == MICRO else _other(kind, rng))
    peak = movement.own_smile * face.smile_reach if movement.own_smile else movement.peak
    onset_s, apex_s = _key_times(movement, max(_LEAST_RISE, min(_LEAST_MOVED / max(peak, 1e-9), 0.97)), rng)
    beside = [_placed(m, apex_s - rng.uniform(0, 0.2)) for m in _accompanying(rng)] if kind == MICRO else []
    scene = Scene(face, [movement, *beside], conditions, rng)
    camera = Camera(conditions, rng)
    times_s = [onset_s, apex_s]
    if has_reference := rng.random() < 0.4:
        times_s.insert(0, onset_s - rng.uniform(0.3, 5))
    frames = camera.compress(list(_filmed(scene, camera, times_s)))[-len(times_s) :]
    cuts = aligned(frames, tracker)[int(has_reference) :]
    if any(cut.problem for cut in cuts):
        return None
    apex_bgr = cuts[1].crop_bgr
    if kind == STILL:
        apex_bgr = cuts[0].crop_bgr
    if kind == RESIDUE:
        apex_bgr = _misregistered(frames[-1], frames[-2], rng, tracker)
        if apex_bgr is None:
            return None
    moved = movement.level(apex_s) - movement.level(onset_s)
    facts = {
        "label": label,
        "aus": movement.coded_as,
        "kind": kind,
        "peak_percent": round(100 * peak, 3),
        "moved_percent": round(100 * peak * moved, 3),
        "onset_error_ms": round(1e3 * (onset_s - movement.onset_s), 1) if kind == MICRO else 0.0,
        "apex_error_ms": round(1e3 * (apex_s - movement.apex_s), 1) if kind == MICRO else 0.0,
        "inter_ocular_px": round(scene.inter_ocular_px, 1),
        "noise_sd": round(camera.noise_sd, 2),
        "compression": camera.compression,
    }
    return Pair(cuts[0].crop_bgr, apex_bgr, facts)


def _placed(movement: Movement, onset_s: float = _MOVEMENT_AT_S) -> Movement:
    return replace(movement, onset_s=onset_s)


def _other(kind: str, rng: np.random.Generator) -> Movement:
    if kind in DISTRACTORS:
        return distractor(kind, rng)
    return Movement(NEUTRAL, NONE, Course(0.1, 0.1, 0.1))


def _accompanying(rng: np.random.Generator) -> list[Movement]:
    """What may happen beside a micro-expression and leaves it one: half a blink, a glance, a slight nod."""
    kind = str(rng.choice(["", "blink", "gaze", "nod", "turn", "light"], p=[0.55, 0.12, 0.1, 0.08, 0.08, 0.07]))
    if not kind:
        return []
    drawn = distractor(kind, rng)
    return [
        replace(
            drawn,
            action_units={name: _BESIDE * peak for name, peak in drawn.action_units.items()},
            eye_closure=_BESIDE * drawn.eye_closure,
            turn_deg=(_BESIDE * drawn.turn_deg[0], _BESIDE * drawn.turn_deg[1]),
            light=_BESIDE * drawn.light,
        )
    ]


def _key_times(movement: Movement, least_rise: float, rng: np.random.Generator) -> tuple[float, float]:
    """When a live spotter would take onset and apex, seconds; a micro-expression rises by `least_rise` between them."""
    for _ in range(50):
        if movement.kind == MICRO:
            phase = rng.uniform(-0.5, 0.5) * _FRAME_S
            onset_s = movement.onset_s + phase + rng.integers(*_ONSET_ERROR, endpoint=True) * _FRAME_S
            apex_s = movement.apex_s + phase + rng.integers(*_APEX_ERROR, endpoint=True) * _FRAME_S
        elif movement.shapes:
            onset_s = movement.onset_s + rng.uniform(-0.05, movement.course.duration_s - 0.2)
            apex_s = onset_s + rng.uniform(0.04, 0.35)
        else:
            onset_s = movement.onset_s + rng.uniform(-0.07, 0.07)
            apex_s = onset_s + rng.uniform(0.04, 0.45)
        rise = movement.level(apex_s) - movement.level(onset_s)
        is_free = movement.shapes or movement.kind == NEUTRAL
        if apex_s > onset_s + 0.02 and (is_free or rise >= (least_rise if movement.kind == MICRO else _LEAST_RISE)):
            return onset_s, apex_s
    return movement.onset_s, movement.apex_s


def _filmed(scene: Scene, camera: Camera, times_s: list[float]) -> Iterator[np.ndarray]:
    """The frames at the given times; the first one twice, for a codec to predict from."""
    for position, time_s in enumerate(times_s):
        image_bgr = scene.render(time_s)
        if position == 0:
            yield camera.expose(image_bgr, scene.light(time_s))
        yield camera.expose(image_bgr, scene.light(time_s))


def _misregistered(
    apex_bgr: np.ndarray, onset_bgr: np.ndarray, rng: np.random.Generator, tracker: FaceTracker
) -> np.ndarray | None:
    """The apex crop as a registration that failed by up to a pixel or two leaves it."""
    faces = [tracker.track(Frame(index, 0, image)) for index, image in enumerate((onset_bgr, apex_bgr))]
    if None in faces:
        return None
    registered = Reference(onset_bgr, faces[0].landmarks_px).register(apex_bgr, faces[1].landmarks_px)
    shift_px, angle_deg, scale = rng.normal(0, 0.8, 2), rng.normal(0, 0.5), np.exp(rng.normal(0, 0.006))
    error = cv2.getRotationMatrix2D((112, 112), angle_deg, scale)
    error[:, 2] += shift_px
    transform = error @ np.vstack([registered.crop.crop_from_frame, (0, 0, 1)])
    return Reference(apex_bgr, faces[1].landmarks_px, transform).crop.image_bgr


COLUMNS = tuple(field.name for field in fields(PairRow))


def manifest_row(pair: Pair, subject: str, number: int, sex: str, ethnicity: str) -> PairRow:
    """The row of a pair whose files are named after its number."""
    stem = f"{subject}/{number:05d}"
    return PairRow(
        dataset=DATASET, subject=subject, onset=f"{stem}_onset.png", apex=f"{stem}_apex.png",
        sex=sex, ethnicity=ethnicity, **pair.facts,
    )  # fmt: skip
