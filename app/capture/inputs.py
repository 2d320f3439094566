"""What a user may name as input, and the single sources that it stands for. Nothing is opened here."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".wmv", ".mpg", ".mpeg", ".ts", ".mts"})
VIDEO_SUFFIXES |= {".m2ts", ".flv", ".ogv", ".3gp", ".mxf", ".h264", ".h265", ".gif"}
IMAGE_SEPARATOR = "\n"  # between the paths of one source made of single images


def natural_key(path: str | Path) -> tuple[object, ...]:
    """Sort key by which `img2` comes before `img10`, capitals aside; the plain text decides between equals."""
    text = str(path)
    pieces = re.split(r"(\d+)", text.casefold())
    # A number compares by its length, then digit by digit: any number of digits, and no conversion to fail.
    numbers = [(len(digits := piece.lstrip("0")), digits) if i % 2 else piece for i, piece in enumerate(pieces)]
    return tuple(numbers), text


def is_url(spec: str) -> bool:
    """Whether `spec` is a network address such as rtsp://host/path; a Windows path is not."""
    return "://" in spec


def is_recording(spec: str) -> bool:
    """Whether `spec` is the address of a finished video file, which has media times, and not of a live stream."""
    address = urlsplit(spec) if is_url(spec) else None
    return address is not None and address.scheme in {"http", "https"} and _suffix(address.path) in VIDEO_SUFFIXES


def short_name(spec: str) -> str:
    """A name for people: the last part of a path, an address without user name, password and query."""
    if is_url(spec):
        address = urlsplit(spec)
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"
    if IMAGE_SEPARATOR in spec or (glob.has_magic(spec) and not Path(spec).exists()):
        return Path(spec.split(IMAGE_SEPARATOR)[0]).absolute().parent.name
    return Path(spec).absolute().name


def image_files(spec: str) -> list[Path]:
    """Images behind a folder, a glob, a single file or a joined list, in natural order; empty for anything else."""
    if IMAGE_SEPARATOR in spec:
        return [Path(line) for line in spec.split(IMAGE_SEPARATOR)]
    path = Path(spec)
    if path.is_dir():
        return [file for file in _visible(path) if _suffix(file) in IMAGE_SUFFIXES]
    if path.exists():
        return [path] if _suffix(path) in IMAGE_SUFFIXES else []
    matches = _glob(spec)
    return matches if all(_suffix(match) in IMAGE_SUFFIXES for match in matches) else []


def expand_inputs(specs: Sequence[str]) -> list[str]:
    """Replace folders of videos, globs and .txt lists by the single sources in them, each in natural order.

    A folder of images, a glob of images and neighbouring images of one folder (what a shell makes of a glob) stay one
    source each. What fits nothing stays in the list, so that its error comes when it is opened and the others
    are analysed all the same.
    """
    return list(_joined(source for spec in specs for source in _expanded(spec)))


def _expanded(spec: str, is_in_list: bool = False) -> list[str]:
    path = Path(spec)
    if spec == "demo" or is_url(spec) or IMAGE_SEPARATOR in spec:
        return [spec]
    if path.is_dir():
        videos = [str(file) for file in _visible(path) if _suffix(file) in VIDEO_SUFFIXES]
        # Thumbnails beside videos, or a preview film beside frames: the many are meant.
        return videos if len(videos) > len(image_files(spec)) else [spec]
    if path.is_file() and _suffix(path) == ".txt" and not is_in_list:
        return [source for line in _lines(path) for source in _expanded(line, is_in_list=True)]
    if path.exists() or not (matches := _glob(spec)) or image_files(spec):
        return [spec]
    known = [match for match in matches if match.is_dir() or _suffix(match) in IMAGE_SUFFIXES | VIDEO_SUFFIXES]
    return [source for match in known or matches for source in _expanded(str(match), is_in_list=True)]


def _joined(sources: Iterator[str]) -> Iterator[str]:
    def folder_of_image(source: str) -> Path | None:
        path = Path(source)
        return path.parent if _suffix(path) in IMAGE_SUFFIXES and path.is_file() else None

    for folder, run in groupby(sources, key=folder_of_image):
        names = list(run)
        if folder is None or len(names) == 1:
            yield from names
        else:
            images = sorted(map(Path, names), key=natural_key)
            whole_folder = images == image_files(str(folder))
            yield str(folder) if whole_folder else IMAGE_SEPARATOR.join(map(str, images))


def _lines(path: Path) -> list[str]:
    """Paths in a list file, one a line, relative to the file; blank lines and lines starting with # are left out."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines())
    return [line if is_url(line) else str(path.parent / line) for line in lines if line and not line.startswith("#")]


def _visible(folder: Path) -> list[Path]:
    # Names with a leading dot are the copies of attributes that macOS leaves on foreign disks, not pictures.
    files = (file for file in folder.iterdir() if not file.name.startswith(".") and file.is_file())
    return sorted(files, key=natural_key)


def _glob(pattern: str) -> list[Path]:
    if not glob.has_magic(pattern):
        return []
    return sorted(map(Path, glob.glob(pattern, recursive=True)), key=natural_key)


def _suffix(path: str | Path) -> str:
    return Path(path).suffix.lower()
