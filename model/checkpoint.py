"""One file for a run's weights, optimiser and progress: safetensors, with the record of the run in its header."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from app.errors import ModelError, OutputError
from model.baselines import make_network
from model.calibration import UNCALIBRATED, Calibration
from model.configs import NetworkConfig, Recipe, RunConfig

_FORMAT = 1
_NETWORK = "network."
_OPTIMISER = "optimiser."
# What torch.save begins its files with: a zip archive, or in old versions a pickle of its magic number.
_PICKLES = (b"PK\x03\x04", b"\x80\x02\x8a\x0a")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is known of a run after some epochs.

    `data` counts pairs and people; `history` holds one row of metrics an epoch; `results` are the final scores, None
    while epochs are missing. `fold` names the part of a cross-validation that this network belongs to, "" for a run by
    itself. `scored` says in a sentence what the results are scores of, "" where they are those of this very network.
    `crop_recipe` is how the crops were cut, "" where the data do not say. `calibration` is that of the probabilities,
    `started_from` the SHA-256 of the checkpoint whose weights the run began with, "" for new ones.
    """

    config: RunConfig
    seed: int
    data: dict[str, int]
    history: tuple[dict[str, float], ...] = ()
    results: dict | None = None
    fold: str = ""
    scored: str = ""
    crop_recipe: str = ""
    calibration: Calibration = UNCALIBRATED
    started_from: str = ""

    @property
    def epochs_done(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    def dumps(self) -> str:
        """As JSON."""
        return json.dumps({"format": _FORMAT, **asdict(self)})


def _record(text: str) -> RunRecord:
    values = json.loads(text)
    if values.pop("format") != _FORMAT:
        raise ValueError("another format of checkpoint")
    network, recipe = values["config"].pop("network"), values["config"].pop("recipe")
    network["class_names"] = tuple(network["class_names"])
    values["config"] = RunConfig(network=NetworkConfig(**network), recipe=Recipe(**recipe), **values["config"])
    values["history"] = tuple(values["history"])
    values["calibration"] = Calibration(**values["calibration"])
    return RunRecord(**values)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of `path` once it is complete and on the disk.

    Whatever happens meanwhile, `path` holds the old content or the new one, never a part.

    Raises:
        OutputError: it cannot be written; the old file is still there.
    """
    # Two processes may write the same file after a run was started twice; each needs a name of its own.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{path} cannot be written ({reason}). Make room and go on with --resume: what was saved before is intact."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def save_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer | None, record: RunRecord) -> None:
    """Write all of a run in one piece; without the optimiser, two thirds of the size, once nothing is left to train.

    Raises:
        OutputError: it cannot be written; the checkpoint before it is intact.
    """
    tensors = {_NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    if optimiser is not None:
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"{_OPTIMISER}{index}.{name}": tensor for name, tensor in state.items()}
    # Weights may lie channels-last during training; the file format knows only the plain order.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with written_whole(path) as temporary:
        save_file(plain, temporary, metadata={"run": record.dumps()})


def read_record(path: Path) -> RunRecord:
    """The record of a run alone: only the header of the file is read.

    Raises:
        ModelError: the file is missing, damaged, or not a checkpoint of this trainer.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint. Train one with mmnet train.")
    with path.open("rb") as file:
        start = file.read(4)
    if start in _PICKLES:
        raise ModelError(
            f"{path} was saved by torch.save: opening such a file can run any code, so it is not opened. "
            "Give the checkpoint.safetensors of a run of mmnet train."
        )
    try:
        with safe_open(path, framework="pt") as file:
            return _record((file.metadata() or {})["run"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path} is damaged or not a checkpoint of this trainer ({error}).")


def load_checkpoint(path: Path) -> tuple[nn.Module, dict[int, dict[str, Tensor]], RunRecord]:
    """Read a run back: the network, the optimiser's state by parameter (empty once finished), and the record.

    Raises:
        ModelError: the file is missing, damaged, or not a checkpoint of this trainer.
    """
    record = read_record(path)
    try:
        with safe_open(path, framework="pt") as file:
            # Copied out of the mapped file, which Windows would not let the next epoch replace.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
        network = make_network(record.config.network)
        network.load_state_dict(
            {name.removeprefix(_NETWORK): t for name, t in tensors.items() if name.startswith(_NETWORK)}
        )
    except (SafetensorError, RuntimeError) as error:
        raise _unusable(path, error) from None
    optimiser: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_OPTIMISER):
            index, key = name.removeprefix(_OPTIMISER).split(".", 1)
            optimiser.setdefault(int(index), {})[key] = tensor
    return network, optimiser, record
