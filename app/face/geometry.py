"""Measurements on the landmarks of one face: inter-ocular distance, head pose, eye opening."""

from __future__ import annotations

import numpy as np

from app.datatypes import HeadPose
from app.face import topology

# The line forehead–chin of an upright head leans in MediaPipe's depth by this much (median of 60 frontal portraits).
NEUTRAL_PITCH_DEG = 3.5


def inter_ocular_px(landmarks_px: np.ndarray) -> float:
    """Distance between the outer eye corners (the 300-W convention), pixels. `landmarks_px` is (478, 2 or 3)."""
    corners = landmarks_px[[topology.RIGHT_EYE_OUTER, topology.LEFT_EYE_OUTER], :2]
    return float(np.linalg.norm(corners[1] - corners[0]))


def head_pose(landmarks_px: np.ndarray) -> HeadPose:
    """Rotation of the head from (478, 3) landmarks: the axis through the eye corners and the axis forehead–chin."""
    points = landmarks_px.astype(np.float64)
    across = points[topology.LEFT_EYE_OUTER] - points[topology.RIGHT_EYE_OUTER]
    down = points[topology.CHIN_BOTTOM] - points[topology.FOREHEAD_TOP]
    across /= np.linalg.norm(across) + 1e-9
    down -= across * (down @ across)
    down /= np.linalg.norm(down) + 1e-9
    return HeadPose(
        pitch_deg=float(np.degrees(np.arcsin(np.clip(down[2], -1, 1)))) - NEUTRAL_PITCH_DEG,
        yaw_deg=float(np.degrees(np.arcsin(np.clip(across[2], -1, 1)))),
        roll_deg=float(np.degrees(np.arctan2(across[1], across[0]))),
    )


def eye_opening(landmarks_px: np.ndarray) -> float:
    """Eye aspect ratio, mean of both eyes (Soukupová & Čech 2016, eq. 1): about 0.3 open, below 0.15 shut."""
    ratios = []
    for indices in (topology.RIGHT_EYE_RATIO, topology.LEFT_EYE_RATIO):
        p1, p2, p3, p4, p5, p6 = landmarks_px[list(indices), :2].astype(np.float64)
        width = np.linalg.norm(p4 - p1) + 1e-9
        ratios.append((np.linalg.norm(p6 - p2) + np.linalg.norm(p5 - p3)) / (2 * width))
    return float(np.mean(ratios))


def gaze_percent(landmarks_px: np.ndarray) -> np.ndarray:
    """Where the irises are between the eye corners, (2,): right and down in the face, percent of the inter-ocular
    distance. Mean of both eyes; 0 is the middle.
    """
    points = landmarks_px[:, :2].astype(np.float64)
    right, left = (points[list(indices)].mean(axis=0) for indices in topology.EYE_CORNERS)
    shift = (points[topology.RIGHT_IRIS] - right + points[topology.LEFT_IRIS] - left) / 2
    across = points[topology.LEFT_EYE_OUTER] - points[topology.RIGHT_EYE_OUTER]
    distance = np.linalg.norm(across) + 1e-9
    across = across / distance
    return np.array([shift @ across, shift @ (-across[1], across[0])]) * (100 / distance)


def mouth_opening_percent(landmarks_px: np.ndarray) -> float:
    """Gap between the inner lips, percent of the inter-ocular distance."""
    upper, lower = landmarks_px[[topology.UPPER_LIP_INNER, topology.LOWER_LIP_INNER], :2].astype(np.float64)
    return float(100 * np.linalg.norm(lower - upper) / (inter_ocular_px(landmarks_px) + 1e-9))
