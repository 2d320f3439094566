"""`mmnet synth`: portraits in, onset/apex pairs and clips with their truth out.

    mmnet synth --faces PORTRAITS --out DIR --pairs 200 --clips 2

DIR/pairs/manifest.csv      one row a pair; SUBJECT/NUMBER_onset.png and _apex.png beside it are crops of 224×224
DIR/clips/truth.csv         one row a movement; SUBJECT_NUMBER.mp4 beside it
DIR/skipped.csv             people who could not be used, and why
DIR/synth.json              the settings, which decide every pixel together with the portraits

A run that was cut off goes on where it was: what is finished of a person is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
from tqdm import tqdm

from app.errors import DataError, FaceError, MmnetError, OutputError
from app.face.tracker import FaceTracker
from model.processes import end_with_parent
from model.synth import clips, pairs
from model.synth.camera import CONDITIONS
from model.synth.people import Person, held_out_people, read_people, read_portrait

_SETTINGS = "synth.json"
_log = logging.getLogger("mmnet.synth")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is made of each person. `pairs` and `clips` are numbers for one person; `condition` a key of CONDITIONS."""

    pairs: int = 100
    clips: int = 1
    seconds: float = 30.0
    fps: float = 30.0
    seed: int = 0
    condition: str = "webcam"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a person: "" or why nothing could be made of them."""

    name: str
    problem: str = ""


def synthesise(people: Sequence[Person], out: Path, settings: Settings, jobs: int = 1) -> list[Outcome]:
    """Make the pairs and clips of people, in a folder that may hold a part of them from an earlier run.

    Args:
        jobs: processes to use; the result does not depend on it.

    Raises:
        DataError: nobody could be used.
        OutputError: the folder cannot be written, or holds the results of other settings.
    """
    with _output_errors(out):
        _claim(out, settings)
        tasks = _Tasks(people, out, settings)
        results: Iterable[Outcome | OSError] = (tasks[i] for i in range(len(tasks)))
        if jobs > 1:
            from torch.utils.data import DataLoader  # its workers are all of torch that is needed here

            # MediaPipe does not survive a fork. Workers of a killed process would wait for good to be rid of theirs.
            results = DataLoader(
                tasks,
                batch_size=None,
                num_workers=jobs,
                multiprocessing_context="spawn",
                worker_init_fn=partial(end_with_parent, os.getpid()),
            )
        outcomes = []
        for result in tqdm(results, total=len(tasks), unit="person", disable=None):
            if isinstance(result, OSError):
                raise result
            outcomes.append(result)
        _join(out, outcomes)
    if all(outcome.problem for outcome in outcomes):
        raise DataError(f"No portrait could be used ({outcomes[0].problem}). See {out / 'skipped.csv'}.")
    return outcomes


class _Tasks(Sequence[Outcome | OSError]):
    """One person each, made when asked for. A full disk is handed back, for the first process to end the run."""

    def __init__(self, people: Sequence[Person], out: Path, settings: Settings) -> None:
        self._people, self._out, self._settings = people, out, settings

    def __len__(self) -> int:
        return len(self._people)

    def __getitem__(self, position: int) -> Outcome | OSError:
        try:
            return _make(self._people[position], self._out, self._settings)
        except OSError as error:
            return error


def _make(person: Person, out: Path, settings: Settings) -> Outcome:
    """Everything of one person that is not there yet."""
    cv2.setNumThreads(1)
    parts = {"pairs": out / "pairs" / f"{person.name}.csv", "clips": out / "clips" / f"{person.name}.csv"}
    wanted = [kind for kind in parts if getattr(settings, kind) and not parts[kind].exists()]
    if not wanted:
        return Outcome(person.name)
    conditions = CONDITIONS[settings.condition]
    with FaceTracker(static=True) as tracker:
        try:
            neutral = read_portrait(person.neutral, tracker)
            smile = read_portrait(person.smile, tracker) if person.smile else None
            actor = pairs.Actor(neutral, smile)
        except (DataError, FaceError) as error:
            return Outcome(person.name, str(error))
        if "pairs" in wanted:
            (out / "pairs" / person.name).mkdir(parents=True, exist_ok=True)
            drawn = pairs.pairs_of(actor, person.name, settings.pairs, settings.seed, conditions, tracker)
            rows = []
            for number, pair in enumerate(drawn):
                row = pairs.manifest_row(pair, person.name, number, person.sex, person.ethnicity)
                _write_png(out / "pairs" / row.onset, pair.onset_bgr)
                _write_png(out / "pairs" / row.apex, pair.apex_bgr)
                rows.append(row)
            _write_table(parts["pairs"], pairs.COLUMNS, map(asdict, rows))
    if "clips" in wanted:
        (out / "clips").mkdir(parents=True, exist_ok=True)
        actor = pairs.Actor(neutral.extended(), smile)
        truth = [
            row
            for number in range(settings.clips)
            for row in clips.write_clip(
                actor, person.name, number, out / "clips",
                seconds=settings.seconds, fps=settings.fps, seed=settings.seed, conditions=conditions,
            )
        ]  # fmt: skip
        _write_table(parts["clips"], clips.COLUMNS, map(asdict, truth))
    return Outcome(person.name)


def _claim(out: Path, settings: Settings) -> None:
    """Take a new or empty folder, or one with a part of the same run."""
    record = out / _SETTINGS
    text = json.dumps(asdict(settings), indent=2) + "\n"
    if record.exists():
        if record.read_text(encoding="utf-8") != text:
            raise OutputError(f"{out} holds the results of other settings (see {record}). Choose another --out.")
        return
    if out.exists() and any(out.iterdir()):
        raise OutputError(f"{out} holds something else. Choose a new folder as --out.")
    out.mkdir(parents=True, exist_ok=True)
    record.write_text(text, encoding="utf-8")


def _join(out: Path, outcomes: Sequence[Outcome]) -> None:
    """The tables of all people as one, and the list of those left out."""
    names = [outcome.name for outcome in outcomes if not outcome.problem]
    for folder, table, columns in (("pairs", "manifest.csv", pairs.COLUMNS), ("clips", "truth.csv", clips.COLUMNS)):
        parts = [part for name in names if (part := out / folder / f"{name}.csv").exists()]
        if parts:
            _write_table(out / folder / table, columns, (row for part in parts for row in _read_table(part)))
    skipped = [asdict(outcome) for outcome in outcomes if outcome.problem]
    _write_table(out / "skipped.csv", ("name", "problem"), skipped)


def _read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[dict]) -> None:
    """The file appears under its name only when it is complete."""
    partial_path = path.with_name(path.name + ".partial")
    with partial_path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    partial_path.replace(path)


def _write_png(path: Path, image_bgr) -> None:
    _, content = cv2.imencode(".png", image_bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    path.write_bytes(content.tobytes())


@contextlib.contextmanager
def _output_errors(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written: {error.strerror or error}. Make room or choose another --out; the same command "
            "goes on where it was."
        ) from None


def _number(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is less than 0")
    return value


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mmnet synth",
        description="Make synthetic micro-expressions from portraits: pairs to train on, clips to spot in.",
    )
    standard = Settings()
    parser.add_argument("--faces", type=Path, required=True, metavar="DIR", help="folder of frontal portraits")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pairs", type=_number, default=standard.pairs, metavar="N", help="of each person")
    parser.add_argument("--clips", type=_number, default=standard.clips, metavar="N", help="of each person")
    parser.add_argument("--seconds", type=float, default=standard.seconds, metavar="S", help="length of a clip")
    parser.add_argument("--fps", type=float, default=standard.fps, metavar="HZ", help="frame rate of the clips")
    parser.add_argument("--condition", choices=CONDITIONS, default=standard.condition, help="how people are filmed")
    parser.add_argument("--seed", type=_number, default=standard.seed)
    parser.add_argument("--jobs", type=_number, default=1, metavar="N", help="processes")
    parser.add_argument(
        "--people",
        choices=("all", "train", "held-out"),
        default="all",
        help="everyone in the folder, all but the people that published networks were scored on, or only those",
    )
    arguments = parser.parse_args(argv)
    if not 10 <= arguments.fps <= 1000 or not 4 <= arguments.seconds <= 3600:
        parser.error("--fps is 10–1000, --seconds 4–3600")
    if not arguments.pairs and not arguments.clips:
        parser.error("nothing to make: give --pairs or --clips more than 0")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = _arguments(argv)
    settings = Settings(
        arguments.pairs, arguments.clips, arguments.seconds, arguments.fps, arguments.seed, arguments.condition
    )
    try:
        people = read_people(arguments.faces)
        if arguments.people != "all":
            people = [p for p in people if (p.name in held_out_people()) == (arguments.people == "held-out")]
        if not people:
            raise DataError(f"{arguments.faces} holds nobody of the kind --people {arguments.people}.")
        outcomes = synthesise(people, arguments.out, settings, arguments.jobs)
    except MmnetError as error:
        _log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        _log.error("Stopped. The same command goes on where it was.")
        return 130
    for outcome in outcomes:
        if outcome.problem:
            _log.warning("left out %s: %s", outcome.name, outcome.problem)
    _log.info("%s: %d people", arguments.out, sum(not outcome.problem for outcome in outcomes))
    return 0
