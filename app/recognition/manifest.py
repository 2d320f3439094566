"""The networks that come with the program, and the check that a file is the one its manifest describes.

`weights/manifest.json`: {"format_version": 1, "models": [{"name", "file", "sha256", "bytes", "classes", "card",
"default"}]}; `file` and `card` (Markdown) are names in the same folder, one model at most is the default.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from app.errors import ModelError

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One network of the manifest. `card_path` is its model card, None when it has none."""

    name: str
    path: Path
    sha256: str
    size_bytes: int
    class_names: tuple[str, ...]
    card_path: Path | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A network's file as read; that of a manifest was checked. `entry` is None for a user's own file."""

    name: str
    path: Path
    content: bytes
    sha256: str
    entry: ManifestEntry | None


def weights_folder() -> Path:
    """Where the `weights` package is: in the working copy or in an installed wheel, from any working directory."""
    return Path(str(resources.files("weights")))


def read_manifest(folder: Path | None = None) -> tuple[ManifestEntry, ...]:
    """Networks of `folder` (default: the `weights` package); empty when it holds no manifest.

    Raises ModelError when the manifest cannot be understood.
    """
    folder = folder or weights_folder()
    path = folder / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format_version"] != FORMAT_VERSION:
            raise ModelError(
                f"{path} has format version {content['format_version']!r}, this program reads {FORMAT_VERSION}. "
                "Install the program and its weights together."
            )
        entries = tuple(_entry(record, folder) for record in content["models"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} cannot be understood ({error!r}). Reinstall the program.") from error
    if sum(entry.is_default for entry in entries) > 1:
        raise ModelError(f"{path} names more than one default model. Reinstall the program.")
    return entries


def default_entry(folder: Path | None = None) -> ManifestEntry | None:
    """The network that is used when none is named: the default of the manifest, or its first; None without weights."""
    entries = read_manifest(folder)
    return next((entry for entry in entries if entry.is_default), entries[0] if entries else None)


def read_model(model: Path | str | None, folder: Path | None = None) -> ModelFile | None:
    """Read the network that `model` means: a name in the manifest, a file, or None for the default.

    A path is the user's own file, whatever it is called, unless it leads to a file of the manifest. Returns None when
    no model is named and there are no weights. Raises ModelError when the file is missing, or when a file of the
    manifest is truncated or has another SHA-256 than it says.
    """
    entries = read_manifest(folder)
    if model is None:
        entry = default_entry(folder)
        return None if entry is None else _read(entry.path, entry)
    named = next((entry for entry in entries if entry.name == str(model)), None)
    if named is not None:
        return _read(named.path, named)
    path = Path(model)
    if not path.exists() and path.suffix == "" and len(path.parts) == 1:
        names = ", ".join(entry.name for entry in entries) or "none"
        raise ModelError(f"There is no model called {str(model)!r}. Known models: {names}. A file needs its full name.")
    place = os.path.realpath(path)
    return _read(path, next((entry for entry in entries if os.path.realpath(entry.path) == place), None))


def _entry(record: dict, folder: Path) -> ManifestEntry:
    for key in ("file", "card"):
        if record.get(key) and Path(record[key]).name != record[key]:
            raise ValueError(f"{key} {record[key]!r} is not a plain file name")
    return ManifestEntry(
        name=str(record["name"]),
        path=folder / record["file"],
        sha256=record["sha256"].lower(),
        size_bytes=int(record["bytes"]),
        class_names=tuple(record["classes"]),
        card_path=folder / record["card"] if record.get("card") else None,
        is_default=bool(record.get("default", False)),
    )


def _read(path: Path, entry: ManifestEntry | None) -> ModelFile:
    advice = "Name another with --model." if entry is None else "Reinstall the program, or name another with --model."
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"The model file {path} does not exist. {advice}") from None
    except OSError as error:
        raise ModelError(f"The model file {path} cannot be read ({error.strerror}). {advice}") from error
    sha256 = hashlib.sha256(content).hexdigest()
    if entry is None:
        return ModelFile(path.stem, path, content, sha256, None)
    if len(content) < entry.size_bytes:
        raise ModelError(
            f"The model file {path} is truncated: {len(content)} of {entry.size_bytes} bytes are there. {advice}"
        )
    if sha256 != entry.sha256:
        raise ModelError(
            f"The model file {path} is not the one that the manifest calls {entry.name!r}: its SHA-256 is {sha256}, "
            f"not {entry.sha256}. {advice}"
        )
    return ModelFile(entry.name, path, content, sha256, entry)
