"""How the samples are divided into training and test sets: never with a person on both sides.

A split depends on the subjects and data sets alone: every process that loads the same data makes the same folds.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from app.errors import DataError
from model.dataset import check_people_held_out

SET_ASIDE = 0.15  # of the training subjects, for early stopping


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a network is scored. `description` goes into the model card, with the number of folds for {folds}.

    `stops_early`: some training subjects are set aside, and the epoch with the lowest loss on them is kept.
    `is_selected_on_test`: the epoch is chosen on the test subject, so the scores are no measure of the network.
    """

    name: str
    description: str
    stops_early: bool = False
    is_selected_on_test: bool = False


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("loso", "leave one subject out, fixed number of epochs"),
        Protocol("loso-early-stopping", "leave one subject out, early stopping on training subjects", stops_early=True),
        Protocol("lodo", "leave one data set out, fixed number of epochs"),
        Protocol("kfold", "{folds} folds of subjects, fixed number of epochs"),
        Protocol(
            "paper",
            "leave one subject out, best test epoch of each subject: test-selected, for comparison only",
            is_selected_on_test=True,
        ),
    )
}


@dataclass(frozen=True, eq=False, slots=True)
class Fold:
    """One division. `name` fits into a file name; `train` and `test` are positions of samples, ascending int64."""

    name: str
    train: np.ndarray
    test: np.ndarray


def make_folds(protocol: Protocol, subject: np.ndarray, dataset: np.ndarray, folds: int = 5) -> tuple[Fold, ...]:
    """The folds of a protocol, by name.

    Args:
        subject, dataset: (N,) text, of each sample. A subject without a sample has no fold.
        folds: how many, for `kfold` only.

    Raises:
        DataError: there are too few subjects or data sets to hold one out, or one would be on both sides.
    """
    if protocol.name == "kfold":
        group = _balanced_groups(subject, folds)
    else:
        group = dataset if protocol.name == "lodo" else subject
    names = np.unique(group).tolist()
    kind = "data sets" if protocol.name == "lodo" else "subjects"
    if len(names) < 2:
        raise DataError(f"{protocol.name} needs at least two {kind}; there is only {', '.join(map(str, names))}.")
    made = []
    for name in names:
        is_test = group == name
        fold = Fold(re.sub(r"[^\w.-]+", "_", str(name)), np.flatnonzero(~is_test), np.flatnonzero(is_test))
        check_people_held_out(subject[fold.train], subject[fold.test])
        made.append(fold)
    doubled = [name for name, count in Counter(fold.name.lower() for fold in made).items() if count > 1]
    if doubled:
        raise DataError(f"Several {kind} would be written to a folder called {doubled[0]}: rename one of them.")
    return tuple(made)


def _balanced_groups(subject: np.ndarray, folds: int) -> np.ndarray:
    """(N,) name of the fold of each sample: subjects with most samples are dealt first, to the smallest fold."""
    names, counts = np.unique(subject, return_counts=True)
    if folds < 2:
        raise DataError(f"kfold needs at least two folds, not {folds}.")
    if len(names) < folds:
        raise DataError(f"{len(names)} subjects do not make {folds} folds: use --folds {len(names)} or loso.")
    sizes = np.zeros(folds, int)
    fold_of = {}
    for name, count in sorted(zip(names.tolist(), counts.tolist(), strict=True), key=lambda item: (-item[1], item[0])):
        smallest = int(sizes.argmin())
        sizes[smallest] += count
        fold_of[name] = f"fold{smallest + 1:02d}"
    return np.array([fold_of[name] for name in subject.tolist()])


def set_aside(
    train: np.ndarray, subject: np.ndarray, rng: np.random.Generator, share: float = SET_ASIDE
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a fold's training samples by subject: those to learn from, and those to choose something on.

    Args:
        train: positions of the training samples.
        subject: (N,) of all samples.
        share: of the subjects, at least one.

    Raises:
        DataError: there is one training subject only.
    """
    names = np.unique(subject[train])
    if len(names) < 2:
        raise DataError("There is one subject only: none is left to set aside. Use more people, or the protocol loso.")
    count = max(1, round(share * len(names)))
    is_aside = np.isin(subject[train], rng.permutation(names)[:count])
    return train[~is_aside], train[is_aside]


def lone_classes(label: np.ndarray, subject: np.ndarray, class_names: tuple[str, ...]) -> list[str]:
    """Classes with samples of one subject only: nobody is left to learn them from when that subject is held out."""
    return [name for k, name in enumerate(class_names) if len(np.unique(subject[label == k])) == 1]
