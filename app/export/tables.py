"""A session's events as tables: CSV, TSV, XLSX and JSON, with the automatic values beside the reviewed ones."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from app.export.reviewed import Reviewed
from app.session.reader import Session
from app.session.records import (
    CANDIDATE_COLUMNS,
    candidate_row,
    event_columns,
    event_row,
)

_AUTOMATIC = ("label", "onset_frame", "apex_frame", "offset_frame")
_NOT_AVAILABLE = "NA"
BORIS_COLUMNS = (
    *("Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)"),
    *("Coding duration", "Media duration (s)", "FPS (frame/s)", "Subject"),
    *("Observation duration by subject by observation", "Behavior", "Behavioral category", "Modifier #1"),
    *("Behavior type", "Start (s)", "Stop (s)", "Duration (s)", "Media file name", "Image index start"),
    *("Image index stop", "Image file path start", "Image file path stop", "Comment start", "Comment stop"),
)


def event_table(reviewed: Reviewed) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """Header and rows: the columns of events.csv, then the automatic values of what a coder may have changed."""
    automatic = {event.event_id: event for event in reviewed.session.events}
    rows = []
    for event in reviewed.events:
        detected = automatic.get(event.event_id)
        auto = {f"auto_{name}": getattr(detected, name) if detected else "" for name in _AUTOMATIC}
        rows.append(event_row(event) | auto)
    return (*event_columns(reviewed.class_names), *(f"auto_{name}" for name in _AUTOMATIC)), rows


def as_csv(reviewed: Reviewed, delimiter: str = ",") -> bytes:
    """UTF-8, a header in row 1, `.` as decimal sign, empty = missing."""
    columns, rows = event_table(reviewed)
    return _delimited(columns, rows, delimiter)


def as_tsv(reviewed: Reviewed) -> bytes:
    """The same with tabs between the columns."""
    return as_csv(reviewed, "\t")


def as_json(reviewed: Reviewed) -> bytes:
    """One object: the session's metadata, its events (missing values left out) and the withdrawn candidates."""
    _, rows = event_table(reviewed)
    document = {
        "metadata": reviewed.session.metadata,
        "coder": reviewed.coder,
        "notes": reviewed.session.notes,
        "events": [_filled(row) for row in rows],
        "candidates": [_filled(candidate_row(candidate)) for candidate in reviewed.candidates],
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def as_xlsx(reviewed: Reviewed) -> bytes:
    """A workbook with the sheets events, candidates and metadata; numbers are numbers, text is never a formula."""
    book = Workbook(write_only=True)
    for title, (columns, rows) in {
        "events": event_table(reviewed),
        "candidates": (CANDIDATE_COLUMNS, [candidate_row(candidate) for candidate in reviewed.candidates]),
        "metadata": (("name", "value"), _flat(reviewed.session.metadata)),
    }.items():
        sheet = book.create_sheet(title)
        sheet.freeze_panes = "A2"
        sheet.append(columns)
        for row in rows:
            sheet.append([_cell(sheet, row.get(name, "")) for name in columns])
    # Without these the same session would give other bytes every time.
    book.properties.created = book.properties.modified = _ended_at(reviewed.session)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def boris_table(reviewed: Reviewed) -> bytes:
    """BORIS' "aggregated events" as TSV, with its column names: one state event a row, the regions as modifier."""
    session = reviewed.session
    seconds = session.timeline.seconds
    length_s = f"{seconds[-1] - seconds[0]:.3f}" if len(seconds) else _NOT_AVAILABLE
    source = session.metadata.get("source") or {}
    started = str(session.metadata.get("started_at") or "")[:19].replace("T", " ")
    medium = str(session.media_path or session.media_file)
    rows = [
        {
            "Observation id": session.name,
            "Observation date": started,
            "Description": f"mmnet {event.app_version}: {event.source} {event.review}".strip(),
            "Observation type": "Live" if source.get("is_live") else "Media file(s)",
            "Source": f"player #1:{medium}",
            "Time offset (s)": "0",
            "Coding duration": length_s,
            "Media duration (s)": length_s,
            "FPS (frame/s)": source.get("fps") or session.metadata.get("delivered_fps") or _NOT_AVAILABLE,
            "Subject": event.subject_id or "No focal subject",
            "Observation duration by subject by observation": length_s,
            "Behavior": event.label or "micro-expression",
            "Behavioral category": "micro-expression",
            "Modifier #1": "|".join(event.regions),
            "Behavior type": "STATE",
            "Start (s)": f"{event.onset_s:.3f}",
            "Stop (s)": f"{event.offset_s:.3f}",
            "Duration (s)": f"{event.duration_s:.3f}",
            "Media file name": medium,
            "Image index start": event.onset_frame,
            "Image index stop": event.offset_frame,
            "Image file path start": "",
            "Image file path stop": "",
            "Comment start": event.comment,
            "Comment stop": "",
        }
        for event in reviewed.kept
    ]
    return _delimited(BORIS_COLUMNS, rows, "\t")


def _delimited(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], delimiter: str) -> bytes:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, restval="", lineterminator="\n", delimiter=delimiter, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue().encode()


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value != ""}


def _cell(sheet: Any, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", value))
    # A comment that begins with "=" must not become a formula.
    cell.data_type = "s"
    return cell


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    rows = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            plain = value if isinstance(value, bool | int | float | str) else json.dumps(value, ensure_ascii=False)
            rows.append({"name": prefix + name, "value": "" if value is None else plain})
    return rows


def _ended_at(session: Session) -> datetime:
    try:
        return datetime.fromisoformat(str(session.metadata.get("ended_at"))).replace(tzinfo=None)
    except ValueError:
        return datetime(2000, 1, 1)
