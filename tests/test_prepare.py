"""Preparation: which frames are cut and how, what happens to unusable ones, and that only what is missing is done."""

from __future__ import annotations

import csv
import errno
import logging
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import fictional
import numpy as np
import pytest
from prepared_samples import drawn, drawn_samples, write_sample

from app.datatypes import Frame
from app.errors import DataError, OutputError
from app.face.alignment import CROP_RECIPE, Reference
from app.face.animation import FaceAnimator
from app.face.tracker import FaceTracker
from model import prepare as prepare_module
from model.annotations import Sample
from model.labels import CLASS_PROTOCOLS
from model.prepare import key_frames, main, prepare
from model.prepared import crop_folder, load_prepared, read_table


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "samples.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def crop(out: Path, sample: Sample, name: str) -> np.ndarray:
    image = cv2.imread(str(crop_folder(out, sample.key) / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    assert image is not None, name
    return image


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def moving(astronaut_bgr) -> dict[int, np.ndarray]:
    """A portrait whose brows rise while the head drifts: frames 100 to 160 by tens, and 101, 102, 158, 159."""
    with FaceTracker(static=True) as tracker:
        animator = FaceAnimator(astronaut_bgr, tracker.track(Frame(0, 0, astronaut_bgr)).landmarks_px)
    frames = {}
    for number in (100, 101, 102, 130, 158, 159, 160):
        share = (number - 100) / 60
        drift = np.array([(1.0, 0.0, 4 * share), (0.0, 1.0, -3 * share)])
        frames[number] = animator.render({"1": 0.03 * share, "2": 0.03 * share}, frame_from_portrait=drift)
    return frames


@pytest.fixture
def samples(tmp_path) -> list[Sample]:
    return drawn_samples(tmp_path / "data", 4)


@pytest.mark.parametrize(("length", "reach"), [(1, 0), (26, 0), (27, 1), (53, 1), (54, 2), (80, 3), (107, 3), (400, 3)])
def test_frames_near_the_coded_ones_are_those_of_the_published_recipe(length, reach):
    sample = Sample("d", "1", "c", 50, 50 + length, None, "fear", "", {n: Path(f"{n}") for n in range(50, 500)})
    found = list(key_frames(sample))
    assert found == [("onset", 50 + i) for i in range(reach + 1)] + [
        ("apex", 50 + length - i) for i in range(reach + 1)
    ]
    assert reach == min(3, int(0.15 * length / 4 + 1e-9))


def test_frames_without_a_file_are_passed_over():
    sample = Sample("d", "1", "c", 0, 80, None, "fear", "", {n: Path(f"{n}") for n in (0, 2, 3, 40, 78, 80)})
    assert list(key_frames(sample)) == [("onset", 0), ("onset", 2), ("onset", 3), ("apex", 80), ("apex", 78)]


def test_aligned_crops_are_those_of_the_viewer(moving, tmp_path):
    sample = write_sample(tmp_path / "data", moving, onset=100, apex=160)
    row = prepare([sample], tmp_path / "out")[0]
    assert (row.status, row.crop_recipe) == ("ok", CROP_RECIPE)
    assert (row.onset_frames, row.apex_frames) == ((100, 101, 102), (160, 159, 158))

    with FaceTracker(static=True) as tracker:
        landmarks = {n: tracker.track(Frame(n, 0, image)).landmarks_px for n, image in moving.items()}
    reference = Reference(moving[100], landmarks[100])
    np.testing.assert_array_equal(crop(tmp_path / "out", sample, "onset-100"), reference.crop.image_bgr)
    for number, name in ((102, "onset-102"), (158, "apex-158"), (160, "apex-160")):
        registered = reference.register(moving[number], landmarks[number]).crop.image_bgr
        np.testing.assert_array_equal(crop(tmp_path / "out", sample, name), registered)
    # What is left between the registered frames is the brows, not the drift of the head.
    onset, apex = (crop(tmp_path / "out", sample, n).astype(int) for n in ("onset-100", "apex-160"))
    moved = np.abs(apex - onset).mean(axis=-1)
    assert moved[55:80, 50:174].mean() > 2 * moved[120:150, 80:144].mean()


def test_the_table_tells_what_was_coded_and_cut(samples, tmp_path):
    prepare([replace(samples[0], offset=None), *samples[1:]], tmp_path / "out", crops="as-is")
    found = rows(tmp_path / "out")
    assert found[1] == {
        "key": "casme2/1/clip1/9",
        "dataset": "casme2",
        "subject": "1",
        "clip": "clip1",
        "onset": "9",
        "apex": "10",
        "offset": "10",
        "label": "happiness",
        "action_units": "12",
        "onset_frames": "9",
        "apex_frames": "10",
        "crop_recipe": "as-is",
        "status": "ok",
    }
    assert found[0]["offset"] == ""
    assert [row["clip"] for row in found] == ["clip0", "clip1", "clip2", "clip3"]


@pytest.mark.parametrize(("size", "interpolation"), [((340, 280), cv2.INTER_AREA), ((231, 190), cv2.INTER_CUBIC)])
def test_as_is_only_resizes(tmp_path, size, interpolation):
    images = {1: drawn(1, *size), 2: drawn(2, *size)}
    sample = write_sample(tmp_path / "data", images, onset=1, apex=2)
    prepare([sample], tmp_path / "out", crops="as-is")
    expected = cv2.resize(images[2], (224, 224), interpolation=interpolation)
    np.testing.assert_array_equal(crop(tmp_path / "out", sample, "apex-2"), expected)


def test_grey_and_16_bit_pictures_become_three_channels_of_8_bits(tmp_path):
    grey = drawn(3)[..., 0]
    deep = grey.astype(np.uint16) * 257
    sample = write_sample(tmp_path / "data", {1: grey, 2: deep}, onset=1, apex=2)
    prepare([sample], tmp_path / "out", crops="as-is")
    onset, apex = (crop(tmp_path / "out", sample, name) for name in ("onset-1", "apex-2"))
    assert onset.shape == (224, 224, 3)
    np.testing.assert_array_equal(onset, apex)
    np.testing.assert_array_equal(onset, np.repeat(onset[..., :1], 3, axis=-1))
    assert np.ptp(onset) > 100


def test_whole_frames_taken_as_they_are_get_a_warning(tmp_path, caplog):
    for name, width in (("face", 70), ("frame", 80)):
        images = {1: drawn(1, 60, width), 2: drawn(2, 60, width)}
        prepare([write_sample(tmp_path / name, images, onset=1, apex=2)], tmp_path / f"{name}-out", crops="as-is")
    assert len(caplog.messages) == 1
    assert re.search(r"frame.img1\.png is 80×60, wider than a crop of a face", caplog.text)


def test_a_grey_face_is_aligned_too(moving, tmp_path):
    grey = {n: cv2.cvtColor(moving[n], cv2.COLOR_BGR2GRAY) for n in (100, 160)}
    row = prepare([write_sample(tmp_path / "data", grey, onset=100, apex=160)], tmp_path / "out")[0]
    assert row.status == "ok"


def test_one_unusable_frame_does_not_lose_the_others(moving, tmp_path, caplog):
    blank = np.full_like(moving[100], 90)
    parts = {
        "good": {100: moving[100], 160: moving[160]},
        "no-onset": {100: blank, 160: moving[160]},
        "no-apex": {100: moving[100], 160: blank},
        "torn": {100: moving[100], 160: moving[160]},
        "gone": {100: moving[100], 160: moving[160]},
        "extra": moving | {101: blank},
    }
    samples = [write_sample(tmp_path / name, images, onset=100, apex=160) for name, images in parts.items()]
    torn, gone = samples[3].frames[160], samples[4].frames[100]
    torn.write_bytes(torn.read_bytes()[:40])
    gone.unlink()
    samples[5].frames[158].write_bytes(b"")

    found = {row.sample.clip: row for row in prepare(samples, tmp_path / "out")}
    assert found["good"].status == "ok"
    assert found["no-onset"].status == "onset frame 100: no face"
    assert found["no-apex"].status == "apex frame 160: no face"
    assert found["torn"].status == f"apex frame 160: {torn} is empty, damaged or not a picture."
    assert found["gone"].status.startswith(f"onset frame 100: {gone} cannot be read: No such file")
    assert (found["extra"].onset_frames, found["extra"].apex_frames) == ((100, 102), (160, 159))
    assert "casme2/1/no-apex/100: apex frame 160: no face" in caplog.messages
    assert "casme2/1/extra/100: onset frame 101 is left out: no face" in caplog.messages
    assert [path.name for path in crop_folder(tmp_path / "out", samples[2].key).iterdir()] == ["cut.json"]
    assert [row["status"] for row in rows(tmp_path / "out")] == [row.status for row in found.values()]


@pytest.mark.slow
def test_processes_share_the_work_and_change_nothing(moving, tmp_path):
    parts = [(100, 160), (101, 159), (102, 158), (130, 160)]
    samples = [write_sample(tmp_path / f"clip{a}", moving, onset=a, apex=b) for a, b in parts]
    prepare(samples, tmp_path / "alone")
    prepare(samples, tmp_path / "together", jobs=2)
    prepare(samples[2:3], tmp_path / "by itself")
    assert content(tmp_path / "alone") == content(tmp_path / "together")
    single = content(tmp_path / "by itself")
    single.pop("samples.csv")
    assert len(single) == 3
    assert single.items() <= content(tmp_path / "alone").items()


@pytest.fixture
def cut_clips(monkeypatch) -> list[str]:
    """The clips that are really cut."""
    clips: list[str] = []
    real = prepare_module._Cutter.__getitem__

    def noted(self, position):
        result = real(self, position)
        clips.append(self._tasks[position].sample.clip)
        return result

    monkeypatch.setattr(prepare_module._Cutter, "__getitem__", noted)
    return clips


def test_a_second_run_does_only_what_is_missing(samples, tmp_path, cut_clips):
    out = tmp_path / "out"
    prepare(samples[:3], out, crops="as-is")
    first = content(out)
    cut_clips.clear()
    prepare(samples[:3], out, crops="as-is")
    assert cut_clips == []
    assert content(out) == first
    (crop_folder(out, samples[1].key) / "apex-10.png").unlink()
    (crop_folder(out, samples[2].key) / "cut.json").write_text("[")
    prepare(samples, out, crops="as-is")
    assert cut_clips == ["clip1", "clip2", "clip3"]
    assert content(out).items() >= {k: v for k, v in first.items() if k != "samples.csv"}.items()


def test_what_has_changed_is_cut_again(samples, tmp_path, cut_clips):
    out = tmp_path / "out"
    prepare(samples, out, crops="as-is")
    cut_clips.clear()
    cv2.imwrite(str(samples[1].frames[10]), drawn(77))
    samples[2] = replace(samples[2], apex=9)
    samples[3] = replace(samples[3], label="fear")
    prepare(samples, out, crops="as-is")
    assert cut_clips == ["clip1", "clip2"]
    expected = cv2.resize(drawn(77), (224, 224), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(crop(out, samples[1], "apex-10"), expected)
    assert not (crop_folder(out, samples[2].key) / "apex-10.png").exists()
    assert rows(out)[3]["label"] == "fear"


def test_another_recipe_cuts_everything_again(moving, tmp_path, cut_clips):
    sample = write_sample(tmp_path / "clip", moving, onset=100, apex=160)
    for crops in ("as-is", "aligned", "aligned", "as-is"):
        prepare([sample], tmp_path / "out", crops=crops)
    assert cut_clips == ["clip"] * 3
    np.testing.assert_array_equal(
        crop(tmp_path / "out", sample, "apex-160"), cv2.resize(moving[160], (224, 224), interpolation=cv2.INTER_AREA)
    )


# Ends the process like kill -9 while the second file of the third sample is written.
_KILLED = """
import os, pathlib, sys
from prepared_samples import drawn_samples
from model.prepare import prepare

written = []
real = pathlib.Path.write_bytes

def write_bytes(self, data):
    written.append(self)
    if len(written) == 6:
        real(self, data[:10])
        os._exit(9)
    return real(self, data)

pathlib.Path.write_bytes = write_bytes
folder = pathlib.Path(sys.argv[1])
prepare(drawn_samples(folder / "data", 4), folder / "out", crops="as-is")
"""


def test_a_killed_run_goes_on_where_it_was(samples, tmp_path, cut_clips):
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(tmp_path)], cwd=Path(__file__).parent.parent, timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": "tests"},
    )  # fmt: skip
    assert done.returncode == 9
    assert {row.status for row in read_table(out)} == {"not cut yet"}
    assert any(path.name.endswith(".tmp") for path in (out / "crops").iterdir())
    prepare(samples, out, crops="as-is")
    assert cut_clips == ["clip2", "clip3"]
    prepare(samples, tmp_path / "unbroken", crops="as-is")
    assert content(out) == content(tmp_path / "unbroken")


def test_crops_of_samples_that_are_gone_are_removed(samples, tmp_path):
    out = tmp_path / "out"
    prepare(samples, out, crops="as-is")
    (out / "crops" / "notes").mkdir()
    prepare(samples[:1], out, crops="as-is")
    assert sorted((out / "crops").iterdir()) == sorted([crop_folder(out, samples[0].key), out / "crops" / "notes"])
    assert len(rows(out)) == 1


def test_samples_whose_names_look_alike_do_not_share_crops(tmp_path):
    names = [("1", "a-1"), ("1", "A-1"), ("1", "a_1"), ("1", "ä1"), ("1", "ö1"), ("1-a", "1"), ("1", "../../x")]
    keys = [Sample("d", subject, clip, 1, 2, None, "", "", {}).key for subject, clip in names]
    folders = [crop_folder(tmp_path, key) for key in keys]
    assert len({folder.name.lower() for folder in folders}) == len(names)
    assert {folder.parent for folder in folders} == {tmp_path / "crops"}
    assert all(folder.name.isascii() for folder in folders)


def test_a_folder_with_something_else_is_refused(samples, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds something else.*--out"):
        prepare(samples, out, crops="as-is")
    (out / "samples.csv").write_text("name,age\nx,3\n")
    with pytest.raises(OutputError, match=r"holds something else.*--out"):
        prepare(samples, out, crops="as-is")
    assert sorted(path.name for path in out.iterdir()) == ["samples.csv", "thesis.txt"]


def test_the_folder_of_another_data_set_is_refused(samples, tmp_path):
    prepare(samples, tmp_path / "out", crops="as-is")
    before = content(tmp_path / "out")
    others = drawn_samples(tmp_path / "samm", 2, dataset="samm")
    with pytest.raises(OutputError, match="holds the crops of casme2: give each data set its own"):
        prepare(others, tmp_path / "out", crops="as-is")
    assert content(tmp_path / "out") == before


def test_a_folder_that_cannot_be_written_says_so(samples, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError, match=r"cannot be written .*choose another --out"):
            prepare(samples, out, crops="as-is")


def test_a_full_disk_says_so_and_the_next_run_goes_on(samples, tmp_path, monkeypatch, cut_clips):
    real = Path.write_bytes

    def full(self, data):
        if "clip2" in str(self):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"No space left on device.*the same command goes on"):
        prepare(samples, tmp_path / "out", crops="as-is")
    monkeypatch.setattr(Path, "write_bytes", real)
    cut_clips.clear()
    prepare(samples, tmp_path / "out", crops="as-is")
    assert cut_clips == ["clip2", "clip3"]


def test_samples_that_make_no_data_set_are_refused(samples, tmp_path, caplog):
    with pytest.raises(DataError, match="no samples"):
        prepare([], tmp_path / "out")
    with pytest.raises(DataError, match=r"1 samples are there twice \(casme2/1/clip1/9"):
        prepare([*samples, samples[1]], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for sample in samples:
        sample.frames[9].unlink()
    with pytest.raises(DataError, match=r"Not one of the 4 samples .*samples\.csv"):
        prepare(samples, tmp_path / "out", crops="as-is")
    assert len(caplog.records) == 4


def test_from_data_sets_as_downloaded_to_pairs(tmp_path, caplog):
    root = fictional.megc2019(tmp_path / "data")
    assert main(["megc2019", str(root), "--out", str(tmp_path / "out"), "--crops", "as-is"]) == 0
    pairs = load_prepared([tmp_path / "out"], CLASS_PROTOCOLS["megc2019_3class"])
    assert set(pairs.dataset.tolist()) == {"casme2", "smic_hs", "samm"}
    assert pairs.emotion.tolist() == [pairs.class_names[label] for label in pairs.label]
    assert len(pairs) == len(rows(tmp_path / "out"))
    assert "casme2/26/EP01_01: dropped" in caplog.text


def test_pictures_are_taken_as_they_are_from_the_crops_of_the_data_set(tmp_path, caplog):
    root = fictional.casme2(tmp_path / "data", "CASME2_RAW/CASME2-RAW", "Cropped")
    whole = root / "CASME2_RAW/CASME2-RAW/sub01/EP19_06/img5.jpg"
    whole.write_bytes(b"")
    for crops, status in (
        ("as-is", "ok"),
        ("aligned", f"onset frame 5: {whole} is empty, damaged or not a picture."),
    ):
        main(["casme2", str(root), "--out", str(tmp_path / crops), "--crops", crops])
        assert {row["clip"]: row["status"] for row in rows(tmp_path / crops)}["EP19_06"] == status


def test_command(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    lines = ["subject,onset,apex,label,dataset"]
    for sample in drawn_samples(tmp_path / "data", 3):
        onset, apex = (f"{sample.clip}/{sample.frames[n].name}" for n in (9, 10))
        lines.append(f"{sample.subject},{onset},{apex},Surprise,mine")
    table = tmp_path / "data" / "manifest.csv"
    table.write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    arguments = ["manifest", str(table), "--out", str(out), "--crops", "as-is"]
    assert main(arguments) == 0
    assert {(row["dataset"], row["label"], row["status"]) for row in rows(out)} == {("mine", "surprise", "ok")}
    assert f"{out}: 3 of 3 samples have crops, 3 cut now" in caplog.messages
    assert main(arguments) == 0
    assert f"{out}: 3 of 3 samples have crops, 0 cut now" in caplog.messages
    assert main(["nothing", str(table), "--out", str(out)]) == 1
    assert "nothing" in caplog.text
    with pytest.raises(SystemExit):
        main([*arguments, "--jobs", "0"])
