"""Can this face be analysed? One reason when it cannot, in the order in which a person would mend it."""

from __future__ import annotations

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


def assess(face: TrackedFace, crop_bgr: np.ndarray, config: FaceConfig) -> FaceQuality:
    """Measure a face's size, turn, light and sharpness on its (S, S, 3) aligned crop.

    Sharpness is the standard deviation of a difference of Gaussians (1.5 and 3 px) of the inner face, relative to
    its contrast: a Laplacian would take sensor noise for detail, and an absolute value a dark face for a blurred one.
    """
    size = crop_bgr.shape[0]
    inner = cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2GRAY)[size // 5 : -size // 5, size // 5 : -size // 5]
    brightness = float(inner.mean())
    grey = inner.astype(np.float32)
    detail = cv2.GaussianBlur(grey, (0, 0), 1.5) - cv2.GaussianBlur(grey, (0, 0), 3.0)
    sharpness = 100 * float(detail.std()) / (float(inner.std()) + 1.0)
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
