"""Synthetic pairs: what is drawn, that it is repeatable, and that the real front end shows the movement."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from app.capture.demo import demo_portrait
from app.errors import DataError
from app.face.action_units import ACTION_UNITS
from model.configs import THREE_CLASSES
from model.synth import COMBINATIONS, PEAK, PairSet, generate_pairs, held_out_people, main, read_people


@pytest.fixture(scope="module")
def faces_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    image_bgr, _ = demo_portrait()
    cv2.imwrite(str(folder / "collins.png"), image_bgr[:500, 200:700])
    cv2.imwrite(str(folder / "snillo.png"), image_bgr[:500, 200:700][:, ::-1])
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def pairs(faces_dir: Path) -> PairSet:
    return generate_pairs(faces_dir, None, pairs_per_class=4, seed=5)


def test_every_class_has_known_units_and_a_place_in_the_output() -> None:
    assert tuple(COMBINATIONS) == THREE_CLASSES
    for combinations in COMBINATIONS.values():
        assert {name.rstrip("S") for c in combinations for name in c.split("+")} <= set(ACTION_UNITS)


def test_pairs_have_the_shape_that_training_reads(pairs: PairSet) -> None:
    for crops in (pairs.onset, pairs.apex):
        assert crops.shape == (12, 224, 224, 3)
        assert crops.dtype == np.uint8
    assert np.bincount(pairs.label).tolist() == [4, 4, 4]
    assert pairs.label.dtype == np.int64
    assert sorted(set(pairs.subject.tolist())) == ["collins", "snillo"]
    assert (pairs.peak >= 0.65 * PEAK[0]).all()
    assert (pairs.peak <= PEAK[1]).all()


def test_colours_are_red_first(pairs: PairSet) -> None:
    skin = pairs.onset[:, 110:130, 60:80].reshape(-1, 3).mean(axis=0)
    assert skin[0] > skin[2] + 20


def test_the_movement_of_the_class_is_in_the_pictures(faces_dir: Path) -> None:
    """Brows rise in every surprise; measured by flow against the nose, after all noise and registration."""
    pairs = generate_pairs(faces_dir, ["collins"], pairs_per_class=8, seed=11)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    rise_percent = {}
    for label, class_name in enumerate(THREE_CLASSES):
        rises = []
        for i in np.flatnonzero(pairs.label == label):
            onset, apex = (cv2.cvtColor(crops[i], cv2.COLOR_RGB2GRAY) for crops in (pairs.onset, pairs.apex))
            vertical = flow.calc(onset, apex, None)[..., 1]
            brows = np.concatenate([vertical[58:74, 55:95].ravel(), vertical[58:74, 129:169].ravel()])
            rises.append(np.median(vertical[95:125, 100:124]) - np.median(brows))
        rise_percent[class_name] = np.mean(rises) * 100 / 112
    assert rise_percent["surprise"] > 0.5
    assert rise_percent["surprise"] > rise_percent["positive"] + 0.4
    assert rise_percent["surprise"] > rise_percent["negative"] + 0.4


def test_pairs_depend_on_seed_person_and_index_alone(faces_dir: Path, pairs: PairSet) -> None:
    alone = generate_pairs(faces_dir, ["collins"], pairs_per_class=1, seed=5)
    mine = np.flatnonzero(pairs.subject == "collins")
    for label in range(3):
        same = mine[pairs.label[mine] == label][0]
        np.testing.assert_array_equal(alone.apex[label], pairs.apex[same])
    other = generate_pairs(faces_dir, ["collins"], pairs_per_class=1, seed=6)
    assert (other.apex != alone.apex).any()


def test_command_writes_a_complete_file(faces_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "pairs.npz"
    assert main(["--faces", str(faces_dir), "--out", str(out), "--pairs-per-class", "2"]) == 0
    assert [file.name for file in out.parent.iterdir()] == ["pairs.npz"]
    expected = generate_pairs(faces_dir, None, pairs_per_class=2, seed=0)
    with np.load(out, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["apex"], expected.apex)
        np.testing.assert_array_equal(archive["label"], expected.label)


def test_processes_share_the_work_and_change_nothing(faces_dir: Path) -> None:
    alone, together = (generate_pairs(faces_dir, None, pairs_per_class=2, seed=3, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(alone.apex, together.apex)
    np.testing.assert_array_equal(alone.subject, together.subject)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked to end a process with its parent")
def test_the_processes_of_a_killed_one_end(faces_dir: Path, tmp_path: Path) -> None:
    arguments = ["--faces", str(faces_dir), "--out", str(tmp_path / "pairs.npz"), "--people", "all", "--jobs", "2"]
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


def test_portraits_are_grouped_by_person(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("file,subject,expression\nb.jpg,x,smiling\nc.jpg,x,neutral\na.jpg,w,neutral\n")
    people = read_people(tmp_path)
    assert [person.name for person in people] == ["w", "x"]
    assert [path.name for path in people[1].portraits] == ["c.jpg", "b.jpg"]


def test_unusable_folders_are_refused(faces_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert main(["--faces", str(tmp_path), "--out", str(tmp_path / "x.npz")]) == 1
    assert "holds no portraits" in caplog.text
    with pytest.raises(DataError, match="no portrait of nobody"):
        generate_pairs(faces_dir, ["nobody"], 1, seed=0)
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((200, 200, 3), 127, np.uint8))
    with pytest.raises(DataError, match="No face was found"):
        generate_pairs(tmp_path, None, 1, seed=0)


def test_held_out_people_are_twenty() -> None:
    assert len(held_out_people()) == 20
