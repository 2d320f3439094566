"""Live pictures from a network address: RTSP, RTMP, UDP, MJPEG over HTTP and whatever else FFmpeg reads."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from app.capture.inputs import short_name
from app.capture.live import LiveSource, fourcc_name, slow_warning
from app.capture.noise import quiet_opencv
from app.config import SourceConfig
from app.datatypes import SourceInfo
from app.errors import SourceError

TIMEOUT_S = 5.0


class StreamSource(LiveSource):
    """A network stream, each frame stamped when it arrives. The sender decides about size and rate.

    Raises SourceError when the address gives no video within `timeout_s`, and while iterating when the stream stops
    for so long, ends, or the connection is lost.
    """

    def __init__(self, url: str, config: SourceConfig, timeout_s: float = TIMEOUT_S) -> None:
        quiet_opencv()
        self._name = short_name(url)
        self._timeout_s = timeout_s
        super().__init__(cv2.VideoCapture(url, cv2.CAP_FFMPEG, _timeouts(timeout_s)), config.rotation_deg)
        try:
            if not self._capture.isOpened():
                raise SourceError(
                    f"{self._name} gives no video within {timeout_s:g} s. Check the address, the user name and "
                    "password in it, and that the sender is on and reachable from here."
                )
            width, height, fps = self._measure()
        except BaseException:
            self.close()
            raise
        self.info = SourceInfo(
            label=self._name,
            kind="stream",
            width=width,
            height=height,
            fps=fps,
            frame_count=None,
            is_live=True,
            codec=fourcc_name(self._capture.get(cv2.CAP_PROP_FOURCC)),
            warnings=slow_warning(fps),
        )

    def _lost(self, when: str) -> SourceError:
        return SourceError(
            f"The stream {self._name} was lost {when}: it ended, or nothing came for {self._timeout_s:g} s. "
            "Check the sender and the network, then open it again."
        )


def _timeouts(timeout_s: float) -> Sequence[int]:
    timeout_ms = round(timeout_s * 1000)
    return [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms]
