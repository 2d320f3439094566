"""One input from its first frame to a finished session folder, without a window."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from app.capture.inputs import is_url, short_name
from app.config import PipelineConfig, SourceConfig
from app.datatypes import Event, SourceInfo, StepResult
from app.errors import MmnetError, OutputError
from app.export import write_annotations
from app.pipeline import Pipeline, Recogniser, judge
from app.runtime.capture import captured_frames
from app.runtime.overlap import steps
from app.session.folder import safe_name
from app.session.writer import ModelRecord, SessionWriter

_RATED_FRAMES = 300  # whose median interval is the rate of a recording; one stall does not change it
_MIN_FPS, _ENOUGH_FPS = 23.0, 25  # films have 24


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an analysis is: frames done, and what the source says of itself."""

    frame_count: int
    info: SourceInfo


@dataclass(frozen=True, slots=True)
class Summary:
    """What came out of one input. `error` is what ended it early; everything before it is saved in `folder`."""

    media_file: str
    folder: Path
    info: SourceInfo
    events: tuple[dict[str, Any], ...]  # the rows of events.csv
    rejected: dict[str, int]
    frame_count: int
    face_count: int
    last_frame: int  # index in the whole recording; -1 when there was none
    dropped: int
    elapsed_s: float
    error: MmnetError | None


def analyse(
    spec: str,
    folder: Path,
    source_config: SourceConfig,
    pipeline_config: PipelineConfig,
    recogniser: Recogniser,
    *,
    subject_id: str = "",
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_event: Callable[[dict[str, Any]], None] = lambda row: None,
    on_step: Callable[[StepResult], None] = lambda result: None,
) -> Summary:
    """Analyse one source into a session folder.

    A live source is analysed until it ends, for `source_config.end_s` seconds, or until Ctrl+C.

    Args:
        subject_id: who is filmed, for the table of events.
        on_progress: called after every frame.
        on_event: called with each row of events.csv as it is written.
        on_step: called with what was learned from every frame.

    Raises:
        MmnetError: when the source cannot be opened or the folder not written; no folder is made for a source that
            cannot be opened.
    """
    started = perf_counter()
    rows: list[dict[str, Any]] = []
    error: MmnetError | None = None
    last_frame = -1
    first_ns: list[int] = []
    with Pipeline(pipeline_config) as pipeline, captured_frames(spec, source_config) as capture:
        info = capture.info
        model = ModelRecord.of(recogniser)
        writer = SessionWriter(folder, info, spec, model, source_config, pipeline_config, subject_id=subject_id)
        with writer:
            try:
                # A live result must not wait for the next frame.
                for result in map(pipeline.step, capture) if info.is_live else steps(pipeline, capture):
                    writer.add_step(result)
                    on_step(result)
                    last_frame = result.frame.index
                    if len(first_ns) < _RATED_FRAMES:
                        first_ns.append(result.frame.timestamp_ns)
                    for candidate in result.decided:
                        if candidate.rejection is not None:
                            continue
                        prediction = recogniser.recognise(candidate)
                        judged = judge(candidate, prediction)
                        if judged.rejection is not None:
                            writer.add_withdrawn(judged)
                            continue
                        rows.append(writer.add_event(Event(len(rows) + 1, judged, prediction)))
                        on_event(rows[-1])
                    on_progress(Progress(writer.frame_count, info))
            except OutputError:
                raise
            except MmnetError as failure:
                error = failure
            except KeyboardInterrupt:
                writer.close("stopped by the user")
                raise
            # A recording may warn of itself only at its end.
            notes = _notes(writer, first_ns, pipeline_config)
            writer.info = info = replace(capture.info, warnings=(*capture.info.warnings, *notes))
            writer.close("" if error is None else str(error))
            write_annotations(folder)
        return Summary(
            media_file=spec,
            folder=folder,
            info=info,
            events=tuple(rows),
            rejected=dict(sorted(writer.rejected.items())),
            frame_count=writer.frame_count,
            face_count=writer.face_count,
            last_frame=last_frame,
            dropped=capture.dropped,
            elapsed_s=perf_counter() - started,
            error=error,
        )


def _notes(writer: SessionWriter, times_ns: Sequence[int], config: PipelineConfig) -> list[str]:
    """Why nothing could be found, where that is the recording's fault; `times_ns` are those of its first frames."""
    notes = []
    if writer.frame_count and not writer.face_count:
        notes.append("No face was found in any frame.")
    # A live source tells its rate when it is opened.
    if len(times_ns) > 1 and not writer.info.is_live:
        fps = 1e9 / statistics.median(b - a for a, b in itertools.pairwise(times_ns))
        if fps < _MIN_FPS:
            notes.append(
                f"{fps:.1f} frames a second are too few for most micro-expressions: record at {_ENOUGH_FPS} or more. "
                f"Frames more than {config.spotter.max_gap_ms:g} ms apart are not even joined."
            )
    return notes


def session_names(specs: Sequence[str]) -> list[str]:
    """A folder name for each input: its stem, made safe and unique (`talk`, `talk-2`)."""
    names: list[str] = []
    for spec in specs:
        name = short_name(spec).removeprefix("file://")
        stem = Path(name).stem if Path(spec).suffix and not Path(spec).is_dir() and not is_url(spec) else name
        stem = f"camera-{spec}" if spec.isdigit() and not Path(spec).exists() else stem
        safe = safe_name(stem, "input")
        taken = {other.casefold() for other in names}
        numbered = (safe if count == 1 else f"{safe}-{count}" for count in itertools.count(1))
        names.append(next(candidate for candidate in numbered if candidate.casefold() not in taken))
    return names


def check_output_folder(folder: Path, *, exist_ok: bool) -> None:
    """Raise OutputError unless results may go into `folder`: new or empty, or `exist_ok`."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file. Choose a folder with --out.")
    try:
        is_taken = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise OutputError(f"cannot look into {folder}: {error.strerror}. Choose another folder with --out.") from error
    if is_taken and not exist_ok:
        raise OutputError(
            f"{folder} exists already and is left untouched. Choose another folder with --out, "
            "go on with an interrupted run by --resume, or replace the results of the same inputs by --exist-ok."
        )
