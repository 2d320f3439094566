"""A tour of the viewer as a user would take it, on the real demo and a real X server, by mouse and keyboard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_application import XVFB, x_server  # noqa: F401 — the fixture

TOUR = Path(__file__).with_name("tour.py")


@pytest.mark.xcb
@pytest.mark.slow
@pytest.mark.skipif(XVFB is None, reason="Xvfb is not installed")
@pytest.mark.timeout(240)
def test_the_tour(x_server, tmp_path):  # noqa: F811 — the fixture
    """Open the demo, wait for events, step, correct an apex, loop, magnify, switch the theme, close."""
    environment = os.environ | {"DISPLAY": x_server, "QT_QPA_PLATFORM": "xcb", "QT_LOGGING_TO_CONSOLE": "1"}
    done = subprocess.run(
        [sys.executable, str(TOUR), str(tmp_path)],
        env=environment,
        cwd=TOUR.parents[1],
        capture_output=True,
        text=True,
        timeout=220,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.split() == ["opened", "stepped", "corrected", "looped", "magnified", "lit", "closed"]
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["dark.png", "light.png", "loop.png"]
