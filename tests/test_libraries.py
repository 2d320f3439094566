"""Where tracking needs the other core, the libraries compute on the thread that calls them."""

import cv2
import threadpoolctl

from app.pipeline import Pipeline


def test_a_pipeline_keeps_opencv_and_blas_to_one_thread() -> None:
    cv2.setNumThreads(2)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        Pipeline().close()
        assert cv2.getNumThreads() == 1
        blas = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
        assert blas
        assert all(pool["num_threads"] == 1 for pool in blas)
