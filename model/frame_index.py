"""Images of a data set on disk: which number a file has, and where folders lie however they were unpacked."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
# The deepest known layout has five folders above its subjects: data/part_A_split/part_A/part_A, unzipped into another.
MAX_DEPTH = 6


def frame_number(name: str | Path) -> int | None:
    """The last run of digits before the suffix: 46 of `reg_img46.jpg`, 12 of `EP01_5-012.jpg`; None without one."""
    runs = re.findall(r"[0-9]+", Path(name).stem)
    return int(runs[-1]) if runs else None


def index_frames(folder: Path) -> dict[int, Path]:
    """Image files of a folder by number, sorted by number: by name, img10 would come before img9.

    Of two files with one number the first by name counts. Numbers are read, never written: their padding differs
    between data sets, and within some.
    """
    numbered: dict[int, str] = {}
    with os.scandir(folder) as entries:
        # Names with a leading dot are what macOS leaves beside each file on foreign disks.
        names = sorted(e.name for e in entries if not e.name.startswith(".") and e.is_file())
    for name in names:
        number = frame_number(name)
        if number is not None and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
            numbered.setdefault(number, name)
    return {number: folder / numbered[number] for number in sorted(numbered)}


def nearest(numbers: Sequence[int], wanted: int) -> int:
    """The number nearest to the wanted one, the lower of two; `numbers` is sorted and not empty."""
    position = bisect_left(numbers, wanted)
    around = numbers[max(position - 1, 0) : position + 1]
    return min(around, key=lambda number: (abs(number - wanted), number))


def subfolders(folder: Path) -> list[Path]:
    """Folders in a folder, by name, hidden ones left out."""
    with os.scandir(folder) as entries:
        return [folder / name for name in sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))]


def child(folder: Path, name: str) -> Path | None:
    """The folder of that name in a folder, capitals aside: labels say `spNO.1` where the disk says `spNo.1`."""
    return next((path for path in subfolders(folder) if path.name.casefold() == name.strip().casefold()), None)


def walk_folders(root: Path, depth: int = MAX_DEPTH) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder and those below it, each with the names of its subfolders and files, hidden ones left out.

    What the caller removes from the subfolders is not gone into. Folders that may not be read are passed over; a folder
    that was unzipped into one of the same name is found like any other.
    """
    for path, folders, files in os.walk(root, followlinks=True):
        folder = Path(path)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield folder, folders, [name for name in files if not name.startswith(".")]
        if len(folder.relative_to(root).parts) >= depth:
            folders.clear()


def find_trees(root: Path, name: str) -> list[Path]:
    """Folders at or below `root` that hold at least one folder whose name fits the pattern, capitals aside.

    Folders of that name are not gone into.
    """
    pattern = re.compile(name, re.IGNORECASE)
    trees = []
    for folder, children, _ in walk_folders(root):
        others = [name for name in children if not pattern.fullmatch(name)]
        if len(others) < len(children):
            trees.append(folder)
            children[:] = others
    return trees


def find_files(root: Path, names: Sequence[str], depth: int = 3) -> list[Path]:
    """Files at or below `root` whose name fits one of the patterns, capitals aside: the best first.

    Earlier patterns win, then fewer folders above, then later names, which are later releases.
    """
    patterns = [re.compile(name, re.IGNORECASE) for name in names]
    found: list[tuple[int, int, Path]] = []
    for folder, _, files in walk_folders(root, depth):
        for file in sorted(files, key=str.casefold, reverse=True):
            rank = next((i for i, pattern in enumerate(patterns) if pattern.fullmatch(file)), None)
            # ~$NAME.xlsx is the lock file of an open spreadsheet.
            if rank is not None and not file.startswith("~$"):
                found.append((rank, len(folder.parts), folder / file))
    return [path for _, _, path in sorted(found, key=lambda entry: entry[:2])]
