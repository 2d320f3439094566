"""Onset/apex pairs for training: what the trainer asks of them, the table they may come in, the augmentation."""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Protocol, Self

import cv2
import numpy as np
from torch.utils.data import Dataset

from app.errors import DataError
from model.calibration import NONE
from model.configs import Recipe
from model.crops import read_image
from model.mmnet import INPUT_SIZE

MANIFEST = "manifest.csv"
_COLUMNS = ("onset", "apex", "subject", "label")


class PairSource(Protocol):
    """Labelled pairs as the trainer takes them, N of them.

    `label`: (N,) int64, position in `class_names`; `subject`: (N,) the people, unique across data sets; `key`: (N,)
    names of the samples, each once; `dataset`, `emotion`: (N,) where a sample comes from, what its coder called it;
    `crop_recipe`: how the crops were cut, "" where the data do not say.
    """

    label: np.ndarray
    subject: np.ndarray
    key: np.ndarray
    dataset: np.ndarray
    emotion: np.ndarray
    class_names: tuple[str, ...]
    crop_recipe: str

    def __len__(self) -> int: ...

    def subset(self, indices: np.ndarray) -> Self:
        """The pairs at these positions, in this order."""

    def draw(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Onset and apex, (224, 224, 3) uint8 RGB, to learn from: near the coded ones where there are several."""

    def centre(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Onset and apex as coded, to be scored on."""


@dataclass(frozen=True, eq=False, slots=True)
class PairTable:
    """Pairs with one onset and one apex each, read from their pictures when they are needed.

    `onset`, `apex`: (N,) paths of 224×224 crops. The other fields as in `PairSource`.
    """

    onset: np.ndarray
    apex: np.ndarray
    label: np.ndarray
    subject: np.ndarray
    key: np.ndarray
    dataset: np.ndarray
    emotion: np.ndarray
    class_names: tuple[str, ...]
    crop_recipe: str = ""

    def __len__(self) -> int:
        return len(self.label)

    def subset(self, indices: np.ndarray) -> Self:
        """The pairs at these positions, in this order."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: value[indices] for name, value in values.items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)

    def draw(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The pair itself."""
        return self.centre(index)

    def centre(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The pair itself.

        Raises:
            DataError: a picture is missing, damaged or of another size.
        """
        return _read_crop(self.onset[index]), _read_crop(self.apex[index])


def _read_crop(path: str) -> np.ndarray:
    crop_bgr = read_image(Path(path))
    if crop_bgr.shape != (INPUT_SIZE, INPUT_SIZE, 3):
        raise DataError(f"{path} is {crop_bgr.shape[1]}×{crop_bgr.shape[0]}, not a crop of {INPUT_SIZE}×{INPUT_SIZE}.")
    return cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2RGB)


def is_pair_table(folder: Path) -> bool:
    """Whether a folder holds pairs as `mmnet synth` leaves them."""
    return (folder / MANIFEST).is_file()


def load_pairs(folder: Path, class_names: tuple[str, ...]) -> PairTable:
    """Read the table of a folder of crops, as `mmnet synth` leaves it; pairs of other classes are passed over.

    The table has the columns onset and apex (pictures beside it), subject and label (a class by name), and perhaps
    dataset, aus and crop_recipe. The keys of the pairs are their onsets, their emotions the classes.

    Raises:
        DataError: there is none, it lacks a column, is cut by different recipes, or no pair is of these classes.
    """
    path = folder / MANIFEST
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            if missing := [name for name in _COLUMNS if name not in (table.fieldnames or ())]:
                raise DataError(f"{path} lacks the column {', '.join(missing)}; it needs {', '.join(_COLUMNS)}.")
            rows = [row for row in table if row["label"] in class_names]
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: no such file. Make synthetic pairs with mmnet synth.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table ({error}).") from None
    if not rows:
        raise DataError(f"{path} holds no pairs of the classes {', '.join(class_names)}.")
    recipes = {row.get("crop_recipe") or "" for row in rows}
    if len(recipes) > 1:
        raise DataError(f"{path}: the crops were cut in different ways ({'; '.join(sorted(recipes))}).")

    def column(name: str, otherwise: str = "") -> np.ndarray:
        return np.array([row.get(name) or otherwise for row in rows])

    return PairTable(
        onset=np.array([str(folder / row["onset"]) for row in rows]),
        apex=np.array([str(folder / row["apex"]) for row in rows]),
        label=np.array([class_names.index(row["label"]) for row in rows], np.int64),
        subject=column("subject"),
        key=column("onset"),
        dataset=column("dataset", folder.name),
        emotion=column("label"),
        class_names=class_names,
        crop_recipe=recipes.pop(),
    )


def check_people_held_out(train: np.ndarray, test: np.ndarray) -> None:
    """Refuse sets, given by the subjects of their samples, that share a person: the network would know the faces.

    Raises:
        DataError: names the people that are in both.
    """
    shared = sorted(set(train.tolist()) & set(test.tolist()))
    if shared:
        raise DataError(
            f"{len(shared)} people are in both sets ({', '.join(map(str, shared[:5]))}…): split the data by person."
        )


def augment(onset: np.ndarray, apex: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """Flip, turn, shift and recolour a pair of (224, 224, 3) uint8 crops alike; returns (2, 224, 224, 3).

    What is the same in both leaves the difference apex − onset a difference of muscles only. Flip, rotation and the
    crop after padding are one warp, so that the pixels are interpolated once.
    """
    angle_deg = rng.uniform(-recipe.rotation_deg, recipe.rotation_deg)
    shift_px = rng.integers(-recipe.padding_px, recipe.padding_px, size=2, endpoint=True)
    centre_px = (INPUT_SIZE - 1) / 2
    warp = cv2.getRotationMatrix2D((centre_px, centre_px), angle_deg, 1.0)
    warp[:, 2] += shift_px
    if rng.random() < recipe.flip_probability:
        warp[0] = -warp[0]
        warp[0, 2] += INPUT_SIZE - 1
    brightness, contrast = rng.uniform(1 - recipe.colour_jitter, 1 + recipe.colour_jitter, size=2)
    if recipe.intensity_jitter:
        factor = np.exp(rng.uniform(-recipe.intensity_jitter, recipe.intensity_jitter))
        apex = cv2.addWeighted(apex, factor, onset, 1 - factor, 0)
    if recipe.grey_probability and rng.random() < recipe.grey_probability:
        onset, apex = (
            np.repeat(crop.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2) for crop in (onset, apex)
        )
    grey = brightness * onset.mean()
    levels = np.clip((np.arange(256) * brightness - grey) * contrast + grey, 0, 255).round().astype(np.uint8)
    size = (INPUT_SIZE, INPUT_SIZE)
    return np.stack(
        [cv2.LUT(cv2.warpAffine(crop, warp, size, flags=cv2.INTER_LINEAR), levels) for crop in (onset, apex)]
    )


class PairDataset(Dataset):
    """Pairs as the training loop takes them: onset and apex (224, 224, 3) uint8 and the label.

    With a recipe each pair is drawn and augmented, by numbers that depend on the seed (which names the epoch) and the
    position of the pair alone. `is_still` is the control: the onset in place of the apex, so that nothing moves.
    """

    def __init__(
        self, pairs: PairSource, recipe: Recipe | None = None, seed: tuple[int, ...] = (), is_still: bool = False
    ) -> None:
        self.pairs = pairs
        self.recipe = recipe
        self.seed = seed
        self.is_still = is_still

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray, int]:
        if self.recipe is None:
            onset, apex = self.pairs.centre(index)
        else:
            rng = np.random.default_rng((*self.seed, index))
            onset, apex = augment(*self.pairs.draw(index, rng), self.recipe, rng)
            if self.recipe.still_probability and rng.random() < self.recipe.still_probability:
                return onset, onset, self.pairs.class_names.index(NONE)
        return onset, onset if self.is_still else apex, int(self.pairs.label[index])
