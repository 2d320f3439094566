"""Which cameras are plugged in, looked up again and again on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.runtime.capture import import_lock
from app.runtime.channels import Mailbox

if TYPE_CHECKING:
    from app.capture.camera import CameraDevice, CameraMode

logger = logging.getLogger("mmnet.runtime")


@dataclass(frozen=True, slots=True)
class CameraChoice:
    """A camera that is there, and the sizes it offers, largest first (empty where the system does not say)."""

    device: CameraDevice
    modes: tuple[CameraMode, ...]


def look_up_cameras(known: tuple[CameraChoice, ...]) -> tuple[CameraChoice, ...]:
    """Cameras of the system; sizes are asked only of those that are not `known` yet."""
    with import_lock:
        from app.capture.camera import list_cameras, list_modes
    modes = {choice.device: choice.modes for choice in known}
    return tuple(
        CameraChoice(device, modes[device] if device in modes else tuple(list_modes(device)))
        for device in list_cameras()
    )


class CameraWatch:
    """Tells which cameras are there, whenever that changes.

    Attributes:
        found: the cameras, once after the start and after each change.
    """

    def __init__(
        self,
        period_s: float = 2.0,
        look_up: Callable[[tuple[CameraChoice, ...]], tuple[CameraChoice, ...]] = look_up_cameras,
    ) -> None:
        self.found: Mailbox[tuple[CameraChoice, ...]] = Mailbox()
        self._period_s, self._look_up = period_s, look_up
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def request_stop(self) -> None:
        self._stopping.set()

    def stop(self, timeout_s: float = 1.0) -> bool:
        """End the thread; False when it is late: a driver may take its time to answer."""
        self.request_stop()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        cameras: tuple[CameraChoice, ...] = ()
        is_first = True
        while not self._stopping.is_set():
            try:
                now = self._look_up(cameras)
            except Exception:
                # A driver that fails here must not take the program with it; its camera is missing from the list.
                logger.exception("looking for cameras failed")
                now = cameras
            if now != cameras or is_first:
                cameras, is_first = now, False
                self.found.put(cameras)
            self._stopping.wait(self._period_s)
