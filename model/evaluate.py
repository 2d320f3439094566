"""Score an exported network, or spotted events, against the truth.

mmnet evaluate pairs MANIFEST.csv --model FILE --out predictions.csv
mmnet evaluate prepared prepared/casme2 --classes casme2_5class --model FILE --out predictions.csv
mmnet evaluate spotting results/ --truth truth.csv [--videos clips/] [--curve FOLDER]
mmnet evaluate spotting results/ --dataset samm_long ROOT
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from app.config import FALSE_ALARMS_PER_MIN, RecognitionConfig, SpotterConfig
from app.errors import DataError, MmnetError, OutputError
from app.recognition.classifier import Classifier
from model.labels import class_protocol
from model.metrics import Scores
from model.prepared import load_prepared
from model.readers import LONG_VIDEO_READERS, read_long_videos
from model.readers.long_videos import write_truth
from model.score_pairs import (
    ScoredPair,
    by_column,
    classify_manifest,
    classify_prepared,
    scores_of_pairs,
    verification,
    write_pairs,
)  # fmt: skip
from model.score_spotting import media_files, read_videos, score_spotting
from model.spotting_curve import sensitivity_curve, write_curve

_log = logging.getLogger("mmnet.evaluate")


def _pairs(arguments: argparse.Namespace) -> int:
    with _classifier(arguments) as classifier:
        pairs = classify_manifest(arguments.manifest, classifier, arguments.crops)
        return _finish(arguments, pairs, classifier)


def _prepared(arguments: argparse.Namespace) -> int:
    prepared = load_prepared(arguments.folders, class_protocol(arguments.classes))
    with _classifier(arguments) as classifier:
        return _finish(arguments, classify_prepared(prepared, classifier), classifier)


def _classifier(arguments: argparse.Namespace) -> Classifier:
    return Classifier(RecognitionConfig(arguments.model, arguments.device))


def _finish(arguments: argparse.Namespace, pairs: Sequence[ScoredPair], classifier: Classifier) -> int:
    """Write and report; 1 when some pair could not be classified."""
    write_pairs(arguments.out, pairs, classifier.class_names)
    failed = sum(pair.probabilities is None for pair in pairs)
    print(f"{classifier.model_name} on {classifier.provider}: {len(pairs)} pairs in {arguments.out}")
    scores = scores_of_pairs(pairs, classifier.class_names)
    if scores is not None:
        print(_in_words(scores, classifier.class_names))
        found = verification(pairs, classifier.class_names)
        if found is not None:
            print(
                f"of true expressions: UF1 {found.uf1:.4f}, called none {found.lost:.4f}; of the rest: called none "
                f"{found.found_none:.4f}; calibration error {found.calibration_error:.4f}"
            )
        for column in arguments.by if "by" in arguments else ():
            print(f"by {column}:")
            for group, samples, accuracy, none in by_column(pairs, classifier.class_names, column):
                shown = "" if none is None else f"  called none {none:.3f}"
                print(f"  {group:20s} {samples:5d}  accuracy {accuracy:.3f}{shown}")
    if failed:
        _log.error("%d of %d pairs could not be classified; the column problem says why.", failed, len(pairs))
    return 1 if failed else 0


def _in_words(scores: Scores, class_names: Sequence[str]) -> str:
    count = sum(map(sum, scores.confusion))
    lines = [
        f"accuracy {scores.accuracy:.4f}  UF1 {scores.uf1:.4f}  UAR {scores.uar:.4f}  ({count} pairs with a label)"
    ]
    width = max(map(len, class_names)) + 2
    lines.append("true \\ predicted".ljust(18) + "".join(name.rjust(width) for name in class_names))
    lines += [
        name.ljust(18) + "".join(str(n).rjust(width) for n in row)
        for name, row in zip(class_names, scores.confusion, strict=True)
    ]
    return "\n".join(lines)


def _spotting(arguments: argparse.Namespace) -> int:
    truth = _coded_truth(arguments) if arguments.dataset else arguments.truth
    if arguments.dataset or arguments.videos is not None:
        _analyse(truth, arguments)
    videos = read_videos(arguments.results, truth)
    if arguments.curve is not None:
        write_curve(sensitivity_curve(videos, arguments.iou), arguments.curve)
    report = score_spotting(videos, arguments.iou)
    if arguments.json:
        print(json.dumps(asdict(report)))
        return 0
    for name, value in asdict(report).items():
        shown = "–" if value is None else f"{value:.4g}" if isinstance(value, float) else value
        if isinstance(value, dict):
            shown = ", ".join(f"{cause} {count}" for cause, count in value.items()) or "none"
        print(f"{name.replace('_', ' '):26s} {shown}")
    return 0


def _coded_truth(arguments: argparse.Namespace) -> Path:
    """The table of truth of a data set's long videos, written beside the results."""
    dataset, root = arguments.dataset
    if dataset not in LONG_VIDEO_READERS:
        raise DataError(f"There are no long videos called {dataset!r}. Known: {', '.join(LONG_VIDEO_READERS)}.")
    videos = read_long_videos(dataset, Path(root)).videos
    truth = arguments.results / "truth.csv"
    try:
        arguments.results.mkdir(parents=True, exist_ok=True)
        truth.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {truth}: {error.strerror}. Choose another folder for RESULTS.") from error
    write_truth(videos, truth)
    return truth


def _analyse(truth: Path, arguments: argparse.Namespace) -> None:
    """Run `mmnet analyze` over the videos of a truth table; what is in the results already is kept."""
    by_rate: dict[float | None, list[str]] = {}
    for name, fps in media_files(truth).items():
        path = (arguments.videos or Path()) / name
        # A video has its own times; images get theirs from the table.
        by_rate.setdefault(fps if path.is_dir() else None, []).append(str(path))
    options = ["--out", str(arguments.results), "--resume", "--sensitivity", str(arguments.sensitivity)]
    options += ["--jobs", str(arguments.jobs)]
    failed = False
    for fps, paths in by_rate.items():
        command = [sys.executable, "-m", "app", "analyze", *paths, *options, *(["--fps", str(fps)] if fps else [])]
        # What it finds is summed up by the report; progress and errors go to the terminal.
        failed |= subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode != 0
    if failed:
        raise DataError("Not every video could be analysed; what failed is named above.")


def _sensitivity(text: str) -> float:
    least, largest = FALSE_ALARMS_PER_MIN
    value = float(text)
    if not least <= value <= largest:
        raise argparse.ArgumentTypeError(f"{text} is not in {least}–{largest}")
    return value


def _iou(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in 0–1")
    return value


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mmnet evaluate", description="Score a network, or spotted events, against the truth."
    )
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    network = argparse.ArgumentParser(add_help=False)
    network.add_argument("--model", metavar="FILE|NAME", help="network to score instead of the default")
    network.add_argument("--device", default="auto", metavar="DEV", help="auto | cpu | cuda | cuda:N")
    network.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="where predictions go")
    pairs = kinds.add_parser("pairs", parents=[network], help="every pair of a CSV with subject, onset, apex[, label]")
    pairs.add_argument("manifest", type=Path, metavar="MANIFEST.csv")
    pairs.add_argument(
        "--crops", choices=("aligned", "as-is"), default="aligned", help="whole frames, or crops already"
    )
    pairs.add_argument(
        "--by",
        type=lambda text: text.split(","),
        default=[],
        metavar="COLUMN,…",
        help="scores for each value of these columns of the table, e.g. kind,aus,sex",
    )
    pairs.set_defaults(run=_pairs)
    prepared = kinds.add_parser("prepared", parents=[network], help="what mmnet prepare has cut")
    prepared.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    prepared.add_argument("--classes", required=True, metavar="NAME|FILE.csv", help="class protocol of the network")
    prepared.set_defaults(run=_prepared)
    spotting = kinds.add_parser("spotting", help="the results of mmnet analyze")
    spotting.add_argument("results", type=Path, metavar="RESULTS", help="folder with events.csv files")
    truth = spotting.add_mutually_exclusive_group(required=True)
    truth.add_argument("--truth", type=Path, metavar="TRUTH.csv", help="table of the movements of each video")
    truth.add_argument(
        "--dataset",
        nargs=2,
        metavar=("NAME", "ROOT"),
        help=f"long videos as downloaded ({' | '.join(LONG_VIDEO_READERS)}), analysed into RESULTS first",
    )
    spotting.add_argument("--videos", type=Path, metavar="FOLDER", help="analyse these videos into RESULTS first")
    spotting.add_argument("--jobs", type=int, default=1, metavar="N", help="processes of that analysis")
    spotting.add_argument(
        "--sensitivity",
        type=_sensitivity,
        default=SpotterConfig().false_alarms_per_min,
        metavar="RATE",
        help="of that analysis: false alarms a minute (default: %(default)g)",
    )
    spotting.add_argument("--curve", type=Path, metavar="FOLDER", help="scores over sensitivity, as CSV and picture")
    spotting.add_argument("--iou", type=_iou, default=0.5, help="least overlap of a match (default: 0.5)")
    spotting.add_argument("--json", action="store_true", help="print the report as JSON")
    spotting.set_defaults(run=_spotting)
    arguments = parser.parse_args(argv)
    if vars(arguments).get("dataset") and arguments.videos:
        spotting.error("--videos goes with --truth: a data set's videos are at its ROOT.")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    logging.basicConfig(format="mmnet: %(message)s")
    arguments = _arguments(argv)
    try:
        return int(arguments.run(arguments))
    except MmnetError as error:
        _log.error("%s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
