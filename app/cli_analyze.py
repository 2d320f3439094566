"""`mmnet analyze`: inputs into session folders, and what is printed of them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.analysis import Progress, Summary, check_output_folder
from app.batch import (
    DONE,
    FAILED,
    SKIPPED,
    SUMMARY,
    Listener,
    Outcome,
    Task,
    analyse_task,
    is_done,
    plan,
    recogniser_of,
    run_batch,
    write_summary,
)
from app.capture.inputs import expand_inputs
from app.config import PipelineConfig, SourceConfig
from app.datatypes import StepResult
from app.errors import MmnetError
from app.recognition.classifier import Classifier
from app.runtime.engines import Emit, Engine, engine_named
from app.streaming import LslOutlets
from app.terminal import complain

_OK, _FAILED = 0, 1


def run(options: argparse.Namespace, out: Path, source_config: SourceConfig, config: PipelineConfig) -> int:
    """The command; returns the exit code."""
    specs = expand_inputs(options.sources)
    check_output_folder(out, exist_ok=options.exist_ok or options.resume)
    if options.lsl and (len(specs) > 1 or options.engine != "local"):
        raise MmnetError("--lsl streams one source at a time: name one.")
    engine = engine_named(options.engine, min(options.jobs, len(specs)))
    # Loaded here as well where other processes do the work: a bad network is told once, before anything is written.
    recogniser = recogniser_of(config.recognition)
    if recogniser.status:
        print(recogniser.status, file=sys.stderr)
    tasks = plan(specs, out, source_config, config, options.subject or "")
    sha256 = recogniser.classifier.sha256 if recogniser.classifier else ""
    before = [task for task in tasks if options.resume and is_done(task, sha256)]
    pending = [task for task in tasks if task not in before]
    reporter = _Reporter(options, pending, recogniser.classifier)
    try:
        outcomes = [Outcome(task, SKIPPED, None, None) for task in before]
        outcomes += _run(options, pending, engine, reporter)
    finally:
        reporter.close()
    outcomes.sort(key=lambda outcome: tasks.index(outcome.task))
    failed = [outcome.task.spec for outcome in outcomes if outcome.status == FAILED]
    if len(specs) > 1:
        if out.is_dir():
            write_summary(out, outcomes)
        reporter.conclude(outcomes, out)
    if failed and len(specs) > 1:
        complain(f"{len(failed)} of {len(specs)} inputs failed: {', '.join(failed)}")
    return _FAILED if failed else _OK


def _run(options: argparse.Namespace, tasks: Sequence[Task], engine: Engine, reporter: _Reporter) -> list[Outcome]:
    listener = Listener(reporter.progress, reporter.event, reporter.outcome)
    if not options.lsl:
        return run_batch(tasks, engine, listener)
    with _Streaming() as streaming:
        return run_batch(tasks, engine, listener, work=streaming.work)


class _Streaming:
    """Analyses one input and streams what it finds."""

    def __init__(self) -> None:
        self._outlets: LslOutlets | None = None

    def work(self, task: Task, emit: Emit) -> Summary:
        def hear(message: Any) -> None:
            if isinstance(message, Progress) and self._outlets is None:
                self._outlets = LslOutlets(message.info, f"mmnet-{message.info.label}")
            elif not isinstance(message, Progress) and self._outlets is not None:
                self._outlets.add_event(message)
            emit(message)

        def step(result: StepResult) -> None:
            if self._outlets is not None:
                self._outlets.add_step(result)

        return analyse_task(task, hear, step)

    def __enter__(self) -> _Streaming:
        return self

    def __exit__(self, *_: object) -> None:
        if self._outlets is not None:
            self._outlets.close()


class _Reporter:
    """What is printed: on a terminal a bar with the time left, then events and a summary for each input."""

    def __init__(self, options: argparse.Namespace, tasks: Sequence[Task], classifier: Classifier | None) -> None:
        self._options, self._tasks = options, tasks
        self._provider = classifier.provider if classifier else "spotting only"
        self._bar: Any = None
        self._shown: dict[str, float] = {}  # of each input, frames of a single one, else the part that is done
        self._warned: dict[str, int] = {}

    def progress(self, task: Task, progress: Progress) -> None:
        info = progress.info
        total = None if info.is_live else info.frame_count
        if len(self._tasks) == 1:
            self._advance(task, progress.frame_count, total, "frame")
        elif total:
            self._advance(task, min(1.0, progress.frame_count / total), len(self._tasks), "input")
        self._warn(task, info.warnings)

    def _advance(self, task: Task, now: float, total: int | None, unit: str) -> None:
        if self._bar is None:
            from tqdm import tqdm

            is_hidden = self._options.quiet or not sys.stderr.isatty()
            name = task.name if len(self._tasks) == 1 else "inputs"
            form = "{l_bar}{bar}| {n:.1f}/{total} [{elapsed}, {remaining} left]" if unit == "input" else None
            self._bar = tqdm(total=total, desc=name, unit=unit, disable=is_hidden, leave=False, bar_format=form)
        self._bar.update(now - self._shown.get(task.name, 0.0))
        self._shown[task.name] = now

    def _warn(self, task: Task, warnings: Sequence[str]) -> None:
        for warning in warnings[self._warned.get(task.name, 0) :]:
            print(f"mmnet: warning: {task.name}: {warning}", file=sys.stderr)
        self._warned[task.name] = len(warnings)

    def event(self, task: Task, row: dict[str, Any]) -> None:
        if self._options.json:
            print(json.dumps({key: value for key, value in row.items() if value != ""}, ensure_ascii=False), flush=True)

    def outcome(self, outcome: Outcome) -> None:
        if len(self._tasks) == 1:
            self.close()
        else:
            self._advance(outcome.task, 1.0, len(self._tasks), "input")
            self._bar.clear()  # what is printed now must not be appended to it
        self._tell(outcome)
        if len(self._tasks) > 1:
            self._bar.refresh()

    def _tell(self, outcome: Outcome) -> None:
        summary = outcome.summary
        if summary is None:
            complain(outcome.error or "failed")
            return
        self._summary(outcome.task, summary)
        if summary.error is not None:
            complain(f"{summary.error} What was readable is saved in {summary.folder}.")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def conclude(self, outcomes: Sequence[Outcome], out: Path) -> None:
        """The sum of all inputs."""
        self.close()
        if self._options.json or self._options.quiet:
            return
        counts = {status: sum(outcome.status == status for outcome in outcomes) for status in (DONE, SKIPPED, FAILED)}
        events = sum(len(outcome.summary.events) for outcome in outcomes if outcome.summary)
        print(
            f"{len(outcomes)} inputs: {counts[DONE]} analysed, {counts[SKIPPED]} done before, {counts[FAILED]} failed; "
            f"{events} events found now; table in {out / SUMMARY}"
        )

    def _summary(self, task: Task, summary: Summary) -> None:
        self._warn(task, summary.info.warnings)
        if self._options.json or self._options.quiet:
            return
        fps = summary.frame_count / summary.elapsed_s if summary.elapsed_s else 0.0
        info = summary.info
        rejected = ", ".join(f"{count} {reason}" for reason, count in summary.rejected.items()) or "none"
        print(
            f"{task.name}: {info.width}×{info.height}, frames: {summary.frame_count}, {summary.face_count} with "
            f"a face, {summary.dropped} dropped; analysed at {fps:.0f} fps; {self._provider}"
        )
        if info.kind == "demo":
            _print_beside_script(summary)
        else:
            for row in summary.events:
                print(f"  {_event_line(row)}")
        print(f"  events: {len(summary.events)}; rejected movements: {rejected}")
        print(f"  saved in {summary.folder}")


def _event_line(row: dict[str, Any]) -> str:
    label = f"consistent with {row['label']} ({row['confidence']:.2f})" if row["label"] else "not classified"
    return (
        f"{row['onset_s']:9.3f}–{row['offset_s']:.3f} s, apex {row['apex_s']:.3f} s (frames {row['onset_frame']}, "
        f"{row['apex_frame']}, {row['offset_frame']}): {label}; {row['regions'].replace(';', ', ')}"
    )


def _print_beside_script(summary: Summary) -> None:
    """The demo's script and what was found of it; false alarms last."""
    from app.capture.demo import DEMO_SCRIPT
    from app.spotting.scoring import match

    first_frame = summary.last_frame + 1 - summary.frame_count
    script = [
        movement
        for movement in DEMO_SCRIPT
        if movement.kind == "micro"
        and first_frame <= movement.onset_frame
        and movement.offset_frame <= summary.last_frame
    ]
    found = summary.events
    score = match(
        [(m.onset_frame, m.offset_frame) for m in script], [(row["onset_frame"], row["offset_frame"]) for row in found]
    )
    found_of = dict(score.pairs)
    print("  script (onset, apex, offset)      found                 apex error  class found")
    for index, movement in enumerate(script):
        line = f"  {movement.label:9s} {movement.onset_frame:4d} {movement.apex_frame:4d} {movement.offset_frame:4d}"
        if index in found_of:
            row = found[found_of[index]]
            error_ms = (row["apex_frame"] - movement.apex_frame) * 1000 / (summary.info.fps or 30)
            label = f"{row['label']} ({row['confidence']:.2f})" if row["label"] else "–"
            line += f"{'':12s}{_frames_of(row)}     {error_ms:+5.0f} ms   {label}"
        else:
            line += f"{'':12s}missed"
        print(line)
    for index, row in enumerate(found):
        if index not in found_of.values():
            print(f"  {'nothing here':36s}{_frames_of(row)}     false alarm")
    named = [(script[true].label, found[index]["label"]) for true, index in score.pairs if found[index]["label"]]
    right = f"; class right in {sum(t == f for t, f in named)} of {len(named)}" if named else ""
    print(
        f"  found {score.true_positives} of {score.true_count}, missed {score.false_negatives}, "
        f"false alarms {score.false_positives} (a pair counts when its intervals overlap by IoU ≥ 0.5){right}"
    )


def _frames_of(row: dict[str, Any]) -> str:
    return f"{row['onset_frame']:4d} {row['apex_frame']:4d} {row['offset_frame']:4d}"
