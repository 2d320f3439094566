"""Cross-validation: one network a fold and seed, scored on people it has never seen; the predictions are pooled.

runs/NAME/
    config.json                                   the settings, which --resume compares
    folds/FOLD/seedN/                             checkpoint.safetensors, metrics.csv, predictions.csv, tensorboard/
    metrics.csv  predictions.csv  scores.json     of all folds
    confusion.csv  confusion.png  card.md  card.json
    final/checkpoint.safetensors                  the network that has seen everybody, where one was asked for

A fold depends on nothing but the data, the settings, the seed and its name. Folds may therefore be trained in any
order, by several processes at once, or on several machines; a run that was killed ends with the numbers of an unbroken
one.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import subprocess
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from app.errors import DataError, ModelError, OutputError
from model.checkpoint import RunRecord, read_record
from model.cluster import run_on_ray
from model.configs import RunConfig
from model.dataset import PairSource
from model.fit import (
    CHECKPOINT,
    Choice,
    check_same_run,
    evaluate,
    finish,
    fit,
    make_folder,
    random_seed,
    scores_of,
    write_rows,
)
from model.folds import Fold, Protocol, lone_classes, make_folds, set_aside
from model.report import DECIMALS, POOLED, Predictions, data_summary, prediction_rows, write_json, write_report

_CONFIG = "config.json"
_PATIENCE_EPOCHS = 10
_POLL_S = 0.2
_TEST_SELECTED = (
    "No score: the epoch was chosen for each subject by the score on that very subject, as in the published numbers. "
    "That is for comparison with them only (scores.json). How well the network does on new people, the protocol loso "
    "tells."
)
_log = logging.getLogger("mmnet.train")


@dataclass(frozen=True, eq=False, slots=True)
class CrossValidation:
    """All that decides the numbers of a run. `checksum` is of the data, `threads` of the CPU, for one fold."""

    config: RunConfig
    pairs: PairSource
    protocol: Protocol
    folds: tuple[Fold, ...]
    seeds: tuple[int, ...]
    threads: int
    checksum: int
    out: Path

    def folder(self, fold: Fold, seed: int) -> Path:
        """Where a fold lies."""
        return self.out / "folds" / fold.name / f"seed{seed}"

    def record(self, fold: Fold, seed: int) -> RunRecord:
        """The record of a fold before its first epoch."""
        return self._record(self.config, seed, fold.name, fold.train, fold.test)

    def final_record(self, epochs: int) -> RunRecord:
        """The record, before its first epoch, of the network that learns from everybody."""
        everyone = np.arange(len(self.pairs))
        config = replace(self.config, recipe=replace(self.config.recipe, epochs=epochs))
        return self._record(config, self.seeds[0], "final", everyone, everyone)

    def _record(self, config: RunConfig, seed: int, fold: str, train: np.ndarray, test: np.ndarray) -> RunRecord:
        parts = {"train": train, "validate": test}
        pairs = {f"{name}_pairs": len(indices) for name, indices in parts.items()}
        people = {f"{name}_people": len(np.unique(self.pairs.subject[indices])) for name, indices in parts.items()}
        data = pairs | people | {"checksum": self.checksum}
        return RunRecord(config, seed, data, fold=fold, crop_recipe=self.pairs.crop_recipe)

    def settings(self) -> dict[str, Any]:
        """What a run that goes on must have in common with what is there."""
        return {
            "config": asdict(self.config),
            "protocol": self.protocol.name,
            "folds": [fold.name for fold in self.folds],
            "threads": self.threads,
            "data": data_summary(self.pairs) | {"checksum": self.checksum},
        }


def plan(
    config: RunConfig,
    pairs: PairSource,
    protocol: Protocol,
    out: Path,
    *,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    threads: int = 1,
) -> CrossValidation:
    """A cross-validation, as yet without a file.

    Args:
        folds: how many, for `kfold` only.
        threads: of the CPU, for one fold. Other numbers of threads add in another order and end in other numbers.

    Raises:
        DataError: the samples cannot be divided, or all are of one class.
    """
    made = make_folds(protocol, pairs.subject, pairs.dataset, folds)
    if len(np.unique(pairs.label)) < 2:
        raise DataError("All samples are of one class: there is nothing to tell apart. Check the classes.")
    sets = ", ".join(map(str, np.unique(pairs.dataset)))
    config = replace(
        config,
        training_data=f"{sets}; classes {config.classes or ', '.join(pairs.class_names)}",
        protocol=protocol.description.format(folds=len(made)),
    )
    return CrossValidation(config, pairs, protocol, made, tuple(seeds), threads, _checksum(pairs), out)


def _checksum(pairs: PairSource) -> int:
    text = "\n".join(f"{k}\t{s}\t{n}" for k, s, n in zip(pairs.key, pairs.subject, pairs.label, strict=True))
    value = zlib.crc32(text.encode())
    for index in range(len(pairs)):
        for crop in pairs.centre(index):
            value = zlib.crc32(np.ascontiguousarray(crop), value)
    return value


def begin(run: CrossValidation, *, resume: bool) -> None:
    """Make the run's folder and write its settings, or make sure that those in it are the same.

    Raises:
        OutputError: the folder is in use and `resume` is not set, or cannot be written.
        ModelError: it holds a run with other settings or data.
    """
    if not resume and run.out.is_dir() and any(run.out.iterdir()):
        raise OutputError(f"{run.out} is not empty: go on with the run in it by --resume, or choose another --out.")
    found = read_settings(run.out)
    settings = json.loads(json.dumps(run.settings()))
    differing = [name for name, value in settings.items() if found and found.get(name) != value]
    if differing:
        raise ModelError(
            f"{run.out} holds a run with other settings ({', '.join(differing)}): repeat what it was started with, "
            "or choose another --out."
        )
    for name in lone_classes(run.pairs.label, run.pairs.subject, run.pairs.class_names):
        _log.warning("All samples of %s are of one subject: nobody is left to learn it from without them.", name)
    make_folder(run.out)
    seeds = sorted({*run.seeds, *found.get("seeds", [])})
    write_json(run.out / _CONFIG, settings | {"seeds": seeds})


def read_settings(out: Path) -> dict[str, Any]:
    """The settings of the run in a folder; empty where there is none.

    Raises:
        ModelError: they cannot be read.
    """
    path = out / _CONFIG
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}): choose another --out.") from None


def train_fold(run: CrossValidation, fold: Fold, seed: int) -> None:
    """Train and score the network of one fold, unless that is done.

    Raises:
        ModelError: the loss diverged, or what lies in the folder belongs to another run.
        OutputError: something cannot be written; the epochs before are saved.
    """
    if is_finished(run, fold, seed):
        return
    torch.set_num_threads(run.threads)
    pairs, train, validate, choice = run.pairs, fold.train, None, None
    test = pairs.subset(fold.test)
    if run.protocol.stops_early:
        train, aside = set_aside(train, pairs.subject, np.random.default_rng(random_seed(seed, fold.name)))
        validate, choice = pairs.subset(aside), Choice("loss", _PATIENCE_EPOCHS)
    elif run.protocol.is_selected_on_test:
        validate, choice = test, Choice("accuracy", None)
    folder = run.folder(fold, seed)
    network, record = fit(run.record(fold, seed), pairs.subset(train), folder, validate=validate, choice=choice)
    probabilities = evaluate(network, test).round(DECIMALS)
    predictions = Predictions(fold.name, seed, fold.test, probabilities)
    write_rows(folder / "predictions.csv", prediction_rows(pairs, predictions))
    epoch = choice.epoch(record.history) if choice else record.epochs_done
    results = scores_of(probabilities, test.label) | {"epoch": epoch}
    finish(folder, network, replace(record, results=results))


def is_finished(run: CrossValidation, fold: Fold, seed: int) -> bool:
    """Whether a fold is trained and scored.

    Raises:
        ModelError: what lies in its folder belongs to another run.
    """
    checkpoint = run.folder(fold, seed) / CHECKPOINT
    if not checkpoint.exists():
        return False
    found = read_record(checkpoint)
    check_same_run(checkpoint, found, run.record(fold, seed))
    return found.results is not None


def train_folds(run: CrossValidation, jobs: int = 1, worker: Sequence[str] = (), engine: str = "local") -> None:
    """Train all folds that are not finished.

    Args:
        jobs: how many at once on this machine; more than one needs `worker`.
        worker: command that trains one fold when --fold, --seed and --parent are added to it.
        engine: "local", or "ray" and "ray://HOST:PORT" for the machines of a Ray cluster, which needs `worker`.

    Raises:
        ModelError, OutputError: as `train_fold`, also where a process ended with such an error.
        EngineError: the engine cannot be used, or lost a fold.
    """
    pending = [(fold, seed) for seed in run.seeds for fold in run.folds if not is_finished(run, fold, seed)]
    total = len(run.seeds) * len(run.folds)
    with tqdm(total=total, initial=total - len(pending), desc="folds", unit="fold", disable=None) as bar:
        if engine != "local":
            _train_on_cluster(run, pending, engine, worker, bar)
        elif jobs == 1:
            for fold, seed in pending:
                train_fold(run, fold, seed)
                bar.update()
        else:
            _train_in_processes(run, pending, jobs, worker, bar)


def _train_on_cluster(
    run: CrossValidation, pending: list[tuple[Fold, int]], engine: str, worker: Sequence[str], bar: tqdm
) -> None:
    folders = [run.folder(fold, seed) for fold, seed in pending]
    for folder in folders:
        make_folder(folder)
    logs = [folder / "log.txt" for folder in folders]
    commands = [[*worker[1:], "--fold", fold.name, "--seed", str(seed)] for fold, seed in pending]
    for position, code in run_on_ray(engine, commands, logs, run.threads):
        if code:
            raise ModelError(_failure(code, logs[position]))
        bar.update()


def _train_in_processes(
    run: CrossValidation, pending: list[tuple[Fold, int]], jobs: int, worker: Sequence[str], bar: tqdm
) -> None:
    waiting = pending[::-1]
    running: dict[subprocess.Popen, Path] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                fold, seed = waiting.pop()
                folder = run.folder(fold, seed)
                make_folder(folder)
                which = ["--fold", fold.name, "--seed", str(seed), "--parent", str(os.getpid())]
                with (folder / "log.txt").open("a", encoding="utf-8") as log:
                    process = subprocess.Popen(
                        [*worker, *which], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                    )
                running[process] = folder
            time.sleep(_POLL_S)
            for process in [process for process in running if process.poll() is not None]:
                folder = running.pop(process)
                if process.returncode:
                    raise ModelError(_failure(process.returncode, folder / "log.txt"))
                bar.update()
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _failure(code: int, log: Path) -> str:
    if code < 0:
        reason = f"was ended by signal {-code}. If memory was short, use fewer --jobs"
    else:
        reason = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [f"ended with {code}"])[-1]
    return f"{log.parent}: {reason} (see {log.name}; go on with --resume)"


def pool(run: CrossValidation) -> dict[str, Any]:
    """Put the finished folds together and write the report; returns the scores.

    Raises:
        ModelError: the predictions of a fold are damaged.
        OutputError: something cannot be written.
    """
    parts = [(fold, seed) for seed in run.seeds for fold in run.folds]
    predictions = [_read_predictions(run, fold, seed) for fold, seed in parts]
    records = [read_record(run.folder(fold, seed) / CHECKPOINT) for fold, seed in parts]
    write_rows(
        run.out / "metrics.csv",
        [{"fold": record.fold, "seed": record.seed, **row} for record in records for row in record.history],
    )
    return write_report(
        run.out,
        run.config,
        run.pairs,
        predictions,
        settings={"seeds": ", ".join(map(str, run.seeds)), "folds": len(run.folds), "CPU threads": run.threads},
        note=_TEST_SELECTED if run.protocol.is_selected_on_test else "",
    )


def _read_predictions(run: CrossValidation, fold: Fold, seed: int) -> Predictions:
    path = run.folder(fold, seed) / "predictions.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        probabilities = np.array([[float(row[f"p_{name}"]) for name in run.pairs.class_names] for row in rows])
        keys = [row["key"] for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be read ({error}): delete {path.parent} and go on with --resume.") from None
    if keys != run.pairs.key[fold.test].tolist():
        raise ModelError(f"{path} is of other samples: delete {path.parent} and go on with --resume.")
    return Predictions(fold.name, seed, fold.test, probabilities)


def train_final(run: CrossValidation, scores: dict[str, Any]) -> RunRecord:
    """Train one more network, on everybody, by the same recipe; its scores are those of the cross-validation.

    Where the folds stopped early, it is trained for the median of their epochs.

    Raises:
        ModelError: the protocol selects on the test, the loss diverged, or another run lies in the folder.
        OutputError: something cannot be written.
    """
    if run.protocol.is_selected_on_test:
        raise ModelError(f"The protocol {run.protocol.name} gives no score that a final network could carry: use loso.")
    torch.set_num_threads(run.threads)
    first = [read_record(run.folder(fold, run.seeds[0]) / CHECKPOINT) for fold in run.folds]
    epochs = round(float(np.median([record.results["epoch"] for record in first if record.results])))
    folder = run.out / "final"
    network, record = fit(run.final_record(epochs), run.pairs, folder)
    results = {name: scores[name] for name in (*POOLED, "sd", "confusion", "class_names")}
    scored = (
        f"{run.config.protocol}; cross-validation in {len(run.folds)} folds and {len(run.seeds)} seeds, by networks "
        f"that had not seen the people they were scored on; this one was trained on everybody for {epochs} epochs"
    )
    record = replace(record, results=results, scored=scored)
    finish(folder, network, record)
    return record
