"""Spotting at several sensitivities: a table and a picture of what more false alarms buy."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from app.config import FALSE_ALARMS_PER_MIN
from app.errors import DataError, OutputError
from model.score_spotting import SpottingReport, Video, at_sensitivity, score_spotting

_RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_COLUMNS = ("false_alarms_per_min", "f1", "precision", "recall", "false_alarms_per_minute")


def sensitivity_curve(videos: Sequence[Video], min_iou: float = 0.5) -> list[tuple[float, SpottingReport]]:
    """Scores at each sensitivity from that of the analysis upwards: (expected false alarms a minute, scores).

    What the network would have said of the movements that come in is not known: those it would have taken for none
    count as found, so the curve shows more of them than an analysis at that sensitivity gives.

    Raises:
        DataError: the results do not say how sensitive the analysis was.
    """
    known = [video.false_alarms_per_min for video in videos]
    set_to = [rate for rate in known if rate is not None]
    if len(set_to) < len(known) or not set_to:
        raise DataError("A curve needs results that say how sensitive they were made: analyse the videos again.")
    rates = sorted({max(set_to), *(rate for rate in _RATES if max(set_to) <= rate <= FALSE_ALARMS_PER_MIN[1])})
    return [(rate, score_spotting([at_sensitivity(v, rate) for v in videos], min_iou)) for rate in rates]


def write_curve(curve: Sequence[tuple[float, SpottingReport]], folder: Path) -> None:
    """Write `sensitivity.csv` and `sensitivity.png`.

    Raises:
        OutputError: when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "sensitivity.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(_COLUMNS)
            for rate, report in curve:
                values = [getattr(report, column) for column in _COLUMNS[1:]]
                table.writerow([rate, *("" if value is None else round(value, 4) for value in values)])
        _draw(curve, folder / "sensitivity.png")
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}. Choose another folder with --curve.") from error


def _draw(curve: Sequence[tuple[float, SpottingReport]], path: Path) -> None:
    # Only this needs it, and it takes a second to load.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    rates = [rate for rate, _ in curve]
    for name, values in (
        ("F1", [report.f1 for _, report in curve]),
        ("precision", [report.precision for _, report in curve]),
        ("recall", [report.recall for _, report in curve]),
    ):
        axes.plot(rates, [float("nan") if value is None else value for value in values], marker="o", label=name)
    axes.set(xscale="log", ylim=(0, 1), xlabel="sensitivity: expected false alarms a minute", ylabel="score")
    axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
    axes.minorticks_off()
    alarms = axes.twinx()
    measured = [report.false_alarms_per_minute for _, report in curve]
    alarms.plot(rates, measured, color="0.5", linestyle="--", label="false alarms (right)")
    alarms.set(ylabel="measured false alarms a minute", ylim=(0, None))
    figure.legend(loc="outside lower center", ncols=4)
    figure.savefig(path)
