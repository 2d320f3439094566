"""Can this face be analysed? One reason when it cannot, in the order in which a person would mend it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from app.config import FaceConfig
from app.datatypes import FaceQuality, TrackedFace

# Reason → what the person in front of the camera can do about it.
REASONS: dict[str, str] = {
    "no face": "no face in the picture",
    "too small": "come closer",
    "turned away": "face the camera",
    "too dark": "add light from the front",
    "blurred": "hold still or focus the camera",
}

_FINE_PX, _COARSE_PX = 1.5, 3.0  # standard deviations of the two Gaussians
_WIDER_HALF_PX = math.sqrt(_COARSE_PX**2 - _FINE_PX**2) / 2  # from the first to the second, in pixels twice as large


def assess(face: TrackedFace, crop_bgr: np.ndarray, config: FaceConfig) -> FaceQuality:
    """Measure a face's size, turn, light and sharpness on its (S, S, 3) aligned crop.

    Sharpness is the standard deviation of a difference of Gaussians (1.5 and 3 px) of the inner face, relative to
    its contrast: a Laplacian would take sensor noise for detail, and an absolute value a dark face for a blurred one.
    """
    size = crop_bgr.shape[0]
    inner_bgr = crop_bgr[size // 5 : -size // 5, size // 5 : -size // 5]
    inner = cv2.cvtColor(inner_bgr, cv2.COLOR_BGR2GRAY)
    brightness, contrast = (float(value[0, 0]) for value in cv2.meanStdDev(inner))
    # What is blurred this much is there in every second pixel, too: the wider blur goes on from them.
    fine = cv2.GaussianBlur(inner.astype(np.float32), (0, 0), _FINE_PX)[::2, ::2].copy()
    _, detail = cv2.meanStdDev(fine - cv2.GaussianBlur(fine, (0, 0), _WIDER_HALF_PX))
    sharpness = 100 * float(detail[0, 0]) / (contrast + 1.0)
    reason = ""
    if face.inter_ocular_px < config.min_inter_ocular_px:
        reason = "too small"
    elif abs(face.pose.yaw_deg) > config.max_yaw_deg or abs(face.pose.pitch_deg) > config.max_pitch_deg:
        reason = "turned away"
    elif brightness < config.min_brightness:
        reason = "too dark"
    elif sharpness < config.min_sharpness:
        reason = "blurred"
    return FaceQuality(not reason, reason, face.inter_ocular_px, sharpness, brightness)
