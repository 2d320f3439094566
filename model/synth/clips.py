"""Long clips with known movements, for spotting: micro-expressions among everything else that a face does."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from model.synth.camera import Camera, Conditions, video_frame
from model.synth.movements import COMBINATIONS, DISTRACTORS, MICRO, NEUTRAL, Movement, distractor, micro
from model.synth.pairs import Actor
from model.synth.scene import Scene

SIZE = (640, 480)
_QUIET_START_S = 2.0
_REST_S = (0.8, 2.5)  # between two movements
_MICRO_SHARE = 0.45


@dataclass(frozen=True, slots=True)
class TruthRow:
    """A movement of a clip, or a clip in which none was drawn (kind "neutral", no frames). Frames count from 0."""

    media_file: str
    subject: str
    kind: str
    label: str
    action_units: str
    onset_frame: int | str
    apex_frame: int | str
    offset_frame: int | str
    peak_percent: float
    fps: float


COLUMNS = tuple(field.name for field in fields(TruthRow))


def write_clip(
    actor: Actor, subject: str, number: int, folder: Path, *, seconds: float, fps: float, seed: int,
    conditions: Conditions,
) -> list[TruthRow]:  # fmt: skip
    """Film a person for some seconds into folder/SUBJECT_NUMBER.mp4, which appears only when it is complete.

    Returns:
        The movements in it, in their order.

    Raises:
        OSError: the file cannot be written.
    """
    rng = np.random.default_rng((seed, zlib.crc32(subject.encode()), number, 1))
    face = actor.face(rng)
    movements = _drawn(seconds, face.smile_reach, rng)
    scene = Scene(face, movements, conditions, rng, size=SIZE)
    camera = Camera(conditions, rng)
    path = folder / f"{subject}_{number:02d}.mp4"
    partial = path.with_suffix(".partial")
    with av.open(str(partial), "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"crf": str(camera.crf), "preset": "veryfast", "threads": "1"}
        for index in range(round(seconds * fps)):
            time_s = index / fps
            exposed = camera.expose(scene.render(time_s), scene.light(time_s))
            container.mux(stream.encode(video_frame(exposed, index)))
        container.mux(stream.encode(None))
    partial.replace(path)
    rows = [_truth(path.name, subject, m, fps, face.smile_reach) for m in movements]
    return rows or [TruthRow(path.name, subject, NEUTRAL, "", "", "", "", "", 0.0, fps)]


def _drawn(seconds: float, smile_reach: float, rng: np.random.Generator) -> list[Movement]:
    """Movements one after the other, with rests between them."""
    movements: list[Movement] = []
    time_s = _QUIET_START_S + rng.uniform(0, 1)
    while True:
        if rng.random() < _MICRO_SHARE:
            movement = micro(str(rng.choice(list(COMBINATIONS))), rng, smile_reach=smile_reach)
        else:
            movement = distractor(str(rng.choice(DISTRACTORS)), rng)
        movement = replace(movement, onset_s=time_s)
        if movement.offset_s > seconds - 0.7:
            return movements
        movements.append(movement)
        time_s = movement.offset_s + rng.uniform(*_REST_S)


def _truth(name: str, subject: str, movement: Movement, fps: float, smile_reach: float) -> TruthRow:
    frames = (round(moment * fps) for moment in (movement.onset_s, movement.apex_s, movement.offset_s))
    peak = movement.own_smile * smile_reach if movement.own_smile else movement.peak
    label = movement.label if movement.kind == MICRO else ""
    return TruthRow(name, subject, movement.kind, label, movement.coded_as, *frames, round(100 * peak, 3), fps)
