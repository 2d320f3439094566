"""Readers of micro-expression data sets as they are downloaded. Nothing is written, and nothing is repaired in silence.

annotations = read_dataset("casme2", Path("CASME2"))
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, TypeVar

from app.errors import DataError
from model.annotations import Annotations, LongVideos, Note
from model.readers.assembly import DROPPED
from model.readers.casme import read_casme, read_casme2
from model.readers.casme3 import read_casme3
from model.readers.casme_sq import read_casme_sq, read_casme_sq_long
from model.readers.fourdme import read_4dme
from model.readers.megc2019 import read_megc2019
from model.readers.mmew import read_mmew
from model.readers.samm import read_samm, read_samm_long
from model.readers.smic import read_smic_hs, read_smic_nir, read_smic_vis
from model.readers.table import read_table


class Reader(Protocol):
    """Reads the data set below a folder; where it lies there both whole and cropped, `prefers_crops` decides."""

    def __call__(self, root: Path, *, prefers_crops: bool) -> Annotations: ...


READERS: dict[str, Reader] = {
    "casme": read_casme,
    "casme2": read_casme2,
    "samm": read_samm,
    "smic_hs": read_smic_hs,
    "smic_vis": read_smic_vis,
    "smic_nir": read_smic_nir,
    "mmew": read_mmew,
    "casme_sq": read_casme_sq,
    "casme3": read_casme3,
    "4dme": read_4dme,
    "megc2019": read_megc2019,
    "manifest": read_table,
}
LONG_VIDEO_READERS: dict[str, Callable[[Path], LongVideos]] = {
    "samm_long": read_samm_long,
    "casme_sq_long": read_casme_sq_long,
}
_T = TypeVar("_T")
_log = logging.getLogger("mmnet.readers")


def read_dataset(name: str, root: Path, *, prefers_crops: bool = False) -> Annotations:
    """Read one data set; every sample that was repaired or dropped is logged.

    Args:
        name: one of READERS.
        root: the folder as it was downloaded, or the coding file in it; for "manifest" the CSV.
        prefers_crops: of several trees with as many of the coded clips, take the data set's own crops before whole
            frames.

    Raises:
        DataError: the name is not known, or the coding file or the images are missing or do not fit each other.
    """
    annotations = _reader(READERS, name, root)(root, prefers_crops=prefers_crops)
    _report(annotations.notes)
    return annotations


def read_long_videos(name: str, root: Path) -> LongVideos:
    """Read a data set for spotting; arguments and errors as of `read_dataset`, names as in LONG_VIDEO_READERS."""
    videos = _reader(LONG_VIDEO_READERS, name, root)(root)
    _report(videos.notes)
    return videos


def _reader(readers: dict[str, _T], name: str, root: Path) -> _T:
    if name not in readers:
        raise DataError(
            f"No data set is called {name!r}. Known are {', '.join(readers)}; for any other write a table of its "
            f'images and read it as "manifest".'
        )
    if not root.exists():
        raise DataError(f"{root} does not exist. Name the folder that {name} was unpacked into.")
    return readers[name]


def _report(notes: Iterable[Note]) -> None:
    for note in notes:
        level = logging.WARNING if note.action == DROPPED else logging.INFO
        _log.log(level, "%s: %s: %s", note.key, note.action, note.reason)
