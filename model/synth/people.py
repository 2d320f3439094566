"""Who is animated: portraits of people by name, those that cannot be used left out with a reason."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from app.datatypes import Frame
from app.errors import DataError
from app.face.tracker import FaceTracker
from model.crops import read_image

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
_MIN_INTER_OCULAR_PX = 60.0  # smaller faces would have to be enlarged, which no camera does
_NEUTRAL = "neutral"


@dataclass(frozen=True, slots=True)
class Person:
    """A person and the files of their portraits; `smile` only where the same person smiles in another one."""

    name: str
    neutral: Path
    smile: Path | None = None
    sex: str = ""
    ethnicity: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Portrait:
    """A picture (H, W, 3) uint8 BGR and its landmarks (478, 3) float32 in pixels."""

    image_bgr: np.ndarray
    landmarks_px: np.ndarray

    def extended(self) -> Portrait:
        """The portrait with room on all sides, for frames that show more than it does: its edges go on out of focus."""
        height, width = self.image_bgr.shape[:2]
        room = max(height, width) // 2
        wide = cv2.copyMakeBorder(self.image_bgr, room, room, room, room, cv2.BORDER_REPLICATE)
        soft = cv2.GaussianBlur(wide, (0, 0), room / 12)
        inside = np.zeros(wide.shape[:2], np.uint8)
        inside[room : room + height, room : room + width] = 255
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[..., None] / (room / 12)
        share = np.clip(depth, 0, 1)
        image = (share * wide + (1 - share) * soft).astype(np.uint8)
        return Portrait(image, self.landmarks_px + np.array([room, room, 0], np.float32))


def held_out_people() -> frozenset[str]:
    """The people whom no published network of this project was trained on."""
    return frozenset(resources.files("model").joinpath("held_out_people.txt").read_text("utf-8").split())


def read_people(faces_dir: Path) -> list[Person]:
    """The people in a folder of frontal portraits, by name.

    `index.csv`, if there is one, has the columns file, subject and expression ("neutral" or another), and perhaps sex
    and ethnicity; without it every picture is a person. People without a neutral portrait are left out.

    Raises:
        DataError: there is no picture, or the index lacks a column.
    """
    index = faces_dir / "index.csv"
    if index.is_file():
        rows = _read_index(index)
    elif faces_dir.is_dir():
        pictures = sorted(path for path in faces_dir.iterdir() if path.suffix.lower() in _SUFFIXES)
        rows = [{"subject": path.stem, "expression": _NEUTRAL, "file": path.name} for path in pictures]
    else:
        raise DataError(f"{faces_dir} is no folder. Name one with portraits as --faces.")
    if not rows:
        raise DataError(f"{faces_dir} holds no portraits. Name a folder of .jpg or .png pictures, one face in each.")
    people: dict[str, Person] = {}
    smiles = {row["subject"]: faces_dir / row["file"] for row in rows if row["expression"] != _NEUTRAL}
    for row in rows:
        name = row["subject"]
        if row["expression"] == _NEUTRAL and name not in people:
            more = {key: row.get(key) or "" for key in ("sex", "ethnicity")}
            people[name] = Person(name, faces_dir / row["file"], smiles.get(name), **more)
    if not people:
        raise DataError(f"{index} names no neutral portrait: every movement starts from one.")
    return [people[name] for name in sorted(people)]


def _read_index(index: Path) -> list[dict[str, str]]:
    try:
        with index.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            if missing := {"file", "subject", "expression"} - set(table.fieldnames or ()):
                raise DataError(f"{index} lacks the column {', '.join(sorted(missing))}.")
            return [row for row in table if row["file"] and row["subject"]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{index} cannot be read as a table ({error}). Save it as CSV in UTF-8.") from None


def read_portrait(path: Path, tracker: FaceTracker) -> Portrait:
    """A portrait with the landmarks of its one face.

    Args:
        tracker: a static one.

    Raises:
        DataError: it is unreadable, or shows no face, several, or one that is too small.
    """
    image_bgr = read_image(path)
    face = tracker.track(Frame(0, 0, image_bgr))
    if face is None:
        raise DataError(f"{path}: no face was found.")
    # What the detector takes for a far smaller face is a badge, a pattern, somebody in the background.
    others = [box for box in face.other_boxes_px if box[2] > face.inter_ocular_px]
    if others:
        raise DataError(f"{path}: {1 + len(others)} faces; portraits show one.")
    if face.inter_ocular_px < _MIN_INTER_OCULAR_PX:
        raise DataError(
            f"{path}: the eyes are {face.inter_ocular_px:.0f} px apart, at least {_MIN_INTER_OCULAR_PX:.0f} are needed."
        )
    return Portrait(image_bgr, face.landmarks_px)
