"""A session in the formats of other programs.

export_session(read_session(folder), "eaf", Path("talk.eaf"))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import OutputError
from app.export.manifest import write_manifest
from app.export.reviewed import Reviewed
from app.session.folder import ANNOTATIONS, output_errors, write_whole
from app.session.reader import Session, read_session
from app.session.review import reviewed_events

_ADVICE = "Choose another place."


@dataclass(frozen=True, slots=True)
class Format:
    """One way out: a file with this suffix, or a folder ("")."""

    suffix: str
    meaning: str


FORMATS = {
    "csv": Format(".csv", "table of the events, reviewed and automatic values"),
    "tsv": Format(".tsv", "the same, separated by tabs"),
    "xlsx": Format(".xlsx", "workbook: events, candidates, metadata"),
    "json": Format(".json", "everything in one object"),
    "eaf": Format(".eaf", "ELAN annotations: events, phases, classes, what was rejected"),
    "boris": Format(".tsv", "BORIS' table of aggregated events"),
    "vtt": Format(".vtt", "WebVTT subtitles"),
    "srt": Format(".srt", "SubRip subtitles"),
    "clips": Format("", "a video (mp4) of each event"),
    "gif": Format("", "an animated picture of each event"),
    "magnified": Format("", "a slow video (mp4) of each event's face beside itself with its movement enlarged"),
    "report": Format(".html", "a page to print: pictures, timeline, table, provenance"),
    "manifest": Format("", "frames and table for `mmnet prepare manifest`"),
}


def export_session(
    session: Session,
    format: str,
    path: Path,
    *,
    coder: str | None = None,
    exist_ok: bool = False,
    is_blurred: bool = False,
) -> Path:
    """Write a session in another format; returns `path`.

    Tables and JSON hold every event with its review; the other formats leave out those that the coder rejected.

    Args:
        format: one of FORMATS.
        path: the file, or the folder for formats of several files.
        coder: whose review; None takes the only one there is, or the automatic events.
        exist_ok: replace what is there.
        is_blurred: make faces unrecognisable in pictures and clips.

    Raises:
        SessionError: the review is not there or not unique, or the pictures that the format needs are not there.
        OutputError: the format is not known, something is there already, or it cannot be written.
    """
    _check(format, path, exist_ok)
    reviewed = Reviewed(session, reviewed_events(session, coder))
    with output_errors(path.parent, _ADVICE):
        if format == "manifest":
            write_manifest([reviewed], path)
        elif FORMATS[format].suffix:
            content = _content(format, reviewed, path, is_blurred)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        else:
            from app.export.clips import write_clips

            write_clips(reviewed, path, kind=format, is_blurred=is_blurred)
    return path


def export_manifest(sessions: Sequence[Session], folder: Path, *, coder: str | None, exist_ok: bool = False) -> int:
    """Write the accepted events of several sessions as one set of training data; returns how many.

    Arguments and errors as of `export_session`.
    """
    _check("manifest", folder, exist_ok)
    with output_errors(folder.parent, _ADVICE):
        return write_manifest([Reviewed(session, reviewed_events(session, coder)) for session in sessions], folder)


def write_annotations(folder: Path) -> None:
    """Put events.eaf, the automatic events for ELAN, into a session folder that has just been written.

    Raises:
        SessionError, OutputError: as `export_session`.
    """
    export_session(read_session(folder), "eaf", folder / ANNOTATIONS, exist_ok=True)


def _check(format: str, path: Path, exist_ok: bool) -> None:
    if format not in FORMATS:
        raise OutputError(f"There is no format {format!r}; there are {', '.join(FORMATS)}.")
    if path.exists() and not exist_ok:
        raise OutputError(f"{path} exists already and is left untouched. Choose another name, or allow to replace it.")


def _content(format: str, reviewed: Reviewed, path: Path, is_blurred: bool) -> bytes:
    from app.export import eaf, report, subtitles, tables

    makers: dict[str, Callable[[], bytes]] = {
        "csv": lambda: tables.as_csv(reviewed),
        "tsv": lambda: tables.as_tsv(reviewed),
        "xlsx": lambda: tables.as_xlsx(reviewed),
        "json": lambda: tables.as_json(reviewed),
        "eaf": lambda: eaf.as_eaf(reviewed, path),
        "boris": lambda: tables.boris_table(reviewed),
        "vtt": lambda: subtitles.as_vtt(reviewed),
        "srt": lambda: subtitles.as_srt(reviewed),
        "report": lambda: report.as_html(reviewed, is_blurred=is_blurred),
    }
    return makers[format]()
