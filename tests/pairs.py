"""Pairs that a network can learn in a few steps, and the smallest recipe for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from model.configs import THREE_CLASSES, RunConfig, synthetic_3class
from model.dataset import Pairs


def make_pairs(count: int, people: str, seed: int = 0, *, people_count: int = 3) -> Pairs:
    """Grey noise in which a bright patch at one of three heights appears: the height is the class."""
    rng = np.random.default_rng(seed)
    onset = rng.integers(60, 120, (count, 224, 224, 3), dtype=np.uint8)
    label = np.arange(count) % 3
    apex = onset.copy()
    for image, row in zip(apex, 30 + 70 * label, strict=True):
        image[row : row + 40, 60:160] += 80
    return Pairs(
        onset,
        apex,
        label,
        subject=np.array([f"{people}{i // 3 % people_count}" for i in range(count)]),
        key=np.arange(count).astype(str),
        dataset=np.full(count, "pairs"),
        emotion=np.array(THREE_CLASSES)[label],
        class_names=THREE_CLASSES,
    )


def save_pairs(path: Path, pairs: Pairs, **changes: np.ndarray | None) -> Path:
    """Write the .npz that `load_pairs` reads; `changes` replaces arrays, or leaves out those that are None."""
    arrays = {name: getattr(pairs, name) for name in ("onset", "apex", "label", "subject")} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def tiny_config(**changes: float) -> RunConfig:
    """The synthetic run with a recipe of two epochs and four pairs a step."""
    config = synthetic_3class()
    recipe = {"epochs": 2, "batch_size": 4, "learning_rate": 3e-4, "warmup_steps": 0, "padding_px": 2} | changes
    return replace(config, recipe=replace(config.recipe, **recipe))
