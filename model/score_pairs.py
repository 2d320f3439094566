"""What an exported network says of onset/apex pairs, and how often it is right."""

from __future__ import annotations

import contextlib
import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from app.errors import DataError, OutputError
from app.face.tracker import FaceTracker
from app.recognition.classifier import Classifier
from model.calibration import NONE, expected_calibration_error
from model.coding_sheet import canonical_emotion
from model.crops import aligned, as_is, read_image
from model.metrics import Scores, confusion_matrix, score
from model.prepared import PreparedPairs

_REQUIRED = ("subject", "onset", "apex")
_log = logging.getLogger("mmnet.evaluate")


@dataclass(frozen=True, eq=False, slots=True)
class ScoredPair:
    """One pair: `label` is the true class or "" where it is not known; `probabilities` (K,) float64, None when the pair
    could not be classified because of `problem`; `facts` is its row of the table."""

    subject: str
    onset: str
    apex: str
    label: str
    probabilities: np.ndarray | None = None
    problem: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def classify_manifest(path: Path, classifier: Classifier, crops: str) -> list[ScoredPair]:
    """Classify every row of a CSV with the columns subject, onset, apex and, if wanted, label, in its order.

    Args:
        path: the table; images are relative to it.
        crops: "aligned": whole frames, cut by tracker and aligner; "as-is": crops already.

    Raises:
        DataError: the table cannot be read, is empty, or has a label that is no class of the network.
    """
    rows = _read_manifest(path, classifier.class_names)
    scored = []
    with FaceTracker(static=True) as tracker:
        for row in tqdm(rows, unit="pair", disable=None):
            try:
                images = [read_image(path.parent / name) for name in (row.onset, row.apex)]
            except DataError as error:
                scored.append(replace(row, problem=str(error)))
                continue
            cuts = aligned(images, tracker) if crops == "aligned" else [as_is(image) for image in images]
            problem = next((f"{n}: {c.problem}" for n, c in zip(("onset", "apex"), cuts, strict=True) if c.problem), "")
            if problem:
                scored.append(replace(row, problem=problem))
                continue
            prediction = classifier.classify(cuts[0].crop_bgr, cuts[1].crop_bgr)
            scored.append(replace(row, probabilities=prediction.probabilities))
    for row in scored:
        if row.problem:
            _log.warning("%s, %s: %s", row.onset, row.apex, row.problem)
    return scored


def classify_prepared(pairs: PreparedPairs, classifier: Classifier) -> list[ScoredPair]:
    """Classify the coded key frames of a prepared data set; `onset` and `apex` hold the key of the sample.

    Raises:
        DataError: the network has other classes, or learned from crops cut in another way.
    """
    if tuple(pairs.class_names) != classifier.class_names:
        raise DataError(
            f"The network tells {', '.join(classifier.class_names)} apart, the class protocol "
            f"{', '.join(pairs.class_names)}. Choose the protocol of the network with --classes."
        )
    recipe = classifier.metadata["crop_recipe"]
    if recipe != pairs.crop_recipe:
        raise DataError(
            f"The network learned from other crops ({recipe}) than these ({pairs.crop_recipe}). Prepare the data set "
            "with the --crops of the network."
        )
    scored = []
    for index in tqdm(range(len(pairs)), unit="pair", disable=None):
        onset_bgr, apex_bgr = (cv2.cvtColor(crop, cv2.COLOR_RGB2BGR) for crop in pairs.centre(index))
        label, key = pairs.class_names[pairs.label[index]], str(pairs.key[index])
        probabilities = classifier.classify(onset_bgr, apex_bgr).probabilities
        scored.append(ScoredPair(str(pairs.subject[index]), key, key, label, probabilities))
    return scored


def scores_of_pairs(pairs: Sequence[ScoredPair], class_names: Sequence[str]) -> Scores | None:
    """Scores over the pairs that have both a label and a prediction; None when there are none."""
    label, probabilities = _labelled(pairs, class_names)
    return score(label, probabilities.argmax(axis=1), len(class_names)) if len(label) else None


@dataclass(frozen=True, slots=True)
class Verification:
    """How a network with a class "none" does as the verifier of a spotter.

    `uf1`: over the other classes, of the true expressions alone. `lost`: share of them that is called none.
    `found_none`: share of what is no expression that is called none. `calibration_error`: see model.calibration.
    """

    uf1: float
    lost: float
    found_none: float
    calibration_error: float


def verification(pairs: Sequence[ScoredPair], class_names: Sequence[str]) -> Verification | None:
    """The measures above; None when the network has no such class, or the pairs lack one of the kinds."""
    label, probabilities = _labelled(pairs, class_names)
    if NONE not in class_names or not 0 < (label == class_names.index(NONE)).sum() < len(label):
        return None
    none = class_names.index(NONE)
    predicted, is_expression = probabilities.argmax(axis=1), label != none
    matrix = confusion_matrix(label[is_expression], predicted[is_expression], len(class_names))
    hits, sizes = matrix.diagonal(), matrix.sum(axis=0) + matrix.sum(axis=1)
    others = [k for k in range(len(class_names)) if k != none and sizes[k]]
    return Verification(
        uf1=float(np.mean([2 * hits[k] / sizes[k] for k in others])),
        lost=float((predicted[is_expression] == none).mean()),
        found_none=float((predicted[~is_expression] == none).mean()),
        calibration_error=expected_calibration_error(probabilities, label),
    )


def by_column(
    pairs: Sequence[ScoredPair], class_names: Sequence[str], column: str
) -> list[tuple[str, int, float, float | None]]:
    """For each value of a column of the table: value, samples, accuracy, share called none (None without that class).

    A column of more than twelve different numbers is split at its median. Pairs without a value are left out.

    Raises:
        DataError: no pair has a value in that column.
    """
    kept = [p for p in pairs if p.label and p.probabilities is not None and p.facts.get(column)]
    if not kept:
        raise DataError(f"No pair has a value in the column {column!r}. Columns: {', '.join(pairs[0].facts)}.")
    label, probabilities = _labelled(kept, class_names)
    predicted = probabilities.argmax(axis=1)
    groups = np.array([pair.facts[column] for pair in kept])
    with contextlib.suppress(ValueError):
        numbers = groups.astype(float)
        if len(np.unique(numbers)) > 12:
            middle = float(np.median(numbers))
            groups = np.where(numbers < middle, f"below {middle:.3g}", f"from {middle:.3g}")
    is_none = predicted == class_names.index(NONE) if NONE in class_names else None
    return [
        (
            *(str(group), int(chosen.sum()), float((predicted == label)[chosen].mean())),
            None if is_none is None else float(is_none[chosen].mean()),
        )
        for group in np.unique(groups)
        for chosen in (groups == group,)
    ]


def _labelled(pairs: Sequence[ScoredPair], class_names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and probabilities (N, K) of the pairs that have both."""
    both = [(pair.label, pair.probabilities) for pair in pairs if pair.label and pair.probabilities is not None]
    names = list(class_names)
    return np.array([names.index(label) for label, _ in both], int), np.array([p for _, p in both])


def write_pairs(path: Path, pairs: Sequence[ScoredPair], class_names: Sequence[str]) -> None:
    """One row a pair: subject, onset, apex, label, predicted, a probability for each class, problem.

    Raises:
        OutputError: it cannot be written.
    """
    columns = ("subject", "onset", "apex", "label", "predicted", *(f"p_{name}" for name in class_names), "problem")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(columns)
            table.writerows(_cells(pair, class_names) for pair in pairs)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}. Choose another --out.") from None


def _cells(pair: ScoredPair, class_names: Sequence[str]) -> Iterator[str]:
    yield from (pair.subject, pair.onset, pair.apex, pair.label)
    if pair.probabilities is None:
        yield from [""] * (1 + len(class_names))
    else:
        yield class_names[int(pair.probabilities.argmax())]
        yield from (f"{p:.6f}" for p in pair.probabilities)
    yield pair.problem


def _read_manifest(path: Path, class_names: Sequence[str]) -> list[ScoredPair]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            if missing := [name for name in _REQUIRED if name not in (table.fieldnames or ())]:
                raise DataError(f"{path} has no column {', '.join(missing)}; it needs {', '.join(_REQUIRED)}.")
            cells = [{name: (value or "").strip() for name, value in row.items() if name} for row in table]
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table: {error}. Save it as CSV in UTF-8.") from None
    if not cells:
        raise DataError(f"{path} has no rows: there is nothing to classify.")
    known = {canonical_emotion(name): name for name in class_names}
    for line, row in enumerate(cells, 2):
        if row.get("label") and canonical_emotion(row["label"]) not in known:
            raise DataError(
                f"{path}, line {line}: {row['label']!r} is no class of the network ({', '.join(class_names)}). Use its "
                "classes as labels, or leave the label empty."
            )
    return [
        ScoredPair(
            *(row["subject"], row["onset"], row["apex"], known.get(canonical_emotion(row.get("label", "")), "")),
            facts=row,
        )
        for row in cells
    ]
