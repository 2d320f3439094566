"""Writes a session folder as the analysis goes: whatever ends the program, at most the last second is lost."""

from __future__ import annotations

import contextlib
import csv
import json
import logging
import os
import shutil
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

import cv2

from app import __version__
from app.capture.inputs import IMAGE_SEPARATOR, is_url, short_name
from app.config import PipelineConfig, SourceConfig
from app.datatypes import Candidate, Event, SourceInfo, StepResult
from app.errors import OutputError
from app.session.folder import (
    ANNOTATIONS,
    CANDIDATES,
    EVENTS,
    FORMAT_VERSION,
    FRAMES,
    KEY_FRAMES,
    LOG,
    METADATA,
    PICTURES,
    REVIEWS,
    VIDEO,
    SessionLock,
    output_errors,
    sync_folder,
    write_whole,
)
from app.session.frames import FRAME_COLUMNS, frame_row
from app.session.records import (
    CANDIDATE_COLUMNS,
    Origin,
    SessionEvent,
    candidate_row,
    event_columns,
    event_row,
    session_candidate,
    session_event,
)

if TYPE_CHECKING:
    from app.pipeline import Recogniser

_SYNC_PERIOD_S = 0.5
_PROVENANCE = ("training_data", "protocol", "scores", "crop_recipe")  # what a network says of itself


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """Which network named the classes, and on what it ran; `name` is "" when only spotting was possible."""

    name: str = ""
    sha256: str = ""
    class_names: tuple[str, ...] = ()
    provider: str = ""
    provenance: dict[str, str] = field(default_factory=dict)
    status: str = ""  # why there is no network

    @staticmethod
    def of(recogniser: Recogniser) -> ModelRecord:
        """What a recogniser runs on."""
        classifier = recogniser.classifier
        if classifier is None:
            return ModelRecord(status=recogniser.status)
        return ModelRecord(
            classifier.model_name,
            classifier.sha256,
            classifier.class_names,
            classifier.provider,
            {key: value for key, value in classifier.metadata.items() if key in _PROVENANCE},
        )


@dataclass(frozen=True, slots=True)
class Consent:
    """That the person filmed knows and agrees, as the operator states it before anything is recorded."""

    participant_id: str
    statement: str  # the words that were agreed to
    given_at: str = field(default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds"))


class SessionWriter:
    """Writes one session folder; nobody else can write to it meanwhile.

    Args:
        folder: the session folder; made here, an earlier session in it is replaced, unless somebody has reviewed it.
        info: the source that is analysed; may be replaced by a later word of the source before `close`.
        media_file: the medium as the user gave it; "video.mp4" for the session's own recording.
        subject_id: who is filmed, "" when not told.
        consent: goes with a recording.

    Raises:
        OutputError: when the folder or a file in it cannot be written, at any time; when another program writes to it;
            when it holds reviews.
    """

    def __init__(
        self,
        folder: Path,
        info: SourceInfo,
        media_file: str,
        model: ModelRecord,
        source_config: SourceConfig,
        pipeline_config: PipelineConfig,
        *,
        subject_id: str = "",
        consent: Consent | None = None,
    ) -> None:
        self.folder, self.info, self.model = folder, info, model
        self._media = _describe_medium(media_file, folder)
        self._settings = {"source": asdict(source_config), "pipeline": asdict(pipeline_config)}
        self._subject_id, self._consent = subject_id, consent
        self._started_at = _now()
        self._origin: Origin | None = None
        self._span_ns = (0, 0)
        self._dropped = 0
        self._files: list[IO[str]] = []
        self._synced_s = time.monotonic()
        self.recording: dict[str, Any] = {}  # what the recorder says of its video
        self.rejected: dict[str, int] = {}
        self._recognition_ms: list[float] = []
        self.event_count = self.frame_count = self.face_count = 0
        with output_errors(folder), contextlib.ExitStack() as on_failure:
            on_failure.callback(self._abandon)
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = on_failure.enter_context(SessionLock(folder))
            _clear(folder)
            self._events = self._table(EVENTS, event_columns(model.class_names))
            self._candidates = self._table(CANDIDATES, CANDIDATE_COLUMNS)
            self._frames = self._table(FRAMES, FRAME_COLUMNS)
            self._log = _SessionLog(folder / LOG)
            logging.getLogger("mmnet").addHandler(self._log)
            self._log.write(f"mmnet {__version__} analyses {self._media['media_file']}; {_describe_model(model)}")
            self._write_metadata(is_complete=False, error="")
            sync_folder(folder)
            on_failure.pop_all()

    def _table(self, name: str, columns: tuple[str, ...]) -> csv.DictWriter[str]:
        file = (self.folder / name).open("w", encoding="utf-8", newline="")
        self._files.append(file)
        table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        table.writeheader()
        file.flush()
        return table

    def _abandon(self) -> None:
        """Let go of files that can no longer be written."""
        files, self._files = self._files, []
        for file in files:
            with contextlib.suppress(OSError):
                file.close()
        if (log := getattr(self, "_log", None)) is not None:
            logging.getLogger("mmnet").removeHandler(log)
            log.close()

    @property
    def origin(self) -> Origin:
        """What frames and seconds count from; the start of the recording until there is a frame."""
        return self._origin or Origin(0, 0)

    def add_step(self, result: StepResult, video_frame: int | None = None) -> None:
        """Append the row of one frame, and the candidates that were withdrawn at it.

        Args:
            video_frame: place of the frame in the session's own video; None when it is not in it.
        """
        frame = result.frame
        if self._origin is None:
            # A recording's time is its own (--start skips frames, not time); a live source begins with its first frame.
            self._origin = Origin(frame.index, frame.timestamp_ns) if self.info.is_live else Origin(0, 0)
            self._span_ns = (frame.timestamp_ns, frame.timestamp_ns)
        self._span_ns = (self._span_ns[0], frame.timestamp_ns)
        self.frame_count += 1
        self.face_count += result.face is not None
        self._dropped += frame.dropped_before
        with output_errors(self.folder):
            self._frames.writerow(frame_row(result, self._origin, video_frame))
            for candidate in result.decided:
                if candidate.rejection is not None:
                    self.add_withdrawn(candidate)
            if time.monotonic() - self._synced_s >= _SYNC_PERIOD_S:
                self._sync()

    def add_withdrawn(self, candidate: Candidate) -> None:
        """Append a candidate that was rejected; `add_step` has done so for those of its frame."""
        if not self.is_within(candidate):
            return
        self.rejected[candidate.rejected_because] = self.rejected.get(candidate.rejected_because, 0) + 1
        with output_errors(self.folder):
            record = session_candidate(candidate, self.origin, self._media["media_file"])
            self._candidates.writerow(candidate_row(record))

    def add_event(self, event: Event) -> dict[str, Any]:
        """Append an event and save its three pictures; returns its row. It is on the disk when this returns."""
        record = self.record_of(event)
        row = event_row(record)
        with output_errors(self.folder):
            folder = self.folder / PICTURES / str(event.event_id)
            folder.mkdir(parents=True, exist_ok=True)
            for name in KEY_FRAMES:
                _, png = cv2.imencode(".png", getattr(event.candidate, name).crop_bgr)
                write_whole(folder / f"{name}.png", png.tobytes())
            self._events.writerow(row)
            self._sync()
        self.event_count += 1
        if event.prediction is not None:
            self._recognition_ms.append(round(event.prediction.elapsed_ms, 1))
        self._log.write(f"event {event.event_id} at {record.apex_s:.3f} s: {record.label or 'not classified'}")
        return row

    def record_of(self, event: Event) -> SessionEvent:
        """The event as it stands in events.csv."""
        named = {}
        if event.prediction is not None:
            named = {"model": self.model.name, "model_sha256": self.model.sha256}
        return session_event(
            event, self.origin, subject_id=self._subject_id, media_file=self._media["media_file"], **named
        )

    def is_within(self, candidate: Candidate) -> bool:
        """Whether a movement began after the session did; a recording may start in the middle of one."""
        return candidate.onset.timestamp_ns >= self.origin.timestamp_ns

    def _sync(self) -> None:
        for file in self._files:
            file.flush()
            if file.seekable():
                os.fsync(file.fileno())
        self._synced_s = time.monotonic()

    def close(self, error: str = "") -> None:
        """Finish the session; `error` says what ended it early. Closing twice is harmless."""
        if not self._files:
            return
        self._log.write(f"ended early: {error}" if error else "complete")
        try:
            with output_errors(self.folder):
                try:
                    self._sync()
                finally:
                    self._abandon()
                self._write_metadata(is_complete=not error, error=error)
        finally:
            self._lock.close()

    def _write_metadata(self, *, is_complete: bool, error: str) -> None:
        duration_s = (self._span_ns[1] - self._span_ns[0]) / 1e9
        model = self.model
        metadata = {
            "format_version": FORMAT_VERSION,
            "app_version": __version__,
            **self._media,
            "subject_id": self._subject_id,
            "started_at": self._started_at,
            "ended_at": _now() if is_complete or error else "",
            "is_complete": is_complete,
            "error": error,
            "source": asdict(self.info),
            "delivered_fps": round((self.frame_count - 1) / duration_s, 3) if duration_s > 0 else None,
            "duration_s": round(duration_s, 6),
            "model": {
                "name": model.name,
                "sha256": model.sha256,
                "class_names": model.class_names,
                "provider": model.provider,
                **model.provenance,
            }
            if model.name
            else None,
            "recognition": model.status,
            "recognition_ms": self._recognition_ms,  # here, because tables of the same recording must be the same
            "frames": self.frame_count,
            "frames_with_face": self.face_count,
            "frames_dropped": self._dropped,
            "events": self.event_count,
            "rejected": dict(sorted(self.rejected.items())),
            "consent": asdict(self._consent) if self._consent else None,
            "recording": self.recording,
            "settings": self._settings,
        }
        text = json.dumps(metadata, indent=2, ensure_ascii=False, default=str) + "\n"
        write_whole(self.folder / METADATA, text.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("" if error is None else f"{type(error).__name__}: {error}")


class _SessionLog(logging.Handler):
    """log.txt: what the session says, and the program's own warnings meanwhile. A full disk does not stop it."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self._file = path.open("w", encoding="utf-8")

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.write(f"{_now()} {text}\n")
            self._file.flush()

    def emit(self, record: logging.LogRecord) -> None:
        self.write(f"{record.levelname} {record.name}: {record.getMessage()}")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        super().close()


def _clear(folder: Path) -> None:
    """Remove the session that was here before. Raises OutputError when people have worked on it."""
    reviews = sorted(path.stem for path in (folder / REVIEWS).glob("*.csv"))
    if reviews:
        raise OutputError(
            f"{folder} was reviewed by {', '.join(reviews)}, whose work would be lost. Choose another folder, or "
            f"move its folder {REVIEWS!r} away."
        )
    shutil.rmtree(folder / PICTURES, ignore_errors=True)
    for name in (VIDEO, ANNOTATIONS):
        (folder / name).unlink(missing_ok=True)


def _describe_medium(media_file: str, folder: Path) -> dict[str, Any]:
    """Name and place of the medium. Passwords in addresses are left out."""
    if is_url(media_file) or IMAGE_SEPARATOR in media_file:
        return {"media_file": short_name(media_file), "media_path": "", "media_size": None}
    path = folder / media_file if media_file == VIDEO else Path(media_file)
    with contextlib.suppress(OSError):
        is_file = path.is_file()
        if is_file or path.is_dir():
            size = path.stat().st_size if is_file else None
            return {"media_file": media_file, "media_path": str(path.absolute()), "media_size": size}
    return {"media_file": media_file, "media_path": "", "media_size": None}


def _describe_model(model: ModelRecord) -> str:
    if not model.name:
        return f"spotting only ({model.status})"
    return f"{model.name} (sha256 {model.sha256[:12]}) on {model.provider}"


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
