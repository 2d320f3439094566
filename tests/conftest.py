"""What every test gets: no screen, no user's folders, and failure for threads and warnings left behind."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import networks
import numpy as np
import pytest

# Qt, matplotlib (through MediaPipe) and platformdirs look at these when they are first used.
_HOME = Path(tempfile.mkdtemp(prefix="mmnet-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
for _name in ("CONFIG_HOME", "DATA_HOME", "CACHE_HOME", "STATE_HOME", "DOCUMENTS_DIR", "VIDEOS_DIR", "RUNTIME_DIR"):
    (_HOME / _name).mkdir(mode=0o700)
    os.environ[f"XDG_{_name}"] = str(_HOME / _name)
os.environ["MPLCONFIGDIR"] = str(_HOME / "CACHE_HOME")

_THREAD_GRACE_S = 2.0


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    """A thread that outlives its test fails it."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + _THREAD_GRACE_S
    while (left := _own_threads() - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    if left:
        pytest.fail(f"threads left running: {', '.join(sorted(thread.name for thread in left))}", pytrace=False)


def _own_threads() -> set[threading.Thread]:
    # tqdm keeps one monitor for the life of the process.
    return {thread for thread in threading.enumerate() if type(thread).__name__ != "TMonitor"}


@pytest.fixture(autouse=True)
def _no_stray_log_records(request: pytest.FixtureRequest) -> Iterator[None]:
    """A warning in the log fails a test that did not ask for `caplog` to look at it."""
    stray: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = stray.append  # type: ignore[method-assign]
    logger = logging.getLogger("mmnet")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    # A command line that ran in this test has set these for the whole process.
    logger.setLevel(logging.NOTSET)
    for left in [own for own in logging.root.handlers if type(own) is logging.StreamHandler]:
        logging.root.removeHandler(left)
    if stray and "caplog" not in request.fixturenames:
        pytest.fail(f"stray log records: {[record.getMessage() for record in stray]}", pytrace=False)


@pytest.fixture(scope="session")
def astronaut_bgr() -> np.ndarray:
    """NASA's portrait of Eileen Collins, public domain: (512, 512, 3) uint8, read-only."""
    from skimage import data

    image_bgr = np.ascontiguousarray(data.astronaut()[:, :, ::-1])
    image_bgr.setflags(write=False)
    return image_bgr


@pytest.fixture(scope="session")
def network_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network with the contract of an exported MMNet: red, green or blue light votes for class 0, 1 or 2."""
    return networks.write_network(tmp_path_factory.mktemp("network") / "tiny.onnx")


@pytest.fixture
def weights_folder(tmp_path: Path) -> Path:
    """A folder of weights with one network, `tiny`, its model card and a manifest."""
    folder = tmp_path / "weights"
    folder.mkdir()
    network = networks.write_network(folder / "tiny.onnx")
    (folder / "tiny.md").write_text("# tiny\n", encoding="utf-8")
    networks.write_manifest(folder, networks.manifest_record(network))
    return folder
