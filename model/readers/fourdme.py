"""4DME (Li et al., IEEE TAC 2022), its two-dimensional grey videos."""

from __future__ import annotations

from pathlib import Path

from model.annotations import Annotations
from model.coding_sheet import read_sheet
from model.readers.assembly import annotate, coded_rows
from model.readers.layout import best_finder, clip_trees, find_coding_file, image_root

_FILES = (r"4dme_labelling_micro_release.*\.xlsx?", r"micro_and_macro-expression_labels.*\.xlsx?")


def read_4dme(root: Path, *, prefers_crops: bool) -> Annotations:
    """4DME: `4DME_Labelling_Micro_release v1.xlsx` and `gray_micro/{subject}/{clip}/`, or the cropped tree.

    A movement with two emotions has both in its label, as in `surprise+positive`.
    """
    source = find_coding_file(root, "4DME", _FILES, "4DME_Labelling_Micro_release v1.xlsx")
    rows, notes = coded_rows("4dme", read_sheet(source, ("subject", "clip", "onset", "apex", "label")))
    images = image_root(root)
    trees, expected = clip_trees(images, r"[a-z]*[._-]?(\d+)"), "gray_micro/{subject}/{clip}/"
    folder_of = best_finder(images, trees, rows, expected, prefers_crops=prefers_crops)
    return annotate("4dme", source, rows, folder_of, notes)
