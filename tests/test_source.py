"""What users may type, and which source it opens."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from videos import numbered_frame, write_numbered

from app.capture import camera
from app.capture.camera import CameraDevice
from app.capture.inputs import expand_inputs, image_files, is_recording, is_url, natural_key, short_name
from app.capture.source import open_source
from app.config import SourceConfig
from app.errors import CameraError, SourceError


def write_images(folder: Path, names: list[str]) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), numbered_frame(number))
    return [str(folder / name) for name in names]


def touch(folder: Path, names: list[str]) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [str(folder / name) for name in names]


@pytest.fixture
def two_cameras(monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = [CameraDevice(0, "Integrated Camera"), CameraDevice(2, "Logitech C920")]
    monkeypatch.setattr(camera, "list_cameras", lambda: cameras)


@given(st.lists(st.integers(0, 10**30), unique=True), st.integers(0, 6))
def test_numbers_in_names_sort_by_value(numbers: list[int], width: int) -> None:
    names = [f"img{number:0{width}}.png" for number in numbers]
    assert sorted(names, key=natural_key) == [f"img{number:0{width}}.png" for number in sorted(numbers)]


@given(st.lists(st.text(), unique=True), st.randoms())
def test_any_names_have_one_order(names: list[str], random: Random) -> None:
    in_order = sorted(names, key=natural_key)
    random.shuffle(names)
    assert sorted(names, key=natural_key) == in_order


def test_folder_of_videos_becomes_its_videos_in_numeric_order(tmp_path: Path) -> None:
    in_order = touch(tmp_path, ["clip1.mp4", "clip2.MOV", "clip10.avi"])
    touch(tmp_path, ["notes.csv", "._clip1.mp4", "poster.jpg"])
    assert expand_inputs([str(tmp_path)]) == in_order
    assert expand_inputs([str(tmp_path / "clip*")]) == in_order
    assert expand_inputs([str(tmp_path / "*.mp4"), "demo", "rtsp://host/live"]) == [
        in_order[0],
        "demo",
        "rtsp://host/live",
    ]


def test_folder_of_images_stays_one_input(tmp_path: Path) -> None:
    write_images(tmp_path / "subject 1", ["1.png", "2.png"])
    write_images(tmp_path / "subject 10", ["1.png", "2.png"])
    write_images(tmp_path / "subject 2", ["1.png"])
    folders = [str(tmp_path / name) for name in ("subject 1", "subject 2", "subject 10")]
    assert expand_inputs(folders) == folders
    assert expand_inputs([str(tmp_path / "*")]) == folders


def test_images_named_one_by_one_become_one_input(tmp_path: Path) -> None:
    images = write_images(tmp_path / "frames", ["9.png", "10.png", "11.png"])
    video = touch(tmp_path, ["a.mp4"])
    # A shell sorts what it makes of *.png as text: 10, 11, 9.
    assert expand_inputs([*sorted(images), *video]) == [str(tmp_path / "frames"), *video]
    (part,) = expand_inputs(images[:2])
    with open_source(part, SourceConfig()) as source:
        assert source.info.frame_count == 2
        assert source.info.label == "frames"
    assert short_name(part) == "frames"


def test_list_file_names_inputs_beside_it(tmp_path: Path) -> None:
    videos = touch(tmp_path / "data", ["b.mp4", "a.mp4"])
    listing = tmp_path / "data" / "inputs.txt"
    listing.write_text("\ufeff# first the long ones\nb.mp4\n\na.mp4\nhttp://host/c.mp4\ngone.mp4\n", encoding="utf-8")
    assert expand_inputs([str(listing)]) == [*videos, "http://host/c.mp4", str(tmp_path / "data" / "gone.mp4")]


def test_what_fits_nothing_stays_for_its_own_error(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    specs = [str(tmp_path / "gone.mp4"), str(tmp_path / "*.avi"), "7", str(empty)]
    assert expand_inputs(specs) == specs


def test_every_kind_of_recording_is_opened(tmp_path: Path) -> None:
    write_images(tmp_path / "frames", ["2.png", "10.png"])
    video = write_numbered(tmp_path / "talk [1].mp4", 3)
    (tmp_path / "one.txt").write_text(video.name, encoding="utf-8")
    expected = {
        "demo": "demo",
        str(video): "file",
        str(tmp_path / "talk*"): "file",
        str(tmp_path / "one.txt"): "file",
        str(tmp_path / "frames"): "images",
        str(tmp_path / "frames" / "*.png"): "images",
        str(tmp_path / "frames" / "2.png"): "images",
    }
    for spec, kind in expected.items():
        with open_source(spec, SourceConfig()) as source:
            assert source.info.kind == kind, spec
            assert not source.info.is_live
            assert next(iter(source)).index == 0


@pytest.mark.usefixtures("two_cameras")
def test_a_path_comes_before_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "0", ["1.png"])
    with open_source("0", SourceConfig()) as source:
        assert source.info.kind == "images"
    with pytest.raises(CameraError):
        open_source("2", SourceConfig())


@pytest.mark.usefixtures("two_cameras")
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("webcam", "'webcam'.*0 Integrated Camera; 2 Logitech C920"),
        ("talk.mp4", "talk.mp4 does not exist"),
        (f"no{os.sep}such{os.sep}folder", "does not exist"),
        ("", "No source"),
        (" ", "No source"),
    ],
)
def test_what_fits_nothing_is_explained(spec: str, expected: str) -> None:
    with pytest.raises(SourceError, match=expected):
        open_source(spec, SourceConfig())


def test_folders_that_cannot_be_one_source_are_explained(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no images and no videos"):
        open_source(str(tmp_path), SourceConfig())
    write_numbered(tmp_path / "a.mp4", 1)
    write_numbered(tmp_path / "b.mp4", 1)
    with pytest.raises(SourceError, match=r"2 recordings \(a.mp4, b.mp4"):
        open_source(str(tmp_path), SourceConfig())


def test_addresses_are_told_from_paths() -> None:
    assert is_url("rtsp://10.0.0.2:554/live")
    assert is_url("udp://@:1234")
    assert not is_url(r"C:\videos\talk.mp4")
    assert is_recording("https://host/talk.MP4?token=1")
    assert not is_recording("http://host/video.mjpg")
    assert not is_recording("rtsp://host/talk.mp4")
    assert short_name("rtsp://anna:secret@10.0.0.2:554/live?key=1") == "rtsp://10.0.0.2:554/live"


def test_images_are_found_whatever_the_case(tmp_path: Path) -> None:
    write_images(tmp_path, ["b.PNG", "a.jpg"])
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in image_files(str(tmp_path))] == ["a.jpg", "b.PNG"]
    assert image_files(str(tmp_path / "gone.png")) == []
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "b.PNG")), numbered_frame(0))
