"""MediaPipe FaceMesh on one face: 478 sub-pixel landmarks, never rounded and never filtered.

A smoothing filter would make the apex late (One-Euro: up to 83 ms), so none is used.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from app.config import FaceConfig
from app.datatypes import Frame, TrackedFace
from app.face import geometry, topology
from app.resource import Resource

# A face that moved further than this between two frames (in inter-ocular distances), or changed its size by this
# factor, is taken for another person: the fastest head shakes stay below at 24 fps.
_JUMP_INTER_OCULAR = 1.2
_JUMP_SCALE = 1.6
_STABLE = np.array(topology.STABLE)

# How protobuf writes a landmark of x, y and z alone: a head of two bytes, then for each of them a tag and a float.
_POINT_BYTES = 17
_TAG_AT = np.array([0, 1, 2, 7, 12])
_TAGS = np.array([0x0A, 0x0F, 0x0D, 0x15, 0x1D], np.uint8)
_FLOATS_AT = np.array([3, 4, 5, 6, 8, 9, 10, 11, 13, 14, 15, 16])

Box = tuple[float, float, float, float]  # left, top, width, height in frame pixels


# Two trackers that start at once on two threads would restore each other's silence for good.
_STDERR_LOCK = threading.RLock()


@contextlib.contextmanager
def silenced_stderr() -> Iterator[None]:
    """MediaPipe's C++ part writes start-up chatter to the file descriptor; Python cannot filter it elsewhere."""
    with _STDERR_LOCK, _redirected_stderr():
        yield


@contextlib.contextmanager
def _redirected_stderr() -> Iterator[None]:
    try:
        stderr_fd = sys.__stderr__.fileno()  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        yield
        return
    saved_fd = os.dup(stderr_fd)
    try:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), stderr_fd)
        yield
    finally:
        os.dup2(saved_fd, stderr_fd)
        os.close(saved_fd)


def open_face_mesh(*, static: bool = False) -> Any:
    """MediaPipe's FaceMesh for one face with refined landmarks; `process` takes (H, W, 3) uint8 RGB."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    with silenced_stderr():
        import mediapipe as mp  # 1–2 s: only those who track pay for it

        mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=static, max_num_faces=1, refine_landmarks=True)
        # TensorFlow Lite chatters at the first inference, not at construction.
        mesh.process(np.zeros((64, 64, 3), np.uint8))
    return mesh


def _distance(box: Box, point_px: tuple[float, float]) -> float:
    """From the middle of a box, in pixels."""
    left, top, width, height = box
    return float(np.hypot(left + width / 2 - point_px[0], top + height / 2 - point_px[1]))


class FaceTracker(Resource):
    """Tracks one face through consecutive frames. Not thread-safe: build, use and close it on one thread.

    Args:
        config: how often all faces in view are counted.
        static: treat every frame as an independent photograph (no tracking from frame to frame).
    """

    def __init__(self, config: FaceConfig | None = None, *, static: bool = False) -> None:
        self._config = config or FaceConfig()
        self._static = static
        self._mesh = open_face_mesh(static=static)
        with silenced_stderr():
            import mediapipe as mp

            self._detector = mp.solutions.face_detection.FaceDetection(model_selection=0)
            self._detector.process(np.zeros((64, 64, 3), np.uint8))
        self._previous: TrackedFace | None = None
        self._face_id = 0
        self._boxes_px: list[Box] = []  # of all faces, at the last count
        self._wanted_px: tuple[float, float] | None = None  # where the face is that is to be tracked instead
        self._next_count_ns: int | None = None

    def follow(self, x_px: float, y_px: float) -> None:
        """Track the face at this place of the picture from the next frame on, under a new identity."""
        self._wanted_px = (x_px, y_px)

    def track(self, frame: Frame) -> TrackedFace | None:
        """Find the face in a frame; None when there is none."""
        image_rgb = cv2.cvtColor(frame.image_bgr, cv2.COLOR_BGR2RGB)
        image_rgb.flags.writeable = False
        if self._wanted_px is not None:
            self._count(image_rgb, frame.timestamp_ns)
            image_rgb = self._only_wanted(image_rgb, self._wanted_px)
            self._wanted_px = None
        # MediaPipe's first face brings one more line of chatter.
        with contextlib.nullcontext() if self._face_id else silenced_stderr():
            found = self._mesh.process(image_rgb).multi_face_landmarks
        if not found:
            self._previous = None
            return None
        height, width = image_rgb.shape[:2]
        # MediaPipe's z has the scale of x.
        landmarks = landmark_points(found[0]) * np.array((width, height, width), np.float32)
        if self._next_count_ns is None or self._static or frame.timestamp_ns >= self._next_count_ns:
            self._count(image_rgb, frame.timestamp_ns)
        if self._static or self._is_other_person(landmarks):
            self._face_id += 1
        self._previous = TrackedFace(
            face_id=self._face_id,
            landmarks_px=landmarks,
            pose=geometry.head_pose(landmarks),
            eye_opening=geometry.eye_opening(landmarks),
            inter_ocular_px=geometry.inter_ocular_px(landmarks),
            face_count=max(1, len(self._boxes_px)),
            other_boxes_px=self._others(landmarks),
        )
        return self._previous

    def _count(self, image_rgb: np.ndarray, timestamp_ns: int) -> None:
        height, width = image_rgb.shape[:2]
        self._boxes_px = [
            (box.xmin * width, box.ymin * height, box.width * width, box.height * height)
            for detection in self._detector.process(image_rgb).detections or ()
            for box in (detection.location_data.relative_bounding_box,)
        ]
        self._next_count_ns = timestamp_ns + int(self._config.count_period_s * 1e9)

    def _only_wanted(self, image_rgb: np.ndarray, point_px: tuple[float, float]) -> np.ndarray:
        """The picture without the other faces, so that MediaPipe, made to look anew, finds the one at `point_px`."""
        if not self._boxes_px:
            return image_rgb
        # MediaPipe tracks one face from frame to frame and has no way to be told which.
        self._mesh.reset()
        self._previous = None
        wanted = min(self._boxes_px, key=lambda box: _distance(box, point_px))
        left, top, width, height = wanted
        x, y = max(0, int(left - 0.5 * width)), max(0, int(top - 0.6 * height))
        only = np.zeros_like(image_rgb)
        area = np.s_[y : int(top + 1.5 * height), x : int(left + 1.5 * width)]
        only[area] = image_rgb[area]
        only.flags.writeable = False
        return only

    def _others(self, landmarks_px: np.ndarray) -> tuple[Box, ...]:
        """Boxes of the last count that are not around the tracked face: all but the nearest to its nose."""
        x, y = landmarks_px[topology.NOSE[4], :2]
        nearest = min(self._boxes_px, key=lambda box: _distance(box, (x, y)), default=None)
        return tuple(box for box in self._boxes_px if box is not nearest)

    def _is_other_person(self, landmarks_px: np.ndarray) -> bool:
        """Whether these landmarks cannot belong to the face of the previous frame."""
        if self._previous is None:
            return True
        moved_px = (landmarks_px[_STABLE, :2] - self._previous.landmarks_px[_STABLE, :2]).mean(axis=0)
        scale = geometry.inter_ocular_px(landmarks_px) / (self._previous.inter_ocular_px + 1e-9)
        is_near = math.hypot(*moved_px.tolist()) <= _JUMP_INTER_OCULAR * self._previous.inter_ocular_px
        return not (is_near and 1 / _JUMP_SCALE < scale < _JUMP_SCALE)

    def close(self) -> None:
        """Release MediaPipe's graphs. Closing twice is harmless."""
        for graph in (self._mesh, self._detector):
            if graph._graph is not None:  # MediaPipe raises on a second close and offers no query
                graph.close()


def landmark_points(landmarks: Any) -> np.ndarray:
    """x, y and z of a MediaPipe list of landmarks, (L, 3) float32.

    Asking each of 478 landmarks for its numbers takes a quarter of a millisecond, in which no other thread runs Python.
    """
    written = landmarks.SerializeToString()
    if len(written) == len(landmarks.landmark) * _POINT_BYTES:
        points = np.frombuffer(written, np.uint8).reshape(-1, _POINT_BYTES)
        if (points.take(_TAG_AT, axis=1) == _TAGS).all():
            return points.take(_FLOATS_AT, axis=1).view("<f4")
    # With more to a landmark, such as its visibility, its length varies.
    return np.array([(point.x, point.y, point.z) for point in landmarks.landmark], np.float32)
