"""What an analysis leaves on disk: events.csv, frames.csv, metadata.json and the pictures of each event."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import cv2

from app import __version__
from app.config import PipelineConfig, SourceConfig
from app.datatypes import Event, SourceInfo, StepResult
from app.errors import OutputError
from app.pipeline import Recogniser

FORMAT_VERSION = 1
_FRAME_COLUMNS = (
    *("frame", "face_id", "timestamp", "confidence", "success", "pose_Rx", "pose_Ry", "pose_Rz"),
    *("motion", "spot_score", "blink", "state", "dropped_before", "head_motion", "quality", "face_count"),
)
_PROVENANCE = ("training_data", "protocol", "scores", "crop_recipe")  # what a network says of itself
_LOW_FPS_HZ = 25.0  # below it a movement of 80 ms has two frames or fewer


def event_columns(class_names: tuple[str, ...]) -> tuple[str, ...]:
    """Header of events.csv for a network with these classes (none when only spotting was available)."""
    return (
        *("event_id", "subject_id", "face_id", "media_file", "onset_frame", "apex_frame", "offset_frame"),
        *("onset_s", "apex_s", "offset_s", "duration_s", "label", "confidence", *(f"p_{name}" for name in class_names)),
        *("regions", "spot_score", "head_motion", "blink", "quality", "fps_effective", "source", "review", "coder"),
        *("comment", "model", "model_sha256", "app_version"),
    )


class SessionWriter:
    """Writes one session folder as the analysis goes, so that a crash leaves what was found so far.

    Args:
        folder: the session folder; made here, an earlier session in it is replaced.
        info: the source that is analysed; may be replaced by a later word of the source before `close`.
        media_file: name or path of the medium as the user gave it.

    Raises:
        OutputError: when the folder or a file in it cannot be written, at any time.
    """

    def __init__(
        self,
        folder: Path,
        info: SourceInfo,
        media_file: str,
        recogniser: Recogniser,
        source_config: SourceConfig,
        pipeline_config: PipelineConfig,
    ) -> None:
        self.folder = folder
        self.info, self._media_file, self._recogniser = info, media_file, recogniser
        self._settings = {"source": asdict(source_config), "pipeline": asdict(pipeline_config)}
        classifier = recogniser.classifier
        self._columns = event_columns(classifier.class_names if classifier is not None else ())
        self._start_ns: int | None = None
        self._dropped = 0
        self._files: list[IO[str]] = []
        self.rejected: dict[str, int] = {}
        self.event_count = self.frame_count = self.face_count = 0
        with _output_errors(folder), contextlib.ExitStack() as on_failure:
            on_failure.callback(self._abandon)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(folder / "events", ignore_errors=True)
            self._events = self._table("events.csv", self._columns)
            self._frames = self._table("frames.csv", _FRAME_COLUMNS)
            self._write_metadata(is_complete=False, error="")
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

    def seconds(self, timestamp_ns: int) -> float:
        """Seconds from the first frame of the video."""
        return (timestamp_ns - (self._start_ns or 0)) / 1e9

    def add_step(self, result: StepResult) -> None:
        """Append the row of one frame; frames without a usable face have success 0."""
        frame, face, motion = result.frame, result.face, result.motion
        if self._start_ns is None:
            # A recording's time is its own (--start skips frames, not time); a live source begins with its first frame.
            self._start_ns = frame.timestamp_ns if self.info.is_live else 0
        self.frame_count += 1
        self._dropped += frame.dropped_before
        for candidate in result.decided:
            if candidate.rejected_because:
                self.rejected[candidate.rejected_because] = self.rejected.get(candidate.rejected_because, 0) + 1
        row: dict[str, Any] = {
            "frame": frame.index,
            "timestamp": round(self.seconds(frame.timestamp_ns), 6),
            "success": int(motion is not None),
            "state": result.state.value,
            "dropped_before": frame.dropped_before,
            "quality": (result.quality.reason or "ok") if result.quality is not None else "no face",
        }
        if face is not None:
            self.face_count += 1
            row |= {
                "face_id": face.face_id,
                "pose_Rx": round(math.radians(face.pose.pitch_deg), 4),
                "pose_Ry": round(math.radians(face.pose.yaw_deg), 4),
                "pose_Rz": round(math.radians(face.pose.roll_deg), 4),
                "face_count": face.face_count,
            }
        if motion is not None:
            row |= {
                "motion": round(motion.largest_percent, 4),
                "spot_score": round(motion.strength, 4),
                "blink": int(motion.is_blink),
                "head_motion": round(motion.head_speed_percent_s, 2),
            }
        with _output_errors(self.folder):
            self._frames.writerow(row)

    def event_row(self, event: Event) -> dict[str, Any]:
        """The row of events.csv for an event, by column name."""
        found, prediction, classifier = event.candidate, event.prediction, self._recogniser.classifier
        row: dict[str, Any] = dict.fromkeys(self._columns, "")
        row |= {
            "event_id": event.event_id,
            "face_id": found.face_id,
            "media_file": self._media_file,
            "onset_frame": found.onset.frame_index,
            "apex_frame": found.apex.frame_index,
            "offset_frame": found.offset.frame_index,
            "onset_s": round(self.seconds(found.onset.timestamp_ns), 6),
            "apex_s": round(self.seconds(found.apex.timestamp_ns), 6),
            "offset_s": round(self.seconds(found.offset.timestamp_ns), 6),
            "duration_s": round(found.duration_ms / 1e3, 6),
            "regions": ";".join(found.regions),
            "spot_score": round(found.spot_score, 3),
            "head_motion": round(found.head_motion, 2),
            "blink": int(found.has_blink),
            "quality": "low fps" if found.fps_effective < _LOW_FPS_HZ else "ok",
            "fps_effective": round(found.fps_effective, 2),
            "source": "auto",
            "app_version": __version__,
        }
        if prediction is not None and classifier is not None:
            row |= {"label": prediction.label, "confidence": round(prediction.confidence, 4)}
            row |= {
                f"p_{name}": round(p, 4)
                for name, p in zip(prediction.class_names, prediction.probabilities, strict=True)
            }
            row |= {"model": classifier.model_name, "model_sha256": classifier.sha256}
        return row

    def add_event(self, event: Event) -> dict[str, Any]:
        """Append an event and save its three pictures; returns its row."""
        row = self.event_row(event)
        with _output_errors(self.folder):
            folder = self.folder / "events" / str(event.event_id)
            folder.mkdir(parents=True, exist_ok=True)
            found = event.candidate
            for name, key_frame in (("onset", found.onset), ("apex", found.apex), ("offset", found.offset)):
                _, png = cv2.imencode(".png", key_frame.crop_bgr)
                (folder / f"{name}.png").write_bytes(png.tobytes())
            self._events.writerow(row)
            for file in self._files:
                file.flush()
        self.event_count += 1
        return row

    def close(self, error: str = "") -> None:
        """Finish the session; `error` says what ended it early. Closing twice is harmless."""
        if not self._files:
            return
        with _output_errors(self.folder):
            try:
                for file in self._files:
                    file.flush()
            finally:
                self._abandon()
            self._write_metadata(is_complete=not error, error=error)

    def _write_metadata(self, *, is_complete: bool, error: str) -> None:
        classifier = self._recogniser.classifier
        metadata = {
            "format_version": FORMAT_VERSION,
            "app_version": __version__,
            "media_file": self._media_file,
            "is_complete": is_complete,
            "error": error,
            "source": asdict(self.info),
            "model": None
            if classifier is None
            else {
                "name": classifier.model_name,
                "sha256": classifier.sha256,
                "class_names": classifier.class_names,
                "provider": classifier.provider,
                **{key: value for key, value in classifier.metadata.items() if key in _PROVENANCE},
            },
            "recognition": self._recogniser.status,
            "frames": self.frame_count,
            "frames_with_face": self.face_count,
            "frames_dropped": self._dropped,
            "events": self.event_count,
            "rejected": dict(sorted(self.rejected.items())),
            "settings": self._settings,
        }
        temporary = self.folder / "metadata.json.part"
        temporary.write_text(json.dumps(metadata, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        temporary.replace(self.folder / "metadata.json")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("" if error is None else f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def _output_errors(folder: Path) -> Iterator[None]:
    """Turns failures of the file system into OutputError with the folder's name."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write to {folder}: {reason}. Choose another folder with --out.") from error
