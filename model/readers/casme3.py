"""CAS(ME)^3 part A (Li et al., TPAMI 2023): several movements in a video, images of clips or of whole videos."""

from __future__ import annotations

import re
from pathlib import Path

from model.annotations import Annotations
from model.coding_sheet import cell_text, read_sheet
from model.frame_index import child, subfolders
from model.readers.assembly import CodedRow, annotate, coded_rows
from model.readers.layout import ClipTree, best_finder, find_coding_file, image_root, trees_of

_FILES = (
    r"cas\(me\)\^?3_part_a_me_label_jpgindex_v2.*\.xlsx?",
    r"cas\(me\)\^?3_part_a_me_.*\.xlsx?",
    r"cas\(me\)\^?3_part_a_v\d.*\.xlsx?",
)
_SUBJECT = r"spno\.?_?(\d+)"
_CLIP = r"spno\.?_?(\d+)_([a-z]+)_(\d+)"


def read_casme3(root: Path, *, prefers_crops: bool) -> Annotations:
    """CAS(ME)^3 part A: `cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx` and one of two trees of colour images.

    `Part_A_ME_clip/frame/spNO.1_a_355/355.jpg` holds the micro-expressions only, `part_A/spNO.1/a/color/355.jpg` the
    whole videos. A sheet that codes macro-expressions too is read for the others.
    """
    source = find_coding_file(root, "CAS(ME)^3", _FILES, "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx")
    sheet = read_sheet(source, ("subject", "clip", "onset", "apex", "offset", "label"), preferred="label")
    micro = [row for row in sheet if "macro" not in cell_text(row.cells.get("kind")).lower()]
    rows, notes = coded_rows("casme3", micro)
    images = image_root(root)
    # In one search, which does not go into the millions of images of the whole videos.
    found = trees_of(images, f"{_CLIP}|{_SUBJECT}")
    trees = [(tree, _ShortClips(tree).folder_of) for tree in found]
    trees += [(tree, _LongVideoTree(tree).folder_of) for tree in found]
    expected = "Part_A_ME_clip/frame/spNO.1_a_355/355.jpg"
    folder_of = best_finder(images, trees, rows, expected, prefers_crops=prefers_crops)
    return annotate("casme3", source, rows, folder_of, notes)


class _ShortClips:
    """Folders named by subject, letter of the video and coded onset."""

    def __init__(self, root: Path) -> None:
        matches = ((re.fullmatch(_CLIP, folder.name, re.IGNORECASE), folder) for folder in subfolders(root))
        self._folders = {
            (str(int(match[1])), match[2].lower(), int(match[3])): folder for match, folder in matches if match
        }

    def folder_of(self, row: CodedRow) -> Path | None:
        return self._folders.get((row.subject, row.clip.lower(), -1 if row.onset is None else row.onset))


class _LongVideoTree:
    """A folder for each subject and letter, with the colour images in it or in a folder of their own."""

    def __init__(self, root: Path) -> None:
        self._tree = ClipTree(root, _SUBJECT)

    def folder_of(self, row: CodedRow) -> Path | None:
        video = self._tree.folder_of(row)
        return video and (child(video, "color") or video)
