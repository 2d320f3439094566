"""How the numerical libraries share the cores with the threads of this program."""

from __future__ import annotations

import cv2
import threadpoolctl


def keep_to_calling_thread() -> None:
    """Let OpenCV and BLAS compute on the thread that calls them, for the rest of the process.

    Their pictures and matrices are small here, and their own threads spin for more work after each call: they take the
    core from face tracking, which runs beside the rest of the analysis, and from the other processes of a batch.
    """
    cv2.setNumThreads(1)
    threadpoolctl.threadpool_limits(1, user_api="blas")
