"""Measurements on the landmarks of one face: inter-ocular distance, head pose, eye opening.

They take a few points of a face in every frame, so they count in Python: numpy's overhead would be most of the time.
Points of the picture are complex numbers, x + iy.
"""

from __future__ import annotations

import math

import numpy as np

from app.datatypes import HeadPose
from app.face import topology

# The line forehead–chin of an upright head leans in MediaPipe's depth by this much (median of 60 frontal portraits).
NEUTRAL_PITCH_DEG = 3.5

_POSE = np.array([topology.RIGHT_EYE_OUTER, topology.LEFT_EYE_OUTER, topology.FOREHEAD_TOP, topology.CHIN_BOTTOM])
_OUTER_CORNERS = np.array([topology.RIGHT_EYE_OUTER, topology.LEFT_EYE_OUTER])
_CORNERS = np.array(topology.EYE_CORNERS).ravel()  # right outer, right inner, left outer, left inner
_IRISES = np.array([topology.RIGHT_IRIS, topology.LEFT_IRIS])
_INNER_LIPS = np.array([topology.UPPER_LIP_INNER, topology.LOWER_LIP_INNER])
_RIGHT_EYE, _LEFT_EYE = np.array(topology.RIGHT_EYE_RATIO), np.array(topology.LEFT_EYE_RATIO)


def inter_ocular_px(landmarks_px: np.ndarray) -> float:
    """Distance between the outer eye corners (the 300-W convention), pixels. `landmarks_px` is (478, 2 or 3)."""
    right, left = _planar(landmarks_px, _OUTER_CORNERS)
    return abs(left - right)


def head_pose(landmarks_px: np.ndarray) -> HeadPose:
    """Rotation of the head from (478, 3) landmarks: the axis through the eye corners and the axis forehead–chin."""
    right, left, top, bottom = landmarks_px[_POSE].tolist()
    across = [b - a for a, b in zip(right, left, strict=True)]
    down = [b - a for a, b in zip(top, bottom, strict=True)]
    width = math.hypot(*across) + 1e-9
    across = [component / width for component in across]
    along = sum(d * a for d, a in zip(down, across, strict=True))
    down = [d - along * a for d, a in zip(down, across, strict=True)]
    depth = down[2] / (math.hypot(*down) + 1e-9)
    return HeadPose(
        pitch_deg=math.degrees(math.asin(depth)) - NEUTRAL_PITCH_DEG,
        yaw_deg=math.degrees(math.asin(across[2])),
        roll_deg=math.degrees(math.atan2(across[1], across[0])),
    )


def eye_opening(landmarks_px: np.ndarray) -> float:
    """Eye aspect ratio, mean of both eyes (Soukupová & Čech 2016, eq. 1): about 0.3 open, below 0.15 shut."""
    ratios = []
    for indices in (_RIGHT_EYE, _LEFT_EYE):
        p1, p2, p3, p4, p5, p6 = _planar(landmarks_px, indices)
        ratios.append((abs(p6 - p2) + abs(p5 - p3)) / (2 * (abs(p4 - p1) + 1e-9)))
    return sum(ratios) / 2


def gaze_percent(landmarks_px: np.ndarray) -> np.ndarray:
    """Where the irises are between the eye corners, (2,): right and down in the face, percent of the inter-ocular
    distance. Mean of both eyes; 0 is the middle.
    """
    corners = _planar(landmarks_px, _CORNERS)
    shift = sum(_planar(landmarks_px, _IRISES)) / 2 - sum(corners) / 4
    across = corners[2] - corners[0]
    # A quotient of complex numbers is turned and scaled into the axes of the face.
    gaze = 100 * shift / across if across else 0j
    return np.array([gaze.real, gaze.imag])


def mouth_opening_percent(landmarks_px: np.ndarray) -> float:
    """Gap between the inner lips, percent of the inter-ocular distance."""
    upper, lower = _planar(landmarks_px, _INNER_LIPS)
    return 100 * abs(lower - upper) / (inter_ocular_px(landmarks_px) + 1e-9)


def _planar(landmarks_px: np.ndarray, indices: np.ndarray) -> list[complex]:
    """Some landmarks as x + iy, pixels."""
    return [complex(x, y) for x, y in landmarks_px[indices, :2].tolist()]
