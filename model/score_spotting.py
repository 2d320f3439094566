"""Spotted movements against the truth: MEGC's F1, errors of the apex, false alarms a minute, latency, and STRS.

MEGC 2019 ff.: a found interval is right when its IoU with a true one that nothing else matches is at least 0.5; counts
are pooled over all videos. STRS (MEGC 2022 ff.): F1 of spotting times the unweighted F1 of the classes of the movements
that were found.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.errors import DataError
from app.spotting.scoring import match
from app.spotting.sensitivity import least_log_odds
from model.metrics import score

_FRAMES = ("onset_frame", "offset_frame")
_MARGIN_S = 0.15  # a false alarm this close to something else is put down to it
_JUDGED_BY_ODDS = "not convincing"


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement of a video, true or found; `apex_frame` is None and `label` "" where they are not known.

    `kind` of a true one: "micro" or what else it is; its `apex_s` and `offset_s` are the times of those frames.
    `announced_s` and `decided_s` of one that was found: the time of the newest frame by then. `log_odds` of one that
    was withdrawn for them, which a more sensitive spotter would have accepted; else None.
    """

    onset_frame: int
    apex_frame: int | None
    offset_frame: int
    label: str
    kind: str = "micro"
    log_odds: float | None = None
    apex_s: float | None = None
    offset_s: float | None = None
    announced_s: float | None = None
    decided_s: float | None = None


@dataclass(frozen=True, slots=True)
class Video:
    """One analysed video: its micro-expressions, whatever else moves in it, and what was found at some sensitivity.

    `near_misses` are withdrawn movements that only the sensitivity has kept out.
    """

    name: str
    true: tuple[Movement, ...]
    found: tuple[Movement, ...]
    duration_s: float
    fps: float
    others: tuple[Movement, ...] = ()
    near_misses: tuple[Movement, ...] = ()
    false_alarms_per_min: float | None = None  # that the analysis was set to
    recognition_ms: tuple[float, ...] = ()  # what the network took for each that was found


@dataclass(frozen=True, slots=True)
class SpottingReport:
    """Pooled over `videos`. Values that cannot be computed are None: no apex in the truth, no classes, no found one.

    Latency counts in frames, whatever the speed of the machine: `announcement_ms` from the true apex to the frame with
    which the movement was announced, `decision_ms` from the true offset to the one with which it was confirmed;
    `recognition_ms` is what the network took after that. None for sessions that do not tell.
    """

    videos: int
    minutes: float
    true: int
    found: int
    true_positives: int
    precision: float | None
    recall: float | None
    f1: float
    false_alarms_per_minute: float
    false_alarms_by_cause: dict[str, int]
    apex_error_ms_median: float | None
    apex_error_ms_p90: float | None
    announcement_ms_median: float | None
    announcement_ms_p95: float | None
    decision_ms_median: float | None
    decision_ms_p95: float | None
    recognition_ms_median: float | None
    recognition_ms_p95: float | None
    recognition_uf1: float | None
    recognition_uar: float | None
    strs: float | None


def score_spotting(videos: Sequence[Video], min_iou: float = 0.5) -> SpottingReport:
    """Pool the counts of all videos.

    Raises:
        DataError: there is no video, or nothing in them has a length.
    """
    minutes = sum(video.duration_s for video in videos) / 60
    if not minutes > 0:
        raise DataError("There is no analysed video to score. Run mmnet analyze on the videos of the truth first.")
    pairs, apex_errors_ms = [], []
    announcement_ms, decision_ms = [], []
    causes: Counter[str] = Counter()
    true_count = found_count = 0
    for video in videos:
        intervals = [[(m.onset_frame, m.offset_frame) for m in side] for side in (video.true, video.found)]
        true_count, found_count = true_count + len(video.true), found_count + len(video.found)
        matched = match(*intervals, min_iou).pairs
        right = {found_index for _, found_index in matched}
        causes.update(_cause(video, found) for i, found in enumerate(video.found) if i not in right)
        for true_index, found_index in matched:
            true, found = video.true[true_index], video.found[found_index]
            pairs.append((true, found))
            if true.apex_frame is not None and found.apex_frame is not None:
                apex_errors_ms.append(abs(found.apex_frame - true.apex_frame) * 1000 / video.fps)
            if true.apex_s is not None and found.announced_s is not None:
                announcement_ms.append((found.announced_s - true.apex_s) * 1e3)
            if true.offset_s is not None and found.decided_s is not None:
                decision_ms.append((found.decided_s - true.offset_s) * 1e3)
    recognition_ms = [elapsed_ms for video in videos for elapsed_ms in video.recognition_ms]
    hits = len(pairs)
    total = true_count + found_count
    f1 = 2 * hits / total if total else 1.0
    recognition = _recognition(pairs)
    return SpottingReport(
        videos=len(videos),
        minutes=minutes,
        true=true_count,
        found=found_count,
        true_positives=hits,
        precision=hits / found_count if found_count else None,
        recall=hits / true_count if true_count else None,
        f1=f1,
        false_alarms_per_minute=(found_count - hits) / minutes,
        false_alarms_by_cause=dict(causes.most_common()),
        apex_error_ms_median=_percentile(apex_errors_ms, 50),
        apex_error_ms_p90=_percentile(apex_errors_ms, 90),
        announcement_ms_median=_percentile(announcement_ms, 50),
        announcement_ms_p95=_percentile(announcement_ms, 95),
        decision_ms_median=_percentile(decision_ms, 50),
        decision_ms_p95=_percentile(decision_ms, 95),
        recognition_ms_median=_percentile(recognition_ms, 50),
        recognition_ms_p95=_percentile(recognition_ms, 95),
        recognition_uf1=recognition[0] if recognition else None,
        recognition_uar=recognition[1] if recognition else None,
        strs=f1 * recognition[0] if recognition else None,
    )


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _cause(video: Video, found: Movement) -> str:
    """What moved at the time of a false alarm; "micro" when its limits were wrong, "nothing" when all was still."""
    margin = _MARGIN_S * video.fps
    for other in (*video.others, *video.true):
        if found.onset_frame < other.offset_frame + margin and found.offset_frame > other.onset_frame - margin:
            return other.kind
    return "nothing"


def at_sensitivity(video: Video, false_alarms_per_min: float) -> Video:
    """What a more sensitive analysis of the same video would have found.

    Raises:
        DataError: the analysis was more sensitive than that, so what it would have withdrawn is not known.
    """
    if video.false_alarms_per_min is None or false_alarms_per_min < video.false_alarms_per_min:
        raise DataError(
            f"{video.name} was analysed at {video.false_alarms_per_min} false alarms a minute, which says nothing of "
            f"{false_alarms_per_min}. Analyse it with mmnet analyze --sensitivity {false_alarms_per_min} or less."
        )
    limit = least_log_odds(false_alarms_per_min)
    added = [m for m in video.near_misses if m.log_odds is not None and m.log_odds >= limit]
    return replace(video, found=tuple(sorted((*video.found, *added), key=lambda m: m.onset_frame)))


def _recognition(pairs: Sequence[tuple[Movement, Movement]]) -> tuple[float, float] | None:
    """UF1 and UAR over the matched movements that both sides gave a class."""
    named = [(true.label, found.label) for true, found in pairs if true.label and found.label]
    if not named:
        return None
    classes = sorted({label for pair in named for label in pair})
    true, found = (np.array([classes.index(label) for label in side]) for side in zip(*named, strict=True))
    scores = score(true, found, len(classes))
    return scores.uf1, scores.uar


def read_videos(results: Path, truth: Path) -> list[Video]:
    """Pair the session folders below `results` with the videos of a truth table, by the stem of the media file.

    Args:
        results: what `mmnet analyze --out` wrote: folders with events.csv and frames.csv.
        truth: CSV with the columns media_file, onset_frame, offset_frame and, where known, apex_frame, label and kind.
            A row without frames stands for a video in which nothing moves; rows whose kind is not "micro" say what
            false alarms come from.

    Raises:
        DataError: a table cannot be read, or a video is on one side only.
    """
    true = _read_truth(truth)
    sessions = {}
    for folder in sorted(path.parent for path in results.rglob("events.csv")):
        if folder.name in sessions:
            raise DataError(f"{folder} and {sessions[folder.name]} are results of the same video: keep one of them.")
        sessions[folder.name] = folder
    if missing := sorted(set(true) - set(sessions)):
        raise DataError(
            f"{results} has no results of {_some(missing)}. Analyse them with mmnet analyze --out, or take them out of "
            f"{truth.name}."
        )
    if unknown := sorted(set(sessions) - set(true)):
        raise DataError(
            f"{truth.name} does not name {_some(unknown)}. Add a row for each (without frames if nothing moves in it)."
        )
    return [_video(name, movements, sessions[name]) for name, movements in sorted(true.items())]


def media_files(truth: Path) -> dict[str, float | None]:
    """The videos of a truth table, each with the frame rate in its column `fps`, where there is one.

    Raises:
        DataError: the table cannot be read, or two videos have one name.
    """
    media: dict[str, float | None] = {}
    for row in _truth_rows(truth):
        try:
            media[row["media_file"]] = float(row["fps"]) if row.get("fps") else None
        except ValueError as error:
            raise DataError(f"{truth}: {error}; fps is a number.") from None
    return media


def _read_truth(path: Path) -> dict[str, list[Movement]]:
    videos: dict[str, list[Movement]] = {}
    for row in _truth_rows(path):
        movements = videos.setdefault(Path(row["media_file"]).stem, [])
        if row["onset_frame"]:
            movements.append(_movement(path, row))
    return videos


def _truth_rows(path: Path) -> list[dict[str, str]]:
    rows = _rows(path, ("media_file", *_FRAMES))
    known: dict[str, str] = {}
    for media_file in (row["media_file"] for row in rows):
        if known.setdefault(Path(media_file).stem, media_file) != media_file:
            raise DataError(
                f"{path} names {known[Path(media_file).stem]} and {media_file}: results are found by the name of the "
                "video, so give each its own."
            )
    return rows


def _video(name: str, true: list[Movement], folder: Path) -> Video:
    found = [_movement(folder / "events.csv", row) for row in _rows(folder / "events.csv", _FRAMES)]
    withdrawn = folder / "candidates.csv"
    near_misses = [
        _movement(withdrawn, row)
        for row in (_rows(withdrawn, (*_FRAMES, "reason", "measured")) if withdrawn.exists() else ())
        if row["reason"] == _JUDGED_BY_ODDS
    ]
    times_s = {
        int(row["frame"]): float(row["timestamp"]) for row in _rows(folder / "frames.csv", ("frame", "timestamp"))
    }
    seconds = list(times_s.values())
    duration_s = seconds[-1] - seconds[0] if len(seconds) > 1 else 0.0
    fps = (len(seconds) - 1) / duration_s if duration_s > 0 else 0.0
    sensitivity, recognition_ms = _metadata(folder / "metadata.json")
    return Video(
        name=name,
        true=tuple(_timed(m, times_s) for m in true if m.kind == "micro"),
        found=tuple(found),
        duration_s=duration_s,
        fps=fps,
        others=tuple(m for m in true if m.kind != "micro"),
        near_misses=tuple(near_misses),
        false_alarms_per_min=sensitivity,
        recognition_ms=recognition_ms,
    )


def _timed(true: Movement, times_s: Mapping[int, float]) -> Movement:
    """With the times of its apex and offset, where those frames were analysed."""
    apex_s = None if true.apex_frame is None else times_s.get(true.apex_frame)
    return replace(true, apex_s=apex_s, offset_s=times_s.get(true.offset_frame))


def _metadata(path: Path) -> tuple[float | None, tuple[float, ...]]:
    """What an analysis was set to and the network's milliseconds; None and nothing where its metadata do not say."""
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        sensitivity = float(metadata["settings"]["pipeline"]["spotter"]["false_alarms_per_min"])
        return sensitivity, tuple(float(elapsed_ms) for elapsed_ms in metadata.get("recognition_ms", ()))
    except (OSError, ValueError, KeyError, TypeError):
        return None, ()


def _movement(path: Path, row: dict[str, str]) -> Movement:
    try:
        onset, offset = int(row["onset_frame"]), int(row["offset_frame"])
        apex = int(row["apex_frame"]) if row.get("apex_frame") else None
        log_odds, announced_s, decided_s = (
            float(row[name]) if row.get(name) else None for name in ("measured", "announced_s", "decided_s")
        )
    except ValueError as error:
        raise DataError(f"{path}: {error}; frames are whole numbers, counted from 0.") from None
    kind = (row.get("kind") or "micro").strip().lower()
    label = (row.get("label") or "").strip().lower()
    return Movement(onset, apex, offset, label, kind, log_odds, announced_s=announced_s, decided_s=decided_s)


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
                raise DataError(f"{path} has no column {', '.join(missing)}.")
            return list(reader)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
