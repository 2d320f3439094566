"""Small samples on disk: drawn pictures for crops that are taken as they are, and a portrait that moves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from model.annotations import Sample


def drawn(seed: int, height: int = 60, width: int = 50) -> np.ndarray:
    """(height, width, 3) uint8: soft coloured blobs, another picture for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 5, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def write_sample(
    folder: Path,
    images: Mapping[int, np.ndarray],
    *,
    onset: int,
    apex: int,
    dataset: str = "casme2",
    subject: str = "1",
    label: str = "happiness",
) -> Sample:
    """Write frames as img<number>.png into a folder, which names the clip."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = {number: folder / f"img{number}.png" for number in sorted(images)}
    for number, path in frames.items():
        cv2.imwrite(str(path), images[number])
    return Sample(dataset, subject, folder.name, onset, apex, max(frames), label, "12", frames)


def drawn_samples(folder: Path, count: int, **kinds: str) -> list[Sample]:
    """Samples with two subjects and one onset and apex each, seeds 2·i and 2·i + 1 of `drawn`."""
    return [
        write_sample(
            folder / f"clip{i}", {9: drawn(2 * i), 10: drawn(2 * i + 1)}, onset=9, apex=10, subject=f"{i % 2}", **kinds
        )
        for i in range(count)
    ]
