"""`mmnet export-events`, `agree` and `delete`: what is done with sessions without a window."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from app.errors import MmnetError, OutputError, SessionError
from app.export import export_manifest, export_session
from app.session.agreement import agreement, read_pair
from app.session.reader import read_session
from app.session.retention import delete_pictures, delete_session
from app.terminal import complain

_OK, _FAILED = 0, 1


def export_events(options: argparse.Namespace) -> int:
    """Export sessions; the exit code."""
    sessions = [read_session(folder) for folder in options.sessions]
    for session in sessions:
        for note in session.notes:
            print(f"mmnet: warning: {session.name}: {note}", file=sys.stderr)
    if options.format == "manifest":
        count = export_manifest(sessions, options.out, coder=options.coder, exist_ok=options.exist_ok)
        print(f"{options.out}: {count} events")
        return _OK
    if len(sessions) > 1:
        raise OutputError(f"The format {options.format} takes one session at a time; manifest takes several.")
    path = export_session(
        sessions[0],
        options.format,
        options.out,
        coder=options.coder,
        exist_ok=options.exist_ok,
        is_blurred=options.blur,
    )
    print(path)
    return _OK


def agree(options: argparse.Namespace) -> int:
    """Compare two coders; the exit code."""
    result = agreement(*read_pair(options.first, options.second))
    if options.json:
        print(json.dumps(asdict(result) | {"f1": result.f1}))
        return _OK

    def figure(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    print(f"recordings {result.recordings}; events kept: {result.events_a} and {result.events_b}")
    print(
        f"intervals   matched (IoU ≥ 0.5) {result.matched}, F1 {figure(result.f1)}, mean IoU {figure(result.mean_iou)}"
    )
    print(f"decisions   both accepted or rejected {result.decisions}, Cohen's κ {figure(result.decision_kappa)}")
    print(
        f"classes     named by both {result.labelled}, same {figure(result.label_agreement)}, "
        f"Cohen's κ {figure(result.label_kappa)}"
    )
    print(f"frames      in an event or not, {result.frames}, Cohen's κ {figure(result.frame_kappa)}")
    return _OK


def delete(options: argparse.Namespace) -> int:
    """Delete sessions, or their pictures; the exit code."""
    if not options.yes:
        raise SessionError("Deleting cannot be undone: add --yes.")
    failed = False
    for folder in options.sessions:
        try:
            if options.pictures:
                count = delete_pictures(folder)
                print(f"{folder}: {count} pictures and videos deleted, numbers kept")
            else:
                delete_session(folder)
                print(f"{folder}: deleted")
        except MmnetError as error:
            complain(error)
            failed = True
    return _FAILED if failed else _OK
