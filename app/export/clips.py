"""Each event of a session as a short video or an animated picture."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from app.errors import SessionError
from app.export.medium import TIME_TOLERANCE_S, blurred, medium_frames
from app.export.reviewed import Reviewed
from app.session.records import SessionEvent, SessionFrame

MARGIN_S = 0.5  # before the onset and after the offset
_GIF_SLOWNESS = 4  # a movement of 200 ms takes nearly a second
_GIF_SIDE_PX = 240
_GIF_MIN_MS = 20  # what players show at least
_TIME_BASE = Fraction(1, 1_000_000)


def write_clips(reviewed: Reviewed, folder: Path, *, kind: str, is_blurred: bool = False) -> None:
    """Write event-N.mp4 ("clips") or event-N.gif ("gif": the face, four times slower) of every kept event.

    Raises:
        SessionError: there is no event, or the medium is not there.
        OSError: the folder cannot be written.
    """
    if not reviewed.kept:
        raise SessionError(f"{reviewed.session.name} has no event to make a clip of.")
    write = _write_gif if kind == "gif" else _write_video
    suffix = "gif" if kind == "gif" else "mp4"
    made = folder.with_name(folder.name + ".part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        faces = {frame.frame: face_square(frame) for frame in reviewed.session.frames()} if kind == "gif" else {}
        for event, images, seconds in _sequences(reviewed, is_blurred):
            if (square := faces.get(event.apex_frame)) is not None:
                images = [image[square] for image in images]
            write(made / f"event-{event.event_id}.{suffix}", images, seconds)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sequences(reviewed: Reviewed, is_blurred: bool) -> Iterator[tuple[SessionEvent, list[np.ndarray], list[float]]]:
    """Every kept event with its pictures and their seconds; the medium is read once."""
    session = reviewed.session
    known = {frame.frame: frame for frame in session.frames()}
    waiting = {event.event_id: event for event in reviewed.kept}
    spans = {key: (event.onset_s - MARGIN_S, event.offset_s + MARGIN_S) for key, event in waiting.items()}
    held: dict[int, tuple[list[np.ndarray], list[float]]] = {key: ([], []) for key in waiting}
    for frame in medium_frames(session, list(spans.values())):
        second = frame.timestamp_ns / 1e9
        row = known.get(frame.index)
        picture = blurred(frame.image_bgr, row) if is_blurred else frame.image_bgr
        for key in [key for key, (_, stop) in spans.items() if key in waiting and second > stop + TIME_TOLERANCE_S]:
            yield waiting.pop(key), *held.pop(key)
        for key in waiting:
            if second >= spans[key][0] - TIME_TOLERANCE_S:
                held[key][0].append(picture)
                held[key][1].append(second)
    for key, event in waiting.items():
        if not held[key][0]:
            raise SessionError(f"The video of {session.name} ends before event {event.event_id}: it is another one.")
        yield event, *held[key]


def _write_video(path: Path, images: Sequence[np.ndarray], seconds: Sequence[float]) -> None:
    """H.264 with the true time of every frame."""
    height, width = (side - side % 2 for side in images[0].shape[:2])
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = width, height, "yuv420p", _TIME_BASE
        stream.codec_context.time_base = _TIME_BASE
        for image, second in zip(images, seconds, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="bgr24")
            picture.pts, picture.time_base = round((second - seconds[0]) / _TIME_BASE), _TIME_BASE
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _write_gif(path: Path, images: Sequence[np.ndarray], seconds: Sequence[float]) -> None:
    scale = min(1.0, _GIF_SIDE_PX / max(images[0].shape[:2]))
    pictures = []
    for image in images:
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pictures.append(Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)))
    # One palette for all: skin does not flicker then, and it takes a tenth of the time.
    palette = pictures[0].quantize(256)
    pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    steps_ms = [*np.diff(seconds) * 1000, 1000 / 30]
    durations = [max(_GIF_MIN_MS, round(float(step_ms) * _GIF_SLOWNESS)) for step_ms in steps_ms]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def face_square(frame: SessionFrame) -> tuple[slice, slice] | None:
    """Rows and columns of a square around the face."""
    if frame.face_box_px is None:
        return None
    x, y, width, height = frame.face_box_px
    half = 0.75 * max(width, height)
    left, top = max(0, int(x + width / 2 - half)), max(0, int(y + height / 2 - half))
    return slice(top, top + int(2 * half)), slice(left, left + int(2 * half))
