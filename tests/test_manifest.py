"""The networks that come with the program."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import networks
import pytest

from app.errors import ModelError
from app.recognition import manifest


def test_default_network_is_read_whole(weights_folder):
    model = manifest.read_model(None, weights_folder)
    content = (weights_folder / "tiny.onnx").read_bytes()
    assert (model.name, model.content) == ("tiny", content)
    assert model.sha256 == hashlib.sha256(content).hexdigest()
    assert model.entry.card_path.read_text() == "# tiny\n"
    assert model.entry.class_names == networks.CLASS_NAMES


def test_the_entry_marked_default_wins_over_the_first(weights_folder):
    first = networks.manifest_record(weights_folder / "tiny.onnx", default=False, name="first")
    second = networks.manifest_record(weights_folder / "tiny.onnx", name="second")
    networks.write_manifest(weights_folder, first, second)
    assert manifest.default_entry(weights_folder).name == "second"
    assert manifest.read_model("first", weights_folder).name == "first"


def test_without_weights_there_is_no_default(tmp_path):
    assert manifest.read_manifest(tmp_path) == ()
    assert manifest.read_model(None, tmp_path) is None
    networks.write_manifest(tmp_path)
    assert manifest.read_model(None, tmp_path) is None


def test_a_users_own_file_needs_no_manifest(weights_folder, tmp_path):
    own = networks.write_network(tmp_path / "mine.onnx", ("a", "b"))
    for named in (own, str(own)):
        model = manifest.read_model(named, weights_folder)
        assert (model.name, model.entry) == ("mine", None)
        assert model.sha256 == hashlib.sha256(own.read_bytes()).hexdigest()


def test_a_file_called_like_a_known_one_but_elsewhere_is_the_users(weights_folder, tmp_path):
    own = networks.write_network(tmp_path / "tiny.onnx", ("a", "b"))
    for named in (own, str(own)):
        model = manifest.read_model(named, weights_folder)
        assert (model.name, model.path, model.entry) == ("tiny", own, None)
        assert model.sha256 == hashlib.sha256(own.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["weights/tiny.onnx", "tmp/../weights/tiny.onnx", "link.onnx"])
def test_a_path_to_a_known_file_is_that_file_and_is_checked(weights_folder, tmp_path, monkeypatch, name):
    monkeypatch.chdir(weights_folder.parent)
    (weights_folder.parent / "tmp").mkdir()
    (weights_folder.parent / "link.onnx").symlink_to(weights_folder / "tiny.onnx")
    assert manifest.read_model(name, weights_folder).entry.name == "tiny"
    networks.write_network(weights_folder / "tiny.onnx", ("a", "b"), changes={"protocol": "longer than it was" * 9})
    with pytest.raises(ModelError, match=r"not the one that the manifest calls 'tiny': its SHA-256 is .* Reinstall"):
        manifest.read_model(name, weights_folder)


def test_missing_truncated_and_changed_files_are_told_apart(weights_folder):
    path = weights_folder / "tiny.onnx"
    content = path.read_bytes()
    path.write_bytes(content[:-40])
    with pytest.raises(ModelError, match=rf"truncated: {len(content) - 40} of {len(content)} bytes"):
        manifest.read_model(None, weights_folder)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"SHA-256 is \w{64}, not \w{64}"):
        manifest.read_model("tiny", weights_folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"does not exist\. Reinstall"):
        manifest.read_model(None, weights_folder)


def test_unknown_name_lists_the_known_ones(weights_folder):
    with pytest.raises(ModelError, match=r"no model called 'huge'.*Known models: tiny"):
        manifest.read_model("huge", weights_folder)
    with pytest.raises(ModelError, match=r"huge\.onnx does not exist"):
        manifest.read_model("huge.onnx", weights_folder)


def test_a_folder_is_not_a_model(weights_folder, tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        manifest.read_model(tmp_path, weights_folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be understood"),
        ("[]", "cannot be understood"),
        ('{"format_version": 1}', "cannot be understood.*models"),
        ('{"format_version": 2, "models": []}', "format version 2"),
        ('{"format_version": 1, "models": [{"name": "x"}]}', "cannot be understood.*file"),
    ],
)
def test_a_damaged_manifest_is_an_error(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        manifest.read_manifest(tmp_path)


def test_manifest_cannot_point_outside_its_folder(weights_folder):
    record = networks.manifest_record(weights_folder / "tiny.onnx", file="../tiny.onnx")
    networks.write_manifest(weights_folder, record)
    with pytest.raises(ModelError, match="plain file name"):
        manifest.read_manifest(weights_folder)


def test_two_defaults_are_an_error(weights_folder):
    record = networks.manifest_record(weights_folder / "tiny.onnx")
    networks.write_manifest(weights_folder, record, record)
    with pytest.raises(ModelError, match="more than one default"):
        manifest.read_manifest(weights_folder)


def test_weights_package_is_found_from_another_directory(tmp_path):
    code = "from app.recognition.manifest import weights_folder; print(weights_folder())"
    root = Path(manifest.__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert Path(found) == root / "weights"


def test_shipped_manifest_matches_the_shipped_files():
    for entry in manifest.read_manifest():
        assert manifest.read_model(entry.name).entry == entry
        assert entry.card_path is not None
        assert entry.card_path.is_file()
