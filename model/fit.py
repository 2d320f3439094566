"""Train one network: epochs of AdamW on augmented pairs, saved after each so that a killed run goes on where it was.

Everything random follows from the seed, the name of the fold and the epoch: neither the folds trained before nor an
interruption changes a result. On the CPU it also depends on the number of threads, which decides the order of sums.
"""

from __future__ import annotations

import contextlib
import csv
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from app.errors import ModelError, OutputError
from model.baselines import make_network
from model.checkpoint import RunRecord, load_checkpoint, save_checkpoint, written_whole
from model.compute import this_machine
from model.configs import Recipe
from model.dataset import PairDataset, PairSource
from model.metrics import score
from model.mmnet import normalise_crops

CHECKPOINT = "checkpoint.safetensors"
_BEST = "best.safetensors"
_EVALUATION_BATCH = 16


@dataclass(frozen=True, slots=True)
class Choice:
    """Keep the network of the best epoch on the validation pairs instead of the last one.

    `measure` is "loss" (lowest) or "accuracy" (highest); of equal epochs the first is kept. Training ends after
    `patience` epochs in a row without a better one, or with the recipe's epochs where it is None.
    """

    measure: str
    patience: int | None

    def epoch(self, history: Sequence[dict[str, float]]) -> int:
        """The best epoch so far, counted from 1."""
        sign = 1 if self.measure == "loss" else -1
        return 1 + int(np.argmin([sign * row[f"validate_{self.measure}"] for row in history]))

    def is_over(self, history: Sequence[dict[str, float]]) -> bool:
        """Whether patience is at its end."""
        return bool(history) and self.patience is not None and len(history) - self.epoch(history) >= self.patience


def learning_rate(recipe: Recipe, epoch: int, step: int) -> float:
    """Learning rate in an epoch (0-based) at a step counted from the start of the run (0-based)."""
    warmup = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    return recipe.learning_rate * recipe.decay ** min(epoch, recipe.decay_epochs) * warmup


def make_optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with two groups, the head and the rest; `rate` of a group is relative to the learning rate."""
    head = list((network.resnet if hasattr(network, "resnet") else network.main_branch).fc.parameters())
    is_head = {id(parameter) for parameter in head}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in is_head]
    groups = [{"params": rest, "rate": 1.0}, {"params": head, "rate": recipe.head_rate}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def random_seed(seed: int, fold: str) -> tuple[int, int]:
    """What all random numbers of a fit are drawn from."""
    return seed, zlib.crc32(fold.encode())


def _logits(network: nn.Module, onset: torch.Tensor, apex: torch.Tensor, is_reduced: bool) -> torch.Tensor:
    compute = this_machine()
    x_NCHW = [compute.crops(normalise_crops(crops.to(compute.device))) for crops in (onset, apex)]
    with compute.autocast(is_reduced):
        logits, _ = network(*x_NCHW)
    return logits.float()


def _loader(dataset: PairDataset, batch_size: int, order: Sequence[int] | None = None) -> DataLoader:
    """Batches of a data set, read and augmented in as many processes as the device is worth."""
    processes = this_machine().loader_processes
    return DataLoader(
        dataset,
        batch_size,
        sampler=order,
        num_workers=processes,
        worker_init_fn=_with_one_thread if processes else None,
    )


def _with_one_thread(_: int) -> None:
    """Loader processes share the cores already; OpenCV would start a thread for each of them in every process."""
    cv2.setNumThreads(1)


def evaluate(network: nn.Module, pairs: PairSource, *, is_reduced: bool = False, is_still: bool = False) -> np.ndarray:
    """Class probabilities (N, K) float64 of every pair, of the frames as coded.

    Args:
        is_reduced: compute in bfloat16 if that is faster here.
        is_still: the control, with the onset in place of the apex.

    Raises:
        ModelError: they are not finite.
    """
    network.eval()
    loader = _loader(PairDataset(pairs, is_still=is_still), _EVALUATION_BATCH)
    with torch.inference_mode():
        logits = [
            _logits(network, onset, apex, is_reduced) for onset, apex, _ in tqdm(loader, disable=None, leave=False)
        ]
    probabilities = torch.cat(logits).double().softmax(dim=1).cpu().numpy()
    if not np.isfinite(probabilities).all():
        raise ModelError("The network's outputs are no longer finite: start again with a lower --lr.")
    return probabilities


def scores_of(probabilities: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """Cross-entropy and scores of probabilities (N, K) for the labels (N,), in the types of JSON."""
    scores = score(label, probabilities.argmax(axis=1), probabilities.shape[1])
    true = probabilities[np.arange(len(label)), label]
    return {"loss": float(-np.log(np.maximum(true, 1e-12)).mean()), **json.loads(json.dumps(asdict(scores)))}


def fit(
    record: RunRecord,
    pairs: PairSource,
    folder: Path,
    *,
    validate: PairSource | None = None,
    choice: Choice | None = None,
    start: nn.Module | None = None,
) -> tuple[nn.Module, RunRecord]:
    """Train a network, from its beginning or from the last epoch saved in `folder`.

    Leaves in `folder`: checkpoint.safetensors, metrics.csv (a row an epoch), the events for TensorBoard.

    Args:
        record: of the run before its first epoch.
        validate: pairs to measure after every epoch; without a choice they decide nothing.
        choice: keep the best epoch instead of the last.
        start: network to begin with, of the same configuration; by default a new one.

    Returns:
        The network, on the device, and the record with its history.

    Raises:
        ModelError: the loss diverged, or the checkpoint in `folder` belongs to other settings or data.
        OutputError: something cannot be written; all epochs before are saved.
    """
    network, state, record = _start(folder, record, start)
    network = this_machine().place(network)
    recipe = record.config.recipe
    optimiser = make_optimiser(network, recipe)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    steps = -(-len(pairs) // recipe.batch_size)
    bar = tqdm(total=recipe.epochs * steps, initial=record.epochs_done * steps, unit="step", disable=None, leave=False)
    with bar, _events(folder, record) as events:
        while record.epochs_done < recipe.epochs and not (choice and choice.is_over(record.history)):
            bar.set_description(f"{record.fold} epoch {record.epochs_done + 1}/{recipe.epochs}".lstrip())
            row = {"epoch": record.epochs_done + 1} | _train_epoch(network, optimiser, pairs, record, bar)
            if validate is not None:
                scores = scores_of(evaluate(network, validate, is_reduced=True), validate.label)
                row |= {f"validate_{name}": scores[name] for name in ("loss", "accuracy", "uf1", "uar")}
            record = replace(record, history=(*record.history, row))
            if choice is not None and choice.epoch(record.history) == record.epochs_done:
                # Before the checkpoint: killed in between, the epoch is repeated and this file written again.
                save_checkpoint(folder / _BEST, network, None, record)
            save_checkpoint(folder / CHECKPOINT, network, optimiser, record)
            write_rows(folder / "metrics.csv", record.history)
            for name, value in row.items():
                if name != "epoch":
                    events.add_scalar(name.replace("_", "/", 1), value, row["epoch"])
            events.flush()
    if choice is not None:
        network = this_machine().place(load_checkpoint(folder / _BEST)[0])
    return network, record


def finish(folder: Path, network: nn.Module, record: RunRecord) -> None:
    """Save the network that a fit ended with, and its results; what only further training needs is dropped."""
    save_checkpoint(folder / CHECKPOINT, network, None, record)
    write_rows(folder / "metrics.csv", record.history)
    (folder / _BEST).unlink(missing_ok=True)


def _start(folder: Path, record: RunRecord, start: nn.Module | None) -> tuple[nn.Module, dict, RunRecord]:
    """The network in the folder, or the one to begin with."""
    for unfinished in folder.glob("*.tmp"):
        unfinished.unlink(missing_ok=True)
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        network, state, found = load_checkpoint(checkpoint)
        check_same_run(checkpoint, found, record)
        return network, state, found
    make_folder(folder)
    torch.manual_seed(int(np.random.SeedSequence(random_seed(record.seed, record.fold)).generate_state(1)[0]))
    return start or make_network(record.config.network), {}, record


def check_same_run(checkpoint: Path, found: RunRecord, wanted: RunRecord) -> None:
    """Refuse to go on with what other settings or data have left.

    Raises:
        ModelError: they differ.
    """
    told = ("config", "seed", "data", "fold", "started_from")
    if any(getattr(found, name) != getattr(wanted, name) for name in told):
        raise ModelError(f"{checkpoint} belongs to other settings or data: use those, or another --out.")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}. Choose another --out.") from None


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a CSV file in one piece, with the keys of the first row as its header.

    Raises:
        OutputError: it cannot be written.
    """
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _train_epoch(
    network: nn.Module, optimiser: torch.optim.Optimizer, pairs: PairSource, record: RunRecord, bar: tqdm
) -> dict[str, float]:
    """One pass over the pairs; returns its mean loss and accuracy, measured while it learns."""
    recipe, epoch = record.config.recipe, record.epochs_done
    seed = (*random_seed(record.seed, record.fold), epoch)
    order = np.random.default_rng(seed).permutation(len(pairs)).tolist()
    loader = _loader(PairDataset(pairs, recipe, seed), recipe.batch_size, order)
    network.train()
    loss_sum, hits = 0.0, 0
    for batch, (onset, apex, label) in enumerate(loader):
        rate = learning_rate(recipe, epoch, epoch * len(loader) + batch)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["rate"]
        logits = _logits(network, onset, apex, is_reduced=True)
        label = label.to(logits.device)
        loss = F.cross_entropy(logits, label, label_smoothing=recipe.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss_sum += loss.item() * len(label)
        hits += int((logits.argmax(dim=1) == label).sum())
        bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        bar.update()
    if not np.isfinite(loss_sum):
        raise ModelError(f"The loss is no longer finite in epoch {epoch + 1}: start again with a lower --lr.")
    return {"train_loss": loss_sum / len(pairs), "train_accuracy": hits / len(pairs)}


@contextlib.contextmanager
def _events(folder: Path, record: RunRecord) -> Iterator[Any]:
    """Writer of what TensorBoard shows; the epochs that a killed run had begun to log are struck out."""
    # Imported here: half a second that reading and exporting a run need not wait.
    from torch.utils.tensorboard import SummaryWriter

    try:
        with SummaryWriter(folder / "tensorboard", purge_step=record.epochs_done + 1) as events:
            yield events
    except OSError as error:
        raise OutputError(
            f"{folder / 'tensorboard'} cannot be written ({error.strerror}). Make room and go on with --resume."
        ) from None
