"""The files of a session folder, and how they are written so that neither a crash nor a second program spoils them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from app.errors import OutputError
from app.resource import Resource

FORMAT_VERSION = 2  # 1 had neither candidates, reviews, face boxes nor regional motion
METADATA, EVENTS, FRAMES, CANDIDATES, LOG = "metadata.json", "events.csv", "frames.csv", "candidates.csv", "log.txt"
VIDEO, PICTURES, REVIEWS, ANNOTATIONS = "video.mp4", "events", "reviews", "events.eaf"
KEY_FRAMES = ("onset", "apex", "offset")
_LOCK = ".lock"
_PART = ".part"


class SessionLock(Resource):
    """Held while a session is written. The system lets go of it when the process dies, however it dies.

    Raises:
        OutputError: another process, or another writer in this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        # Not of one thread: a recording begins on one thread and may end on another.
        self._lock = FileLock(folder / _LOCK, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise OutputError(
                f"{folder} is being written by another program. Wait until it is done, or choose another folder."
            ) from None

    def close(self) -> None:
        """Let others write. Closing twice is harmless."""
        self._lock.release()


def is_being_written(folder: Path) -> bool:
    """Whether a running program writes to this session now."""
    if not (folder / _LOCK).exists():
        return False
    try:
        SessionLock(folder).close()
    except OutputError:
        return True
    except OSError:
        return False  # a read-only folder: whoever may write there is not on this machine
    return False


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file at once: after a crash there is the old content or the new one, never a part.

    Raises OSError; the old content is then untouched.
    """
    part = path.with_name(path.name + _PART)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a loss of power; Windows does that by itself."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def safe_name(text: str, fallback: str) -> str:
    """A file name that every system takes, as close to `text` as can be."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "-", text).strip(". -") or fallback


@contextlib.contextmanager
def output_errors(folder: Path, advice: str = "Choose another folder with --out.") -> Iterator[None]:
    """Turns failures of the file system into OutputError with the folder's name."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write to {folder}: {reason}. {advice}") from error
