"""Cut the crops of a data set that training reads: the coded onset and apex, and the frames near them.

    mmnet prepare casme2 CASME2 --out prepared/casme2

A run that was cut off goes on where it was, and a second one cuts only what is new or has changed. The crops depend on
the images alone, not on the number of processes.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from app.errors import DataError, MmnetError, OutputError
from app.face.alignment import AS_IS_RECIPE, CROP_RECIPE
from app.face.tracker import FaceTracker
from model.annotations import Sample
from model.crops import Cut, aligned, as_is, read_image
from model.prepared import CROPS, OK, PENDING, TABLE, PreparedSample, crop_folder, crop_name, read_table, table_text
from model.readers import read_dataset

RECIPES = {"aligned": CROP_RECIPE, "as-is": AS_IS_RECIPE}
_MAX_REACH = 3
_WIDEST_CROP = 1.2  # width over height: crops of the data sets have 0.8 to 1, whole frames 1.33 and more
_RECORD = "cut.json"
_TEMPORARY = ".tmp"
_log = logging.getLogger("mmnet.prepare")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of a sample: as in `PreparedSample`, and the frames near the coded ones that had to be left out."""

    status: str
    onset_frames: tuple[int, ...] = ()
    apex_frames: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Task:
    """A sample to cut into a folder; `input_digest` tells its images from others."""

    sample: Sample
    folder: Path
    input_digest: str


def key_frames(sample: Sample) -> dict[tuple[str, int], Path]:
    """The images that training may take for onset and apex, by role and frame number; of each role the coded one first.

    The published recipe draws the onset from the first 0.15/4 of the way to the apex and the apex from the last. At
    most three frames beside each coded one are cut; those without a file are passed over.
    """
    reach = min(_MAX_REACH, 3 * (sample.apex - sample.onset) // 80)
    wanted = [("onset", sample.onset + i) for i in range(reach + 1)] + [
        ("apex", sample.apex - i) for i in range(reach + 1)
    ]
    return {(role, number): sample.frames[number] for role, number in wanted if number in sample.frames}


def prepare(
    samples: Sequence[Sample], out: Path, *, crops: str = "aligned", jobs: int = 1
) -> tuple[PreparedSample, ...]:
    """Cut what is not cut yet and write the table of all samples; returns its rows, in the order of `samples`.

    A sample whose coded onset or apex is unreadable or shows no face gets the reason as its status and no crops; any
    other such frame is left out. Both are logged.

    Args:
        samples: each key once.
        out: a folder of its own; the crops of samples that are not among these are removed from it.
        crops: "aligned" cuts faces as the viewer does, "as-is" takes pictures that are cropped already.
        jobs: processes to use; the result does not depend on it.

    Raises:
        DataError: there are no samples, two have the same key, or not one could be cut.
        OutputError: the folder cannot be written, or holds something else.
    """
    doubled = [key for key, count in Counter(sample.key for sample in samples).items() if count > 1]
    if doubled:
        raise DataError(f"{len(doubled)} samples are there twice ({doubled[0]}…). Correct the coding file.")
    if not samples:
        raise DataError("There are no samples to prepare.")
    recipe = RECIPES[crops]
    with _output_errors(out):
        _claim(out, {sample.dataset for sample in samples})
        folders = [crop_folder(out, sample.key) for sample in samples]
        inputs = [_input_digest(s, recipe) for s in tqdm(samples, "look for changes", disable=None, leave=False)]
        outcomes = [_read_outcome(folder, digest) for folder, digest in zip(folders, inputs, strict=True)]
        missing = [i for i, outcome in enumerate(outcomes) if outcome is None]
        _write_text(out / TABLE, table_text(_rows(samples, outcomes, recipe)))
        _remove_leftovers(out / CROPS, set(folders))
        if crops == "as-is":
            _warn_of_whole_frames(samples)
        with contextlib.closing(_Cutter([_Task(samples[i], folders[i], inputs[i]) for i in missing], crops)) as cutter:
            results = tqdm(_results(cutter, jobs), "cut", len(cutter), unit="sample", disable=None)
            for i, result in zip(missing, results, strict=True):
                if isinstance(result, OSError):
                    raise result
                outcomes[i] = result
        rows = _rows(samples, outcomes, recipe)
        _write_text(out / TABLE, table_text(rows))
    for sample, outcome in zip(samples, outcomes, strict=True):
        for problem in outcome.remarks if outcome.status == OK else (outcome.status,):
            _log.warning("%s: %s", sample.key, problem)
    usable = sum(row.status == OK for row in rows)
    if not usable:
        raise DataError(f"Not one of the {len(rows)} samples could be cut ({rows[0].status}…): see {out / TABLE}.")
    _log.info("%s: %d of %d samples have crops, %d cut now", out, usable, len(rows), len(missing))
    return rows


def _rows(samples: Sequence[Sample], outcomes: Sequence[_Outcome | None], recipe: str) -> tuple[PreparedSample, ...]:
    found = [outcome or _Outcome(PENDING) for outcome in outcomes]
    return tuple(
        PreparedSample(sample, outcome.onset_frames, outcome.apex_frames, recipe, outcome.status)
        for sample, outcome in zip(samples, found, strict=True)
    )


class _Cutter(Sequence[_Outcome | OSError]):
    """What becomes of each sample, cut and saved when it is asked for; an error of the file system is handed on.

    Every process that asks has a tracker of its own. What it hands on is small: the workers of a killed process would
    wait for good to be rid of pictures.
    """

    def __init__(self, tasks: Sequence[_Task], crops: str) -> None:
        self._tasks = tasks
        self._crops = crops
        self._tracker: FaceTracker | None = None

    def __len__(self) -> int:
        return len(self._tasks)

    def __getitem__(self, position: int) -> _Outcome | OSError:
        cv2.setNumThreads(1)
        task = self._tasks[position]
        outcome, crops_bgr = self._cut(task.sample)
        try:
            _save(task, outcome, crops_bgr)
        except OSError as error:
            return error
        return outcome

    def _cut(self, sample: Sample) -> tuple[_Outcome, dict[tuple[str, int], np.ndarray]]:
        """The outcome, and the crops, (224, 224, 3) uint8 BGR, by role and frame."""
        images, problems = {}, {}
        for frame, path in key_frames(sample).items():
            try:
                images[frame] = read_image(path)
            except DataError as error:
                problems[frame] = str(error)
        # Nothing can be registered without the onset.
        if ("onset", sample.onset) in images:
            cuts = dict(zip(images, self._cut_images(list(images.values())), strict=True))
            problems |= {frame: cut.problem for frame, cut in cuts.items() if cut.problem}
        for role, number in (("onset", sample.onset), ("apex", sample.apex)):
            if (role, number) in problems:
                return _Outcome(f"{role} frame {number}: {problems[role, number]}"), {}
        crops_bgr = {frame: cut.crop_bgr for frame, cut in cuts.items() if cut.crop_bgr is not None}
        onset_frames, apex_frames = (
            tuple(number for role, number in crops_bgr if role == wanted) for wanted in ("onset", "apex")
        )
        remarks = tuple(f"{role} frame {number} is left out: {text}" for (role, number), text in problems.items())
        return _Outcome(OK, onset_frames, apex_frames, remarks), crops_bgr

    def _cut_images(self, images_bgr: Sequence[np.ndarray]) -> list[Cut]:
        if self._crops == "as-is":
            return [as_is(image_bgr) for image_bgr in images_bgr]
        if self._tracker is None:
            self._tracker = FaceTracker(static=True)
        return aligned(images_bgr, self._tracker)

    def close(self) -> None:
        """Release the tracker of this process."""
        if self._tracker is not None:
            self._tracker.close()


def _results(cutter: _Cutter, jobs: int) -> Iterable[_Outcome | OSError]:
    """The results in the order of the samples."""
    processes = min(jobs, len(cutter))
    if processes <= 1:
        return cutter
    from torch.utils.data import DataLoader  # its workers are all of torch that is needed here

    # MediaPipe does not survive a fork.
    return DataLoader(cutter, batch_size=None, num_workers=processes, multiprocessing_context="spawn")


def _warn_of_whole_frames(samples: Sequence[Sample]) -> None:
    """Pictures taken as they are should show a face and little else: upright or square, where cameras are wider."""
    path = samples[0].frames[samples[0].onset]
    with contextlib.suppress(DataError):
        height, width = read_image(path).shape[:2]
        if width > _WIDEST_CROP * height:
            _log.warning(
                "%s is %d×%d, wider than a crop of a face: for --crops as-is give a folder with the coding file "
                "and the cropped pictures alone.",
                *(path, width, height),
            )


def _claim(out: Path, datasets: set[str]) -> None:
    """Make the folder, or see that it is one of ours."""
    out.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in out.iterdir() if not path.name.endswith(_TEMPORARY)}
    if not names:
        return
    try:
        others = {row.sample.dataset for row in read_table(out)} - datasets
    except DataError:
        raise OutputError(
            f"{out} holds something else than a prepared data set, or a damaged one. Choose another --out."
        ) from None
    if others:
        raise OutputError(f"{out} holds the crops of {', '.join(sorted(others))}: give each data set its own --out.")


def _input_digest(sample: Sample, recipe: str) -> str:
    """Changes with the recipe, the numbers of the frames to cut, and the content of their files."""
    digest = hashlib.sha256(recipe.encode())
    for (role, number), path in key_frames(sample).items():
        digest.update(f"\n{role} {number} ".encode())
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            digest.update(f"unreadable {error.errno}".encode())
    return digest.hexdigest()


def _read_outcome(folder: Path, input_digest: str) -> _Outcome | None:
    """What an earlier run made of the same input; None when it has to be done (again)."""
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        if record.pop("input") != input_digest:
            return None
        outcome = _Outcome(**{name: tuple(v) if isinstance(v, list) else v for name, v in record.items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    frames = [("onset", n) for n in outcome.onset_frames] + [("apex", n) for n in outcome.apex_frames]
    return outcome if all((folder / crop_name(*frame)).is_file() for frame in frames) else None


def _save(task: _Task, outcome: _Outcome, crops_bgr: Mapping[tuple[str, int], np.ndarray]) -> None:
    """Put the files of a sample in place, all at once."""
    temporary = task.folder.with_name(f"{task.folder.name}.{os.getpid()}{_TEMPORARY}")
    temporary.mkdir(parents=True)
    for frame, crop_bgr in crops_bgr.items():
        (temporary / crop_name(*frame)).write_bytes(cv2.imencode(".png", crop_bgr)[1].tobytes())
    record = json.dumps({"input": task.input_digest, **asdict(outcome)}, indent=2)
    (temporary / _RECORD).write_text(record + "\n", encoding="utf-8")
    if task.folder.exists():
        shutil.rmtree(task.folder)
    temporary.replace(task.folder)


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + _TEMPORARY)
    temporary.write_text(text, encoding="utf-8", newline="")
    temporary.replace(path)


def _remove_leftovers(crops: Path, used: set[Path]) -> None:
    """Remove what a killed run left half done, and the crops of samples that are gone; anything else stays."""
    if not crops.is_dir():
        return
    for folder in sorted(crops.iterdir()):
        is_ours = folder.name.endswith(_TEMPORARY) or (folder / _RECORD).is_file()
        if folder not in used and is_ours:
            shutil.rmtree(folder)


@contextlib.contextmanager
def _output_errors(out: Path) -> Iterator[None]:
    """Turns failures of the file system into OutputError with the folder's name."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{out} cannot be written ({reason}). Make room or choose another --out; the same command goes on."
        ) from None


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is less than 1")
    return value


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mmnet prepare", description="Cut the crops of a data set that training reads."
    )
    parser.add_argument(
        "dataset", metavar="DATASET", help="casme2, samm, smic_hs, …, or manifest for a table of images"
    )
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of the data set as it was downloaded")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the crops of this data set")
    parser.add_argument(
        "--crops",
        choices=tuple(RECIPES),
        default="aligned",
        help="faces cut as the viewer does, or pictures that are cropped already, only resized",
    )
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="processes")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("mmnet").setLevel(logging.INFO)
    arguments = _arguments(argv)
    try:
        annotations = read_dataset(arguments.dataset, arguments.root, prefers_crops=arguments.crops == "as-is")
        prepare(annotations.samples, arguments.out, crops=arguments.crops, jobs=arguments.jobs)
    except MmnetError as error:
        _log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        _log.error("Stopped. The same command goes on.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
