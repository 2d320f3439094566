"""The folder of a prepared data set: a table of its samples and their crops; and the pairs that training reads from it.

samples.csv                         one row a sample: how it was coded, the frames that were cut, or why none were
crops/SAMPLE/onset-NUMBER.png       the coded onset and the frames after it that training may draw in its place
crops/SAMPLE/apex-NUMBER.png        the coded apex and the frames before it
"""

from __future__ import annotations

import csv
import io
import logging
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from tqdm import tqdm

from app.errors import DataError
from app.face.alignment import CROP_SIZE
from model.annotations import Sample
from model.labels import ClassProtocol

OK = "ok"
PENDING = "not cut yet"
TABLE = "samples.csv"
CROPS = "crops"
_COLUMNS = (
    *("key", "dataset", "subject", "clip", "onset", "apex", "offset", "label", "action_units"),
    *("onset_frames", "apex_frames", "crop_recipe", "status"),
)
_log = logging.getLogger("mmnet.prepare")


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """A row of samples.csv.

    `onset_frames` and `apex_frames` are the frames that have a crop, the coded one first. `status` is OK, PENDING, or
    the reason why the sample has no crops. A `sample` that was read back has no `frames`.
    """

    sample: Sample
    onset_frames: tuple[int, ...]
    apex_frames: tuple[int, ...]
    crop_recipe: str
    status: str


def crop_folder(folder: Path, key: str) -> Path:
    """Where the crops of a sample are: its key in characters that any file system takes, and a checksum of it.

    Without the checksum `a/b-1` and `a-b/1` would share a folder, and so would names that differ in capitals only.
    """
    name = re.sub(r"[^A-Za-z0-9_]+", "-", key).strip("-")[:80]
    return folder / CROPS / f"{name}-{zlib.crc32(key.encode()):08x}"


def crop_name(role: str, frame: int) -> str:
    """File name of a crop; `role` is "onset" or "apex"."""
    return f"{role}-{frame}.png"


def table_text(rows: Sequence[PreparedSample]) -> str:
    """samples.csv."""
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    for row in rows:
        sample = row.sample
        table.writerow(
            {name: getattr(sample, name) for name in _COLUMNS[:9]}
            | {
                "onset_frames": ";".join(map(str, row.onset_frames)),
                "apex_frames": ";".join(map(str, row.apex_frames)),
                "crop_recipe": row.crop_recipe,
                "status": row.status,
            }
        )
    return text.getvalue()


def read_table(folder: Path) -> tuple[PreparedSample, ...]:
    """The rows of a folder's samples.csv.

    Raises:
        DataError: there is none, or it is not of this program.
    """
    path = folder / TABLE
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            if tuple(table.fieldnames or ()) != _COLUMNS:
                raise DataError(
                    f"{path} has other columns than a prepared data set. Prepare it anew with mmnet prepare."
                )
            return tuple(_row(cells) for cells in table)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{folder} is not a prepared data set. Make it: mmnet prepare DATASET ROOT --out {folder}"
        ) from None
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise DataError(f"{path} is damaged ({error}). Delete the folder and run mmnet prepare again.") from None


def _row(cells: dict[str, str]) -> PreparedSample:
    sample = Sample(
        dataset=cells["dataset"],
        subject=cells["subject"],
        clip=cells["clip"],
        onset=int(cells["onset"]),
        apex=int(cells["apex"]),
        offset=int(cells["offset"]) if cells["offset"] else None,
        label=cells["label"],
        action_units=cells["action_units"],
        frames={},
    )
    onset_frames, apex_frames = (
        tuple(int(number) for number in cells[column].split(";") if number)
        for column in ("onset_frames", "apex_frames")
    )
    return PreparedSample(sample, onset_frames, apex_frames, cells["crop_recipe"], cells["status"])


@dataclass(frozen=True, eq=False, slots=True)
class PreparedPairs:
    """N labelled samples, each with one or more onset frames and apex frames to draw a pair from.

    `onsets`, `apexes`: for each sample (frames, 224, 224, 3) uint8 RGB, the coded frame first; `label`: (N,) int64,
    position in `class_names`; `subject`: (N,) the people, unique across data sets; `key`, `dataset`, `emotion`: (N,)
    text, `emotion` as coded; `crop_recipe`: how all crops were cut.
    """

    onsets: tuple[np.ndarray, ...]
    apexes: tuple[np.ndarray, ...]
    label: np.ndarray
    subject: np.ndarray
    key: np.ndarray
    dataset: np.ndarray
    emotion: np.ndarray
    class_names: tuple[str, ...]
    crop_recipe: str

    def __len__(self) -> int:
        return len(self.label)

    def subset(self, indices: np.ndarray) -> Self:
        """The samples at these positions, in this order."""
        positions = np.arange(len(self))[indices].tolist()  # a mask selects as well
        arrays = (self.label, self.subject, self.key, self.dataset, self.emotion)
        return type(self)(
            tuple(self.onsets[i] for i in positions),
            tuple(self.apexes[i] for i in positions),
            *(array[positions] for array in arrays),
            self.class_names,
            self.crop_recipe,
        )

    def draw(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Onset and apex, (224, 224, 3) uint8 RGB, of the frames near the coded ones, each as likely as the other."""
        onsets, apexes = self.onsets[index], self.apexes[index]
        return onsets[rng.integers(len(onsets))], apexes[rng.integers(len(apexes))]

    def centre(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Onset and apex as coded."""
        return self.onsets[index][0], self.apexes[index][0]


def load_prepared(folders: Sequence[Path], protocol: ClassProtocol) -> PreparedPairs:
    """Read every sample of several folders that has crops and a class, in the order of their tables, into memory.

    Raises:
        DataError: a folder is not prepared, not to its end, or not by the same crop recipe as the others; a crop is
            damaged; two folders hold the same sample; or no sample has a class.
    """
    tables = [(folder, read_table(folder)) for folder in folders]
    recipes = {}
    for folder, rows in tables:
        pending = sum(row.status == PENDING for row in rows)
        if pending:
            raise DataError(
                f"{folder} lacks {pending} samples: run mmnet prepare with this --out again, it will go on."
            )
        recipes |= {row.crop_recipe: folder for row in rows}
    if len(recipes) > 1:
        cut = "; ".join(f"{folder}: {recipe}" for recipe, folder in recipes.items())
        raise DataError(f"The crops were cut in different ways ({cut}). Prepare all with the same --crops and version.")
    found = [
        (folder, row, protocol.label_of(row.sample)) for folder, rows in tables for row in rows if row.status == OK
    ]
    chosen = [(folder, row, label) for folder, row, label in found if label is not None]
    if not chosen:
        emotions = Counter(f"{row.sample.dataset}: {row.sample.label}" for _, row, _ in found)
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(emotions.items())) or "none with crops"
        raise DataError(f"No sample has a class in the protocol {protocol.name}. Samples found: {listed}.")
    doubled, count = Counter(row.sample.key for _, row, _ in chosen).most_common(1)[0]
    if count > 1:
        raise DataError(f"The sample {doubled} is in {count} of the folders: name each data set once.")
    for folder in folders:
        if all(folder != used for used, _, _ in chosen):
            _log.warning("%s: no sample has a class in the protocol %s", folder, protocol.name)
    onsets, apexes = [], []
    for folder, row, _ in tqdm(chosen, desc="read", unit="sample", disable=None, leave=False):
        onsets.append(_read_crops(folder, row, "onset", row.onset_frames))
        apexes.append(_read_crops(folder, row, "apex", row.apex_frames))
    samples = [row.sample for _, row, _ in chosen]
    return PreparedPairs(
        tuple(onsets),
        tuple(apexes),
        label=np.array([label for _, _, label in chosen], np.int64),
        subject=np.array([sample.person for sample in samples]),
        key=np.array([sample.key for sample in samples]),
        dataset=np.array([sample.dataset for sample in samples]),
        emotion=np.array([sample.label for sample in samples]),
        class_names=protocol.class_names,
        crop_recipe=next(iter(recipes)),
    )


def _read_crops(folder: Path, row: PreparedSample, role: str, frames: tuple[int, ...]) -> np.ndarray:
    """(frames, 224, 224, 3) uint8 RGB."""
    crops = []
    for frame in frames:
        path = crop_folder(folder, row.sample.key) / crop_name(role, frame)
        try:
            content = np.fromfile(path, np.uint8)
            crop_bgr = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
        except OSError:
            crop_bgr = None
        if crop_bgr is None or crop_bgr.shape != (CROP_SIZE, CROP_SIZE, 3):
            raise DataError(
                f"{path} is missing or damaged. Delete its folder and run mmnet prepare with this --out again."
            )
        crops.append(cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2RGB))
    return np.stack(crops)
