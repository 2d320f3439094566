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

from app.datatypes import Frame
from app.errors import SessionError
from app.evidence.magnification import Magnifier
from app.export.medium import TIME_TOLERANCE_S, blurred, medium_frames
from app.export.reviewed import Reviewed
from app.pipeline import Pipeline
from app.session.frames import SessionFrame
from app.session.records import SessionEvent

MARGIN_S = 0.5  # before the onset and after the offset
SLOWNESS = 4  # a movement of 200 ms takes nearly a second
MAGNIFICATION = 8.0
_GIF_SIDE_PX = 240
_GIF_MIN_MS = 20  # what players show at least
_TIME_BASE = Fraction(1, 1_000_000)


def write_clips(reviewed: Reviewed, folder: Path, *, kind: str, is_blurred: bool = False) -> None:
    """Write a picture file of every kept event, event-N.mp4 or event-N.gif.

    Args:
        kind: "clips" for the frames as they were; "gif" for the face, four times slower; "magnified" for the aligned
            face, four times slower, beside itself with its movement enlarged.

    Raises:
        SessionError: there is no event, the medium is not there, or a magnified face should be blurred.
        OSError: the folder cannot be written.
    """
    if not reviewed.kept:
        raise SessionError(f"{reviewed.session.name} has no event to make a clip of.")
    if kind == "magnified" and is_blurred:
        raise SessionError("A face that is made unrecognisable has no movement left to enlarge: export plain clips.")
    write = {"clips": _write_video, "gif": _write_gif, "magnified": _write_magnified}[kind]
    suffix = "gif" if kind == "gif" else "mp4"
    made = folder.with_name(folder.name + ".part")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        apexes = {event.apex_frame for event in reviewed.kept} if kind == "gif" else set()
        faces = {frame.frame: face_square(frame) for frame in reviewed.session.frames() if frame.frame in apexes}
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
    known = {frame.frame: frame for frame in session.frames()} if is_blurred else {}
    waiting = {event.event_id: event for event in reviewed.kept}
    spans = {key: (event.onset_s - MARGIN_S, event.offset_s + MARGIN_S) for key, event in waiting.items()}
    held: dict[int, tuple[list[np.ndarray], list[float]]] = {key: ([], []) for key in waiting}
    for frame in medium_frames(session, list(spans.values())):
        second = frame.timestamp_ns / 1e9
        picture = blurred(frame.image_bgr, known.get(frame.index)) if is_blurred else frame.image_bgr
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


def _write_magnified(path: Path, images: Sequence[np.ndarray], seconds: Sequence[float]) -> None:
    times_ns = [round(second * 1e9) for second in seconds]
    with Pipeline() as pipeline:
        results = [pipeline.step(Frame(n, t, image)) for n, (t, image) in enumerate(zip(times_ns, images, strict=True))]
    found = [
        (result.crop.image_bgr, second)
        for result, second in zip(results, seconds, strict=True)
        if result.motion is not None and result.crop is not None
    ]
    if not found:
        raise SessionError(f"No usable face is seen in {path.stem}: it cannot be enlarged.")
    crops_bgr = [crop_bgr for crop_bgr, _ in found]
    # The clip begins half a second before the onset: its first face is at rest.
    magnifier = Magnifier(crops_bgr[0], crops_bgr)
    pairs = [np.hstack((crop, magnifier.frame(n, MAGNIFICATION))) for n, crop in enumerate(crops_bgr)]
    _write_video(path, pairs, [second * SLOWNESS for _, second in found])


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
    durations = [max(_GIF_MIN_MS, round(float(step_ms) * SLOWNESS)) for step_ms in steps_ms]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)


def face_square(frame: SessionFrame) -> tuple[slice, slice] | None:
    """Rows and columns of a square around the face."""
    if frame.face_box_px is None:
        return None
    x, y, width, height = frame.face_box_px
    half = 0.75 * max(width, height)
    left, top = max(0, int(x + width / 2 - half)), max(0, int(y + height / 2 - half))
    return slice(top, top + int(2 * half)), slice(left, left + int(2 * half))
