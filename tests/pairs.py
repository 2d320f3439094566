"""Pairs that a network can learn in a few steps, and the smallest recipe for them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from model.configs import THREE_CLASSES, RunConfig, synthetic
from model.dataset import PairTable


class Pairs(PairTable):
    """Pairs in memory: `onset` and `apex` are (N, 224, 224, 3) uint8 RGB crops instead of paths."""

    def centre(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self.onset[index], self.apex[index]


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


def save_pairs(folder: Path, pairs: Pairs) -> Path:
    """Write the folder that `load_pairs` reads."""
    folder.mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("onset", "apex", "label", "subject"))
        for index in range(len(pairs)):
            names = [f"{index}_{role}.png" for role in ("onset", "apex")]
            for name, crop in zip(names, pairs.centre(index), strict=True):
                cv2.imwrite(str(folder / name), np.ascontiguousarray(crop[..., ::-1]))
            table.writerow((*names, pairs.class_names[pairs.label[index]], pairs.subject[index]))
    return folder


def tiny_config(**changes: float) -> RunConfig:
    """A run with a recipe of two epochs and four pairs a step."""
    config = synthetic()
    config = replace(config, network=replace(config.network, class_names=THREE_CLASSES))
    recipe = {"epochs": 2, "batch_size": 4, "learning_rate": 3e-4, "warmup_steps": 0, "padding_px": 2} | changes
    return replace(config, recipe=replace(config.recipe, **recipe))
