"""Look at a data set as it was downloaded, before anything is trained on it.

    mmnet check casme2 CASME2

Says what was found, how it differs from what is published, and what was repaired or left out and why.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.errors import MmnetError
from model.annotations import Annotations, LongVideos, Note
from model.readers import LONG_VIDEO_READERS, READERS, read_dataset, read_long_videos
from model.readers.assembly import DROPPED, MISSING_FRAME, REPAIRED
from model.readers.long_videos import write_truth
from model.readers.published import LONG_VIDEOS, NOT_FOR_PUBLICATION, RECALLED, Figure, published_for

_HEADINGS = {DROPPED: "Dropped", REPAIRED: "Repaired", MISSING_FRAME: "Missing frames"}
_log = logging.getLogger("mmnet.check")


def report_dataset(annotations: Annotations) -> dict[str, Any]:
    """What was read of a data set beside what is published of it; of JSON's types only."""
    samples = annotations.samples
    release = published_for(annotations.dataset, annotations.source.name)
    per_class = Counter(sample.label for sample in samples)
    expected = release.per_class if release else {}
    # Those that differ and are not there at all are to be seen too.
    names = sorted(per_class.keys() | expected.keys(), key=lambda name: (-per_class[name], name))
    return {
        "dataset": annotations.dataset,
        "release": release.title if release else None,
        "coded_in": str(annotations.source),
        "images": _common_folder({path.parent for sample in samples for path in sample.frames.values()}),
        "samples": _compare(len(samples), release and release.samples),
        "subjects": _compare(len({sample.person for sample in samples}), release and release.subjects),
        "classes": {name: _compare(per_class[name], expected.get(name)) for name in names},
        "samples_per_subject": dict(Counter(sample.person for sample in samples)),
        "not_for_publication": sorted(NOT_FOR_PUBLICATION & {sample.person for sample in samples}),
        **_notes(annotations.notes),
    }


def report_long_videos(videos: LongVideos) -> dict[str, Any]:
    """What was read of a data set for spotting beside what is published of it; of JSON's types only."""
    expected = LONG_VIDEOS.get(videos.dataset, {})
    kinds = Counter(movement.kind for video in videos.videos for movement in video.movements)
    return {
        "dataset": videos.dataset,
        "coded_in": str(videos.source),
        "images": _common_folder(video.frames for video in videos.videos),
        "videos": _compare(len(videos.videos), expected.get("videos")),
        "subjects": _compare(len({video.subject for video in videos.videos}), None),
        "movements": {kind: _compare(kinds[kind], expected.get(kind)) for kind in ("macro", "micro")},
        "videos_without_movements": [video.video for video in videos.videos if not video.movements],
        **_notes(videos.notes),
    }


def _compare(found: int, figure: Figure | None) -> dict[str, Any]:
    published = {"published": figure.number, "certainty": figure.certainty} if figure else {}
    return {"found": found} | published


def _notes(notes: Sequence[Note]) -> dict[str, list[dict[str, str]]]:
    """Notes by action, under the heading's name in lower case."""
    return {
        heading.lower().replace(" ", "_"): [{"key": n.key, "reason": n.reason} for n in notes if n.action == action]
        for action, heading in _HEADINGS.items()
    }


def _common_folder(folders: Iterable[Path]) -> str:
    """The deepest folder that holds all of these, a single one itself; absolute, since tables may mix both kinds."""
    return os.path.commonpath([os.path.abspath(folder) for folder in folders])


def _lines(report: dict[str, Any]) -> Iterator[str]:
    """A report for people."""
    title = report["dataset"] + (f", compared with {report['release']}" if report.get("release") else "")
    yield title
    yield f"coded in     {report['coded_in']}"
    yield f"images       {report['images']}"
    for name in ("samples", "videos", "subjects"):
        if name in report:
            yield _row(name, report[name])
    for heading in ("classes", "movements"):
        if heading in report:
            yield f"\n{heading}"
            yield from (_row(f"  {name}", counts) for name, counts in report[heading].items())
    if "samples_per_subject" in report:
        yield "\nsamples per subject"
        people = ", ".join(f"{person} {count}" for person, count in report["samples_per_subject"].items())
        yield textwrap.fill(people, 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    if report.get("not_for_publication"):
        yield f"pictures of these people must not be published: {', '.join(report['not_for_publication'])}"
    if report.get("videos_without_movements"):
        yield f"\nvideos without a movement: {', '.join(report['videos_without_movements'])}"
    for heading in _HEADINGS.values():
        notes = report[heading.lower().replace(" ", "_")]
        yield f"\n{heading}: {len(notes)}"
        yield from (f"  {note['key']}: {note['reason']}" for note in notes)


def _row(name: str, counts: dict[str, Any]) -> str:
    line = f"{name:14s} {counts['found']:6d}"
    if "published" not in counts:
        return line
    line += f"   published {counts['published']:6d}"
    if counts["certainty"] != "stated":
        line += f" ({counts['certainty']})"
    if counts["found"] == counts["published"]:
        return line
    return line + ("   differs, but that number is not verified" if counts["certainty"] == RECALLED else "   ≠")


@contextmanager
def _readers_silent() -> Iterator[None]:
    """The report has all that the readers log."""
    logger = logging.getLogger("mmnet.readers")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mmnet check", description="Look at a data set as it was downloaded.")
    known = (*READERS, *LONG_VIDEO_READERS)
    parser.add_argument("dataset", choices=known, metavar="DATASET", help=" | ".join(known))
    parser.add_argument("root", type=Path, metavar="ROOT", help="its folder as downloaded, or the coding file in it")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--truth", type=Path, metavar="FILE.csv", help="of long videos: write the coded movements for scoring spotters"
    )
    arguments = parser.parse_args(argv)
    if arguments.truth and arguments.dataset not in LONG_VIDEO_READERS:
        parser.error(f"--truth is for {' and '.join(LONG_VIDEO_READERS)}")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code: 1 when the data set cannot be used."""
    arguments = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with _readers_silent():
            if arguments.dataset in LONG_VIDEO_READERS:
                videos = read_long_videos(arguments.dataset, arguments.root)
                report = report_long_videos(videos)
            else:
                report = report_dataset(read_dataset(arguments.dataset, arguments.root))
        if arguments.truth:
            _log.info("%s: %d movements", arguments.truth, write_truth(videos.videos, arguments.truth))
    except MmnetError as error:
        _log.error("%s", error)
        return 1
    text = json.dumps(report, indent=2, ensure_ascii=False) if arguments.json else "\n".join(_lines(report))
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
