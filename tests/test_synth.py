"""Synthetic pairs and clips: what is drawn, that it repeats and goes on, and that the real front end sees it."""

import contextlib
import csv
import errno
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.capture.demo import demo_portrait
from app.config import SourceConfig
from app.errors import DataError, OutputError
from app.face.alignment import CROP_RECIPE
from model.configs import SYNTHETIC_CLASSES
from model.dataset import load_pairs
from model.readers import read_dataset
from model.synth import command, main
from model.synth.camera import CONDITIONS, Camera
from model.synth.command import Settings, synthesise
from model.synth.movements import (
    COMBINATIONS,
    DISTRACTORS,
    MAX_MICRO_S,
    MICRO,
    NONE,
    PEAK,
    Course,
    distractor,
    intensities,
    micro,
)  # fmt: skip
from model.synth.people import Person, held_out_people, read_people
from model.synth.scene import Wander

PAIRS = 10


@pytest.fixture(scope="module")
def faces_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    image_bgr, _ = demo_portrait()
    cv2.imwrite(str(folder / "collins.png"), image_bgr[:500, 200:700])
    cv2.imwrite(str(folder / "snillo.png"), image_bgr[:500, 200:700][:, ::-1])
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def made(faces_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "out"
    arguments = ["--pairs", str(PAIRS), "--clips", "1", "--seconds", "6", "--seed", "5"]
    assert main(["--faces", str(faces_dir), "--out", str(out), *arguments]) == 0
    return out


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def content(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def test_pairs_are_what_training_reads(made: Path) -> None:
    pairs = load_pairs(made / "pairs", SYNTHETIC_CLASSES)
    assert len(pairs) == 2 * PAIRS
    assert pairs.crop_recipe == CROP_RECIPE
    assert set(pairs.subject) == {"collins", "snillo"}
    onset, apex = pairs.centre(0)
    assert onset.shape == apex.shape == (224, 224, 3)
    skin = onset[110:130, 60:80].reshape(-1, 3).mean(axis=0)
    assert skin[0] > skin[2]  # red first


def test_the_manifest_is_one_that_every_reader_of_manifests_takes(made: Path) -> None:
    found = read_dataset("manifest", made / "pairs", prefers_crops=True)
    assert len(found.samples) == 2 * PAIRS
    assert {sample.dataset for sample in found.samples} == {"synthetic"}


def test_facts_of_the_pairs_are_plausible(made: Path) -> None:
    for row in table(made / "pairs" / "manifest.csv"):
        assert row["label"] in SYNTHETIC_CLASSES
        assert (row["kind"] == MICRO) == (row["label"] != NONE)
        if row["kind"] == MICRO:
            assert 100 * PEAK[0] - 1e-3 <= float(row["peak_percent"]) <= 100 * PEAK[1] + 1e-3
            assert abs(float(row["onset_error_ms"])) <= 1000 * 2.51 / 30
            assert -1000 * 2.51 / 30 <= float(row["apex_error_ms"]) <= 1000 * 3.51 / 30


def test_clips_come_with_the_truth_about_every_movement(made: Path) -> None:
    from app.capture.source import open_source

    truth = table(made / "clips" / "truth.csv")
    assert {row["media_file"] for row in truth} == {"collins_00.mp4", "snillo_00.mp4"}
    for row in truth:
        if row["kind"] == "neutral":
            continue
        onset, apex, offset = (int(row[f"{name}_frame"]) for name in ("onset", "apex", "offset"))
        assert 60 <= onset < apex < offset < 180
        assert (row["label"] != "") == (row["kind"] == MICRO)
    with open_source(str(made / "clips" / "collins_00.mp4"), SourceConfig()) as source:
        assert sum(1 for _ in source) == 180
        assert (source.info.width, source.info.height) == (640, 480)


def test_brows_rise_in_a_surprise_and_stay_in_a_smile(faces_dir: Path) -> None:
    """Measured by flow against the nose, after all noise, compression and registration."""
    from app.face.tracker import FaceTracker
    from model.synth import pairs
    from model.synth.people import read_portrait

    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    rises: dict[str, list[float]] = {"surprise": [], "positive": []}
    with FaceTracker(static=True) as tracker:
        actor = pairs.Actor(read_portrait(faces_dir / "collins.png", tracker))
        for pair in pairs.pairs_of(actor, "collins", 45, 11, CONDITIONS["webcam"], tracker):
            if pair.facts["label"] not in rises or pair.facts["moved_percent"] < 1:
                continue
            onset, apex = (cv2.cvtColor(c, cv2.COLOR_BGR2GRAY) for c in (pair.onset_bgr, pair.apex_bgr))
            vertical = flow.calc(onset, apex, None)[..., 1]
            brows = np.concatenate([vertical[58:74, 55:95].ravel(), vertical[58:74, 129:169].ravel()])
            rises[pair.facts["label"]].append(np.median(vertical[95:125, 100:124]) - np.median(brows))
    assert min(len(values) for values in rises.values()) >= 2
    assert np.mean(rises["surprise"]) > np.mean(rises["positive"]) + 0.3


def test_a_second_run_makes_nothing_anew_and_a_cut_one_goes_on(made: Path, faces_dir: Path, tmp_path: Path) -> None:
    settings = Settings(PAIRS, 1, 6.0, 30.0, 5)
    out = tmp_path / "out"
    people = read_people(faces_dir)
    synthesise(people[:1], out, settings)
    before = {name: (out / name).stat().st_mtime_ns for name in content(out) if "collins" in name}
    synthesise(people, out, settings)
    assert content(out) == content(made)
    assert all((out / name).stat().st_mtime_ns == changed for name, changed in before.items())
    with pytest.raises(OutputError, match="other settings"):
        synthesise(people, out, Settings(PAIRS, 1, 6.0, 30.0, 6))


@pytest.mark.slow
def test_processes_share_the_work_and_change_nothing(faces_dir: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        synthesise(read_people(faces_dir), tmp_path / str(jobs), Settings(3, 0, seed=3), jobs)
    assert content(tmp_path / "1") == content(tmp_path / "2")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked to end a process with its parent")
def test_the_processes_of_a_killed_one_end(faces_dir: Path, tmp_path: Path) -> None:
    arguments = ["--faces", str(faces_dir), "--out", str(tmp_path / "out"), "--pairs", "300", "--jobs", "2"]
    process = psutil.Popen(
        [sys.executable, "-m", "model.synth", *arguments], cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL
    )
    children: list[psutil.Process] = []
    try:
        # What draws pairs has loaded the face tracker.
        while sum(any("mediapipe" in m.path for m in child.memory_maps()) for child in children) < 2:
            assert process.poll() is None
            time.sleep(0.1)
            children = process.children(recursive=True)
        process.kill()
        process.wait()
        assert psutil.wait_procs(children, timeout=10)[1] == []
    finally:
        for left in (process, *children):
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()


def test_a_full_disk_is_named_and_what_is_there_stays(
    faces_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    synthesise(read_people(faces_dir)[:1], out, Settings(2, 0))
    before = content(out)

    def full(path: Path, image_bgr: np.ndarray) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(command, "_write_png", full)
    arguments = ["--faces", str(faces_dir), "--out", str(out), "--pairs", "2", "--clips", "0"]
    assert main(arguments) == 1
    assert "No space left on device" in caplog.text
    assert "goes on where it was" in caplog.text
    assert before.items() <= content(out).items()


def test_portraits_that_cannot_be_used_are_listed(faces_dir: Path, tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    faces.mkdir()
    portrait = cv2.imread(str(faces_dir / "collins.png"))
    cv2.imwrite(str(faces / "good.png"), portrait)
    cv2.imwrite(str(faces / "two.png"), np.hstack([portrait, portrait]))
    cv2.imwrite(str(faces / "grey.png"), np.full((300, 300, 3), 127, np.uint8))
    cv2.imwrite(str(faces / "tiny.png"), cv2.resize(portrait, (120, 120), interpolation=cv2.INTER_AREA))
    (faces / "text.jpg").write_text("not a picture")
    synthesise(read_people(faces), tmp_path / "out", Settings(1, 0))
    problems = {row["name"]: row["problem"] for row in table(tmp_path / "out" / "skipped.csv")}
    assert set(problems) == {"two", "grey", "tiny", "text"}
    assert "no face" in problems["grey"]
    assert "2 faces" in problems["two"]
    assert "eyes are" in problems["tiny"]
    assert "damaged" in problems["text"]
    with pytest.raises(DataError, match=r"No portrait could be used"):
        synthesise([Person("grey", faces / "grey.png")], tmp_path / "none", Settings(1, 0))


def test_people_are_read_from_an_index(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(
        "file,subject,expression,sex\nb.jpg,x,smiling,male\nc.jpg,x,neutral,male\na.jpg,w,neutral,\nd.jpg,v,smiling,\n"
    )
    people = read_people(tmp_path)
    assert people == [
        Person("w", tmp_path / "a.jpg"),
        Person("x", tmp_path / "c.jpg", tmp_path / "b.jpg", sex="male"),
    ]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (None, "holds no portraits"),
        ("file,subject\na,b\n", "lacks the column expression"),
        ("file,subject,expression\na.jpg,b,smiling\n", "names no neutral portrait"),
    ],
)
def test_unusable_folders_are_refused(tmp_path: Path, index: str | None, message: str) -> None:
    if index is not None:
        (tmp_path / "index.csv").write_text(index)
    with pytest.raises(DataError, match=message):
        read_people(tmp_path)


def test_a_folder_that_is_not_there_and_one_that_is_taken(
    faces_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["--faces", str(tmp_path / "missing"), "--out", str(tmp_path / "out")]) == 1
    assert "is no folder" in caplog.text
    assert main(["--faces", str(faces_dir), "--out", str(faces_dir)]) == 1
    assert "holds something else" in caplog.text
    assert main(["--faces", str(faces_dir), "--people", "held-out", "--out", str(tmp_path / "out")]) == 1
    assert "holds nobody" in caplog.text


def test_held_out_people_are_twenty() -> None:
    assert len(held_out_people()) == 20


@given(st.integers(0, 10_000), st.sampled_from(sorted(COMBINATIONS)))
def test_micro_expressions_keep_to_their_limits(seed: int, label: str) -> None:
    movement = micro(label, np.random.default_rng(seed))
    assert movement.course.duration_s <= MAX_MICRO_S
    assert 0.03 <= movement.course.rise_s <= 0.25
    assert PEAK[0] - 1e-9 <= movement.peak <= PEAK[1] + 1e-9
    assert movement.level(movement.apex_s) == pytest.approx(1)
    assert movement.level(movement.onset_s) == movement.level(movement.offset_s) == 0


@given(st.floats(0.02, 1), st.floats(0, 1), st.floats(0.02, 1), st.floats(-1, 4))
def test_a_course_rises_holds_and_falls(rise: float, hold: float, fall: float, time_s: float) -> None:
    course = Course(rise, hold, fall)
    assert 0 <= course.level(time_s) <= 1 + 1e-12
    assert course.level(rise + hold / 2) == pytest.approx(1)
    steps = np.array([course.level(rise * x) for x in np.linspace(0, 1, 20)])
    assert (np.diff(steps) >= -1e-12).all()


@pytest.mark.parametrize("kind", DISTRACTORS)
def test_distractors_move_something_and_have_no_class(kind: str) -> None:
    for seed in range(20):
        movement = distractor(kind, np.random.default_rng(seed))
        assert (movement.kind, movement.label) == (kind, NONE)
        middle = movement.onset_s + movement.course.duration_s / 2
        moves = [*movement.units_at(middle).values(), movement.eye_closure, movement.light]
        assert any(moves) or any(movement.gaze_deg) or any(movement.turn_deg) or any(movement.shapes)
    with pytest.raises(ValueError, match="no distractor 'sneeze'"):
        distractor("sneeze", np.random.default_rng(0))


def test_sides_of_a_movement() -> None:
    units = intensities("12L+25", 0.02, np.random.default_rng(3))
    assert max(units.values()) == pytest.approx(0.02)
    assert units["12L"] > 3 * units.get("12R", 0)
    assert {"25L", "25R"} <= set(units)


def test_head_sway_is_smooth_and_has_its_size() -> None:
    trace = Wander(np.random.default_rng(1), limit_hz=1.0, sd=2.0)
    values = np.array([trace.at(t) for t in np.arange(0, 400, 0.02)])
    assert values.std() == pytest.approx(2.0, rel=0.25)
    assert np.abs(np.diff(values)).max() < 0.02 * 2 * np.pi * 2.0 * 4


@pytest.mark.parametrize("compression", ["none", "jpeg", "h264"])
def test_compression_keeps_the_picture_and_costs_detail(compression: str) -> None:
    rng = np.random.default_rng(0)
    camera = Camera(CONDITIONS["webcam"], rng)
    camera.compression = compression
    image = cv2.GaussianBlur(rng.integers(0, 256, (122, 90, 3), dtype=np.uint8), (0, 0), 3)
    frames = camera.compress([image, image, image])
    assert [frame.shape for frame in frames] == [image.shape] * 3
    error = np.abs(frames[-1].astype(int) - image).mean()
    assert (error == 0) == (compression == "none")
    assert error < 6


def test_noise_is_that_of_the_condition() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    for seed in range(5):
        camera = Camera(CONDITIONS["noisy"], np.random.default_rng(seed))
        assert 4 < camera.expose(grey, 1.0).std() < 16
