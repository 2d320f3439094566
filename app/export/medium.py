"""The pictures behind a session's frames, read again from its medium, and faces made unrecognisable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np

from app.capture.source import open_source
from app.config import SourceConfig
from app.datatypes import Frame
from app.errors import SessionError, TruncatedSourceError
from app.session.folder import VIDEO
from app.session.frames import SessionFrame
from app.session.reader import Session

_BLUR_BLOCKS = 8  # a face is reduced to so many blocks across: too few to know anybody by
_BOX_MARGIN = 0.35  # of the box of the landmarks, which ends at the hairline and the chin
TIME_TOLERANCE_S = 0.002  # between a time in a table and the same time in a container


def has_medium(session: Session) -> bool:
    """Whether the pictures of the session can be read again."""
    return session.media_path is not None or (session.metadata.get("source") or {}).get("kind") == "demo"


def medium_frames(session: Session, spans: Sequence[tuple[float, float]]) -> Iterator[Frame]:
    """The frames within any of some spans of seconds, in order, each once; `index` is the frame number of the session.

    The medium is read once, up to the end of the last span.

    Raises:
        SessionError: the medium is not there.
        SourceError: it cannot be read.
    """
    if not spans:
        return
    numbers = _numbers_of_own_video(session)
    config = replace(_source_config(session), start_s=0.0, end_s=max(stop for _, stop in spans) + 1.0)
    with open_source(_spec(session), config) as source:
        try:
            for frame in source:
                number = frame.index if numbers is None else numbers.get(frame.index)
                second = frame.timestamp_ns / 1e9
                if number is not None and any(a - TIME_TOLERANCE_S <= second <= b + TIME_TOLERANCE_S for a, b in spans):
                    yield replace(frame, index=number)
        except TruncatedSourceError:
            return  # what was readable has been delivered; the session tells of the damage


def blurred(image_bgr: np.ndarray, frame: SessionFrame | None) -> np.ndarray:
    """A copy with the face made unrecognisable; all of it where the face is not known or not the only one."""
    if frame is None or frame.face_box_px is None or (frame.face_count or 0) != 1:
        return in_blocks(image_bgr)
    x, y, width, height = frame.face_box_px
    left, top = int(x - _BOX_MARGIN * width), int(y - _BOX_MARGIN * height)
    right, bottom = int(x + (1 + _BOX_MARGIN) * width) + 1, int(y + (1 + _BOX_MARGIN) * height) + 1
    rows, columns = slice(max(0, top), max(0, bottom)), slice(max(0, left), max(0, right))
    result = image_bgr.copy()
    if result[rows, columns].size:
        result[rows, columns] = in_blocks(result[rows, columns])
    return result


def in_blocks(image_bgr: np.ndarray) -> np.ndarray:
    """So few blocks, smoothed, that nobody is known by them."""
    height, width = image_bgr.shape[:2]
    blocks = (min(_BLUR_BLOCKS, width), min(_BLUR_BLOCKS, height))
    small = cv2.resize(image_bgr, blocks, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def _spec(session: Session) -> str:
    if (session.metadata.get("source") or {}).get("kind") == "demo":
        return "demo"
    path: Path | None = session.media_path
    if path is None:
        raise SessionError(
            f"The video of {session.name} ({session.media_file or 'never recorded'}) is not there. Put it back, or "
            "beside the session folder."
        )
    return str(path)


def _numbers_of_own_video(session: Session) -> dict[int, int] | None:
    """Session frame by place in the session's own video; None for any other medium, which is numbered as it is."""
    if session.media_path != session.folder / VIDEO:
        return None
    return {frame.video_frame: frame.frame for frame in session.frames() if frame.video_frame is not None}


def _source_config(session: Session) -> SourceConfig:
    settings = (session.metadata.get("settings") or {}).get("source") or {}
    known = {field.name for field in fields(SourceConfig)}
    return SourceConfig(**{name: value for name, value in settings.items() if name in known})
