"""MMEW (Ben et al., TPAMI 2022): faces of 231 × 231 pixels, frames numbered from 1 in each clip."""

from __future__ import annotations

import re
from pathlib import Path

from model.annotations import Annotations
from model.coding_sheet import read_sheet
from model.frame_index import walk_folders
from model.readers.assembly import annotate, coded_rows
from model.readers.layout import best_finder, find_coding_file, image_root

_CLIP = re.compile(r"s\d+-\d+-\d+", re.IGNORECASE)


def read_mmew(root: Path, *, prefers_crops: bool) -> Annotations:
    """MMEW: `MMEW_Micro_Exp.xlsx` and `Micro_Expression/happiness/S01-01-001/1.jpg`.

    The subject may be a folder above the emotion. The label is that of the sheet: what it calls others lies in a folder
    named repression.
    """
    source = find_coding_file(root, "MMEW", (r"mmew.*micro.*\.xlsx?",), "MMEW_Micro_Exp.xlsx")
    rows, notes = coded_rows("mmew", read_sheet(source, ("subject", "clip", "onset", "apex", "offset", "label")))
    images = image_root(root)
    clips = _clips(images)
    # Names of clips are unique in the whole data set, so that whatever lies above them does not matter.
    trees = [(images, lambda row: clips.get(row.clip.casefold()))] if clips else []
    expected = "Micro_Expression/happiness/S01-01-001/1.jpg"
    folder_of = best_finder(images, trees, rows, expected, prefers_crops=prefers_crops)
    return annotate("mmew", source, rows, folder_of, notes, is_own_clip=True)


def _clips(root: Path) -> dict[str, Path]:
    """Folders of clips by name in lower case; a macro-expression is a single picture and has none."""
    clips: dict[str, Path] = {}
    for folder, children, _ in walk_folders(root):
        for name in [name for name in children if _CLIP.fullmatch(name)]:
            clips.setdefault(name.casefold(), folder / name)
            children.remove(name)
    return clips
