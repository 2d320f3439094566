"""Reviewed events as training data: the frames of every accepted movement and the table that names them.

mmnet export-events SESSION… --format manifest --out DIR
mmnet prepare manifest DIR --out PREPARED
"""

from __future__ import annotations

import csv
import io
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2

from app.errors import SessionError
from app.export.medium import medium_frames
from app.export.reviewed import Reviewed
from app.session.folder import safe_name, write_whole
from app.session.records import SessionEvent
from app.session.review import ACCEPTED

COLUMNS = ("subject", "onset", "apex", "label", "offset", "aus", "dataset")


def write_manifest(sessions: Sequence[Reviewed], folder: Path) -> int:
    """Write manifest.csv and the whole frames from onset to offset of every accepted and named event; returns how many.

    Frames are cut by the reader of training data with the tracker of the viewer, so that both see the same crops.

    Raises:
        SessionError: a session names no subject, its medium is not there, or there is no accepted event with a class.
        OSError: the folder cannot be written.
    """
    chosen = [(reviewed, _accepted(reviewed)) for reviewed in sessions]
    if not any(events for _, events in chosen):
        raise SessionError("No event was accepted and given a class: review the sessions first.")
    for reviewed, events in chosen:
        if events and not all(event.subject_id for event in events):
            raise SessionError(
                f"{reviewed.session.folder} does not say who is filmed, and training must keep people apart: analyse "
                "with --subject ID."
            )
    made = folder.with_name(folder.name + ".part")
    shutil.rmtree(made, ignore_errors=True)
    try:
        rows = []
        names: dict[str, int] = defaultdict(int)
        for reviewed, events in chosen:
            name = safe_name(reviewed.session.name, "session")
            names[name] += 1
            name = name if names[name] == 1 else f"{name}-{names[name]}"
            rows += _write_session(reviewed, events, made, name)
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_whole(made / "manifest.csv", table.getvalue().encode())
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return len(rows)


def _accepted(reviewed: Reviewed) -> list[SessionEvent]:
    return [event for event in reviewed.events if event.review == ACCEPTED and event.label]


def _write_session(reviewed: Reviewed, events: list[SessionEvent], made: Path, name: str) -> list[dict[str, str]]:
    spans = [(event.onset_s, event.offset_s) for event in events]
    written: dict[int, list[int]] = {event.event_id: [] for event in events}
    for frame in medium_frames(reviewed.session, spans):
        for event in events:
            if event.onset_frame <= frame.index <= event.offset_frame:
                path = made / _picture(name, event, frame.index)
                path.parent.mkdir(parents=True, exist_ok=True)
                _, png = cv2.imencode(".png", frame.image_bgr)
                path.write_bytes(png.tobytes())
                written[event.event_id].append(frame.index)
    rows = []
    for event in events:
        key_frames = {event.onset_frame, event.apex_frame, event.offset_frame}
        if not key_frames <= set(written[event.event_id]):
            raise SessionError(
                f"The video of {reviewed.session.name} lacks the key frames of event {event.event_id}: it is another "
                "one, or damaged."
            )
        rows.append(
            {
                "subject": event.subject_id,
                **{k: _picture(name, event, getattr(event, f"{k}_frame")) for k in ("onset", "apex", "offset")},
                "label": event.label,
                "aus": "+".join(event.action_units),
                "dataset": "reviewed",
            }
        )
    return rows


def _picture(name: str, event: SessionEvent, frame: int) -> str:
    return f"{name}/event-{event.event_id}/{frame:06d}.png"
