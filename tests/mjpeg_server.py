"""A real network camera on 127.0.0.1: JPEG pictures over HTTP, one after the other."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import cv2
import numpy as np

BOUNDARY = "picture"


class MjpegServer:
    """Serves `frames` ((H, W, 3) uint8 BGR arrays or JPEG bytes) to whoever connects, again and again.

    The pictures are encoded once, at the start, so that serving costs little next to what is measured. Each client
    starts at the first picture. Use it as a context manager::

        with MjpegServer(frames, fps=30) as server:
            open_source(server.url, SourceConfig())
    """

    def __init__(
        self, frames: Iterable[np.ndarray | bytes], fps: float = 30.0, *, is_looping: bool = True, quality: int = 90
    ) -> None:
        self.fps = fps
        self.sent = 0  # pictures handed to the network, over all clients
        self._jpegs = [f if isinstance(f, bytes) else _jpeg(f, quality) for f in frames]
        self._is_looping = is_looping
        self._hang_up = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = False  # so that closing waits for the clients' threads
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="mjpeg-server")

    @property
    def url(self) -> str:
        """Address of the stream."""
        return f"http://127.0.0.1:{self._server.server_port}/video.mjpg"

    def disconnect(self) -> None:
        """Close every connection, as when the camera loses power; new clients are turned away too."""
        self._hang_up.set()

    def stall(self) -> None:
        """Send nothing more but keep the connections, as a frozen camera does."""
        self._flowing.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class StreamHandler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
                self.end_headers()
                with suppress(ConnectionError):  # the client leaves when it likes
                    server._send_pictures(self.wfile.write)

            def log_message(self, format: str, *args: object) -> None:
                """Keep the terminal free."""

        return StreamHandler

    def _send_pictures(self, write: Callable[[bytes], object]) -> None:
        started = time.perf_counter()
        pictures = itertools.cycle(self._jpegs) if self._is_looping else self._jpegs
        for number, jpeg in enumerate(pictures):
            late_s = time.perf_counter() - started - number / self.fps
            if self._hang_up.wait(max(0.0, -late_s)):
                return
            while not self._flowing.wait(0.05):
                if self._hang_up.is_set():
                    return
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            write(head.encode() + jpeg + b"\r\n")
            self.sent += 1


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
