"""Long videos for spotting: whole recordings with every micro- and macro-expression that was coded in them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import DataError, OutputError
from model.annotations import LongVideo, LongVideos, Movement, Note
from model.coding_sheet import SheetRow, cell_frame
from model.frame_index import find_trees, index_frames, nearest, subfolders
from model.readers.assembly import DROPPED, MISSING_FRAME, REPAIRED

TRUTH_COLUMNS = ("media_file", "onset_frame", "apex_frame", "offset_frame", "kind", "label", "fps")


@dataclass(frozen=True, slots=True)
class VideoFolder:
    """Where the images of one long video are; `name` is what the movements call it."""

    subject: str
    name: str
    folder: Path


@dataclass(frozen=True, slots=True)
class CodedMovement:
    """One movement as coded; `video` names its folder; `video` and `kind` are "" when not known."""

    name: str
    video: str
    kind: str
    onset: int | None
    apex: int | None
    offset: int | None
    label: str

    @classmethod
    def of(cls, row: SheetRow, name: str, video: str, kind: str, label: str) -> CodedMovement:
        """With the key frames of a row."""
        onset, apex, offset = (cell_frame(row.cells.get(field)) for field in ("onset", "apex", "offset"))
        return cls(name, video, kind, onset, apex, offset, label)


def video_folders(root: Path, name: str) -> list[Path]:
    """Folders of that name in the tree that has most of them; none when there is no tree."""
    pattern = re.compile(name, re.IGNORECASE)
    trees = [[path for path in subfolders(tree) if pattern.fullmatch(path.name)] for tree in find_trees(root, name)]
    return max(trees, key=len, default=[])


def collect_videos(
    dataset: str,
    source: Path,
    folders: Sequence[VideoFolder],
    movements: Iterable[CodedMovement],
    fps: float,
    expected: str,
) -> LongVideos:
    """Put the movements into their videos; those that cannot be placed give a note.

    Raises:
        DataError: there is no video, or no movement lies in one.
    """
    notes: list[Note] = []
    placed: dict[str, list[Movement]] = {folder.name: [] for folder in folders}
    numbers = {folder.name: list(index_frames(folder.folder)) for folder in folders}
    for coded in movements:
        key = f"{dataset}/{coded.video or '?'}/{coded.name}"
        try:
            movement, remarks = _placed(coded, numbers.get(coded.video, []))
        except ValueError as error:
            notes.append(Note(key, DROPPED, f"{error}"))
            continue
        placed[coded.video].append(movement)
        notes += [Note(key, action, reason) for action, reason in remarks]
    if not any(placed.values()):
        raise DataError(
            f"{source} and the images beside it do not fit: {len(folders)} videos were found, and none with a coded "
            f"movement. Expected is {expected} at most 6 folders below {source.parent}. Unpack the images there."
        )
    videos = [
        LongVideo(dataset, folder.subject, folder.name, folder.folder, fps, tuple(placed[folder.name]))
        for folder in folders
    ]
    return LongVideos(dataset, source, tuple(videos), tuple(notes))


def _placed(coded: CodedMovement, numbers: Sequence[int]) -> tuple[Movement, list[tuple[str, str]]]:
    """A movement on frames that have files. Raises ValueError with the reason when it cannot be placed."""
    onset, apex, offset, remarks = coded.onset, coded.apex, coded.offset, []
    if not coded.kind:
        raise ValueError("its type is neither micro nor macro")
    if not coded.video:
        raise ValueError("no naming rule says which video it is from")
    if not numbers:
        raise ValueError(f"the images of video {coded.video} are missing")
    if not onset:
        # It was under way when the recording began; where it would have to be found is not known.
        raise ValueError("no onset is coded")
    if not offset or offset <= onset:
        if not apex or apex <= onset:
            raise ValueError("neither an offset nor an apex after the onset is coded")
        remarks.append((REPAIRED, f"no offset is coded ({offset}): the apex, {apex}, is taken"))
        offset = apex
    if not apex or not onset <= apex <= offset:
        middle = (onset + offset) // 2
        remarks.append((REPAIRED, f"no apex within the movement is coded ({apex}): the middle, {middle}, is taken"))
        apex = middle
    if onset > numbers[-1] or offset < numbers[0]:
        raise ValueError(f"coded {onset}–{offset}, but the files are {numbers[0]}–{numbers[-1]}")
    found = [nearest(numbers, wanted) for wanted in (onset, apex, offset)]
    for name, wanted, number in zip(("onset", "apex", "offset"), (onset, apex, offset), found, strict=True):
        if number != wanted:
            remarks.append((MISSING_FRAME, f"{name} {wanted} has no file: {number} is taken"))
    return Movement(coded.kind, *found, coded.label), remarks


def write_truth(videos: Iterable[LongVideo], path: Path) -> int:
    """Write all movements as a table of truth for spotted events; returns how many.

    `media_file` is the folder of the video, `fps` the rate of its images; one without movements has a row without
    frames. Frames are counted from 0 in the order of the files, as in a session's events.csv; sheets count by their
    numbers.

    Raises:
        OutputError: the file exists or cannot be written.
    """
    count = 0
    try:
        with path.open("x", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(TRUTH_COLUMNS)
            for video in videos:
                position = {number: index for index, number in enumerate(index_frames(video.frames))}
                if not video.movements:
                    table.writerow((video.frames, *[""] * (len(TRUTH_COLUMNS) - 2), video.fps))
                for m in video.movements:
                    frames = (position[m.onset], position[m.apex], position[m.offset])
                    table.writerow((video.frames, *frames, m.kind, m.label, video.fps))
                    count += 1
    except FileExistsError:
        raise OutputError(f"{path} exists already. Remove it, or name another file.") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error}. Name another file.") from None
    return count
