"""Where the coding file and the images of a data set lie below the folder that was downloaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from app.errors import DataError
from model.frame_index import find_files, find_trees, subfolders
from model.readers.assembly import CodedRow

# A tree whose path has one of these holds something else than the images of micro-expressions.
_OTHER_TREES = re.compile(r"depth|macro|long", re.IGNORECASE)


def find_coding_file(root: Path, title: str, names: Sequence[str], examples: str) -> Path:
    """The coding file below the downloaded folder, or `root` itself when the user named the file.

    Args:
        names: patterns of file names, the preferred ones first.
        examples: file names for the error message.

    Raises:
        DataError: there is none.
    """
    if root.is_file():
        return root
    if found := find_files(root, names):
        return found[0]
    raise DataError(
        f"{root} has no coding file of {title}: {examples} is looked for, up to 3 folders deep. Copy it there, or name "
        f"the file itself instead of the folder."
    )


def image_root(root: Path) -> Path:
    """Where images are looked for: beside the coding file, when that was named."""
    return root.parent if root.is_file() else root


class ClipTree:
    """Images as tree/subject/clip: subjects are told apart by number, clips by name without regard to capitals."""

    def __init__(self, root: Path, subject_name: str) -> None:
        """`subject_name` is the pattern of a subject's folder, its group the number."""
        pattern = re.compile(subject_name, re.IGNORECASE)
        self.root = root
        self._subjects: dict[str, list[Path]] = {}
        for folder in subfolders(root):
            if match := pattern.fullmatch(folder.name):
                self._subjects.setdefault(str(int(match[1])), []).append(folder)
        self._clips: dict[str, dict[str, Path]] = {}

    def clips(self, subject: str) -> dict[str, Path]:
        """Folders of a subject's clips by name in lower case; each folder is listed once."""
        if subject not in self._clips:
            folders = self._subjects.get(subject, [])
            self._clips[subject] = {clip.name.casefold(): clip for folder in folders for clip in subfolders(folder)}
        return self._clips[subject]

    def folder_of(self, row: CodedRow) -> Path | None:
        """Folder with the images of a row."""
        return self.clips(row.subject).get(row.clip.casefold())


def best_finder(
    root: Path,
    trees: Iterable[tuple[Path, Callable[[CodedRow], Path | None]]],
    rows: Sequence[CodedRow],
    expected: str,
    *,
    prefers_crops: bool,
) -> Callable[[CodedRow], Path | None]:
    """Of several trees the one with most of the coded clips; between equals whole frames before crops.

    Args:
        trees: each tree with the function that finds the folder of a row in it.
        expected: layout for the error message.
        prefers_crops: between equals crops come first.

    Raises:
        DataError: no tree has any clip.
    """

    def rank(tree: Path) -> int:
        # A crop leaves the face tracker less to hold on to, and crops were cut by others' rules.
        words = str(tree.relative_to(root)).lower()
        rank = 2 if "crop" in words else 1 if "select" in words else 0
        return 2 - rank if prefers_crops else rank

    found = [
        (-sum(folder_of(row) is not None for row in rows), rank(tree), index, folder_of)
        for index, (tree, folder_of) in enumerate(trees)
    ]
    best = min(found, key=lambda entry: entry[:3], default=None)
    if best is None or best[0] == 0:
        seen = f"{len(found)} folders look like it, but none has one of the {len(rows)} coded clips. " if found else ""
        raise DataError(
            f"{root} has no images that fit the coding file: {expected} is expected there, at most 6 folders deep. "
            f"{seen}Unpack the images there."
        )
    return best[3]


def trees_of(root: Path, name: str) -> list[Path]:
    """Folders that hold folders of that name, without those for depth, macro-expressions or long videos."""
    return [tree for tree in find_trees(root, name) if not _OTHER_TREES.search("/".join(tree.relative_to(root).parts))]


def clip_trees(root: Path, subject_name: str) -> list[tuple[Path, Callable[[CodedRow], Path | None]]]:
    """Every tree/subject/clip below a folder, as `best_finder` takes them."""
    return [(tree, ClipTree(tree, subject_name).folder_of) for tree in trees_of(root, subject_name)]
