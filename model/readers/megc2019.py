"""The composite of MEGC 2019 (See et al., FG 2019): CASME II, SMIC-HS and SAMM in three common classes."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from app.errors import DataError
from model.annotations import Annotations, Note, Sample
from model.coding_sheet import subject_number
from model.frame_index import find_files, subfolders
from model.readers.assembly import DROPPED, REPAIRED
from model.readers.casme import read_casme2
from model.readers.layout import image_root
from model.readers.samm import read_samm
from model.readers.smic import read_smic_hs

# Of the official list, and of its classes by number.
_LIST_FILES = (r"combined_3class_gt.*\.csv",)
_LIST_CLASSES = {"0": "negative", "1": "positive", "2": "surprise"}
_LIST_NAMES = {"casme2": "casme2", "smic": "smic_hs", "samm": "samm"}
_PARTS = {
    "casme2": (read_casme2, re.compile(r".*casme[ _-]?(2|ii)([^\d].*)?", re.IGNORECASE)),
    "smic_hs": (read_smic_hs, re.compile(r".*smic.*", re.IGNORECASE)),
    "samm": (read_samm, re.compile(r"(?!.*long).*samm.*", re.IGNORECASE)),
}
# What the list makes of the emotions; CASME II has sadness and fear, which it leaves out.
_CASME2_CLASSES = {"happiness": "positive", "surprise": "surprise", "disgust": "negative", "repression": "negative"}
_SAMM_CLASSES = {"happiness": "positive", "surprise": "surprise"}
_SAMM_CLASSES |= dict.fromkeys(("anger", "contempt", "disgust", "fear", "sadness"), "negative")
_SMIC_CLASSES = {name: name for name in _LIST_CLASSES.values()}
_CLASSES = {"casme2": _CASME2_CLASSES, "smic_hs": _SMIC_CLASSES, "samm": _SAMM_CLASSES}
# Of the right emotions, but not in the list: no usable apex is coded for the first two, the third was added later.
_NOT_LISTED = {("casme2", "4", "ep12_01f"), ("casme2", "5", "ep09_05f"), ("casme2", "24", "ep02_07")}


def read_megc2019(root: Path, *, prefers_crops: bool) -> Annotations:
    """The three data sets below one folder; `combined_3class_gt.csv` decides who is in, or its rule when it is absent.

    Samples keep the name of their own data set, and have the common class as label.

    Raises:
        DataError: one of the three is missing or cannot be read.
    """
    lists = [root] if root.is_file() else find_files(root, _LIST_FILES)
    root = image_root(root)
    parts = {
        name: reader(_part_root(root, pattern), prefers_crops=prefers_crops)
        for name, (reader, pattern) in _PARTS.items()
    }
    if lists:
        samples, notes = _listed(lists[0], parts)
    else:
        samples = list(_by_rule(parts))
        notes = [
            Note("megc2019", REPAIRED, "combined_3class_gt.csv is absent: samples are chosen by the rule behind it")
        ]
    chosen = {sample.key for sample in samples}
    of_parts = [n for part in parts.values() for n in part.notes if n.key in chosen or n.action == DROPPED]
    if not samples:
        raise DataError(f"{lists[0] if lists else root} names no sample of the data sets below {root}.")
    return Annotations("megc2019", lists[0] if lists else root, tuple(samples), (*notes, *of_parts))


def _part_root(root: Path, pattern: re.Pattern[str]) -> Path:
    """The folder of one data set; the common one where it has none, or several, as those of whole frames and crops."""
    found = [folder for folder in subfolders(root) if pattern.fullmatch(folder.name)]
    return found[0] if len(found) == 1 else root


def _name(dataset: str, subject: str, clip: str) -> tuple[str, str, str]:
    """What a sample is called in the list and on disk alike: `s1_ne_01` here is `s01_ne_01` there."""
    return dataset, subject, re.sub(r"^s0*(\d)", r"s\1", clip.strip().lower())


def _listed(path: Path, parts: dict[str, Annotations]) -> tuple[list[Sample], list[Note]]:
    known = {_name(s.dataset, s.subject, s.clip): s for part in parts.values() for s in part.samples}
    samples, notes = [], []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, row in enumerate(csv.reader(file), 1):
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) < 4 or cells[0].lower() not in _LIST_NAMES or cells[3] not in _LIST_CLASSES:
                raise DataError(
                    f"{path}, line {line}: {','.join(row)!r} is not data set, subject, clip and class (0, 1 or 2). "
                    f"Take the list of the challenge as it is."
                )
            name = _name(_LIST_NAMES[cells[0].lower()], subject_number(cells[1]) or "", cells[2])
            if name in known:
                samples.append(replace(known[name], label=_LIST_CLASSES[cells[3]]))
            else:
                key = f"{name[0]}/{name[1]}/{cells[2]}"
                notes.append(Note(key, DROPPED, f"it is listed, but not among the samples of {name[0]}"))
    return samples, notes


def _by_rule(parts: dict[str, Annotations]) -> Iterator[Sample]:
    for dataset, part in parts.items():
        for sample in part.samples:
            label = _CLASSES[dataset].get(sample.label)
            if label is not None and _name(dataset, sample.subject, sample.clip) not in _NOT_LISTED:
                yield replace(sample, label=label)
