"""Reads a session folder back, also one whose writer was killed: what cannot be read is left out, and told."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from app.errors import SessionError
from app.session.folder import (
    CANDIDATES,
    EVENTS,
    FORMAT_VERSION,
    FRAMES,
    KEY_FRAMES,
    METADATA,
    PICTURES,
    REVIEWS,
    VIDEO,
    is_being_written,
)
from app.session.frames import SessionFrame, read_frame, region_columns
from app.session.records import SessionCandidate, SessionEvent, read_candidate, read_event

_Record = TypeVar("_Record")


@dataclass(frozen=True, eq=False, slots=True)
class Timeline:
    """Frame numbers and their seconds: `frames` (F,) int64 and `seconds` (F,) float64, both rising."""

    frames: np.ndarray
    seconds: np.ndarray

    def frame_at(self, second: float) -> int:
        """The frame nearest to a moment."""
        if not len(self.seconds):
            raise SessionError("This session has no frames: nothing in it can be placed in time.")
        after = int(np.clip(np.searchsorted(self.seconds, second), 1, max(1, len(self.seconds) - 1)))
        nearest = (
            after - 1
            if len(self.seconds) == 1 or second - self.seconds[after - 1] < (self.seconds[after] - second)
            else after
        )
        return int(self.frames[nearest])

    def second_of(self, frame: int) -> float:
        """The moment of a frame. Raises SessionError when the session has no such frame."""
        place = int(np.searchsorted(self.frames, frame))
        if place == len(self.frames) or self.frames[place] != frame:
            span = f"it has {self.frames[0]} to {self.frames[-1]}" if len(self.frames) else "it has none"
            raise SessionError(f"The session has no frame {frame}: {span}.")
        return float(self.seconds[place])


@dataclass(eq=False)
class Session:
    """A session as it lies on the disk.

    Attributes:
        folder: where it lies.
        metadata: what metadata.json holds.
        events: the automatic ones; `app.session.review` reads what people made of them.
        candidates: movements that were withdrawn, with the reason.
        is_complete: False when the writer was interrupted, or still writes.
        notes: what was recovered, left out, or is missing, in words for the user; empty when all is well.
    """

    folder: Path
    metadata: dict[str, Any]
    events: tuple[SessionEvent, ...]
    candidates: tuple[SessionCandidate, ...]
    is_complete: bool
    notes: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """What to call it."""
        return self.folder.name

    @property
    def subject_id(self) -> str:
        return str(self.metadata.get("subject_id") or "")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the network; empty when only spotting was possible."""
        return tuple((self.metadata.get("model") or {}).get("class_names") or ())

    @property
    def media_file(self) -> str:
        """The medium as the user gave it."""
        return str(self.metadata.get("media_file") or "")

    @property
    def media_path(self) -> Path | None:
        """Where the medium is now: the session's own video, the file analysed, or one of its name beside the folder."""
        given = Path(str(self.metadata.get("media_path") or self.media_file or "-"))
        places = (self.folder / VIDEO, given, self.folder.parent / given.name)
        return next((place for place in places if place.is_file() or (place.is_dir() and place == given)), None)

    @property
    def coders(self) -> tuple[str, ...]:
        """Who has reviewed it, by the name of the file."""
        return tuple(sorted(path.stem for path in (self.folder / REVIEWS).glob("*.csv")))

    def picture(self, event_id: int, key_frame: str) -> Path | None:
        """The aligned face at "onset", "apex" or "offset"; None when it was deleted or never there."""
        if key_frame not in KEY_FRAMES:
            raise ValueError(f"{key_frame!r} is none of {KEY_FRAMES}")
        path = self.folder / PICTURES / str(event_id) / f"{key_frame}.png"
        return path if path.is_file() else None

    def frames(self) -> Iterator[SessionFrame]:
        """The rows of frames.csv, read as they are asked for; those that are broken are left out."""
        path = self.folder / FRAMES
        if not path.exists():
            return
        regions: tuple[str, ...] | None = None
        for _, row in _rows(path, [], ("frame", "timestamp")):
            regions = region_columns(row) if regions is None else regions
            try:
                yield read_frame(row, regions)
            except ValueError:
                continue

    @cached_property
    def timeline(self) -> Timeline:
        """Frame numbers and seconds of all frames."""
        path = self.folder / FRAMES
        pairs = _frame_times(path) if path.exists() else []
        return Timeline(np.array([f for f, _ in pairs], np.int64), np.array([s for _, s in pairs], float))


def read_session(folder: Path) -> Session:
    """Open a session folder. Nothing is written, so that a read-only one can be opened too.

    Raises:
        SessionError: it is none, cannot be read at all, or was written by a newer version.
    """
    metadata = read_metadata(folder)
    notes: list[str] = []
    events = _read_table(folder / EVENTS, read_event, ("event_id", "onset_frame", "onset_s"), notes)
    seen: dict[int, SessionEvent] = {}
    for event in events:
        if event.event_id in seen:
            notes.append(f"{EVENTS}: event {event.event_id} is there twice; the first is taken.")
        seen.setdefault(event.event_id, event)
    candidates: tuple[SessionCandidate, ...] = ()
    if metadata["format_version"] > 1:
        candidates = _read_table(folder / CANDIDATES, read_candidate, ("candidate_id", "reason"), notes)
    is_complete = bool(metadata.get("is_complete"))
    session = Session(folder, metadata, tuple(seen.values()), candidates, is_complete)
    if not is_complete:
        notes.insert(0, _interruption(session))
    if session.media_file and session.media_path is None and (metadata.get("source") or {}).get("kind") == "file":
        notes.append(
            f"The video {session.media_file} is not where it was analysed: pictures come from the session only."
        )
    session.notes = tuple(notes)
    return session


def read_metadata(folder: Path) -> dict[str, Any]:
    """metadata.json of a session folder, checked.

    Raises:
        SessionError: as `read_session`.
    """
    path = folder / METADATA
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SessionError(f"{folder} is no session folder: it has no {METADATA}.") from None
    except OSError as error:
        raise SessionError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise SessionError(f"{path} is damaged ({error}). Analyse the recording again.") from None
    version = metadata.get("format_version") if isinstance(metadata, dict) else None
    if not isinstance(version, int) or version < 1:
        raise SessionError(f"{path} is not of a session: it has no format_version. Name a folder that analyze made.")
    if version > FORMAT_VERSION:
        raise SessionError(
            f"{folder} was written by a newer version (mmnet {metadata.get('app_version', '?')}, format {version}; "
            f"this one reads up to {FORMAT_VERSION}). Update mmnet to open it."
        )
    return metadata


def read_rows(path: Path, read: Callable[[Mapping[str, str]], _Record], notes: list[str]) -> tuple[_Record, ...]:
    """All records of a table; rows that are broken are left out and named in `notes`.

    Raises:
        SessionError: the file is missing, cannot be read, or lacks a column.
    """
    return _read_table(path, read, ("event_id", "onset_frame", "onset_s"), notes)


def _interruption(session: Session) -> str:
    if is_being_written(session.folder):
        return "This session is still being written; what is shown is what there was when it was opened."
    seconds = session.timeline.seconds
    until = f", the last at {seconds[-1]:.3f} s" if len(seconds) else ""
    why = session.metadata.get("error")
    reason = f"ended early ({why})" if why else "was never closed: its program was killed, or the power failed"
    return f"This session {reason}. Recovered: {len(seconds)} frames{until}, {len(session.events)} events."


def _read_table(
    path: Path, read: Callable[[Mapping[str, str]], _Record], needed: tuple[str, ...], notes: list[str]
) -> tuple[_Record, ...]:
    records, broken = [], []
    for line, row in _rows(path, broken, needed):
        try:
            records.append(read(row))
        except (ValueError, KeyError, TypeError):
            broken.append(line)
    if broken:
        lines = ", ".join(map(str, sorted(broken)[:5])) + (", …" if len(broken) > 5 else "")
        count = "1 row" if len(broken) == 1 else f"{len(broken)} rows"
        notes.append(f"{path.name}: {count} cannot be read and left out (line {lines}).")
    return tuple(records)


def _rows(path: Path, broken: list[int], needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and content of each whole row; the lines of others are added to `broken`."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.reader(_whole_lines(file, broken))
            header = next(reader, [])
            if missing := [name for name in needed if name not in header]:
                raise SessionError(f"{path} has no column {', '.join(missing)}: it is damaged or of another program.")
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    broken.append(reader.line_num)
                    continue
                if len(cells) == len(header):
                    yield reader.line_num, dict(zip(header, cells, strict=True))
                elif cells:
                    broken.append(reader.line_num)
    except FileNotFoundError:
        raise SessionError(f"{path} is missing: the session is not whole. Analyse the recording again.") from None
    except OSError as error:
        raise SessionError(f"{path} cannot be read: {error.strerror}.") from None


def _frame_times(path: Path) -> list[tuple[int, float]]:
    """Number and second of every frame: of an hour in a second, an eighth of the time that whole rows take."""
    pairs = []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = _whole_lines(file, [])
        header = next(lines, "").strip().split(",")
        if not {"frame", "timestamp"} <= set(header):
            return pairs
        frame, second = header.index("frame"), header.index("timestamp")
        for line in lines:
            cells = line.split(",", max(frame, second) + 1)
            if line.count(",") == len(header) - 1:
                try:
                    pairs.append((int(cells[frame]), float(cells[second])))
                except ValueError:
                    continue
    return pairs


def _whole_lines(file: Iterator[str], broken: list[int]) -> Iterator[str]:
    # A row that was being written when the power failed has no end, or holds zeros where nothing reached the disk.
    for number, line in enumerate(file, 1):
        if line.endswith("\n") and "\0" not in line:
            yield line
        else:
            broken.append(number)
