"""CASME (Yan et al., FG 2013) and CASME II (Yan et al., PLoS ONE 2014): one sheet, images as sub01/clip/frame."""

from __future__ import annotations

from pathlib import Path

from model.annotations import Annotations
from model.coding_sheet import read_sheet
from model.readers.assembly import annotate, coded_rows
from model.readers.layout import best_finder, clip_trees, find_coding_file, image_root

_SUBJECT = r"(?:sub)?(\d+)"
_COLUMNS = ("subject", "clip", "onset", "apex", "offset", "label")
# The coding of 2019 is the one that the published five classes of 249 samples come from; a copy that calls itself
# updated lacks 21 apexes.
_CASME2_FILES = (
    r"casme2-coding-2019\d*.*\.xlsx?",
    r"casme2-coding-20140508.*\.xlsx?",
    r"casme2-coding.*\.xlsx?",
    r"casme2_label.*\.xlsx?",
)


def read_casme(root: Path, *, prefers_crops: bool) -> Annotations:
    """CASME: `casme.xlsx` and `CASME_raw_selected/sub01/EP01_5/EP01_5-12.jpg`, or a cropped tree."""
    source = find_coding_file(root, "CASME", (r"casme1?([-_ .].*)?\.xlsx?", r".*coding.*\.xlsx?"), "casme.xlsx")
    return _read("casme", source, root, "CASME_raw_selected/sub01/EP01_5/EP01_5-12.jpg", prefers_crops)


def read_casme2(root: Path, *, prefers_crops: bool) -> Annotations:
    """CASME II: `CASME2-coding-*.xlsx` and the raw, selected or cropped tree, `…/sub01/EP02_01f/img46.jpg`."""
    source = find_coding_file(root, "CASME II", _CASME2_FILES, "CASME2-coding-20190701.xlsx or -20140508.xlsx")
    return _read("casme2", source, root, "CASME2_RAW/CASME2-RAW/sub01/EP02_01f/img46.jpg", prefers_crops)


def _read(dataset: str, source: Path, root: Path, expected: str, prefers_crops: bool) -> Annotations:
    rows, notes = coded_rows(dataset, read_sheet(source, _COLUMNS))
    images = image_root(root)
    folder_of = best_finder(images, clip_trees(images, _SUBJECT), rows, expected, prefers_crops=prefers_crops)
    return annotate(dataset, source, rows, folder_of, notes)
