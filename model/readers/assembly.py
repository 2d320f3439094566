"""From coded rows to samples: corrections by hand, implausible key frames, and the files that are really there."""

from __future__ import annotations

import csv
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from app.errors import DataError
from model.annotations import Annotations, Note, Sample
from model.coding_sheet import SheetRow, canonical_emotion, cell_frame, cell_text, subject_number
from model.frame_index import index_frames, nearest

REPAIRED, DROPPED, MISSING_FRAME = "repaired", "dropped", "missing frame"
_KEY_FRAMES = ("onset", "apex", "offset")


@dataclass(frozen=True, slots=True)
class CodedRow:
    """One micro-expression as coded: nothing is repaired yet; `row` counts from 0 below the header."""

    row: int
    subject: str
    clip: str
    onset: int | None
    apex: int | None
    offset: int | None
    label: str
    action_units: str = ""

    def key(self, dataset: str) -> str:
        """Name for notes, like that of a sample."""
        return f"{dataset}/{self.subject}/{self.clip}/{self.onset}"


@dataclass(frozen=True, slots=True)
class Correction:
    """One field of one coded row, corrected by hand.

    The row is named by `clip` ("subject/clip"), or by its number in a sheet of `sheet_rows` rows.
    """

    clip: str
    row: int | None
    sheet_rows: int | None
    field: str
    value: str
    reason: str


def read_corrections(dataset: str) -> list[Correction]:
    """The corrections that come with the program for one data set; none for most."""
    table = resources.files("model").joinpath("corrections", f"{dataset}.csv")
    if not table.is_file():
        return []

    def number(text: str) -> int | None:
        return int(text) if text else None

    return [
        Correction(
            line["clip"], number(line["row"]), number(line["sheet_rows"]), line["field"], line["value"], line["reason"]
        )
        for line in csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    ]


def coded_rows(dataset: str, rows: Iterable[SheetRow]) -> tuple[list[CodedRow], list[Note]]:
    """Rows of a sheet with their cells understood; text below a table is passed over, incomplete rows give a note."""
    coded, notes = [], []
    for row in rows:
        subject, clip = subject_number(row.cells["subject"]), cell_text(row.cells.get("clip"))
        onset = cell_frame(row.cells["onset"])
        if subject is None or not clip:
            if onset is not None:
                lack = "no subject number" if subject is None else "no clip name"
                notes.append(Note(f"{dataset}/row {row.line}", DROPPED, f"{lack} is coded"))
            continue
        coded.append(
            CodedRow(
                row.number,
                subject,
                clip,
                onset,
                cell_frame(row.cells.get("apex")),
                cell_frame(row.cells.get("offset")),
                canonical_emotion(cell_text(row.cells.get("label"))),
                cell_text(row.cells.get("action_units")),
            )
        )
    return coded, notes


class UnusableError(Exception):
    """A movement that cannot be placed in its images; a reader turns it into a note."""


@dataclass(frozen=True, slots=True)
class KeyFrames:
    """Key frames that have files, in order; `remarks` are (action, reason) for everything that was not as coded."""

    onset: int
    apex: int
    offset: int
    remarks: tuple[tuple[str, str], ...] = ()


def settle(
    onset: int | None, apex: int | None, offset: int | None, numbers: Sequence[int], *, is_own_clip: bool = False
) -> KeyFrames:
    """Make coded key frames usable, as the field does.

    An offset that is missing, 0 or not after the onset becomes the apex; an apex that is missing or not in onset …
    offset becomes the middle, as does one on the onset, which would show no movement; a frame without a file gives way
    to the nearest one that has one.

    Args:
        numbers: frames of the folder that have a file, sorted.
        is_own_clip: the folder holds this movement only, so that without apex and offset its last file is the offset.

    Raises:
        UnusableError: no onset, no end, or not two files of the movement.
    """
    remarks: list[tuple[str, str]] = []
    if onset is None:
        raise UnusableError("no onset is coded")
    if not numbers:
        raise UnusableError("its folder holds no numbered images")
    if offset is None or offset <= onset:
        was = _coded("offset", offset, onset)
        if apex is not None and apex > onset:
            offset, taken = apex, "the apex"
        elif is_own_clip and numbers[-1] > onset:
            offset, taken = numbers[-1], "the last file"
        else:
            raise UnusableError(f"{was} and no apex after the onset is coded")
        remarks.append((REPAIRED, f"{was}: {taken}, {offset}, is taken"))
    if offset < numbers[0] or onset > numbers[-1]:
        raise UnusableError(f"coded {onset}–{offset}, but the files are {numbers[0]}–{numbers[-1]}")
    if apex is None or not onset < apex <= offset:
        middle = (onset + offset) // 2
        remarks.append((REPAIRED, f"{_coded('apex', apex, onset, offset)}: the middle, {middle}, is taken"))
        apex = middle
    present = set(numbers)
    found = {}
    for name, wanted in zip(_KEY_FRAMES, (onset, apex, offset), strict=True):
        found[name] = nearest(numbers, wanted)
        if wanted not in present:
            remarks.append((MISSING_FRAME, f"{name} {wanted} has no file: {found[name]} is taken"))
    if found["apex"] <= found["onset"]:
        rest = [number for number in numbers if found["onset"] < number <= found["offset"]]
        if not rest:
            raise UnusableError(f"coded {onset}–{offset}, but that is not two files")
        found["apex"] = rest[(len(rest) - 1) // 2]
        remarks.append((REPAIRED, f"the nearest file to the apex is the onset: {found['apex']} is taken"))
    if absent := offset + 1 - onset - (bisect_right(numbers, offset) - bisect_left(numbers, onset)):
        remarks.append((MISSING_FRAME, f"{absent} of {offset - onset + 1} frames have no file"))
    return KeyFrames(found["onset"], found["apex"], found["offset"], tuple(remarks))


def _coded(name: str, value: int | None, onset: int, offset: int | None = None) -> str:
    if value is None:
        return f"no {name} is coded"
    return f"{name} {value} is coded with onset {onset}" + ("" if offset is None else f" and offset {offset}")


def annotate(
    dataset: str,
    source: Path,
    rows: Sequence[CodedRow],
    folder_of: Callable[[CodedRow], Path | None],
    notes: Iterable[Note] = (),
    *,
    is_own_clip: bool = False,
) -> Annotations:
    """Find the images of each row, correct and repair it, and keep what can be used.

    Args:
        folder_of: folder with the images of a row as coded, None when there is none.
        is_own_clip: each folder holds one movement only, see `settle`.

    Raises:
        DataError: not one row can be used.
    """
    corrections, sheet_rows = read_corrections(dataset), len(rows)
    samples: dict[str, Sample] = {}
    notes = list(notes)
    # Movements of one long video follow each other in the sheets: one folder of thousands of names at a time is enough.
    indexed: tuple[Path | None, dict[int, Path]] = (None, {})
    for row in rows:
        key = row.key(dataset)
        folder = folder_of(row)
        if folder is None:
            notes.append(Note(key, DROPPED, "there is no folder with its images"))
            continue
        if folder != indexed[0]:
            indexed = (folder, index_frames(folder))
        frames = indexed[1]
        try:
            if not row.label:
                raise UnusableError("no emotion is coded")
            corrected, remarks = _correct(row, corrections, sheet_rows, list(frames))
            found = settle(corrected.onset, corrected.apex, corrected.offset, list(frames), is_own_clip=is_own_clip)
            sample = Sample(
                dataset, row.subject, row.clip, found.onset, found.apex, found.offset, row.label,
                corrected.action_units, {n: path for n, path in frames.items() if found.onset <= n <= found.offset},
            )  # fmt: skip
            if sample.key in samples:
                raise UnusableError("it is coded twice")
        except UnusableError as error:
            notes.append(Note(key, DROPPED, f"{error}"))
            continue
        samples[sample.key] = sample
        notes += [Note(sample.key, action, reason) for action, reason in (*remarks, *found.remarks)]
    if not samples:
        reasons = "; ".join(f"{note.key}: {note.reason}" for note in notes[:3]) or "it has no rows"
        raise DataError(
            f"Nothing of {source} can be used ({reasons}…). Check that its images are below {source.parent}."
        )
    return Annotations(dataset, source, tuple(samples.values()), tuple(notes))


def _correct(
    row: CodedRow, corrections: Sequence[Correction], sheet_rows: int, numbers: Sequence[int]
) -> tuple[CodedRow, list[tuple[str, str]]]:
    """Apply what was corrected by hand: key frames that break the rules as coded and keep them when corrected, and
    action units with alternatives.

    The numbers of rows are those of one copy of a sheet: where this does not hold, another row is meant.
    """
    name = f"{row.subject}/{row.clip}"
    fixes = [
        f for f in corrections if (f.clip == name if f.row is None else (f.row, f.sheet_rows) == (row.row, sheet_rows))
    ]
    remarks = []
    if "or" in row.action_units.lower():
        row, remarks = _applied(row, [fix for fix in fixes if fix.field not in _KEY_FRAMES])
    if not _is_plausible(row, numbers):
        corrected, more = _applied(row, [fix for fix in fixes if fix.field in _KEY_FRAMES])
        if _is_plausible(corrected, numbers):
            return corrected, remarks + more
    return row, remarks


def _applied(row: CodedRow, fixes: Iterable[Correction]) -> tuple[CodedRow, list[tuple[str, str]]]:
    remarks = []
    for fix in fixes:
        coded, value = getattr(row, fix.field), int(fix.value) if fix.field in _KEY_FRAMES else fix.value
        if coded != value:
            row = replace(row, **{fix.field: value})
            remarks.append((REPAIRED, f"{fix.field} {'–' if coded is None else coded} → {value}: {fix.reason}"))
    return row, remarks


def _is_plausible(row: CodedRow, numbers: Sequence[int]) -> bool:
    if row.onset is None or row.apex is None or row.offset is None or not numbers:
        return False
    return numbers[0] <= row.onset < row.apex <= row.offset <= numbers[-1]
