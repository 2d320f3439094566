"""A table of one's own, for data sets that no reader knows, DFME among them, and for reviewed events."""

from __future__ import annotations

import csv
from pathlib import Path, PurePath

from app.errors import DataError
from model.annotations import Annotations, Note, Sample
from model.coding_sheet import canonical_emotion
from model.frame_index import IMAGE_SUFFIXES, frame_number, index_frames
from model.readers.assembly import DROPPED

_REQUIRED = ("subject", "onset", "apex", "label")
_OPTIONAL = ("offset", "aus", "dataset")


def read_table(root: Path, *, prefers_crops: bool) -> Annotations:
    """A CSV with the columns subject, onset, apex, label and, if wanted, offset, aus, dataset.

    Onset, apex and offset are image files, relative to the CSV. Subjects are any text; without a dataset column all
    rows belong to one called "manifest".

    Args:
        root: the CSV, or a folder with one `manifest.csv`.
        prefers_crops: of no effect, since the table itself names the pictures.

    Raises:
        DataError: there is no table, it lacks a column, or not one row can be used.
    """
    source = root / "manifest.csv" if root.is_dir() else root
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in table]
            columns = [name.strip() for name in table.fieldnames or ()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source} cannot be read as a table ({error}). Save one as CSV, UTF-8.") from None
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise DataError(
            f"{source} has no column {', '.join(missing)}. Needed are {', '.join(_REQUIRED)}; "
            f"{', '.join(_OPTIONAL)} may be left out."
        )
    samples: dict[str, Sample] = {}
    notes = []
    for line, row in enumerate(rows, 2):
        try:
            sample = _sample(row, source.parent)
            if sample.key in samples:
                raise ValueError(f"its pictures are those of another row, {sample.key}")
            samples[sample.key] = sample
        except ValueError as error:
            notes.append(Note(f"{source.name}/row {line}", DROPPED, f"{error}"))
    if not samples:
        raise DataError(f"Nothing of {source} can be used ({notes[0].reason if notes else 'it has no rows'}).")
    return Annotations("manifest", source, tuple(samples.values()), tuple(notes))


def _sample(row: dict[str, str], folder: Path) -> Sample:
    """One row. Raises ValueError with the reason when it cannot be used."""
    if empty := [name for name in _REQUIRED if not row[name]]:
        raise ValueError(f"{', '.join(empty)} is empty")
    images = [folder / row[name] for name in ("onset", "apex", "offset") if row.get(name)]
    for image in images:
        if not image.is_file() or image.suffix.lower() not in IMAGE_SUFFIXES:
            raise ValueError(f"{image} is missing or not a .jpg, .png or .bmp picture")
    if images[0] == images[1]:
        raise ValueError("onset and apex are one picture, which shows no movement")
    clip, frames, numbers = _frames(images, PurePath(row["onset"]))
    offset = numbers[2] if len(numbers) > 2 else None
    dataset, emotion = row.get("dataset") or "manifest", canonical_emotion(row["label"])
    return Sample(dataset, row["subject"], clip, *numbers[:2], offset, emotion, row.get("aus", ""), frames)


def _frames(images: list[Path], onset: PurePath) -> tuple[str, dict[int, Path], list[int]]:
    """Name of the clip from that of its onset picture, its files by number, and the numbers of the key frames.

    Where the pictures are frames of one folder, everything between them belongs to the movement; pictures from anywhere
    else are numbered 0, 1, 2 in a clip of their own.
    """
    numbers = [frame_number(image) for image in images]
    is_run = None not in numbers and numbers[0] < numbers[1] and numbers == sorted(numbers)
    if is_run and len({image.parent for image in images}) == 1:
        indexed = index_frames(images[0].parent)
        if all(indexed.get(number) == image for number, image in zip(numbers, images, strict=True)):
            frames = {n: path for n, path in indexed.items() if numbers[0] <= n <= numbers[-1]}
            return onset.parent.as_posix(), frames, numbers
    return onset.with_suffix("").as_posix(), dict(enumerate(images)), list(range(len(images)))
