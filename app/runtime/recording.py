"""The recording thread of a run: it keeps the last seconds, and writes sessions while it is asked to.

Nothing here waits for the disk or the encoder: pictures that find no room are left out, and counted; rows never are.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.config import PipelineConfig, SourceConfig
from app.datatypes import Candidate, Event, SourceInfo, StepResult
from app.errors import MmnetError, SessionError
from app.export import write_annotations
from app.recording import RecordingConfig, ReplayBuffer, SessionTape, without_pictures
from app.runtime.channels import Inbox
from app.session.folder import VIDEO
from app.session.writer import Consent, ModelRecord, SessionWriter

logger = logging.getLogger("mmnet.runtime")


@dataclass(frozen=True, slots=True)
class RecordingStatus:
    """What the recording does now; `folder` is None when nothing is being written."""

    folder: Path | None
    duration_s: float
    byte_count: int
    lost_pictures: int
    replay_s: float
    replay_bytes: int
    saving: int  # how many replays are being written


class Recording:
    """Feed it everything that a run learns; then `begin` and `end` record, and `save_last` keeps what just happened.

    Nobody is recorded without a `Consent`.

    Channels:
        finished: folders of sessions that are complete on the disk;
        faults: what ended a recording early. What was recorded before is kept.
    """

    def __init__(
        self,
        info: SourceInfo,
        source_config: SourceConfig,
        pipeline_config: PipelineConfig,
        config: RecordingConfig | None = None,
    ) -> None:
        self._info, self._source_config, self._pipeline_config = info, source_config, pipeline_config
        self._config = config or RecordingConfig()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._buffer = ReplayBuffer(self._config)
        self._tape: SessionTape | None = None
        self._span_ns = (0, 0)
        self._savers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self.finished: Inbox[Path] = Inbox()
        self.faults: Inbox[Exception] = Inbox()

    def start(self) -> None:
        self._thread.start()

    def add_step(self, result: StepResult) -> None:
        """Hand over a frame. Never waits: a picture that finds no room is left out."""
        image_bgr: np.ndarray | None = result.frame.image_bgr
        size = image_bgr.nbytes
        with self._lock:
            if self._waiting_bytes + size > self._config.max_waiting_bytes:
                image_bgr, size = None, 0
            self._waiting_bytes += size
        light = without_pictures(result)
        self._jobs.put(lambda: self._take_step(light, image_bgr, size))

    def add_event(self, event: Event) -> None:
        """Hand over an event."""
        self._jobs.put(lambda: self._take(lambda part: part.add_event(event)))

    def add_withdrawn(self, candidate: Candidate) -> None:
        """Hand over a candidate that was rejected after its frame; those of a frame come with it."""
        self._jobs.put(lambda: self._take(lambda part: part.add_withdrawn(candidate)))

    def begin(self, folder: Path, consent: Consent, model: ModelRecord) -> None:
        """Record from the next frame on into a new session folder.

        Raises:
            SessionError: the participant is not named.
        """
        _check(consent)
        self._jobs.put(lambda: self._begin(folder, consent, model))

    def end(self) -> None:
        """Finish the recording; its folder appears in `finished`. Harmless when nothing is being recorded."""
        self._jobs.put(self._end)

    def save_last(self, folder: Path, consent: Consent, model: ModelRecord) -> None:
        """Write the last seconds, with the events in them, into a new session folder; recording goes on meanwhile.

        Raises:
            SessionError: the participant is not named.
        """
        _check(consent)
        self._jobs.put(lambda: self._save_last(folder, consent, model))

    @property
    def status(self) -> RecordingStatus:
        """Cheap enough for several calls a second."""
        tape, (first_ns, last_ns) = self._tape, self._span_ns
        return RecordingStatus(
            folder=tape.folder if tape else None,
            duration_s=(last_ns - first_ns) / 1e9 if tape else 0.0,
            byte_count=tape.byte_count if tape else 0,
            lost_pictures=tape.lost_pictures if tape else 0,
            replay_s=self._buffer.duration_s,
            replay_bytes=self._buffer.byte_count,
            saving=sum(thread.is_alive() for thread in self._savers),
        )

    @property
    def is_alive(self) -> bool:
        """Whether something may still be written."""
        return self._thread.is_alive()

    def request_stop(self) -> None:
        """Finish everything that is being written and end the thread, without waiting for it."""
        self._jobs.put(None)

    def stop(self, timeout_s: float = 5.0) -> bool:
        """The same, and wait; False when it is late."""
        self.request_stop()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        for job in iter(self._jobs.get, None):
            self._guarded(job)
        self._guarded(self._end)
        for saver in self._savers:
            saver.join()

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except MmnetError as error:
            self._give_up(error)
        except Exception as error:
            logger.exception("the recording failed")
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self.faults.put(error)
        tape, self._tape = self._tape, None
        if tape is not None:
            with contextlib.suppress(MmnetError):
                tape.close(str(error))
            self.finished.put(tape.folder)

    def _take_step(self, result: StepResult, image_bgr: np.ndarray | None, size: int) -> None:
        try:
            self._buffer.add_step(result, image_bgr)
            if self._tape is not None:
                now_ns = result.frame.timestamp_ns
                self._span_ns = (self._span_ns[0] or now_ns, now_ns)
                self._tape.add_step(result, image_bgr)
        finally:
            with self._lock:
                self._waiting_bytes -= size

    def _take(self, add: Callable[[ReplayBuffer | SessionTape], None]) -> None:
        add(self._buffer)
        if self._tape is not None:
            add(self._tape)

    def _begin(self, folder: Path, consent: Consent, model: ModelRecord) -> None:
        if self._tape is not None:
            raise SessionError(f"{self._tape.folder} is being recorded: end that first.")
        self._span_ns = (0, 0)
        self._tape = self._new_tape(folder, consent, model)

    def _end(self) -> None:
        tape, self._tape = self._tape, None
        if tape is not None:
            try:
                tape.close()
                write_annotations(tape.folder)
            finally:
                self.finished.put(tape.folder)

    def _save_last(self, folder: Path, consent: Consent, model: ModelRecord) -> None:
        content = self._buffer.content()
        if not content[0]:
            raise SessionError("There is nothing to save yet.")

        def save() -> None:
            shots, events, withdrawn = content
            with self._new_tape(folder, consent, model) as tape:
                for shot in shots:
                    tape.add_step(shot.result, shot.image_bgr())
                for event in events:
                    tape.add_event(event)
                for candidate in withdrawn:
                    tape.add_withdrawn(candidate)
            write_annotations(folder)
            self.finished.put(folder)

        def guarded() -> None:
            try:
                save()
            except MmnetError as error:
                self.faults.put(error)
            except Exception as error:
                logger.exception("saving the last seconds failed")
                self.faults.put(error)

        self._savers = [thread for thread in self._savers if thread.is_alive()]
        self._savers.append(threading.Thread(target=guarded, name="replay saver", daemon=True))
        self._savers[-1].start()

    def _new_tape(self, folder: Path, consent: Consent, model: ModelRecord) -> SessionTape:
        writer = SessionWriter(
            folder,
            self._info,
            VIDEO,
            model,
            self._source_config,
            self._pipeline_config,
            subject_id=consent.participant_id,
            consent=consent,
        )
        try:
            return SessionTape(writer, (self._info.width, self._info.height), self._config)
        except MmnetError as error:
            writer.close(str(error))
            raise


def _check(consent: Consent) -> None:
    if not consent.participant_id.strip():
        raise SessionError("A recording needs the consent of the person filmed: give a name or number for them.")
