"""Videos that nobody should have recorded, through the command and through a live run: they are analysed all the same.

Nothing crashes, nothing that is written is NaN, and no event spans a break in what was filmed.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from videos import write_video

from app.capture.demo import DEMO_SCRIPT, DemoSource, demo_portrait
from app.cli import main
from app.config import PipelineConfig, RecognitionConfig, SourceConfig
from app.datatypes import Frame, SourceInfo
from app.face.animation.animator import FaceAnimator
from app.runtime.workers import LiveAnalysis

MICRO = next(movement for movement in DEMO_SCRIPT if movement.kind == "micro")
FIRST = MICRO.onset_frame - 40  # of the frames below
ONSET, APEX, OFFSET = (frame - FIRST for frame in (MICRO.onset_frame, MICRO.apex_frame, MICRO.offset_frame))
COUNT = OFFSET + 16


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    """Two seconds at 30 fps with one micro-expression, whose key frames are ONSET, APEX and OFFSET."""
    with DemoSource(SourceConfig(start_s=FIRST / 30, end_s=(FIRST + COUNT) / 30)) as source:
        return [frame.image_bgr for frame in source]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What `mmnet analyze` made of a video."""

    code: int
    events: list[dict[str, str]]
    candidates: list[dict[str, str]]
    frames: list[dict[str, str]]
    said: str

    def spans(self, frame: int) -> bool:
        """Whether an event has this frame and the one before it in it."""
        return any(int(row["onset_frame"]) < frame <= int(row["offset_frame"]) for row in self.events)


@pytest.fixture
def analyse(tmp_path, network_path, capsys) -> Callable[[Path], Analysis]:
    def run(path: Path) -> Analysis:
        out = tmp_path / "out"
        code = main(["analyze", str(path), "--out", str(out), "--model", str(network_path), "--device", "cpu"])
        written = capsys.readouterr()
        tables = []
        for name in ("events", "candidates", "frames"):
            (found,) = out.rglob(f"{name}.csv")
            with found.open(encoding="utf-8", newline="") as file:
                tables.append(list(csv.DictReader(file)))
        for row in tables[0] + tables[1] + tables[2]:
            assert not {"nan", "inf", "-inf"} & {cell.lower() for cell in row.values()}
        return Analysis(code, *tables, written.out + written.err)

    return run


def write(path: Path, images: Sequence[np.ndarray], **options: object) -> Path:
    return write_video(path, images, codec_options={"crf": "14", "preset": "ultrafast"}, **options)


def test_the_movement_is_found_where_nothing_is_wrong(tmp_path, frames, analyse):
    done = analyse(write(tmp_path / "good.mp4", frames))
    assert done.code == 0
    assert [int(row["apex_frame"]) for row in done.events] == [APEX]
    assert not done.spans(ONSET)
    assert done.spans(APEX)


def test_one_frame_a_second(tmp_path, frames, analyse):
    done = analyse(write(tmp_path / "slow.mp4", frames[::8], fps=1))
    assert (done.code, done.events) == (0, [])
    assert {row["state"] for row in done.frames} == {"warmup"}
    assert "slow: 1.0 frames a second are too few" in done.said


def test_240_frames_a_second(tmp_path, analyse):
    animator = FaceAnimator(*demo_portrait())
    smaller = np.array([[0.5, 0.0, -50.0], [0.0, 0.5, 0.0]])
    rng = np.random.default_rng(1)
    images = []
    for moment in np.arange(ONSET - 32, OFFSET + 8, 30 / 240):
        strength = MICRO.strength(moment + FIRST)
        units = {name: peak * strength for name, peak in MICRO.action_units.items()}
        image = animator.render(units, frame_from_portrait=smaller, size=(320, 240))
        images.append(cv2.add(image, rng.normal(0, 1.5, image.shape), dtype=cv2.CV_8U))
    done = analyse(write(tmp_path / "fast.mp4", images, fps=240))
    assert done.code == 0
    (event,) = done.events
    assert float(event["apex_s"]) == pytest.approx((32 + APEX - ONSET) / 30, abs=0.035)
    assert float(event["fps_effective"]) == pytest.approx(240, rel=0.02)


def test_a_frozen_picture(tmp_path, frames, analyse):
    done = analyse(write(tmp_path / "frozen.mp4", [frames[0]] * 150))
    assert (done.code, done.events, len(done.frames)) == (0, [], 150)
    assert all(float(row["head_motion"]) < 5 for row in done.frames)


def test_a_movement_that_freezes_at_its_apex(tmp_path, frames, analyse):
    done = analyse(write(tmp_path / "stuck.mp4", [*frames[:APEX], *[frames[APEX]] * 40]))
    assert (done.code, done.events) == (0, [])


def test_black_frames_within_a_movement(tmp_path, frames, analyse):
    black = np.zeros_like(frames[0])
    done = analyse(write(tmp_path / "black.mp4", [*frames[: APEX + 1], *[black] * 3, *frames[APEX + 4 :]]))
    assert (done.code, done.events) == (0, [])
    assert {row["quality"] for row in done.frames[APEX + 1 : APEX + 4]} == {"no face"}


def test_a_video_that_is_black(tmp_path, frames, analyse):
    done = analyse(write(tmp_path / "dark.mp4", [np.zeros_like(frames[0])] * 30))
    assert (done.code, done.events, len(done.frames)) == (0, [], 30)
    assert "dark: No face was found in any frame." in done.said


def another_face(image_bgr: np.ndarray) -> np.ndarray:
    """The portrait as somebody else elsewhere: mirrored, smaller, moved, in other colours."""
    hsv = cv2.cvtColor(image_bgr[:, ::-1], cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0] + 25) % 180
    moved = np.array([[0.75, 0.0, 20.0], [0.0, 0.8, 60.0]])
    picture = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    return cv2.warpAffine(picture, moved, image_bgr.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("cut", [ONSET + 1, APEX, APEX + 3], ids=["rising", "apex", "falling"])
def test_a_cut_to_another_face(tmp_path, frames, analyse, cut):
    images = [*frames[:cut], *map(another_face, frames[cut:])]
    done = analyse(write(tmp_path / "cut.mp4", images))
    assert (done.code, done.spans(cut)) == (0, False)


def test_faces_in_turn(tmp_path, frames, analyse):
    images = [another_face(image) if index // 5 % 2 else image for index, image in enumerate(frames)]
    done = analyse(write(tmp_path / "turns.mp4", images))
    assert (done.code, done.events) == (0, [])


@pytest.mark.parametrize("gain", [0.04, 0.5], ids=["off", "dimmed"])
def test_a_light_that_is_switched_off_and_on(tmp_path, frames, analyse, gain):
    images = [frames[index % 20] for index in range(75)]
    for index in range(40, 50):
        images[index] = cv2.convertScaleAbs(images[index], alpha=gain)
    done = analyse(write(tmp_path / "light.mp4", images))
    assert (done.code, done.events) == (0, [])


def test_a_single_frame(tmp_path, frames, analyse):
    done = analyse(write(tmp_path / "single.mp4", frames[:1]))
    assert (done.code, done.events, len(done.frames)) == (0, [], 1)


@pytest.mark.parametrize("cut", [ONSET + 2, APEX + 2], ids=["rising", "falling"])
def test_a_recording_whose_clock_starts_anew(tmp_path, frames, analyse, cut):
    parts = [frames[:cut], frames[cut:]]
    joined = tmp_path / "joined.mkv"
    joined.write_bytes(b"".join(write(tmp_path / f"{len(part)}.mkv", part).read_bytes() for part in parts))
    done = analyse(joined)
    assert (done.code, done.spans(cut), len(done.frames)) == (0, False, COUNT)
    assert [row["frame"] for row in done.frames if row["dropped_before"] != "0"] == [str(cut)]
    assert "starts anew once: no movement is followed across that" in done.said
    seconds = [float(row["timestamp"]) for row in done.frames]
    assert seconds == sorted(set(seconds))


def test_times_that_leap_and_crowd(tmp_path, frames, analyse):
    # A stall of half a second within the movement, and three frames a millisecond apart after it.
    steps_ms = [33] * (len(frames) - 1)
    steps_ms[APEX] = 500
    steps_ms[APEX + 1 : APEX + 4] = [1, 1, 1]
    times_ms = np.concatenate([[0], np.cumsum(steps_ms)]).tolist()
    done = analyse(write(tmp_path / "stall.mkv", frames, times_ms=times_ms))
    assert (done.code, done.spans(APEX + 1)) == (0, False)


class Replay:
    """A live source of prepared frames, as fast as they are taken."""

    def __init__(self, prepared: Sequence[Frame]) -> None:
        height, width = prepared[0].image_bgr.shape[:2]
        self.info = SourceInfo("hostile", "camera", width, height, 30.0, None, True)
        self._prepared = prepared

    def __iter__(self):
        for frame in self._prepared:
            time.sleep(0.02)
            yield frame

    def close(self) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.mark.parametrize(
    ("at", "step_ns"),
    [(APEX + 2, 0), (APEX + 2, -700_000_000), (APEX + 2, 5_000_000_000)],
    ids=["the same time twice", "back", "ahead"],
)
def test_a_camera_whose_clock_is_not_steady(frames, network_path, at, step_ns):
    steps_ns = [33_333_333] * len(frames)
    steps_ns[at] = step_ns
    times_ns = 10**9 + np.cumsum(steps_ns)
    prepared = [
        Frame(index, int(time_ns), image) for index, (time_ns, image) in enumerate(zip(times_ns, frames, strict=True))
    ]
    config = PipelineConfig(recognition=RecognitionConfig(network_path, "cpu"))
    run = LiveAnalysis("hostile", SourceConfig(), config, opener=lambda *_: Replay(prepared))
    run.start()
    deadline_s = time.monotonic() + 60
    while not run.is_analysed and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert run.stop() == ()
    assert run.faults.take_all() == []
    assert not [
        event
        for event in run.events.take_all()
        if event.candidate.onset.frame_index < at <= event.candidate.offset.frame_index
    ]
    points = run.motion.take_all()
    assert points
    assert all(math.isfinite(point.strength) for point in points if point.strength is not None)
