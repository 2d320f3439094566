"""Cameras: which there are, opening one by number or name, and saying why one cannot be used."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from cv2_enumerate_cameras import enumerate_cameras, supported_backends

from app.capture.live import Capture, LiveSource, fourcc_name, slow_warning
from app.capture.noise import quiet_opencv
from app.config import SourceConfig
from app.datatypes import SourceInfo
from app.errors import CameraError, SourceError

# DirectShow rather than Media Foundation: it opens at once and heeds the wish for MJPG.
BACKENDS = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}
BACKEND = BACKENDS.get(sys.platform, cv2.CAP_ANY)
DEVICE_FOLDER = Path("/dev")
FROZEN_S = 3  # OpenCV would wait ten seconds for a picture, and shutting down as long


@dataclass(frozen=True, slots=True)
class CameraDevice:
    """A camera that the system knows; `index` is what OpenCV calls it, `path` its device file where there is one."""

    index: int
    name: str
    path: str = ""


def list_cameras() -> list[CameraDevice]:
    """Cameras by the system's own list, lowest number first. None is switched on: some freeze when they are probed."""
    if BACKEND not in supported_backends:
        return []
    found = [CameraDevice(c.index, c.name or f"camera {c.index}", c.path or "") for c in enumerate_cameras(BACKEND)]
    return sorted(found, key=lambda camera: camera.index)


@dataclass(frozen=True, order=True, slots=True)
class CameraMode:
    """A size in pixels, and the highest rate that the camera offers with it in any pixel format."""

    width: int
    height: int
    fps: float


def list_modes(camera: CameraDevice) -> list[CameraMode]:
    """Sizes that a camera offers, largest first; empty where the system does not say (only Linux does).

    Asks the driver without starting the camera; may be called while it is used.
    """
    if sys.platform != "linux":
        return []
    from linuxpy.video.device import Device

    fastest: dict[tuple[int, int], float] = {}
    try:
        with Device(camera.path or f"{DEVICE_FOLDER}/video{camera.index}") as device:
            for offered in device.info.frame_types:
                size = (offered.width, offered.height)
                fastest[size] = max(fastest.get(size, 0.0), float(offered.max_fps))
    except OSError:
        return []
    return sorted((CameraMode(*size, fps) for size, fps in fastest.items()), reverse=True)


def find_camera(spec: str, cameras: Sequence[CameraDevice] | None = None) -> CameraDevice:
    """The camera with that number, name, or part of a name (capitals aside) that only one has.

    Raises CameraError when the name fits several, SourceError when it fits none.
    """
    cameras = list_cameras() if cameras is None else cameras
    known = "Cameras here: " + ("; ".join(f"{c.index} {c.name}" for c in cameras) or "none") + "."
    if spec.isdecimal():
        # A number is tried even when it is not listed: the list of the system is not always complete.
        return next((c for c in cameras if c.index == int(spec)), CameraDevice(int(spec), f"camera {int(spec)}"))
    wanted = spec.strip().casefold()
    whole = [camera for camera in cameras if camera.name.casefold() == wanted]
    partly = [camera for camera in cameras if wanted and wanted in camera.name.casefold()]
    fitting = whole or partly
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise CameraError(f"{len(fitting)} cameras fit {spec!r}: give the number instead. {known}")
    if os.sep in spec or Path(spec).suffix:
        raise SourceError(f"{spec} does not exist. Check the spelling and the folder.")
    raise SourceError(
        f"Nothing is called {spec!r}: no file or folder, no address (like rtsp://…), not `demo`, and no camera. {known}"
    )


class CameraSource(LiveSource):
    """A camera, asked for MJPG, then size, then rate; `info` tells what it really delivers.

    Raises CameraError when the camera is absent, busy, not permitted or silent, and while iterating when it vanishes.
    """

    def __init__(
        self,
        camera: CameraDevice,
        config: SourceConfig,
        open_capture: Callable[[int, int], Capture] = cv2.VideoCapture,
    ) -> None:
        quiet_opencv()
        os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(FROZEN_S))
        self._camera = camera
        self._name = camera.name
        if problem := device_problem(camera):
            raise CameraError(problem)
        super().__init__(open_capture(camera.index, BACKEND), config.rotation_deg)
        try:
            if not self._capture.isOpened():
                raise CameraError(_why_no_pictures(camera))
            requested = self._request(config)
            width, height, fps = self._measure()
        except BaseException:
            self.close()
            raise
        warnings = slow_warning(fps)
        # A picture that was turned on its side is compared as it left the camera.
        sent = (height, width) if config.rotation_deg in (90, 270) else (width, height)
        if (config.width or sent[0], config.height or sent[1]) != sent:
            wish = f"{config.width or '?'}×{config.height or '?'}"
            warnings = (*warnings, f"{self._name} delivers {sent[0]}×{sent[1]} instead of {wish}.")
        self.info = SourceInfo(
            label=self._name,
            kind="camera",
            width=width,
            height=height,
            fps=fps,
            frame_count=None,
            is_live=True,
            codec=fourcc_name(self._capture.get(cv2.CAP_PROP_FOURCC)),
            requested=requested,
            warnings=warnings,
        )

    def _request(self, config: SourceConfig) -> str:
        # The order matters: the sizes and rates on offer depend on the pixel format.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if config.width:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width)
        if config.height:
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height)
        if config.fps:
            self._capture.set(cv2.CAP_PROP_FPS, config.fps)
        size = f"{config.width or '?'}x{config.height or '?'}" if config.width or config.height else ""
        rate = f"{config.fps:g} fps" if config.fps else ""
        return " ".join(filter(None, (size, rate, "MJPG")))

    def _lost(self, when: str) -> CameraError:
        if not self._has_started:
            return CameraError(_why_no_pictures(self._camera))
        is_there = device_problem(self._camera) is None
        what = "It is still there but sends no more pictures" if is_there else "It was unplugged, or the bus reset it"
        return CameraError(f"The camera {self._name} was lost {when}. {what}: check its cable, then open it again.")


def device_problem(camera: CameraDevice) -> str | None:
    """Why the system does not let the camera be opened; None when it would, or where only trying tells."""
    if sys.platform != "linux":
        return None
    path = camera.path or f"{DEVICE_FOLDER}/video{camera.index}"
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            return (
                f"No permission to use {camera.name} ({path}). Add yourself to the group that owns it, mostly with "
                "`sudo usermod -aG video $USER`, then log out and in again."
            )
        if error.errno == errno.EBUSY:
            return _silent(camera)
        return _absent(camera)
    return None


def _why_no_pictures(camera: CameraDevice) -> str:
    if problem := device_problem(camera):
        return problem
    is_listed = sys.platform == "linux" or camera.index in [other.index for other in list_cameras()]
    return _silent(camera) if is_listed else _absent(camera)


def _absent(camera: CameraDevice) -> str:
    known = "; ".join(f"{other.index} {other.name}" for other in list_cameras()) or "none"
    return f"There is no {camera.name} here. Plug it in, or choose another. Cameras here: {known}."


def _silent(camera: CameraDevice) -> str:
    who = f" (`fuser {camera.path}` names it)" if camera.path and sys.platform == "linux" else ""
    return (
        f"{camera.name} gives no pictures: mostly because another program uses it{who}. Close that program, "
        "allow the camera in the privacy settings of the system, or plug it in again."
    )
