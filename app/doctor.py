"""What works on this machine and what to install: the records behind `mmnet doctor` and `mmnet --info`."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

import app
from app.config import RecognitionConfig
from app.errors import MmnetError
from app.recognition.manifest import default_entry, weights_folder

DISTRIBUTION = "mmnet-viewer"
# Shared libraries that the wheels of OpenCV and PyQt6 leave to the system (read off them with ldd), and the Debian
# package of each. The first group is needed for everything, the second by the viewer.
OPENCV_LIBRARIES = {"libGL.so.1": "libgl1", "libgthread-2.0.so.0": "libglib2.0-0"}
QT_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libwayland-cursor.so.0": "libwayland-cursor0",
}
_QT_START_S = 30


class Level(StrEnum):
    """How much a finding matters: fine, worth knowing, or something does not work."""

    OK = "ok"
    HINT = "hint"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` says what to do about it, "" when nothing."""

    level: Level
    topic: str
    text: str
    advice: str = ""

    @property
    def is_error(self) -> bool:
        """Whether something does not work that should."""
        return self.level is Level.ERROR

    def __str__(self) -> str:
        advice = f"\n{'':21s}→ {self.advice}" if self.advice else ""
        return f"{self.level:6s} {self.topic:13s} {self.text}{advice}"


def doctor(config: RecognitionConfig | None = None) -> list[Finding]:
    """Look at everything once; cameras are listed, not opened.

    `config` names the network and the device to try. Nothing is raised: what fails is a finding.
    """
    findings = [_program(), *_requirements(), *_shared_folders(), *_opencv()]
    if any(finding.is_error for finding in findings):
        # The rest imports these packages and would only repeat the reason less clearly.
        return [*findings, *_screen()]
    return [*findings, _face_tracking(), *_network(config or RecognitionConfig()), *_screen(), _cameras()]


def info() -> dict[str, str]:
    """Versions, folders and the default network, without loading any of them."""
    import platformdirs

    try:
        entry = default_entry()
        model = f"{entry.name} (sha256 {entry.sha256})" if entry else "none: spotting only"
    except MmnetError as error:
        model = str(error)
    return {
        "version": app.__version__,
        "program": str(Path(app.__file__).parent),
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "default model": model,
        "weights": str(weights_folder()),
        "results": str(Path(platformdirs.user_documents_dir()) / "mmnet"),
        "settings": platformdirs.user_config_dir("mmnet", appauthor=False),
        "logs": platformdirs.user_log_dir("mmnet", appauthor=False),
    }


def _program() -> Finding:
    text = f"mmnet {app.__version__} in {Path(app.__file__).parent}, Python {platform.python_version()}"
    if not (3, 11) <= sys.version_info < (3, 13):
        return Finding(Level.ERROR, "program", text, "Use Python 3.11 or 3.12: MediaPipe has no build for this one.")
    return Finding(Level.OK, "program", text)


def _requirements() -> list[Finding]:
    """Every declared dependency, with the version that is installed."""
    try:
        declared = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return [
            Finding(Level.HINT, "packages", f"{DISTRIBUTION} itself is not installed", "Run `pip install .` there.")
        ]
    from packaging.requirements import Requirement

    installed, wrong = [], []
    for requirement in map(Requirement, declared):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = "missing"
        is_right = version != "missing" and requirement.specifier.contains(version, prereleases=True)
        (installed if is_right else wrong).append(f"{requirement.name} {version}")
        if not is_right:
            wrong[-1] += f" (needs {requirement.specifier})"
    findings = [Finding(Level.OK, "packages", ", ".join(installed))] if installed else []
    if wrong:
        advice = "Run `pip install .` in the source folder, in a virtual environment of its own."
        findings.append(Finding(Level.ERROR, "packages", ", ".join(wrong), advice))
    return findings


def _shared_folders() -> list[Finding]:
    """Distributions that overwrite each other's files: two OpenCVs, two ONNX Runtimes, another `app`."""
    owners = metadata.packages_distributions()
    findings = []
    for package in ("cv2", "onnxruntime", "app", "model", "weights"):
        names = sorted(set(owners.get(package, ())))
        if len(names) > 1:
            text = f"{' and '.join(names)} share the folder {package}"
            findings.append(Finding(Level.ERROR, "packages", text, "Keep one: uninstall all of them, reinstall one."))
    return findings


def _opencv() -> list[Finding]:
    findings = _missing_libraries("OpenCV", OPENCV_LIBRARIES)
    if findings or importlib.util.find_spec("cv2") is None:
        return findings
    try:
        import cv2
    except ImportError as error:
        return [Finding(Level.ERROR, "OpenCV", str(error), "pip install --force-reinstall opencv-contrib-python")]
    return [Finding(Level.OK, "OpenCV", cv2.__version__)]


def _missing_libraries(topic: str, libraries: dict[str, str], level: Level = Level.ERROR) -> list[Finding]:
    missing = [name for name in libraries if sys.platform == "linux" and not _can_load(name)]
    if not missing:
        return []
    packages = " ".join(libraries[name] for name in missing)
    return [Finding(level, topic, f"missing: {', '.join(missing)}", f"sudo apt-get install {packages}")]


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _face_tracking() -> Finding:
    """Track the face of the demo's portrait, so that MediaPipe has really run."""
    try:
        import numpy as np
        from skimage import data

        from app.datatypes import Frame
        from app.face.tracker import FaceTracker

        image_bgr = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
        with FaceTracker() as tracker:
            tracker.track(Frame(0, 0, image_bgr))
            started = time.perf_counter()
            face = tracker.track(Frame(1, 33_000_000, image_bgr))
            elapsed_ms = (time.perf_counter() - started) * 1e3
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        advice = "pip install --force-reinstall mediapipe==0.10.21"
        return Finding(Level.ERROR, "face", f"MediaPipe does not run: {error}", advice)
    if face is None:
        return Finding(Level.ERROR, "face", "MediaPipe finds no face in the demo's portrait", "Reinstall mediapipe.")
    return Finding(Level.OK, "face", f"{len(face.landmarks_px)} landmarks in {elapsed_ms:.0f} ms")


def _network(config: RecognitionConfig) -> list[Finding]:
    """Load the network, run it, and say where it really ran."""
    import numpy as np
    import onnxruntime

    from app.recognition.classifier import CROP_SIZE, load_classifier

    available = ", ".join(name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers())
    runtime = Finding(Level.OK, "ONNX Runtime", f"{onnxruntime.__version__}, built with {available}")
    try:
        classifier, reason = load_classifier(config)
        if classifier is None:
            return [runtime, Finding(Level.HINT, "network", reason)]
        with classifier:
            crop = np.zeros((CROP_SIZE, CROP_SIZE, 3), np.uint8)
            elapsed_ms = classifier.classify(crop, crop).elapsed_ms
    except MmnetError as error:
        return [runtime, Finding(Level.ERROR, "network", str(error))]
    network = Finding(
        Level.OK,
        "network",
        f"{classifier.model_name}: {', '.join(classifier.class_names)}; sha256 {classifier.sha256}; "
        f"trained on {classifier.metadata['training_data']}",
    )
    text = f"runs on {classifier.provider}, {elapsed_ms:.0f} ms a pair"
    # Whoever has no NVIDIA card needs no advice on CUDA.
    has_nvidia = bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia").exists()
    if classifier.provider_note and has_nvidia:
        return [runtime, network, Finding(Level.HINT, "device", text, classifier.provider_note)]
    return [runtime, network, Finding(Level.OK, "device", text)]


def _screen() -> list[Finding]:
    """Whether the viewer can open a window."""
    has_screen = sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if missing := _missing_libraries("viewer", QT_LIBRARIES, Level.ERROR if has_screen else Level.HINT):
        return missing
    # In a process of its own: Qt ends the whole process when it cannot start.
    probe = "from PyQt6.QtWidgets import QApplication; print(QApplication([]).platformName())"
    environment = dict(os.environ) if has_screen else os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    try:
        started = subprocess.run(
            [sys.executable, "-c", probe],
            env=environment, capture_output=True, text=True, timeout=_QT_START_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return [Finding(Level.ERROR, "viewer", f"Qt did not start within {_QT_START_S} s", "Check DISPLAY.")]
    if started.returncode:
        lines = [line for line in started.stderr.strip().splitlines() if line] or [f"exit code {started.returncode}"]
        advice = "Check DISPLAY, or use `mmnet analyze`, which needs no screen."
        return [Finding(Level.ERROR, "viewer", f"Qt cannot start: {lines[0]}", advice)]
    if not has_screen:
        return [Finding(Level.HINT, "viewer", "there is no screen here", "Use `mmnet analyze`.")]
    return [Finding(Level.OK, "viewer", f"Qt starts on {started.stdout.strip()}")]


def _cameras() -> Finding:
    from app.capture.camera import list_cameras

    cameras = list_cameras()
    if cameras:
        return Finding(Level.OK, "cameras", ", ".join(f"{camera.index}: {camera.name}" for camera in cameras))
    if any(not os.access(device, os.R_OK | os.W_OK) for device in Path("/dev").glob("video*")):
        advice = "sudo usermod -aG video $USER, then log in again"
        return Finding(Level.HINT, "cameras", "there is a camera that you may not open", advice)
    return Finding(Level.HINT, "cameras", "none found", "Plug one in, or analyse a file.")
