"""Many inputs into one folder of sessions: what is done is skipped, one bad input does not stop the others.

DIR/<name>/        a session per input
DIR/summary.csv    a row per input
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from app import __version__
from app.analysis import Progress, Summary, analyse, session_names
from app.config import PipelineConfig, RecognitionConfig, SourceConfig
from app.datatypes import StepResult
from app.errors import SessionError
from app.pipeline import Recogniser
from app.runtime.engines import Emit, Engine, Work
from app.session.folder import is_being_written, output_errors, write_whole
from app.session.reader import Session, read_session

SUMMARY = "summary.csv"
SUMMARY_COLUMNS = (
    *("name", "media_file", "status", "frames", "frames_with_face", "duration_s", "events", "rejected", "error"),
)
DONE, SKIPPED, FAILED = "done", "skipped", "failed"
_PROGRESS_PERIOD_S = 0.2
_LOCK_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Task:
    """One input and the session folder that it goes to."""

    spec: str
    folder: Path
    source_config: SourceConfig
    pipeline_config: PipelineConfig
    subject_id: str = ""

    @property
    def name(self) -> str:
        return self.folder.name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an input. `summary` is None when nothing could be read, or the input had been done before."""

    task: Task
    status: str  # DONE | SKIPPED | FAILED
    summary: Summary | None
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears what happens to the inputs, in this process."""

    on_progress: Callable[[Task, Progress], None] = lambda task, progress: None
    on_event: Callable[[Task, dict[str, Any]], None] = lambda task, row: None
    on_outcome: Callable[[Outcome], None] = lambda outcome: None


def plan(
    specs: Sequence[str],
    out: Path,
    source_config: SourceConfig,
    pipeline_config: PipelineConfig,
    subject_id: str = "",
) -> tuple[Task, ...]:
    """A task for each input; the names of the folders depend on the list of inputs alone."""
    names = session_names(specs)
    return tuple(
        Task(spec, out / name, source_config, pipeline_config, subject_id)
        for spec, name in zip(specs, names, strict=True)
    )


def run_batch(tasks: Sequence[Task], engine: Engine, listener: Listener, work: Work | None = None) -> list[Outcome]:
    """Analyse every input; returns the outcomes in the order of the tasks.

    Args:
        work: what is done with each, in place of `analyse_task`.
    """
    outcomes: dict[int, Outcome] = {}

    def hear(position: int, message: Any) -> None:
        task = tasks[position]
        if isinstance(message, Progress):
            listener.on_progress(task, message)
        else:
            listener.on_event(task, message)

    for position, result in engine.run(work or analyse_task, tasks, hear):
        if isinstance(result, Summary):
            status = FAILED if result.error is not None else DONE
            outcomes[position] = Outcome(tasks[position], status, result, result.error)
        else:
            outcomes[position] = Outcome(tasks[position], FAILED, None, result)
        listener.on_outcome(outcomes[position])
    return [outcomes[position] for position in range(len(tasks))]


def analyse_task(task: Task, emit: Emit, on_step: Callable[[StepResult], None] = lambda result: None) -> Summary:
    """Analyse one input, in any process. Tells a `Progress` a few times a second, and every row of events.csv.

    Raises:
        MmnetError: the input cannot be opened, or the folder not written.
    """
    # The process that wrote here before may have been declared dead a moment before it really was.
    deadline_s = time.monotonic() + _LOCK_WAIT_S
    while task.folder.exists() and is_being_written(task.folder) and time.monotonic() < deadline_s:
        time.sleep(0.5)
    told_s = 0.0

    def progress(now: Progress) -> None:
        nonlocal told_s
        if now.frame_count == 1 or time.monotonic() - told_s >= _PROGRESS_PERIOD_S:
            told_s = time.monotonic()
            emit(now)

    return analyse(
        task.spec,
        task.folder,
        task.source_config,
        task.pipeline_config,
        recogniser_of(task.pipeline_config.recognition),
        subject_id=task.subject_id,
        on_progress=progress,
        on_event=emit,
        on_step=on_step,
    )


@lru_cache(maxsize=1)
def recogniser_of(config: RecognitionConfig) -> Recogniser:
    """The network of this process, loaded once.

    Raises:
        ModelError, DeviceError: as Recogniser.
    """
    return Recogniser(config)


def is_done(task: Task, model_sha256: str) -> bool:
    """Whether the session of a task is complete, and of the same medium, settings, network and version."""
    try:
        metadata = read_session(task.folder).metadata
    except SessionError:
        return False
    settings = {"source": asdict(task.source_config), "pipeline": asdict(task.pipeline_config)}
    path = Path(task.spec)
    is_same_medium = metadata.get("media_file") == task.spec and (
        not path.is_file() or metadata.get("media_size") == path.stat().st_size
    )
    return (
        bool(metadata.get("is_complete"))
        and is_same_medium
        and metadata.get("app_version") == __version__
        and (metadata.get("model") or {}).get("sha256", "") == model_sha256
        and metadata.get("subject_id") == task.subject_id
        and _without_network(metadata.get("settings") or {}) == _without_network(json.loads(_as_json(settings)))
    )


def write_summary(out: Path, outcomes: Sequence[Outcome]) -> Path:
    """Write summary.csv and return where it is.

    Raises:
        OutputError: it cannot be written.
    """
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, SUMMARY_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_summary_row, outcomes))
    with output_errors(out):
        write_whole(out / SUMMARY, table.getvalue().encode())
    return out / SUMMARY


def _summary_row(outcome: Outcome) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": outcome.task.name,
        "media_file": outcome.task.spec,
        "status": outcome.status,
        "error": outcome.error or "",
    }
    session = _session_of(outcome)
    if session is not None:
        metadata = session.metadata
        row |= {name: metadata.get(name) for name in ("frames", "frames_with_face", "duration_s", "events")}
        row["rejected"] = sum((metadata.get("rejected") or {}).values())
    return row


def _session_of(outcome: Outcome) -> Session | None:
    if outcome.status == FAILED and outcome.summary is None:
        return None  # a folder there is of an earlier run
    try:
        return read_session(outcome.task.folder)
    except SessionError:
        return None


def _without_network(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings but for those of the network, which its hash stands for."""
    pipeline = {name: value for name, value in settings.get("pipeline", {}).items() if name != "recognition"}
    return settings | {"pipeline": pipeline}


def _as_json(values: Any) -> str:
    return json.dumps(values, default=str)
