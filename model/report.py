"""What a run says of its network: predictions, scores, confusion matrix and model card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import app
from model.checkpoint import written_whole
from model.configs import RunConfig
from model.dataset import PairSource
from model.fit import scores_of, write_rows
from model.metrics import score_groups

POOLED = ("accuracy", "uf1", "uar")
DECIMALS = 8  # of probabilities in files
_LIMITS = (
    "It names the class that a brief facial movement is most consistent with. It reads no thoughts or feelings and "
    "detects no lies.",
    "The scores hold for movements that a coder has found and delimited. On live video the movement has to be spotted "
    "first, which goes wrong more often than it goes right.",
    "The people, the camera and the light of the training data are few. On others the scores will be lower.",
    "Rare classes are learned from few samples: look at their own F1 and recall, not at the accuracy.",
    "Not for decisions about people, and in the EU not for inferring emotions of employees or students.",
)
_LICENCE = (
    "The data stay under the licences of their owners, most of which allow academic research only. Whoever passes this "
    "network on makes sure that those licences allow it."
)


@dataclass(frozen=True, eq=False, slots=True)
class Predictions:
    """Probabilities (M, K) float64 for the pairs at positions `indices` (M,), by the network of one fold and seed."""

    fold: str
    seed: int
    indices: np.ndarray
    probabilities: np.ndarray


def prediction_rows(pairs: PairSource, found: Predictions) -> list[dict[str, Any]]:
    """One row a sample, in the order of `indices`."""
    names = pairs.class_names
    return [
        {
            "key": pairs.key[index],
            "subject": pairs.subject[index],
            "label": names[pairs.label[index]],
            "predicted": names[int(row.argmax())],
            **{f"p_{name}": f"{p:.{DECIMALS}f}" for name, p in zip(names, row, strict=True)},
            "fold": found.fold,
            "seed": found.seed,
        }
        for index, row in zip(found.indices, found.probabilities, strict=True)
    ]


def pooled_scores(pairs: PairSource, predictions: Sequence[Predictions]) -> dict[str, Any]:
    """Scores of each seed over the pooled predictions of its folds, and their mean and deviation over the seeds.

    Returns:
        accuracy, uf1, uar: means over the seeds; sd: standard deviations of the three (None with one seed); confusion:
        summed over the seeds; seeds: by seed, the scores in all, by class, by subject and by data set.
    """
    seeds: dict[str, Any] = {}
    for seed in sorted({found.seed for found in predictions}):
        parts = [found for found in predictions if found.seed == seed]
        indices = np.concatenate([found.indices for found in parts])
        probabilities = np.concatenate([found.probabilities for found in parts])
        label = pairs.label[indices]
        scores = scores_of(probabilities, label)
        by_class = zip(pairs.class_names, scores.pop("f1"), scores.pop("recall"), scores["confusion"], strict=True)
        groups = {
            name: score_groups(label, probabilities.argmax(axis=1), group[indices], len(pairs.class_names))
            for name, group in (("by_subject", pairs.subject), ("by_dataset", pairs.dataset))
        }
        seeds[str(seed)] = {
            **scores,
            "by_class": {name: {"samples": sum(row), "f1": f1, "recall": r} for name, f1, r, row in by_class},
            **groups,
        }
    values = {name: [scores[name] for scores in seeds.values()] for name in POOLED}
    return {
        **{name: float(np.mean(numbers)) for name, numbers in values.items()},
        "sd": {name: float(np.std(numbers, ddof=1)) for name, numbers in values.items()} if len(seeds) > 1 else None,
        "confusion": np.sum([scores["confusion"] for scores in seeds.values()], axis=0).tolist(),
        "class_names": list(pairs.class_names),
        "seeds": seeds,
    }


def data_summary(pairs: PairSource) -> dict[str, Any]:
    """How many samples and subjects there are: in all, by data set, and by class with the emotions behind it."""
    by_set = {
        str(name): {
            "samples": int((pairs.dataset == name).sum()),
            "subjects": len(np.unique(pairs.subject[pairs.dataset == name])),
        }
        for name in np.unique(pairs.dataset)
    }
    by_class = {
        name: {
            "samples": int((pairs.label == k).sum()),
            "subjects": len(np.unique(pairs.subject[pairs.label == k])),
            "emotions": sorted({str(emotion) for emotion in pairs.emotion[pairs.label == k]}),
        }
        for k, name in enumerate(pairs.class_names)
    }
    return {
        "samples": len(pairs),
        "subjects": len(np.unique(pairs.subject)),
        "sets": by_set,
        "classes": by_class,
        "crop_recipe": pairs.crop_recipe,
    }


def write_report(
    out: Path,
    config: RunConfig,
    pairs: PairSource,
    predictions: Sequence[Predictions],
    *,
    settings: Mapping[str, Any],
    learned_from: PairSource | None = None,
    note: str = "",
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write predictions.csv, scores.json, confusion.csv, confusion.png, card.json and card.md; returns the scores.

    Args:
        pairs: those that `predictions` are of.
        settings: further settings of the run, for the card.
        learned_from: what the network has seen, where that is something else than the folds of `pairs`.
        note: why the scores are no measure of the network; with it, the card gives none.
        extra: what else scores.json holds.

    Raises:
        OutputError: something cannot be written.
    """
    scores = {"protocol": config.protocol, "note": note, **pooled_scores(pairs, predictions), **(extra or {})}
    names = pairs.class_names
    parts = {"cross-validation": pairs} if learned_from is None else {"training": learned_from, "test": pairs}
    write_rows(out / "predictions.csv", [row for found in predictions for row in prediction_rows(pairs, found)])
    write_json(out / "scores.json", scores)
    write_rows(
        out / "confusion.csv",
        [
            {"true": name, **dict(zip(names, row, strict=True))}
            for name, row in zip(names, scores["confusion"], strict=True)
        ],
    )
    draw_confusion(out / "confusion.png", np.array(scores["confusion"]), names)
    card = {
        "name": config.name,
        "made_by": f"mmnet {app.__version__}",
        "training_data": config.training_data,
        "data": {part: data_summary(source) for part, source in parts.items()},
        "class_names": list(names),
        "protocol": config.protocol,
        "network": asdict(config.network),
        "recipe": asdict(config.recipe),
        "settings": dict(settings),
        "scores": None if note else {k: v for k, v in scores.items() if k in (*POOLED, "sd", "confusion")},
        "by_class": None if note else {seed: found["by_class"] for seed, found in scores["seeds"].items()},
        "note": note,
        "limits": list(_LIMITS),
        "licence": _LICENCE,
    }
    write_json(out / "card.json", card)
    with written_whole(out / "card.md") as temporary:
        temporary.write_text(card_text(card), encoding="utf-8")
    return scores


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file in one piece.

    Raises:
        OutputError: it cannot be written.
    """
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def card_text(card: Mapping[str, Any]) -> str:
    """The model card in Markdown."""
    lines = [f"# {card['name']}", "", "Names the expression class that a brief facial movement is consistent with.", ""]
    lines += ["## Data", "", f"{card['training_data'][:1].upper()}{card['training_data'][1:]}.", ""]
    for part, data in card["data"].items():
        lines += [f"{part.capitalize()}: samples {data['samples']}, subjects {data['subjects']}.", ""]
        sets = [(name, found["samples"], found["subjects"]) for name, found in data["sets"].items()]
        lines += _table(("set", "samples", "subjects"), sets)
        lines += _table(
            ("class", "samples", "subjects", "coded as"),
            [(name, v["samples"], v["subjects"], ", ".join(v["emotions"])) for name, v in data["classes"].items()],
        )
    lines += ["## Scores", "", f"Protocol: {card['protocol']}.", ""]
    if card["scores"] is None:
        lines += [card["note"], ""]
    else:
        lines += ["Counted over the pooled predictions for people whom the network that was asked had never seen.", ""]
        deviations = card["scores"]["sd"]
        lines += _table(
            ("accuracy", "UF1", "UAR"),
            [[f"{card['scores'][k]:.4f}" + (f" ± {deviations[k]:.4f}" if deviations else "") for k in POOLED]],
        )
        if deviations:
            lines += [f"Mean ± standard deviation over the seeds {', '.join(card['by_class'])}.", ""]
        rows = [
            (name, seed, values["samples"], _number(values["f1"]), _number(values["recall"]))
            for seed, classes in card["by_class"].items()
            for name, values in classes.items()
        ]
        lines += _table(("class", "seed", "samples", "F1", "recall"), rows)
    lines += ["## Recipe", "", "AdamW on the cross-entropy, without class weights; MMNet (arXiv 2201.05297).", ""]
    lines += _table(("setting", "value"), [*card["recipe"].items(), *card["settings"].items()])
    lines += ["## Limits", "", *(f"- {limit}" for limit in card["limits"]), ""]
    lines += ["## Licence", "", card["licence"], "", f"Made by {card['made_by']}.", ""]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [*("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines), ""]


def draw_confusion(path: Path, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    """Picture of a confusion matrix (K, K): counts, shaded by the share of each true class.

    Raises:
        OutputError: it cannot be written.
    """
    # Imported here: Matplotlib takes half a second. The figure is made without pyplot, which would choose a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size_inch = 2.5 + 0.7 * len(class_names)
    figure = Figure(figsize=(size_inch, size_inch), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(matrix):
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    ticks = range(len(class_names))
    axes.set_xticks(ticks, class_names, rotation=45, ha="right")
    axes.set_yticks(ticks, class_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    with written_whole(path) as temporary, temporary.open("wb") as file:
        FigureCanvasAgg(figure).print_png(file)
