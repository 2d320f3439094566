"""Cameras by number and name, what they deliver, and how their failures read. The driver is faked, the rest is not."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mjpeg_server import MjpegServer
from videos import numbered_frame, numbers_of, read_until_error

from app.capture import camera, live
from app.capture.camera import CameraDevice, CameraMode, CameraSource, find_camera, list_cameras, list_modes
from app.config import SourceConfig
from app.errors import CameraError, SourceError

CAMERAS = [
    CameraDevice(0, "Integrated Camera"),
    CameraDevice(2, "Logitech C920"),
    CameraDevice(4, "Logitech C920 IR"),
    CameraDevice(6, "Twin"),
    CameraDevice(8, "Twin"),
]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="device files are Linux's")


class FakeDriver:
    """A camera as cv2.VideoCapture shows it, delivering `fps` numbered pictures a second."""

    def __init__(
        self,
        *,
        fps: float = 100,
        size: tuple[int, int] = (128, 96),
        opens: bool = True,
        pictures: int | None = None,
        unreadable: Callable[[int], bool] = lambda number: False,
        convert: Callable[[np.ndarray], np.ndarray] = lambda image: image,
        on_last: Callable[[], object] = lambda: None,
        burst: int = 0,
    ) -> None:
        self.fps, self.size, self.opens, self.pictures = fps, size, opens, pictures
        self.unreadable, self.convert, self.on_last = unreadable, convert, on_last
        self.burst = burst  # pictures that were waiting and come at once
        self.wishes: list[tuple[int, float]] = []
        self.grabbed = 0
        self.is_released = False

    def __call__(self, index: int, backend: int) -> FakeDriver:
        self.opened_as = (index, backend)
        return self

    def isOpened(self) -> bool:
        return self.opens

    def set(self, prop: int, value: float) -> bool:
        self.wishes.append((prop, value))
        return False

    def get(self, prop: int) -> float:
        return float(cv2.VideoWriter.fourcc(*"YUYV")) if prop == cv2.CAP_PROP_FOURCC else 0.0

    def grab(self) -> bool:
        if self.grabbed == self.pictures:
            self.on_last()
            return False
        self.grabbed += 1
        time.sleep(1 / self.fps if self.grabbed > self.burst else 0)
        return True

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        if self.unreadable(self.grabbed):
            return False, None
        return True, self.convert(numbered_frame(self.grabbed % 256, *self.size))

    def release(self) -> None:
        self.is_released = True


@pytest.fixture(autouse=True)
def _measure_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SETTLING_S", 0.05)
    monkeypatch.setattr(live, "MEASURING_S", 0.25)


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CameraDevice:
    """A camera that the system lists, with a device file that can be opened and removed."""
    path = tmp_path / "video0"
    path.touch()
    found = CameraDevice(0, "Test camera", str(path))
    monkeypatch.setattr(camera, "list_cameras", lambda: [found])
    return found


@pytest.mark.parametrize(
    ("spec", "index"),
    [("0", 0), ("8", 8), ("Integrated Camera", 0), ("integrated", 0), ("LOGITECH c920", 2), ("c920 ir", 4), ("99", 99)],
)
def test_camera_is_found_by_number_or_name(spec: str, index: int) -> None:
    assert find_camera(spec, CAMERAS).index == index


@pytest.mark.parametrize(("spec", "kind"), [("logi", CameraError), ("twin", CameraError), ("webcam", SourceError)])
def test_unclear_name_lists_the_cameras(spec: str, kind: type[SourceError]) -> None:
    with pytest.raises(kind, match="0 Integrated Camera; 2 Logitech C920") as caught:
        find_camera(spec, CAMERAS)
    assert isinstance(caught.value, CameraError) == (kind is CameraError)


def test_listing_cameras_opens_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda *args: pytest.fail("a camera was opened"))
    indices = [found.index for found in list_cameras()]
    assert indices == sorted(indices)


def test_wishes_are_made_in_order_and_delivery_is_told(device: CameraDevice) -> None:
    driver = FakeDriver(fps=200, size=(160, 120))
    with CameraSource(device, SourceConfig(width=320, height=240, fps=30), driver) as source:
        info = source.info
    assert driver.opened_as == (0, camera.BACKEND)
    assert driver.wishes == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 320),
        (cv2.CAP_PROP_FRAME_HEIGHT, 240),
        (cv2.CAP_PROP_FPS, 30),
    ]
    assert info.requested == "320x240 30 fps MJPG"
    assert (info.kind, info.label, info.is_live, info.codec) == ("camera", "Test camera", True, "YUYV")
    assert (info.width, info.height) == (160, 120)
    assert 25 < info.fps <= 201  # the driver sleeps at least 5 ms
    assert info.warnings == ("Test camera delivers 160×120 instead of 320×240.",)
    assert driver.is_released


def test_too_few_frames_a_second_is_warned_of(device: CameraDevice) -> None:
    with CameraSource(device, SourceConfig(), FakeDriver(fps=15)) as source:
        assert 5 < source.info.fps <= 15.1
        assert "are needed" in source.info.warnings[0]


def test_pictures_that_were_waiting_do_not_count_for_the_rate(device: CameraDevice) -> None:
    with CameraSource(device, SourceConfig(), FakeDriver(fps=40, burst=100)) as source:
        assert source.info.fps < 41


def test_frames_carry_the_time_of_their_arrival(device: CameraDevice) -> None:
    with CameraSource(device, SourceConfig(), FakeDriver()) as source:
        frames, arrivals_ns = [], []
        for frame in source:
            arrivals_ns.append(time.perf_counter_ns())
            frames.append(frame)
            if len(frames) == 10:
                break
    assert [frame.index for frame in frames] == list(range(10))
    assert np.diff([frame.timestamp_ns for frame in frames]).min() >= 9e6
    lateness_ms = (np.array(arrivals_ns) - [frame.timestamp_ns for frame in frames]) / 1e6
    assert lateness_ms.min() > 0
    assert np.median(lateness_ms) < 20
    numbers = numbers_of(frames)
    assert numbers == list(range(numbers[0], numbers[0] + 10))


def test_unreadable_pictures_are_counted_as_lost(device: CameraDevice) -> None:
    driver = FakeDriver(fps=400, unreadable=lambda number: number % 4 in (1, 2))
    with CameraSource(device, SourceConfig(), driver) as source:
        frames = [frame for frame, _ in zip(source, range(6), strict=False)]
    steps = np.diff([frame.index for frame in frames]).tolist()
    assert sorted(steps[:2]) == [1, 3]
    assert [frame.dropped_before for frame in frames[1:]] == [step - 1 for step in steps]


def test_grey_camera_becomes_bgr(device: CameraDevice) -> None:
    driver = FakeDriver(convert=lambda image: np.ascontiguousarray(image[:, :, 0]))
    with CameraSource(device, SourceConfig(), driver) as source:
        assert next(iter(source)).image_bgr.shape == (96, 128, 3)


def test_iteration_ends_when_the_source_is_closed(device: CameraDevice) -> None:
    with CameraSource(device, SourceConfig(), FakeDriver()) as source:
        frames = iter(source)
        next(frames)
        source.close()
        assert list(frames) == []


class TestModes:
    @linux_only
    def test_the_fastest_rate_of_each_size_largest_first(self, monkeypatch):
        class Device:
            def __init__(self, path):
                assert path == "/dev/video3"
                kinds = [
                    ("YUYV", 640, 480, 30),
                    ("MJPG", 640, 480, 60),
                    ("YUYV", 1280, 720, 10),
                    ("MJPG", 320, 240, 90),
                ]
                types = [
                    SimpleNamespace(pixel_format=f, width=w, height=h, max_fps=Fraction(r)) for f, w, h, r in kinds
                ]
                self.info = SimpleNamespace(frame_types=types)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

        monkeypatch.setattr("linuxpy.video.device.Device", Device)
        modes = list_modes(CameraDevice(3, "C920"))
        assert modes == [CameraMode(1280, 720, 10), CameraMode(640, 480, 60), CameraMode(320, 240, 90)]

    def test_a_camera_that_is_gone_has_none(self):
        assert list_modes(CameraDevice(99, "gone", "/dev/video99")) == []


@linux_only
def test_absent_camera(device: CameraDevice, tmp_path: Path) -> None:
    driver = FakeDriver()
    absent = CameraDevice(7, "camera 7", str(tmp_path / "video7"))
    with pytest.raises(CameraError, match=r"There is no camera 7.*Cameras here: 0 Test camera"):
        CameraSource(absent, SourceConfig(), driver)
    assert driver.grabbed == 0


@linux_only
def test_camera_without_permission(device: CameraDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_to_open(device, errno.EACCES, monkeypatch)
    with pytest.raises(CameraError, match=r"No permission.*usermod -aG video"):
        CameraSource(device, SourceConfig(), FakeDriver())


@linux_only
def test_camera_that_the_system_calls_busy(device: CameraDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_to_open(device, errno.EBUSY, monkeypatch)
    with pytest.raises(CameraError, match="another program uses it"):
        CameraSource(device, SourceConfig(), FakeDriver())


def _fail_to_open(device: CameraDevice, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by the file's mode: the superuser may open everything.
    really_open = os.open

    def refuse(path: str, *rest: int) -> int:
        if path == device.path:
            raise OSError(code, os.strerror(code), path)
        return really_open(path, *rest)

    monkeypatch.setattr(os, "open", refuse)


@pytest.mark.parametrize("driver", [FakeDriver(opens=False), FakeDriver(pictures=0)], ids=["refuses", "silent"])
def test_busy_camera(device: CameraDevice, driver: FakeDriver) -> None:
    with pytest.raises(CameraError, match="another program uses it"):
        CameraSource(device, SourceConfig(), driver)
    assert driver.is_released


def test_camera_whose_pictures_are_all_unreadable(device: CameraDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_UNREADABLE_S", 0.1)
    driver = FakeDriver(unreadable=lambda number: True)
    with pytest.raises(CameraError):
        CameraSource(device, SourceConfig(), driver)
    assert driver.is_released


def test_camera_whose_pictures_become_unreadable(device: CameraDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_UNREADABLE_S", 0.1)
    with CameraSource(device, SourceConfig(), FakeDriver(unreadable=lambda number: number > 60)) as source:
        _, error = read_until_error(source)
    assert isinstance(error, CameraError)
    assert "in a row were unreadable" in str(error)


@linux_only
def test_camera_that_is_unplugged_during_use(device: CameraDevice) -> None:
    driver = FakeDriver(pictures=60, on_last=lambda: Path(device.path).unlink(missing_ok=True))
    with CameraSource(device, SourceConfig(), driver) as source:
        frames, error = read_until_error(source)
    assert frames
    assert isinstance(error, CameraError)
    assert "unplugged" in str(error)


def test_camera_that_freezes_during_use(device: CameraDevice) -> None:
    with CameraSource(device, SourceConfig(), FakeDriver(pictures=60)) as source:
        frames, error = read_until_error(source)
    assert frames
    assert isinstance(error, CameraError)
    assert "still there but sends no more" in str(error)


def test_real_pictures_over_a_cable_that_is_pulled(device: CameraDevice) -> None:
    with MjpegServer([numbered_frame(number) for number in range(256)], fps=100) as server:

        def over_the_network(index: int, backend: int) -> cv2.VideoCapture:
            return cv2.VideoCapture(server.url, cv2.CAP_FFMPEG)

        with CameraSource(device, SourceConfig(), over_the_network) as source:
            frames, error = read_until_error(source, lambda count: count == 30 and server.disconnect())
    assert isinstance(error, CameraError)
    assert "was lost after" in str(error)
    numbers = numbers_of(frames)
    assert len(numbers) >= 30
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("rotation_deg", [90, 180, 270])
def test_a_camera_on_its_side_is_turned(device: CameraDevice, rotation_deg: int) -> None:
    driver = FakeDriver(pictures=200)
    config = SourceConfig(width=128, height=96, rotation_deg=rotation_deg)
    with CameraSource(device, config, driver) as source:
        frame = next(iter(source))
        upright = numbered_frame(driver.grabbed % 256, *driver.size)
    assert np.array_equal(frame.image_bgr, np.rot90(upright, -rotation_deg // 90))
    size = (96, 128) if rotation_deg != 180 else (128, 96)
    assert (source.info.width, source.info.height) == size
    assert source.info.warnings == ()
