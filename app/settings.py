"""What a user chose and wants to find again: one JSON file in the folder that the system has for such files.

Values from the file are checked one by one; one that does not fit is replaced by its default and named in `Loaded`.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from platformdirs import user_config_path, user_documents_path

from app.config import PipelineConfig, RecognitionConfig, SourceConfig
from app.errors import SettingsError

FORMAT_VERSION = 1
RECENT_COUNT = 8
ROTATIONS_DEG = (0, 90, 180, 270)


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """How one camera is used. None leaves the choice to the camera; `rotation_deg` is clockwise."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    rotation_deg: int = 0
    is_mirrored: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """Every choice, with its default.

    `gates` maps names of SpotterConfig's fields to the user's values. `cameras` goes by the camera's name.
    `layout` holds the window's own state, as text.
    """

    is_notice_seen: bool = False
    theme: str = "system"  # "system" | "light" | "dark"
    font_scale: float = 1.0
    device: str = "auto"
    model: str = ""  # file or name; "" is the one that comes with the program
    session_folder: str = ""  # "" is the user's documents folder
    replay_s: float = 15.0  # what "save the last seconds" saves; 0 keeps nothing in memory
    coder: str = ""  # who reviews
    overlays: tuple[str, ...] = ("mesh",)
    gates: Mapping[str, float] = field(default_factory=dict)
    cameras: Mapping[str, CameraSettings] = field(default_factory=dict)
    recent: tuple[str, ...] = ()  # newest first
    layout: Mapping[str, str] = field(default_factory=dict)

    def pipeline_config(self, given: PipelineConfig) -> PipelineConfig:
        """`given` where it says something else than the default, these settings elsewhere."""
        asked, default = given.recognition, RecognitionConfig()
        recognition = replace(
            asked,
            model=asked.model if asked.model != default.model else self.model or None,
            device=asked.device if asked.device != default.device else self.device,
        )
        spotter = given.spotter
        for name, value in self.gates.items():
            if getattr(spotter, name) == _default_gate(name):
                spotter = replace(spotter, **{name: value})
        return replace(given, recognition=recognition, spotter=spotter)

    def source_config(self, camera_name: str, given: SourceConfig) -> SourceConfig:
        """How a camera is opened: as `given` by the user now, else as it was the last time."""
        kept = self.camera(camera_name)
        if (given.width, given.height, given.fps) == (None, None, None):
            given = replace(given, width=kept.width, height=kept.height, fps=kept.fps)
        return replace(given, rotation_deg=kept.rotation_deg)

    def camera(self, name: str) -> CameraSettings:
        return self.cameras.get(name, CameraSettings())

    def with_camera(self, name: str, camera: CameraSettings) -> Settings:
        return replace(self, cameras={**self.cameras, name: camera})

    def with_recent(self, spec: str) -> Settings:
        """`spec` at the head of the recent ones."""
        others = tuple(other for other in self.recent if other != spec)
        return replace(self, recent=(spec, *others)[:RECENT_COUNT])

    def sessions_path(self) -> Path:
        """Where session folders go."""
        return Path(self.session_folder) if self.session_folder else user_documents_path() / "mmnet"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings as read, and what had to be replaced by its default."""

    settings: Settings
    problems: tuple[str, ...] = ()


def settings_path() -> Path:
    """Where the settings of this user are."""
    return user_config_path("mmnet") / "settings.json"


def load_settings(path: Path | None = None) -> Loaded:
    """The user's settings; defaults where there are none. Never raises: a program must start all the same."""
    path = path or settings_path()
    try:
        return read_settings(path)
    except FileNotFoundError:
        return Loaded(Settings())
    except (OSError, SettingsError) as error:
        return Loaded(Settings(), (f"{error} The settings start anew.",))


def read_settings(path: Path) -> Loaded:
    """Settings from a file that somebody named.

    Raises FileNotFoundError, OSError, and SettingsError when the file does not hold settings.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{path} holds no settings ({error}). Choose a file from “Export”.") from error
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        raise SettingsError(f"{path} holds no settings of this program. Choose a file from “Export”.")
    if content.get("format_version") != FORMAT_VERSION:
        raise SettingsError(
            f"{path} has format version {content.get('format_version')!r}, this program reads {FORMAT_VERSION}. "
            "Export the settings from the same version."
        )
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, value in content["settings"].items():
        check = _CHECKS.get(name)
        if check is None:
            problems.append(f"{name!r} is unknown to this version")
            continue
        try:
            values[name] = check(value)
        except (TypeError, ValueError) as error:
            problems.append(f"{name} is {value!r}: {error}")
    return Loaded(Settings(**values), tuple(problems))


def write_settings(settings: Settings, path: Path | None = None) -> None:
    """Save for the next start, or export to a file; the file is whole at any time.

    Raises SettingsError when it cannot be written.
    """
    path = path or settings_path()
    content = {"format_version": FORMAT_VERSION, "settings": asdict(settings)}
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            temporary = file.name
            json.dump(content, file, indent=2, ensure_ascii=False)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        reason = error.strerror or error
        raise SettingsError(f"The settings cannot be saved as {path} ({reason}). Is the folder writable?") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("must be text")
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


def _number(low: float, high: float) -> Callable[[object], float]:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise TypeError("must be a number")
        if not low <= value <= high:
            raise ValueError(f"must lie between {low:g} and {high:g}")
        return float(value)

    return check


def _one_of(*choices: object) -> Callable[[object], Any]:
    def check(value: object) -> object:
        if value not in choices:
            raise ValueError(f"must be one of {', '.join(map(str, choices))}")
        return value

    return check


def _device(value: object) -> str:
    kind, _, number = _text(value).partition(":")
    if value not in ("auto", "cpu", "cuda") and not (kind == "cuda" and number.isdecimal()):
        raise ValueError("must be auto, cpu, cuda or cuda:N")
    return _text(value)


def _optional(check: Callable[[object], Any], convert: Callable[[Any], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else convert(check(value))


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("must be a list")
    return tuple(_text(item) for item in value)


def _mapping(check: Callable[[object], Any]) -> Callable[[object], dict[str, Any]]:
    def check_all(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeError("must be an object")
        return {_text(name): check(item) for name, item in value.items()}

    return check_all


def _gates(value: object) -> dict[str, float]:
    gates = _mapping(_number(0, 1e6))(value)
    if unknown := [name for name in gates if _default_gate(name) is None]:
        raise ValueError(f"unknown to this version: {', '.join(unknown)}")
    return gates


def _default_gate(name: str) -> float | None:
    return getattr(PipelineConfig().spotter, name, None)


def _camera(value: object) -> CameraSettings:
    given = _mapping(lambda item: item)(value)
    return CameraSettings(
        **{name: _CAMERA_CHECKS[name](item) for name, item in given.items() if name in _CAMERA_CHECKS}
    )


_CAMERA_CHECKS: dict[str, Callable[[object], Any]] = {
    "width": _optional(_number(16, 16384), int),
    "height": _optional(_number(16, 16384), int),
    "fps": _optional(_number(1, 1000), float),
    "rotation_deg": _one_of(*ROTATIONS_DEG),
    "is_mirrored": _switch,
}
_CHECKS: dict[str, Callable[[object], Any]] = {
    "is_notice_seen": _switch,
    "theme": _one_of("system", "light", "dark"),
    "font_scale": _number(0.8, 2.0),
    "device": _device,
    "model": _text,
    "session_folder": _text,
    "replay_s": _number(0, 60),
    "coder": _text,
    "overlays": _texts,
    "gates": _gates,
    "cameras": _mapping(_camera),
    "recent": _texts,
    "layout": _mapping(_text),
}
