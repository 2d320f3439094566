"""Train MMNet on onset/apex pairs.

    mmnet train PREPARED… --config casme2_5class --out runs/NAME      cross-validation
    mmnet train --pairs A/pairs --validate B/pairs --out runs/NAME    one network, scored on given people

The number of epochs is fixed beforehand and the last network is the result: choosing the best epoch on the people that
are held out would be choosing on the test. A run that was cut off goes on with --resume and ends with the same numbers.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from app.errors import DataError, MmnetError, ModelError, OutputError
from model.calibration import expected_calibration_error, fit_calibration
from model.checkpoint import RunRecord, load_checkpoint, read_record
from model.compute import keep_freed_memory
from model.configs import CONFIGS, RunConfig, synthetic
from model.crossvalidate import begin, plan, pool, read_settings, train_final, train_fold, train_folds
from model.dataset import PairSource, check_people_held_out, is_pair_table, load_pairs
from model.fit import CHECKPOINT, check_same_run, evaluate, finish, fit, make_folder, random_seed, scores_of
from model.folds import PROTOCOLS, set_aside
from model.labels import class_protocol
from model.prepared import load_prepared
from model.processes import end_with_parent
from model.reference import sha256_of
from model.report import DECIMALS, POOLED, Predictions, write_json, write_report

_CALIBRATION_SHARE = 1 / 12  # of the people; a temperature is one number
_log = logging.getLogger("mmnet.train")


def train(
    config: RunConfig,
    pairs: PairSource,
    validate: PairSource,
    out: Path,
    *,
    seed: int = 0,
    threads: int = 1,
    resume: bool = False,
    start: Path | None = None,
) -> RunRecord:
    """Run all epochs of a recipe and score the last network on people it has never seen.

    One in twelve of the people to learn from is set aside: their pairs decide the calibration of the probabilities,
    and nothing else. Leaves in `out`: checkpoint.safetensors, config.json, metrics.csv (a row an epoch),
    predictions.csv, scores.json, confusion.csv and .png, card.md and .json. The scores are those of the network in the
    checkpoint; `control` are its scores on pairs in which nothing moves.

    Args:
        start: checkpoint whose weights to begin with; its classes and network must be those of the configuration.

    Raises:
        DataError: the sets share a person, or there is only one person to learn from.
        ModelError: the loss diverged, or the checkpoint to resume belongs to another run.
        OutputError: `out` holds a run already, or cannot be written.
    """
    check_people_held_out(pairs.subject, validate.subject)
    learn, aside = set_aside(
        np.arange(len(pairs)), pairs.subject, np.random.default_rng(random_seed(seed, "")), _CALIBRATION_SHARE
    )
    calibrate, pairs = pairs.subset(aside), pairs.subset(learn)
    parts = {"train": pairs, "calibrate": calibrate, "validate": validate}
    data = {f"{name}_pairs": len(part) for name, part in parts.items()}
    data |= {f"{name}_people": len(np.unique(part.subject)) for name, part in parts.items()}
    network = None
    if start is not None:
        network, _, begun = load_checkpoint(start)
        if begun.config.network != config.network:
            raise ModelError(f"{start} is a network of other classes or depth than {config.name}: begin with another.")
    record = RunRecord(
        config, seed, data, crop_recipe=pairs.crop_recipe, started_from="" if start is None else sha256_of(start)
    )
    checkpoint = out / CHECKPOINT
    if checkpoint.exists():
        if not resume:
            raise OutputError(f"{out} holds a run already: go on with it by --resume, or choose another --out.")
        found = read_record(checkpoint)
        check_same_run(checkpoint, found, record)
        if found.results is not None:
            return found
    make_folder(out)
    settings = {"seed": seed, "threads": threads}
    write_json(out / "config.json", settings | {"data": data, **asdict(config)})

    torch.set_num_threads(threads)
    network, record = fit(record, pairs, out, validate=validate, start=network)
    names = config.network.class_names
    calibration = fit_calibration(evaluate(network, calibrate), calibrate.label, names)
    probabilities = calibration.applied(evaluate(network, validate), names)
    predictions = Predictions("validate", seed, np.arange(len(validate)), probabilities.round(DECIMALS))
    control = calibration.applied(evaluate(network, validate, is_still=True), names)
    means = control.mean(axis=0).round(4).tolist()
    extra = {
        "calibration": asdict(calibration),
        "calibration_error": expected_calibration_error(probabilities, validate.label),
        "control": scores_of(control, validate.label) | {"mean_probabilities": means},
    }
    scores = write_report(out, config, validate, [predictions], settings=settings, learned_from=pairs, extra=extra)
    results = {name: scores[name] for name in (*POOLED, "confusion", "class_names", *extra)}
    record = replace(record, results=results, calibration=calibration)
    finish(out, network, record)
    return record


def _load(paths: Sequence[Path], config: RunConfig, classes: str | None) -> tuple[RunConfig, PairSource]:
    """The pairs of prepared folders, or of one synthetic set, and the configuration with their classes."""
    if any(is_pair_table(path) for path in paths):
        if len(paths) > 1 or classes is not None:
            raise DataError("A synthetic set is given alone, and without --classes: its labels are classes already.")
        return replace(config, classes=""), load_pairs(paths[0], config.network.class_names)
    if not (classes or config.classes):
        raise DataError(f"The configuration {config.name} has no classes for prepared data: use another, or --classes.")
    protocol = class_protocol(classes or config.classes)
    network = replace(config.network, class_names=protocol.class_names)
    return replace(config, network=network, classes=protocol.name), load_prepared(paths, protocol)


def _validated(arguments: argparse.Namespace, config: RunConfig, threads: int) -> dict:
    names = config.network.class_names
    pairs, validate = load_pairs(arguments.pairs, names), load_pairs(arguments.validate, names)
    record = train(
        config, pairs, validate, arguments.out,
        seed=arguments.seed, threads=threads, resume=arguments.resume, start=arguments.start,
    )  # fmt: skip
    return record.results


def _cross_validated(arguments: argparse.Namespace, config: RunConfig, threads: int, argv: Sequence[str]) -> dict:
    config, pairs = _load(arguments.prepared, config, arguments.classes)
    run = plan(
        config, pairs, PROTOCOLS[arguments.protocol], arguments.out, folds=arguments.folds,
        seeds=range(arguments.seed, arguments.seed + arguments.seeds), threads=threads,
    )  # fmt: skip
    begin(run, resume=arguments.resume)
    if arguments.fold is not None:
        chosen = [fold for fold in run.folds if fold.name == arguments.fold]
        if not chosen:
            raise DataError(f"There is no fold {arguments.fold}; there are {', '.join(f.name for f in run.folds)}.")
        for seed in run.seeds:
            train_fold(run, chosen[0], seed)
        return {"fold": arguments.fold, "seeds": list(run.seeds), "state": "finished"}
    fixed = ["--resume", "--seeds", "1", "--threads", str(threads)]
    worker = [sys.executable, "-m", "model.train", *argv, *fixed]
    train_folds(run, arguments.jobs, worker, arguments.engine)
    scores = pool(run)
    if arguments.final:
        train_final(run, scores)
    return {name: scores[name] for name in ("protocol", "note", *POOLED, "sd", "confusion")}


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is less than 0")
    return value


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mmnet train", description="Train MMNet on onset/apex pairs.")
    parser.add_argument(
        "prepared", type=Path, nargs="*", metavar="PREPARED", help="prepared folders, or one of synthetic pairs"
    )
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="pairs to learn from, instead of a cross-validation")
    parser.add_argument("--validate", type=Path, metavar="DIR", help="pairs of other people, to score on")
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="with --pairs: begin with these weights")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument("--config", choices=sorted(CONFIGS), default=synthetic.__name__)
    parser.add_argument("--classes", metavar="NAME|CSV", help="class of each emotion, instead of the config's")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="loso", help="how to score (default: loso)")
    parser.add_argument("--folds", type=_positive, default=5, metavar="N", help="of the protocol kfold (default: 5)")
    parser.add_argument("--fold", metavar="NAME", help="train this fold only, on another machine perhaps")
    parser.add_argument("--seed", type=_not_negative, default=0)
    parser.add_argument("--seeds", type=_positive, default=1, metavar="N", help="repeat with N seeds from --seed on")
    parser.add_argument("--final", action="store_true", help="then train a network on everybody, for use")
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="folds at once, each in a process")
    parser.add_argument(
        "--engine", default="local", metavar="NAME", help="local (default) | ray | ray://HOST:PORT, folds on a cluster"
    )
    parser.add_argument(
        "--threads",
        type=_positive,
        metavar="N",
        help="CPU threads of one fold, on which the last digits depend (default: cores / jobs; the run's on --resume)",
    )
    parser.add_argument("--epochs", type=_positive, help="instead of the recipe's")
    parser.add_argument("--batch", type=_positive, help="pairs a step, instead of the recipe's")
    parser.add_argument("--lr", type=float, help="learning rate, instead of the recipe's")
    parser.add_argument("--resume", action="store_true", help="go on with what is in --out")
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if (arguments.pairs is None) != (arguments.validate is None) or bool(arguments.prepared) == bool(arguments.pairs):
        parser.error("give PREPARED folders for a cross-validation, or --pairs and --validate")
    if arguments.start is not None and arguments.pairs is None:
        parser.error("--start goes with --pairs and --validate")
    if arguments.final and (arguments.pairs or PROTOCOLS[arguments.protocol].is_selected_on_test):
        parser.error("--final needs a cross-validation whose scores are not selected on the test")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = _arguments(argv)
    logging.basicConfig(format="%(message)s")
    _log.setLevel(logging.INFO)
    if arguments.parent is not None:
        # Two processes must not train the same fold.
        end_with_parent(arguments.parent)
    keep_freed_memory()
    # Before CUDA starts: cuBLAS then adds in the same order every time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.deterministic = True
    config = CONFIGS[arguments.config]()
    wishes = {"epochs": arguments.epochs, "batch_size": arguments.batch, "learning_rate": arguments.lr}
    config = replace(config, recipe=replace(config.recipe, **{k: v for k, v in wishes.items() if v is not None}))
    try:
        recorded = read_settings(arguments.out).get("threads") if arguments.resume else None
        threads = arguments.threads or recorded or max(1, torch.get_num_threads() // arguments.jobs)
        if arguments.pairs is not None:
            results = _validated(arguments, config, threads)
        else:
            results = _cross_validated(arguments, config, threads, argv)
    except MmnetError as error:
        _log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        _log.error("Stopped. Go on with --resume.")
        return 130
    _log.info("%s", json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
