"""From frames to the crops that a network learns from: aligned like those of the viewer, or a data set's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from app.datatypes import Frame
from app.errors import DataError
from app.face.alignment import CROP_SIZE, Reference
from app.face.tracker import FaceTracker

_MAX_RESIDUAL_PX = 3.0


@dataclass(frozen=True, eq=False, slots=True)
class Cut:
    """What became of one frame: its crop, (224, 224, 3) uint8 BGR, or None and the `problem`."""

    crop_bgr: np.ndarray | None
    problem: str = ""


def read_image(path: Path) -> np.ndarray:
    """A picture as (H, W, 3) uint8 BGR; grey becomes three equal channels, 16 bits are scaled by their full range.

    Raises:
        DataError: it is missing or not a picture; the message names it.
    """
    try:
        # cv2.imread cannot open a name outside the code page on Windows.
        content = np.fromfile(path, np.uint8)
        image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if content.size else None
    except (OSError, cv2.error) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if image is None:
        raise DataError(f"{path} is empty, damaged or not a picture.")
    if image.dtype == np.uint16:
        return cv2.convertScaleAbs(image, alpha=1 / 257)
    if image.dtype != np.uint8:
        raise DataError(f"{path} has pixels of type {image.dtype}, not 8 or 16 bits.")
    return image


def aligned(images_bgr: Sequence[np.ndarray], tracker: FaceTracker) -> list[Cut]:
    """Crops of one face in several frames, (H, W, 3) uint8, registered on the first frame.

    Args:
        tracker: a static one, so that a crop depends on its own frame and the first alone.
    """
    faces = [tracker.track(Frame(index, 0, image_bgr)) for index, image_bgr in enumerate(images_bgr)]
    if faces[0] is None:
        return [Cut(None, "no face")] + [Cut(None, "no first frame to register on")] * (len(faces) - 1)
    reference = Reference(images_bgr[0], faces[0].landmarks_px)
    cuts = [Cut(reference.crop.image_bgr)]
    for image_bgr, face in zip(images_bgr[1:], faces[1:], strict=True):
        if face is None:
            cuts.append(Cut(None, "no face"))
            continue
        registration = reference.register(image_bgr, face.landmarks_px)
        if registration.residual_px > _MAX_RESIDUAL_PX:
            cuts.append(Cut(None, f"the face fits the first frame's badly ({registration.residual_px:.1f} px)"))
        else:
            cuts.append(Cut(registration.crop.image_bgr))
    return cuts


def as_is(image_bgr: np.ndarray) -> Cut:
    """A data set's own crop, (H, W, 3) uint8, at the size of the network, as in the published protocol."""
    shrinks = min(image_bgr.shape[:2]) >= CROP_SIZE
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return Cut(cv2.resize(image_bgr, (CROP_SIZE, CROP_SIZE), interpolation=interpolation))
