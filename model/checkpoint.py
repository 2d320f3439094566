"""One file for a run's weights, optimiser and progress: safetensors, with the record of the run in its header."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from app.errors import ModelError
from model.configs import NetworkConfig, Recipe, RunConfig
from model.mmnet import MMNet

_FORMAT = 1
_NETWORK = "network."
_OPTIMISER = "optimiser."


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is known of a run after some epochs.

    `data` counts pairs and people; `history` holds one row of metrics an epoch; `results` are the final scores, None
    while epochs are missing.
    """

    config: RunConfig
    seed: int
    data: dict[str, int]
    history: tuple[dict[str, float], ...] = ()
    results: dict | None = None

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
    return RunRecord(**values)


def save_checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, record: RunRecord) -> None:
    """Write all of a run, under a temporary name first, so that a power cut leaves the last good one."""
    tensors = {_NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"{_OPTIMISER}{index}.{name}": tensor for name, tensor in state.items()}
    temporary = path.with_suffix(".tmp")
    # Weights may lie channels-last during training; the file format knows only the plain order.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, temporary, metadata={"run": record.dumps()})
    temporary.replace(path)


def load_checkpoint(path: Path) -> tuple[MMNet, dict[int, dict[str, Tensor]], RunRecord]:
    """Read a run back: the network, the optimiser's state by parameter, and the record.

    Raises:
        ModelError: the file is missing, damaged, or not a checkpoint of this trainer.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint. Train one with python -m model.train.")
    try:
        with safe_open(path, framework="pt") as file:
            record = _record((file.metadata() or {})["run"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        network = MMNet(record.config.network)
        network.load_state_dict(
            {name.removeprefix(_NETWORK): t for name, t in tensors.items() if name.startswith(_NETWORK)}
        )
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} is damaged or not a checkpoint of this trainer ({error}).") from None
    optimiser: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_OPTIMISER):
            index, key = name.removeprefix(_OPTIMISER).split(".", 1)
            optimiser.setdefault(int(index), {})[key] = tensor
    return network, optimiser, record
