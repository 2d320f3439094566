"""Train MMNet on onset/apex pairs.

    python -m model.train --pairs train.npz --validate validate.npz --out runs/NAME

The number of epochs is fixed beforehand and the last network is the result: choosing the best epoch on the people that
are held out would be choosing on the test. A run that was cut off goes on with --resume and ends with the same numbers.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from app.errors import MmnetError, ModelError, OutputError
from model.checkpoint import RunRecord, load_checkpoint, save_checkpoint
from model.compute import keep_freed_memory, this_machine
from model.configs import CONFIGS, Recipe, RunConfig, synthetic_3class
from model.dataset import PairDataset, Pairs, check_people_held_out, load_pairs
from model.metrics import score
from model.mmnet import MMNet, normalise_crops

_log = logging.getLogger("mmnet.train")
_CHECKPOINT = "checkpoint.safetensors"
_EVALUATION_BATCH = 16


def learning_rate(recipe: Recipe, epoch: int, step: int) -> float:
    """Learning rate in an epoch (0-based) at a step counted from the start of the run (0-based)."""
    warmup = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    return recipe.learning_rate * recipe.decay ** min(epoch, recipe.decay_epochs) * warmup


def _optimiser(network: MMNet, recipe: Recipe) -> torch.optim.AdamW:
    head = list(network.main_branch.fc.parameters())
    is_head = {id(parameter) for parameter in head}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in is_head]
    groups = [{"params": rest, "rate": 1.0}, {"params": head, "rate": recipe.head_rate}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def _logits(network: nn.Module, onset: torch.Tensor, apex: torch.Tensor, is_reduced: bool) -> torch.Tensor:
    compute = this_machine()
    x_NCHW = [compute.crops(normalise_crops(crops.to(compute.device))) for crops in (onset, apex)]
    with compute.autocast(is_reduced):
        logits, _ = network(*x_NCHW)
    return logits.float()


def evaluate(network: nn.Module, pairs: Pairs, is_reduced: bool = False) -> np.ndarray:
    """Class probabilities (N, K) float64 of every pair; where `is_reduced`, in bfloat16 if that is faster here."""
    network.eval()
    loader = DataLoader(PairDataset(pairs), batch_size=_EVALUATION_BATCH)
    with torch.inference_mode():
        logits = [
            _logits(network, onset, apex, is_reduced) for onset, apex, _ in tqdm(loader, disable=None, leave=False)
        ]
    return torch.cat(logits).double().softmax(dim=1).cpu().numpy()


def _train_epoch(network: nn.Module, optimiser: torch.optim.Optimizer, pairs: Pairs, record: RunRecord) -> dict:
    """One pass over the pairs; returns its mean loss and accuracy, measured while it learns."""
    recipe, epoch = record.config.recipe, record.epochs_done
    # Everything random depends on seed and epoch alone, so that a resumed run repeats the unbroken one.
    order = np.random.default_rng((record.seed, epoch)).permutation(len(pairs)).tolist()
    dataset = PairDataset(pairs, recipe, seed=(record.seed, epoch))
    loader = DataLoader(dataset, batch_size=recipe.batch_size, sampler=order)
    network.train()
    loss_sum, hits = 0.0, 0
    bar = tqdm(loader, desc=f"epoch {epoch + 1}/{recipe.epochs}", disable=None, leave=False)
    for batch, (onset, apex, label) in enumerate(bar):
        rate = learning_rate(recipe, epoch, epoch * len(loader) + batch)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["rate"]
        logits = _logits(network, onset, apex, is_reduced=True)
        label = label.to(logits.device)
        loss = F.cross_entropy(logits, label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss_sum += loss.item() * len(label)
        hits += int((logits.argmax(dim=1) == label).sum())
        bar.set_postfix(loss=f"{loss.item():.3f}")
    if not np.isfinite(loss_sum):
        raise ModelError(f"The loss is no longer finite in epoch {epoch + 1}: start again with a lower --lr.")
    return {"train_loss": loss_sum / len(pairs), "train_accuracy": hits / len(pairs)}


def _scores(probabilities: np.ndarray, pairs: Pairs) -> dict:
    scores = asdict(score(pairs.label, probabilities.argmax(axis=1), len(pairs.class_names)))
    scores["confusion"] = [list(row) for row in scores["confusion"]]
    true = probabilities[np.arange(len(pairs)), pairs.label]
    return {"loss": float(-np.log(np.maximum(true, 1e-12)).mean()), **scores}


def _write_rows(path: Path, rows: Sequence[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_results(out: Path, network: MMNet, pairs: Pairs) -> dict:
    """Score the finished network in full precision, with the control in which nothing moves."""
    probabilities = evaluate(network, pairs)
    control = evaluate(network, pairs.still())
    results = {
        "class_names": list(pairs.class_names),
        **_scores(probabilities, pairs),
        "control": _scores(control, pairs) | {"mean_probabilities": control.mean(axis=0).round(4).tolist()},
    }
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    names = pairs.class_names
    _write_rows(
        out / "predictions.csv",
        [
            {"pair": index, "subject": subject, "label": names[label], "predicted": names[int(row.argmax())]}
            | {f"p_{name}": f"{p:.6f}" for name, p in zip(names, row, strict=True)}
            for index, (subject, label, row) in enumerate(zip(pairs.subject, pairs.label, probabilities, strict=True))
        ],
    )
    return results


def _start(out: Path, record: RunRecord, resume: bool) -> tuple[MMNet, dict, RunRecord]:
    """A new network in a new folder, or what the checkpoint in the folder holds."""
    checkpoint = out / _CHECKPOINT
    if resume and checkpoint.exists():
        network, state, found = load_checkpoint(checkpoint)
        if (found.config, found.seed, found.data) != (record.config, record.seed, record.data):
            raise ModelError(f"{checkpoint} belongs to other settings or data: use those, or another --out.")
        return network, state, found
    if checkpoint.exists():
        raise OutputError(f"{out} holds a run already: go on with it by --resume, or choose another --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out} cannot be made: {error.strerror}. Choose another --out.") from None
    torch.manual_seed(record.seed)
    return MMNet(record.config.network), {}, record


def train(
    config: RunConfig, pairs: Pairs, validate: Pairs, out: Path, *, seed: int = 0, resume: bool = False
) -> RunRecord:
    """Run all epochs of a recipe and score the last network on people it has never seen.

    Leaves in `out`: checkpoint.safetensors, config.json, metrics.csv (a row an epoch), predictions.csv, results.json.

    Raises:
        DataError: the sets share a person.
        ModelError: the loss diverged, or the checkpoint to resume belongs to another run.
        OutputError: `out` holds a run already, or cannot be made.
    """
    check_people_held_out(pairs, validate)
    data = {f"{name}_pairs": len(part) for name, part in (("train", pairs), ("validate", validate))}
    data |= {f"{name}_people": len(set(p.subject.tolist())) for name, p in (("train", pairs), ("validate", validate))}
    network, state, record = _start(out, RunRecord(config, seed, data), resume)
    (out / "config.json").write_text(
        json.dumps({"seed": seed, "data": data, **asdict(config)}, indent=2) + "\n", encoding="utf-8"
    )

    network = this_machine().place(network)
    recipe = config.recipe
    optimiser = _optimiser(network, recipe)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})

    while record.epochs_done < recipe.epochs:
        row = {"epoch": record.epochs_done + 1} | _train_epoch(network, optimiser, pairs, record)
        scores = _scores(evaluate(network, validate, is_reduced=True), validate)
        row |= {f"validate_{name}": scores[name] for name in ("loss", "accuracy", "uf1", "uar")}
        record = replace(record, history=(*record.history, row))
        save_checkpoint(out / _CHECKPOINT, network, optimiser, record)
        _write_rows(out / "metrics.csv", record.history)
        _log.info("%s", "  ".join(f"{k} {v:.4g}" for k, v in row.items()))
    if record.results is None:
        record = replace(record, results=_write_results(out, network, validate))
        save_checkpoint(out / _CHECKPOINT, network, optimiser, record)
    return record


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.train", description="Train MMNet on onset/apex pairs.")
    parser.add_argument("--pairs", type=Path, required=True, metavar="NPZ", help="pairs to learn from")
    parser.add_argument(
        "--validate", type=Path, required=True, metavar="NPZ", help="pairs of other people, to score on"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument("--config", choices=sorted(CONFIGS), default=synthetic_3class.__name__)
    parser.add_argument("--epochs", type=_positive, help="instead of the recipe's")
    parser.add_argument("--batch", type=_positive, help="pairs a step, instead of the recipe's")
    parser.add_argument("--lr", type=float, help="learning rate, instead of the recipe's")
    parser.add_argument("--threads", type=_positive, help="CPU threads (default: one for each core)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on after the last finished epoch in --out")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    logging.basicConfig(format="%(message)s")
    _log.setLevel(logging.INFO)
    arguments = _arguments(argv)
    keep_freed_memory()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    config = CONFIGS[arguments.config]()
    wishes = {"epochs": arguments.epochs, "batch_size": arguments.batch, "learning_rate": arguments.lr}
    config = replace(config, recipe=replace(config.recipe, **{k: v for k, v in wishes.items() if v is not None}))
    try:
        pairs, validate = (load_pairs(p, config.network.class_names) for p in (arguments.pairs, arguments.validate))
        record = train(config, pairs, validate, arguments.out, seed=arguments.seed, resume=arguments.resume)
    except MmnetError as error:
        _log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        _log.error("Stopped. Go on with --resume.")
        return 130
    _log.info("%s", json.dumps(record.results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
