"""Keeps OpenCV and its FFmpeg from writing to the terminal, except under -v."""

from __future__ import annotations

import logging
import os

import cv2

SILENT = 0  # cv2's own scale: 0 silent … 6 verbose


def quiet_opencv() -> None:
    """Silence OpenCV's messages unless the logger `mmnet.capture` is at DEBUG; our errors say what they would say.

    Must run before the first stream is opened: OpenCV reads the level of its FFmpeg once.
    """
    if not logging.getLogger("mmnet.capture").isEnabledFor(logging.DEBUG):
        cv2.setLogLevel(SILENT)
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
