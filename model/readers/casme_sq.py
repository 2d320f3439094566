"""CAS(ME)^2 (Qu et al., IEEE TAC 2018): micro- and macro-expressions, coded in long videos of 30 frames a second."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import DataError
from model.annotations import Annotations, LongVideos, Note
from model.coding_sheet import canonical_emotion, cell_frame, cell_text, read_workbook, subject_number
from model.frame_index import find_trees, subfolders
from model.readers.assembly import DROPPED, CodedRow, annotate
from model.readers.layout import ClipTree, best_finder, find_coding_file, image_root, trees_of
from model.readers.long_videos import CodedMovement, VideoFolder, collect_videos

_FILES = (r".*code_final.*updated.*\.xlsx?", r"cas\(me\)\^?2[ _-]*code_final.*\.xlsx?", r"code_final.*\.xlsx?")
_SUBJECT = r"s?(\d+)"
_VIDEO = re.compile(r"\d+_(\d{4}).*")
_FPS = 30.0
_EXPECTED = "rawpic/s15/15_0101disgustingteeth/img001.jpg"


@dataclass(frozen=True, slots=True)
class _Coding:
    """The three sheets of the workbook, which has no header.

    `rows` have the nine columns of the first sheet; `folders` gives the number of the folder of a subject, `s15`, by
    the subject's own number; `videos` the four digits of a video by its name.
    """

    rows: list[tuple[int, list[Any]]]
    folders: dict[str, str]
    videos: dict[str, str]

    def video_of(self, clip: str) -> str:
        """Digits of the video that a clip such as `disgust1_1` is cut from; "" when the name is not known."""
        return self.videos.get(clip.split("_")[0].casefold(), "")


def read_casme_sq(root: Path, *, prefers_crops: bool) -> Annotations:
    """The micro-expressions of CAS(ME)^2, from the short clips or from the long videos."""
    source = find_coding_file(root, "CAS(ME)^2", _FILES, "CAS(ME)^2code_final.xlsx")
    coding = _read_coding(source)
    rows, notes = [], []
    for line, cells in coding.rows:
        if not _kind(cells).startswith("micro"):
            continue
        subject, clip = subject_number(cells[0]), cell_text(cells[1])
        if subject is None or not clip:
            notes.append(Note(f"casme_sq/row {line}", DROPPED, "no subject number or no clip name is coded"))
            continue
        emotion = canonical_emotion(cell_text(cells[6]))
        frames = (cell_frame(cells[i]) for i in (2, 3, 4))
        rows.append(CodedRow(line - 1, subject, clip, *frames, emotion, cell_text(cells[5])))
    images = image_root(root)
    trees = [(tree, _finder(tree, coding)) for tree in trees_of(images, _SUBJECT)]
    folder_of = best_finder(images, trees, rows, _EXPECTED, prefers_crops=prefers_crops)
    return annotate("casme_sq", source, rows, folder_of, notes)


def read_casme_sq_long(root: Path) -> LongVideos:
    """The long videos of CAS(ME)^2, `rawpic/s15/15_0101disgustingteeth/img001.jpg`, with all coded expressions."""
    source = find_coding_file(root, "CAS(ME)^2", _FILES, "CAS(ME)^2code_final.xlsx")
    coding = _read_coding(source)
    subject_of = {folder: subject for subject, folder in coding.folders.items()}
    folders = [
        VideoFolder(subject_of.get(number, number), _video_name(number, match[1]), video)
        for number, match, video in _long_videos(image_root(root))
    ]
    movements = []
    for _, cells in coding.rows:
        subject, clip = subject_number(cells[0]) or "", cell_text(cells[1])
        frames = (cell_frame(cells[i]) for i in (2, 3, 4))
        code = coding.video_of(clip)
        video = _video_name(coding.folders.get(subject, subject), code) if code else ""
        kind = next((known for known in ("micro", "macro") if _kind(cells).startswith(known)), "")
        movements.append(CodedMovement(clip, video, kind, *frames, canonical_emotion(cell_text(cells[6]))))
    return collect_videos("casme_sq_long", source, folders, movements, _FPS, _EXPECTED)


def _video_name(folder_number: str, video: str) -> str:
    """Name of a video without the words of its folder, some of which are misspelt."""
    return f"{folder_number}_{video}"


def _long_videos(root: Path) -> list[tuple[str, re.Match[str], Path]]:
    """Folder number of the subject, match of the name, and folder of each video in the tree with most of them."""
    trees = []
    for tree in find_trees(root, r"s\d+"):
        subjects = [s for s in subfolders(tree) if re.fullmatch(r"s\d+", s.name, re.IGNORECASE)]
        videos = [
            (subject, _VIDEO.fullmatch(video.name), video) for subject in subjects for video in subfolders(subject)
        ]
        trees.append([(subject_number(subject.name) or "", match, video) for subject, match, video in videos if match])
    return max(trees, key=len, default=[])


def _read_coding(source: Path) -> _Coding:
    sheets = read_workbook(source)
    named = {re.sub(r"[\s_]", "", name).lower(): rows for name, rows in sheets.items()}
    by_position = list(sheets.values())
    if len(by_position) < 3:
        raise DataError(f"{source} has {len(by_position)} sheets, not the codes and the two of naming rules.")
    codes = named.get("casfecodefinal", by_position[0])
    folders = named.get("namingrule1", by_position[1])
    videos = named.get("namingrule2", by_position[2])
    rows = [(line, row) for line, row in enumerate(codes, 1) if len(row) >= 8 and cell_frame(row[2]) is not None]
    if not rows:
        raise DataError(f"{source} has no row with an onset in its third column.")
    return _Coding(
        rows,
        {s: f for row in folders if len(row) > 2 and (s := subject_number(row[2])) and (f := subject_number(row[1]))},
        {
            cell_text(row[1]).casefold(): f"{int(code):04d}"
            for row in videos
            if len(row) > 1 and (code := subject_number(row[0])) and cell_text(row[1])
        },
    )


def _kind(cells: list[Any]) -> str:
    return cell_text(cells[7]).lower()


def _finder(tree: Path, coding: _Coding) -> Callable[[CodedRow], Path | None]:
    """Folders called `s15` are those of naming rule 1, bare numbers are the subjects' own; clips come before videos."""
    clips = ClipTree(tree, _SUBJECT)
    is_named_by_rule = any(re.fullmatch(r"s\d+", folder.name, re.IGNORECASE) for folder in subfolders(tree))

    def folder_of(row: CodedRow) -> Path | None:
        folders = clips.clips(coding.folders.get(row.subject, row.subject) if is_named_by_rule else row.subject)
        if row.clip.casefold() in folders:
            return folders[row.clip.casefold()]
        video = coding.video_of(row.clip)
        matches = ((_VIDEO.fullmatch(name), folder) for name, folder in folders.items())
        return next((folder for match, folder in matches if match and match[1] == video), None)

    return folder_of
