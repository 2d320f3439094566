"""A window on fakes, for tests."""

from __future__ import annotations

from pathlib import Path

from fakes import fake_runs

from app.config import PipelineConfig
from app.runtime.devices import CameraWatch
from app.ui.preferences import Preferences
from app.ui.window import MainWindow


def open_window(qtbot, folder: Path, *, look_up=lambda known: (), spec: str | None = "fake", **fakes):
    """A window over fakes (see `fake_runs`), with settings in `folder`; the window, the fakes, what was reported."""
    reports: list[tuple[Exception, str]] = []
    new_run, made = fake_runs(**fakes)
    view = MainWindow(
        PipelineConfig(),
        Preferences(folder / "settings.json"),
        report=lambda error, thread: reports.append((error, thread)),
        new_run=new_run,
        watch=CameraWatch(0.05, look_up),
    )
    qtbot.addWidget(view)
    view.show()
    view.activateWindow()
    qtbot.waitUntil(view.isActiveWindow, timeout=3000)
    if spec is not None:
        view.open(spec)
    return view, made, reports
