"""Pictures of one movement: what changed between onset and apex, and where the network looked."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from app.datatypes import Candidate, KeyFrame, Prediction

# Blue and orange are told apart with any colour vision; BGR.
_BRIGHTER_BGR, _DARKER_BGR = (60, 150, 255), (235, 140, 40)
_SHOWN_PERCENTILE = 99.7  # this share of the changes is shown below full colour
_MIN_FULL_SCALE = 6.0  # grey levels: smaller changes are noise and must not fill the picture
_FADED = 0.55  # brightness of the face under the colours
_ATTENTION_BLUR = 2.0  # cells of the map: its noise is that of the picture
_FLAT = 1e-4


def loop_frames(candidate: Candidate) -> Sequence[KeyFrame]:
    """The frames from onset to offset; the three key frames when nothing else was kept."""
    return candidate.crops or (candidate.onset, candidate.apex, candidate.offset)


def difference_picture(onset_bgr: np.ndarray, apex_bgr: np.ndarray) -> tuple[np.ndarray, float]:
    """What became brighter (orange) and darker (blue) from onset to apex, and how many times it is amplified.

    Args:
        onset_bgr, apex_bgr: registered crops, (S, S, 3) uint8.

    Returns:
        (S, S, 3) uint8 over a faded apex, and the amplification: at 1 only a change of 255 grey levels has full colour.
    """
    onset, apex = (cv2.GaussianBlur(_grey(crop), (0, 0), 1.2) for crop in (onset_bgr, apex_bgr))
    change = apex - onset
    # The light may have changed as a whole; what is shown is what changed against the rest of the face.
    change -= np.median(change)
    full = max(_MIN_FULL_SCALE, float(np.percentile(np.abs(change), _SHOWN_PERCENTILE)))
    opacity = np.clip(np.abs(change) / full, 0, 1)[..., None]
    ground = np.repeat(apex[..., None] * _FADED, 3, axis=2)
    colour = np.where(change[..., None] > 0, np.float32(_BRIGHTER_BGR), np.float32(_DARKER_BGR))
    return _uint8(ground * (1 - opacity) + colour * opacity), 255 / full


def attention_picture(apex_bgr: np.ndarray, prediction: Prediction) -> np.ndarray:
    """Where the network looked: how far its first attention map is from its usual value, in colour over the apex.

    A network marks a place by raising its weight or by lowering it against all others, so both count. The map is
    stretched to its own range: colours of two events cannot be compared. Returns (S, S, 3) uint8.
    """
    height, width = apex_bgr.shape[:2]
    smooth = cv2.GaussianBlur(prediction.attention, (0, 0), _ATTENTION_BLUR)
    deviation = np.abs(smooth - np.median(smooth))
    full = float(np.percentile(deviation, _SHOWN_PERCENTILE))
    # A map that is the same everywhere marks nothing.
    stretched = np.clip(deviation / full, 0, 1) if full > _FLAT else np.zeros_like(deviation)
    stretched = cv2.resize(stretched, (width, height), interpolation=cv2.INTER_CUBIC)
    colour = cv2.applyColorMap(_uint8(255 * stretched), cv2.COLORMAP_INFERNO).astype(np.float32)
    ground = np.repeat(_grey(apex_bgr)[..., None] * _FADED, 3, axis=2)
    opacity = np.clip(stretched, 0, 1)[..., None]
    return _uint8(ground * (1 - opacity) + colour * opacity)


def _grey(image_bgr: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY).astype(np.float32)


def _uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
