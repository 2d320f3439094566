"""Onset/apex pairs for training: what the trainer asks of them, the .npz they may come in, the augmentation."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Protocol, Self

import cv2
import numpy as np
from torch.utils.data import Dataset

from app.errors import DataError
from model.configs import Recipe
from model.mmnet import INPUT_SIZE

_ARRAYS = ("onset", "apex", "label", "subject")


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
class Pairs:
    """Pairs with one onset and one apex each: (N, 224, 224, 3) uint8 RGB crops. The other fields as in `PairSource`."""

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
        """The pair itself."""
        return self.onset[index], self.apex[index]


def load_pairs(path: Path, class_names: tuple[str, ...]) -> Pairs:
    """Read an .npz with the arrays onset, apex, label and subject.

    The keys of the pairs are their positions in the file, the data set is its name, the emotions are the classes.

    Raises:
        DataError: the file is missing, damaged, empty, or its arrays are not those of `Pairs`.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. Make synthetic pairs with mmnet synth.") from None
    except KeyError as error:
        raise DataError(f"{path} lacks an array ({error.args[0]}); it needs {', '.join(_ARRAYS)}.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read as an .npz of pairs: {error}") from None

    count = len(arrays["label"])
    crops = (count, INPUT_SIZE, INPUT_SIZE, 3)
    for name, shape, kind in (("onset", crops, "u1"), ("apex", crops, "u1"), ("label", (count,), "i8")):
        if arrays[name].shape != shape or arrays[name].dtype != np.dtype(kind):
            raise DataError(
                f"{path}: {name} is {arrays[name].shape} {arrays[name].dtype}, not {shape} {np.dtype(kind)}."
            )
    if count == 0:
        raise DataError(f"{path} holds no pairs.")
    if arrays["subject"].shape != (count,):
        raise DataError(f"{path}: {arrays['subject'].shape} subjects for {count} pairs.")
    if arrays["label"].min() < 0 or arrays["label"].max() >= len(class_names):
        raise DataError(f"{path}: labels outside 0…{len(class_names) - 1}, which stand for {', '.join(class_names)}.")
    return Pairs(
        **arrays,
        key=np.arange(count).astype(str),
        dataset=np.full(count, path.stem),
        emotion=np.array(class_names)[arrays["label"]],
        class_names=class_names,
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
    grey = brightness * onset.mean()
    levels = np.clip((np.arange(256) * brightness - grey) * contrast + grey, 0, 255).round().astype(np.uint8)
    size = (INPUT_SIZE, INPUT_SIZE)
    return np.stack([levels[cv2.warpAffine(crop, warp, size, flags=cv2.INTER_LINEAR)] for crop in (onset, apex)])


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
        return onset, onset if self.is_still else apex, int(self.pairs.label[index])
