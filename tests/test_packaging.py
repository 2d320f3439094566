"""What `pip install` brings, and the promises of the README."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from app.doctor import OPENCV_LIBRARIES, QT_LIBRARIES

ROOT = Path(__file__).parents[1]


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_there_is_one_opencv():
    assert metadata.packages_distributions()["cv2"] == ["opencv-contrib-python"]

    declared = [line for line in _setup()["options"]["install_requires"].splitlines() if not line.startswith("#")]
    assert [line for line in declared if line.startswith("opencv")] == ["opencv-contrib-python==4.11.0.86"]


def test_the_viewer_does_not_install_torch():
    assert not re.search(r"^(torch|timm|onnx)\b", _setup()["options"]["install_requires"], re.MULTILINE)


def test_pytest_is_configured_in_one_place():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "pytest" not in pyproject["tool"]
    assert "filterwarnings" in _setup()["tool:pytest"]


def test_readme_names_the_packages_that_doctor_knows():
    command = re.search(r"^sudo apt-get install(.*?[^\\])$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.M)
    named = set(command.group(1).replace("\\", "").split())
    known = {*OPENCV_LIBRARIES.values(), *QT_LIBRARIES.values()}
    assert known <= named
    assert named - known == {"python3", "python3-venv", "make", "xvfb"}


def test_pictures_of_the_readme_are_there_and_small():
    named = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert named
    assert all((ROOT / name).stat().st_size <= 150_000 for name in named)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network from a copy, so that nothing is left in the working tree."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("app", "model", "weights"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", out, source],
        check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    return next(out.glob("*.whl"))


def test_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        info = {Path(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        declared = archive.read(info["METADATA"]).decode()
        scripts = archive.read(info["entry_points.txt"]).decode()
    there = {
        path.relative_to(ROOT).as_posix()
        for name in ("app", "model", "weights")
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == there
    assert "License-Expression: GPL-3.0-or-later" in declared
    assert "Requires-Python: <3.13,>=3.11" in declared
    assert "mmnet = app.cli:main" in scripts


def test_installed_wheel_works_from_any_directory(wheel, tmp_path):
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel],
        check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    said = subprocess.run(
        [sys.executable, "-m", "app", "--info"],
        cwd=elsewhere, env=os.environ | {"PYTHONPATH": str(site)}, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    here = [line for line in subprocess.run(
        [sys.executable, "-m", "app", "--info"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines() if line.startswith("default model:")]  # fmt: skip
    assert f"weights: {site / 'weights'}" in said.splitlines()
    assert f"program: {site / 'app'}" in said.splitlines()
    assert here[0] in said.splitlines()
    assert list(elsewhere.iterdir()) == []
