"""`mmnet doctor` and `mmnet --info` on the machine that runs the tests."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import networks
import pytest

import app
from app import doctor as doctor_module
from app.config import RecognitionConfig
from app.doctor import Finding, Level, doctor, info


@pytest.fixture
def no_screen(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def _by_topic(findings: list[Finding], topic: str) -> list[Finding]:
    return [finding for finding in findings if finding.topic == topic]


def test_a_working_machine_has_no_error(network_path, no_screen):
    findings = doctor(RecognitionConfig(model=network_path, device="cpu"))
    assert [str(finding) for finding in findings if finding.is_error] == []
    assert app.__version__ in _by_topic(findings, "program")[0].text
    assert _by_topic(findings, "face")[0].text.startswith("478 landmarks in ")
    assert "negative, positive, surprise" in _by_topic(findings, "network")[0].text
    assert "runs on CPUExecutionProvider" in _by_topic(findings, "device")[0].text
    assert _by_topic(findings, "viewer")[0].level is Level.HINT
    assert _by_topic(findings, "cameras")


def test_what_cannot_be_used_as_asked_is_an_error(network_path, tmp_path, no_screen):
    broken = networks.write_network(tmp_path / "broken.onnx", changes={"crop_recipe": "by eye"})
    network = _by_topic(doctor(RecognitionConfig(model=broken)), "network")[0]
    assert network.is_error
    assert "cut in another way" in network.text
    network = _by_topic(doctor(RecognitionConfig(model=network_path, device="cuda:99")), "network")[0]
    assert network.is_error
    assert "--device cpu" in network.text


def test_missing_system_libraries_name_their_packages(monkeypatch, no_screen):
    monkeypatch.setattr(doctor_module, "QT_LIBRARIES", {"libno-such-thing.so.9": "libno-such-thing9"})
    without_screen = doctor_module._screen()
    monkeypatch.setenv("DISPLAY", ":0")
    with_screen = doctor_module._screen()
    assert [finding.level for finding in (*without_screen, *with_screen)] == [Level.HINT, Level.ERROR]
    for finding in (*without_screen, *with_screen):
        assert str(finding).endswith("→ sudo apt-get install libno-such-thing9")


def test_a_screen_that_is_not_there_is_an_error(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":4095")
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    monkeypatch.setattr(doctor_module, "QT_LIBRARIES", {})
    (finding,) = doctor_module._screen()
    assert finding.is_error
    assert "Qt cannot start" in finding.text


def test_wrong_versions_are_named(monkeypatch):
    declared = ["numpy>=99", "no-such-thing==1", "platformdirs", 'torch>=99; extra == "train"']
    monkeypatch.setattr(metadata, "requires", lambda name: declared)
    right, wrong = doctor_module._requirements()
    assert right.text == f"platformdirs {metadata.version('platformdirs')}"
    assert wrong.is_error
    assert wrong.text == f"numpy {metadata.version('numpy')} (needs >=99), no-such-thing missing (needs ==1)"


def test_two_opencvs_are_noticed(monkeypatch, tmp_path):
    assert doctor_module._shared_folders() == []
    other = tmp_path / "opencv_python-4.11.0.86.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 4.11.0.86\n")
    (other / "top_level.txt").write_text("cv2\n")
    monkeypatch.syspath_prepend(tmp_path)
    (finding,) = doctor_module._shared_folders()
    assert finding.is_error
    assert finding.text == "opencv-contrib-python and opencv-python share the folder cv2"


def test_info_names_versions_folders_and_the_default_network():
    said = info()
    assert said["version"] == app.__version__
    assert Path(said["weights"]).is_dir()
    entry = doctor_module.default_entry()
    assert said["default model"] == (f"{entry.name} (sha256 {entry.sha256})" if entry else "none: spotting only")
    assert {"results", "settings", "logs", "python", "platform"} <= said.keys()
