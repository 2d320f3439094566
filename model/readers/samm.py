"""SAMM (Davison et al., IEEE TAC 2018) and its long videos (Yap et al., FG 2020): grey frames at 200 a second."""

from __future__ import annotations

from pathlib import Path

from model.annotations import Annotations, LongVideos
from model.coding_sheet import SheetRow, canonical_emotion, cell_text, read_sheet, subject_number
from model.frame_index import find_files
from model.readers.assembly import annotate, coded_rows
from model.readers.layout import best_finder, clip_trees, find_coding_file, image_root
from model.readers.long_videos import CodedMovement, VideoFolder, collect_videos, video_folders

_MICRO_FILES = (r"samm.*micro.*facs.*\.xlsx?",)
_LONG_FILES = (r"samm_?long_?videos_v\d+_release.*\.xlsx?",)
_FPS = 200.0


def read_samm(root: Path, *, prefers_crops: bool) -> Annotations:
    """SAMM: `SAMM_Micro_FACS_Codes_v2.xlsx`, its header below 13 rows of notes, and `006/006_1_2/006_05562.jpg`."""
    source = find_coding_file(root, "SAMM", _MICRO_FILES, "SAMM_Micro_FACS_Codes_v2.xlsx")
    rows, notes = coded_rows("samm", read_sheet(source, ("subject", "clip", "onset", "apex", "offset", "label")))
    images = image_root(root)
    trees, expected = clip_trees(images, r"(\d{1,3})"), "SAMM/006/006_1_2/006_05562.jpg"
    folder_of = best_finder(images, trees, rows, expected, prefers_crops=prefers_crops)
    return annotate("samm", source, rows, folder_of, notes)


def read_samm_long(root: Path) -> LongVideos:
    """SAMM long videos: `SAMM_LongVideos_V3_Release.xlsx` and `SAMM_longvideos/006_1/006_1_0001.jpg`.

    No emotion is coded there; where the coding file of SAMM lies below the same root, micro-expressions get theirs.
    """
    source = find_coding_file(root, "SAMM-LV", _LONG_FILES, "SAMM_LongVideos_V3_Release.xlsx")
    rows = read_sheet(source, ("subject", "clip", "onset", "apex", "offset", "kind"), preferred="FACS_Movement_Only")
    images = image_root(root)
    labels = _emotions(images)
    movements = [_movement(row, labels) for row in rows]
    folders = [VideoFolder(subject_number(v.name) or "", v.name, v) for v in video_folders(images, r"\d{3}_\d+")]
    return collect_videos(
        "samm_long",
        source,
        folders,
        [m for m in movements if m is not None],
        _FPS,
        "SAMM_longvideos/006_1/006_1_0001.jpg",
    )


def _emotions(root: Path) -> dict[str, str]:
    """Emotion of each micro-expression by its file name, from the coding file of SAMM; empty without it."""
    files = find_files(root, _MICRO_FILES)
    rows = read_sheet(files[0], ("subject", "clip", "label")) if files else []
    return {cell_text(row.cells["clip"]): canonical_emotion(cell_text(row.cells["label"])) for row in rows}


def _movement(row: SheetRow, labels: dict[str, str]) -> CodedMovement | None:
    """One row: `006_1_2` is the second movement of the video `006_1`."""
    clip, kind = cell_text(row.cells["clip"]), cell_text(row.cells["kind"]).lower()
    kind = next((known for known in ("micro", "macro") if kind.startswith(known)), "")
    if clip.count("_") < 2:
        return None
    video = "_".join(clip.split("_")[:2])
    return CodedMovement.of(row, clip, video, kind, labels.get(clip, "") if kind == "micro" else "")
