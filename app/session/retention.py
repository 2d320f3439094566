"""Deleting what was kept: a whole session, or its pictures only."""

from __future__ import annotations

import contextlib
import json
import shutil
from datetime import datetime
from pathlib import Path

from app.errors import SessionError
from app.session.folder import METADATA, PICTURES, VIDEO, SessionLock, output_errors, write_whole
from app.session.reader import read_metadata

_ADVICE = "Make it writable, and close the programs that use it."


def delete_session(folder: Path) -> None:
    """Remove a session folder with everything in it.

    Raises:
        SessionError: it is no session folder, so that nothing else is ever deleted by mistake.
        OutputError: it is being written, or cannot be deleted.
    """
    _check(folder)
    with output_errors(folder, _ADVICE):
        SessionLock(folder).close()
        # The metadata go last: what is left of an interrupted deletion can be deleted again.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == METADATA):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        folder.rmdir()


def delete_pictures(folder: Path) -> int:
    """Remove the video and the pictures of a session and keep its numbers; returns how many files went.

    Raises:
        SessionError: it is no session folder.
        OutputError: it is being written, or cannot be changed.
    """
    metadata = _check(folder)
    with (
        output_errors(folder, "Make it writable, and close the programs that use it."),
        contextlib.ExitStack() as stack,
    ):
        stack.enter_context(SessionLock(folder))
        files = [path for path in [folder / VIDEO, *(folder / PICTURES).rglob("*.png")] if path.exists()]
        for path in files:
            path.unlink()
        shutil.rmtree(folder / PICTURES, ignore_errors=True)
        metadata["pictures_deleted_at"] = datetime.now().astimezone().isoformat(timespec="seconds")
        write_whole(folder / METADATA, (json.dumps(metadata, indent=2, ensure_ascii=False) + "\n").encode())
    return len(files)


def _check(folder: Path) -> dict:
    if folder.is_symlink():
        raise SessionError(f"{folder} is a link: name the session folder itself.")
    return read_metadata(folder)
