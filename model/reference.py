"""Checkpoints with the names of the authors' own code (github.com/muse1998/MMNet), read into this network."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from app.errors import ModelError
from model.configs import NetworkConfig
from model.mmnet import MMNet

# In the authors' state dict, but never used by their forward pass.
_UNUSED = ("timeembed", "pos", "head.", "vit_pos.head.", "vit_pos.to_Mask", "vit_pos.cls_token")
# Order of the outputs in the authors' two scripts; their three classes are not those of MEGC 2019.
REFERENCE_CLASSES = {
    5: ("happiness", "repression", "disgust", "surprise", "others"),
    3: ("positive", "surprise", "negative"),
}


def load_reference(path: Path, class_names: tuple[str, ...] = ()) -> MMNet:
    """Read a state dict saved by `torch.save`, alone or under the key `state_dict`, `model_state_dict` or `model`.

    Args:
        class_names: order of the outputs; by default the authors' order for 3 or 5 classes.

    Raises:
        ModelError: the file is missing, is no state dict, holds more than tensors, or belongs to another network.
    """
    state = _tensors(path)
    state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    state = {name: tensor for name, tensor in state.items() if not name.startswith(_UNUSED)}
    network = MMNet(_network_config(path, state, class_names))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{path} is not a checkpoint of MMNet: {error}") from None
    return network.eval()


def sha256_of(path: Path) -> str:
    """Hash of a file, for the record of where weights came from."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tensors(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ModelError(f"{path}: no such file.")
    try:
        # Nothing but tensors is unpickled: a checkpoint from elsewhere must not run code here.
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{path} cannot be read as a state dict ({reason}). Save one with torch.save(network.state_dict(), FILE)."
        ) from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise ModelError(
            f"{path} holds no state dict of tensors. Save one with torch.save(network.state_dict(), FILE)."
        )
    return content


def _network_config(path: Path, state: Mapping[str, Tensor], class_names: tuple[str, ...]) -> NetworkConfig:
    """Classes, depth and width, read off the shapes."""
    try:
        classes = state["main_branch.fc.weight"].shape[0]
        hidden, features = state["vit_pos.blocks.0.mlp.fc1.weight"].shape
    except (KeyError, ValueError):
        raise ModelError(f"{path} is not a checkpoint of MMNet: it has no main_branch.fc or vit_pos.blocks.") from None
    blocks = len({name.split(".")[2] for name in state if name.startswith("vit_pos.blocks.")})
    names = class_names or REFERENCE_CLASSES.get(classes, ())
    if len(names) != classes:
        raise ModelError(f"{path} has {classes} classes: name them in the order of its outputs with --class-names.")
    return NetworkConfig(tuple(names), position_blocks=blocks, position_mlp_ratio=hidden / features)
