"""Synthetic onset/apex pairs: portraits of still faces, moved by muscle, seen as a webcam sees them.

Every pair is drawn from (seed, person, class, index) alone and passes through the tracker and the registration of the
application, so that a network is trained on crops with the errors of the real ones.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from app.datatypes import Frame
from app.errors import DataError, MmnetError, OutputError
from app.face.animation import FaceAnimator
from app.face.geometry import inter_ocular_px
from app.face.tracker import FaceTracker
from model import crops
from model.configs import THREE_CLASSES
from model.processes import end_with_parent

# Action units behind each class: EMFACS and the micro-expression sets' own coding. "S" is a side drawn at random.
COMBINATIONS: dict[str, tuple[str, ...]] = {
    "negative": (
        *("4", "4", "4+7", "4+7", "1+4", "9", "4+9", "10", "9+17", "15", "15", "1+4+15", "15+17", "17+24"),
        *("4+5+7+23", "1+2+4+20", "14S"),
    ),
    "positive": ("12", "12", "6+12", "6+12", "12S", "12+25"),
    "surprise": ("1+2", "1+2", "1+2", "1+2+5", "1+2+25", "1+2+5+25+26"),
}
PEAK = (0.006, 0.03)  # of the inter-ocular distance
INTER_OCULAR_PX = (45.0, 200.0)  # of the face in the frame, from far away to close up
_MAX_ENLARGEMENT = 1.25
_ATTEMPTS = 4
_log = logging.getLogger("mmnet.synth")


@dataclass(frozen=True, slots=True)
class Person:
    """A person and the portraits of them, neutral ones first."""

    name: str
    portraits: tuple[Path, ...]


@dataclass(frozen=True, eq=False, slots=True)
class PairSet:
    """N synthetic pairs.

    `onset`, `apex`: (N, 224, 224, 3) uint8 RGB; `label`: (N,) int64, position in THREE_CLASSES; `subject`,
    `action_units`: (N,) text; `peak`: (N,) float32, difference apex − onset of the strongest unit as a fraction of the
    inter-ocular distance.
    """

    onset: np.ndarray
    apex: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    action_units: np.ndarray
    peak: np.ndarray

    def save(self, path: Path) -> None:
        """Write an .npz; the file appears under its name only when it is complete.

        Raises:
            OutputError: it cannot be written.
        """
        partial_path = path.with_name(path.name + ".partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial_path.open("wb") as file:
                np.savez(file, **{name: getattr(self, name) for name in self.__slots__})
            partial_path.replace(path)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error}. Choose another --out.") from None

    @classmethod
    def joined(cls, parts: Sequence[PairSet]) -> PairSet:
        """Several sets as one."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__})


def held_out_people() -> frozenset[str]:
    """The people whom no published network of this project was trained on."""
    return frozenset(resources.files("model").joinpath("held_out_people.txt").read_text("utf-8").split())


def read_people(faces_dir: Path) -> list[Person]:
    """The people in a folder of frontal portraits, by name.

    `index.csv`, if there is one, has the columns file, subject and expression ("neutral" or another); without it every
    picture is a person.

    Raises:
        DataError: there is no picture.
    """
    index = faces_dir / "index.csv"
    if index.is_file():
        with index.open(newline="", encoding="utf-8") as file:
            rows = [(row["subject"], row["expression"] != "neutral", row["file"]) for row in csv.DictReader(file)]
    else:
        pictures = (p for p in faces_dir.glob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
        rows = [(picture.stem, False, picture.name) for picture in pictures]
    if not rows:
        raise DataError(f"{faces_dir} holds no portraits. Name a folder of .jpg or .png pictures, one face in each.")
    names = sorted({name for name, _, _ in rows})
    return [Person(n, tuple(faces_dir / file for name, _, file in sorted(rows) if name == n)) for n in names]


def generate_pairs(
    faces_dir: Path, people: Sequence[str] | None, pairs_per_class: int, seed: int, jobs: int = 1
) -> PairSet:
    """Draw pairs, as many for each class, spread evenly over the people.

    Args:
        faces_dir: folder of portraits, see `read_people`.
        people: names; None takes everyone in the folder.
        pairs_per_class: pairs of each class in all.
        seed: other seeds give other pairs of the same kind.
        jobs: processes to use (more than one needs torch); the result does not depend on it.

    Raises:
        DataError: a person or a portrait is missing, or no face is found in it.
    """
    known = {person.name: person for person in read_people(faces_dir)}
    missing = sorted(set(people or ()) - set(known))
    if missing:
        raise DataError(f"{faces_dir} has no portrait of {', '.join(missing[:5])}. Check its index.csv.")
    chosen = [known[name] for name in sorted(known if people is None else people)]
    if not chosen or pairs_per_class < 1:
        raise DataError("No pairs were asked for: name at least one person and one pair for each class.")
    shares = [range(i, pairs_per_class, len(chosen)) for i in range(len(chosen))]
    tasks = _Tasks([(person, share) for person, share in zip(chosen, shares, strict=True) if share], seed)
    parts: Iterable[PairSet] = tasks
    if jobs > 1:
        from torch.utils.data import DataLoader  # its workers are all of torch that is needed here

        # MediaPipe does not survive a fork. Workers of a killed process would wait for good to be rid of their pairs.
        parts = DataLoader(
            tasks,
            batch_size=None,
            num_workers=jobs,
            multiprocessing_context="spawn",
            worker_init_fn=partial(end_with_parent, os.getpid()),
        )
    return PairSet.joined(list(tqdm(parts, total=len(tasks), unit="person", disable=None)))


class _Tasks(Sequence[PairSet]):
    """The pairs of each person, drawn when they are asked for."""

    def __init__(self, shares: list[tuple[Person, range]], seed: int) -> None:
        self._shares = shares
        self._seed = seed

    def __len__(self) -> int:
        return len(self._shares)

    def __getitem__(self, position: int) -> PairSet:
        return _pairs_of_person(*self._shares[position], self._seed)


def _pairs_of_person(person: Person, indices: Sequence[int], seed: int) -> PairSet:
    """All pairs of one person."""
    cv2.setNumThreads(1)
    pairs: list[tuple] = []
    with FaceTracker(static=True) as tracker:
        portraits = [_portrait(path, tracker) for path in person.portraits]
        for label, class_name in enumerate(THREE_CLASSES):
            for index in indices:
                key = (seed, zlib.crc32(person.name.encode()), label, index)
                pairs.append((label, *_pair(class_name, portraits, tracker, key, person.name)))
    label, onset, apex, units, peak = zip(*pairs, strict=True)
    return PairSet(
        np.stack(onset),
        np.stack(apex),
        np.array(label, np.int64),
        np.full(len(label), person.name),
        np.array(units),
        np.array(peak, np.float32),
    )


def _portrait(path: Path, tracker: FaceTracker) -> tuple[np.ndarray, np.ndarray]:
    """A picture (H, W, 3) uint8 BGR and its landmarks (478, 3)."""
    image_bgr = cv2.imread(str(path))
    if image_bgr is None:
        raise DataError(f"{path} is missing or not a picture.")
    face = tracker.track(Frame(0, 0, image_bgr))
    if face is None:
        raise DataError(f"No face was found in {path}: take it out of the folder.")
    return image_bgr, face.landmarks_px


def _pair(
    class_name: str, portraits: list, tracker: FaceTracker, key: tuple[int, ...], name: str
) -> tuple[np.ndarray, np.ndarray, str, float]:
    """One pair: onset and apex crops (RGB), the action units in words, their peak."""
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng((*key, attempt))
        combination = str(rng.choice(COMBINATIONS[class_name])).replace("S", rng.choice(["L", "R"]))
        peak = rng.uniform(*PEAK)
        # A spotter's key frames are a little late and a little early: up to 15 % up the rise, down to 80 % of it.
        onset_strength, apex_strength = rng.uniform(0, 0.15), rng.uniform(0.8, 1.0)
        units = _intensities(combination, peak, rng)
        # A face that is already smiling moves too.
        image_bgr, landmarks_px = portraits[0 if rng.random() < 0.75 else int(rng.integers(len(portraits)))]
        frames = _filmed(
            image_bgr,
            landmarks_px,
            [{k: s * v for k, v in units.items()} for s in (onset_strength, apex_strength)],
            rng,
        )
        cuts = crops.aligned(frames, tracker)
        if any(cut.problem for cut in cuts):
            continue
        onset, apex = (cv2.cvtColor(cut.crop_bgr, cv2.COLOR_BGR2RGB) for cut in cuts)
        return onset, apex, combination, peak * (apex_strength - onset_strength)
    raise DataError(f"The face of {name} was lost {_ATTEMPTS} times: take this person out of the folder.")


def _intensities(combination: str, peak: float, rng: np.random.Generator) -> dict[str, float]:
    """Peak displacement of each unit and side; the strongest one reaches `peak`."""
    units: dict[str, float] = {}
    for name in combination.split("+"):
        strength = rng.uniform(0.5, 1.0)
        for side in name[-1] if name[-1] in "LR" else "LR":
            units[name.rstrip("LR") + side] = strength * rng.uniform(0.7, 1.0)
    scale = peak / max(units.values())
    return {name: strength * scale for name, strength in units.items()}


def _filmed(
    image_bgr: np.ndarray, landmarks_px: np.ndarray, moments: Sequence[Mapping[str, float]], rng: np.random.Generator
) -> list[np.ndarray]:
    """A face at several moments as a webcam would see it: distance, head motion, light, blur, noise, compression."""
    inter_ocular = inter_ocular_px(landmarks_px)
    scale = min(np.exp(rng.uniform(*np.log(INTER_OCULAR_PX))) / inter_ocular, _MAX_ENLARGEMENT)
    small = cv2.resize(
        image_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    animator = FaceAnimator(small, landmarks_px * np.float32(scale))
    unit_px = animator.inter_ocular_px
    centre = landmarks_px[:, :2].mean(axis=0).astype(float) * scale
    roll_deg, shift_px = rng.normal(0, 5), rng.uniform(-0.1, 0.1, 2) * unit_px
    gain, gamma, tint = rng.uniform(0.75, 1.15), np.exp(rng.normal(0, 0.15)), rng.uniform(0.94, 1.06, 3)
    blur, noise_sd = rng.uniform(0, 0.9), rng.uniform(0.5, 4.0)
    quality = int(rng.integers(70, 99)) if rng.random() < 0.6 else None
    is_blinking = rng.random() < 0.2
    crease_gain = rng.uniform(0, 1.5)  # smooth skin to deep folds
    frames = []
    for units in moments:
        head = cv2.getRotationMatrix2D(centre.tolist(), roll_deg + rng.normal(0, 0.4), 1 + rng.normal(0, 0.004))
        head[:, 2] += shift_px + rng.normal(0, 0.015, 2) * unit_px
        closure = rng.uniform(0, 0.3) if is_blinking else 0.0
        turn_deg = tuple(rng.normal(0, 0.35, 2))
        frame = animator.render(
            units, eye_closure=closure, turn_deg=turn_deg, crease_gain=crease_gain, frame_from_portrait=head
        ).astype(np.float32)
        frame = 255 * (frame / 255) ** gamma * (gain * (1 + rng.normal(0, 0.01)) * tint.astype(np.float32))
        if blur > 0.3:
            frame = cv2.GaussianBlur(frame, (0, 0), blur)
        noise = rng.standard_normal(frame.shape, np.float32)
        frame += noise_sd * (0.6 * noise + 0.8 * noise[..., :1])
        frame = np.clip(np.rint(frame), 0, 255).astype(np.uint8)
        if quality is not None:
            frame = cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
        frames.append(frame)
    return frames


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mmnet synth", description="Make synthetic training pairs.")
    parser.add_argument("--faces", type=Path, required=True, metavar="DIR", help="folder of frontal portraits")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--pairs-per-class", type=int, default=500, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument(
        "--people",
        choices=("train", "validate", "all"),
        default="train",
        help="all but the held-out people, the held-out people only, or everyone in the folder",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = _arguments(argv)
    try:
        people = [person.name for person in read_people(arguments.faces)]
        if arguments.people != "all":
            wanted = arguments.people == "validate"
            people = [name for name in people if (name in held_out_people()) == wanted]
        pairs = generate_pairs(arguments.faces, people, arguments.pairs_per_class, arguments.seed, arguments.jobs)
        pairs.save(arguments.out)
    except MmnetError as error:
        _log.error("%s", error)
        return 1
    _log.info("%s: %d pairs of %d people", arguments.out, len(pairs.label), len(set(pairs.subject.tolist())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
