"""Recording with true times, and the last seconds kept in memory."""

import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import sessions
from videos import number_of, numbered_frame

from app.analysis import analyse
from app.capture.demo import DEMO_SCRIPT, DemoSource
from app.config import PipelineConfig, RecognitionConfig, SourceConfig
from app.datatypes import Event, Frame, SourceInfo
from app.errors import OutputError, SessionError
from app.export import export_session
from app.pipeline import Pipeline, Recogniser
from app.recording import RecordingConfig, ReplayBuffer, SessionTape, VideoWriter
from app.runtime.recording import Recording
from app.session.reader import Session, read_session
from app.session.writer import Consent, ModelRecord

INFO = SourceInfo("camera", "camera", 128, 96, 30.0, None, True)
CONSENT = Consent("p7", "I agree to be recorded.")
START_NS = 7_000_000_000_000  # a monotonic clock begins anywhere


def times_ns(count: int) -> list[int]:
    """About 30 fps, as unsteady as a webcam."""
    steps_ms = np.random.default_rng(1).uniform(20, 50, count)
    return [START_NS + round(ms * 1e6) for ms in np.cumsum(steps_ms)]


def decoded(path: Path) -> list[tuple[int, float]]:
    """Number and second of every frame."""
    with av.open(str(path)) as container:
        return [(number_of(f.to_ndarray(format="bgr24")), float(f.time)) for f in container.decode(video=0)]


def shown(index: int, timestamp_ns: int):
    """What is learned from frame `index`, which shows its number."""
    result = sessions.step(index)
    motion = replace(result.motion, timestamp_ns=timestamp_ns) if result.motion else None
    return replace(result, frame=Frame(index, timestamp_ns, numbered_frame(index)), motion=motion)


def test_every_picture_has_its_time(tmp_path: Path) -> None:
    stamps = times_ns(60)
    with VideoWriter(tmp_path / "v.mp4", (128, 96), RecordingConfig()) as video:
        assert [video.add(numbered_frame(n), stamp) for n, stamp in enumerate(stamps)] == list(range(60))
    frames = decoded(tmp_path / "v.mp4")
    assert [number for number, _ in frames] == list(range(60))
    expected = [(stamp - stamps[0]) / 1e9 for stamp in stamps]
    assert [second for _, second in frames] == pytest.approx(expected, abs=2e-6)


def test_a_finished_video_is_a_plain_one(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4", (128, 96), RecordingConfig()) as video:
        for n, stamp in enumerate(times_ns(30)):
            video.add(numbered_frame(n), stamp)
    content = (tmp_path / "v.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert b"moof" not in content
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].frames == 30
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_lossless_is_lossless(tmp_path: Path) -> None:
    pictures = [numbered_frame(n) for n in range(5)]
    with VideoWriter(tmp_path / "v.mp4", (128, 96), RecordingConfig(quality="lossless")) as video:
        for picture, stamp in zip(pictures, times_ns(5), strict=True):
            video.add(picture, stamp)
    with av.open(str(tmp_path / "v.mp4")) as container:
        found = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert all(np.array_equal(a, b) for a, b in zip(pictures, found, strict=True))


def test_odd_sizes_and_times_that_stand_still(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4", (129, 97), RecordingConfig()) as video:
        for n in range(4):
            video.add(numbered_frame(n, 129, 97), START_NS)
    assert [number for number, _ in decoded(tmp_path / "v.mp4")] == [0, 1, 2, 3]


def test_a_video_without_frames_leaves_no_file(tmp_path: Path) -> None:
    VideoWriter(tmp_path / "v.mp4", (128, 96), RecordingConfig()).close()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    video = VideoWriter(tmp_path / "absent" / "v.mp4", (128, 96), RecordingConfig())
    with pytest.raises(OutputError, match="cannot write to"):
        video.add(numbered_frame(0), START_NS)
    video.close()
    assert list(tmp_path.iterdir()) == []


RECORD_FOR_EVER = """
import sys, time
sys.path.insert(0, sys.argv[1])
import sessions, test_recording as t
from pathlib import Path
tape = t.SessionTape(sessions.begin(Path(sys.argv[2]), "video.mp4", is_live=True), (128, 96), t.RecordingConfig())
for index in range(100000):
    stamp = time.monotonic_ns()
    result = t.shown(index % 256, stamp)
    tape.add_step(result, result.frame.image_bgr)
    print(index, time.monotonic(), flush=True)
    time.sleep(0.01)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_recording_can_be_seen_up_to_its_last_second(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", RECORD_FOR_EVER, str(Path(__file__).parent), str(tmp_path / "s")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        said = [process.stdout.readline() for _ in range(150)]
        killed_at = time.monotonic()
        process.kill()
        said += process.stdout.readlines()
    written = [
        int(line.split()[0]) for line in said if len(line.split()) == 2 and float(line.split()[1]) < killed_at - 1
    ]
    session = read_session(tmp_path / "s")
    assert "was never closed" in session.notes[0]
    numbers = [number for number, _ in decoded(session.media_path)]
    assert numbers == [n % 256 for n in range(len(numbers))]
    assert len(numbers) > max(written)


def test_a_recorded_session_counts_from_its_first_frame(tmp_path: Path) -> None:
    stamps = times_ns(120)
    tape = SessionTape(sessions.begin(tmp_path / "s", "video.mp4", is_live=True), (128, 96), RecordingConfig())
    with tape:
        for n in range(20, 120):
            picture = None if n == 50 else numbered_frame(n)
            tape.add_step(shown(n, stamps[n]), picture)
        tape.add_event(sessions.event(7, 25, first_ns=stamps[20] - 800_000_000))  # began before the recording
        event = sessions.event(8, 60)
        key_frames = {
            name: replace(getattr(event.candidate, name), timestamp_ns=stamps[frame], frame_index=frame)
            for name, frame in {"onset": 51, "apex": 55, "offset": 60}.items()
        }
        exact = {f"{name}_ns": key.timestamp_ns for name, key in key_frames.items()}
        tape.add_event(Event(8, replace(event.candidate, **key_frames, **exact), event.prediction))
    session = read_session(tmp_path / "s")
    (found,) = session.events
    assert (found.event_id, found.onset_frame, found.apex_frame, found.offset_frame) == (1, 31, 35, 40)
    assert found.apex_s == pytest.approx((stamps[55] - stamps[20]) / 1e9, abs=2e-6)
    assert session.timeline.frames.tolist() == list(range(100))
    assert session.metadata["recording"] | {"bytes": 0} == {
        "video": "video.mp4",
        "quality": "high",
        "frames": 99,
        "lost_pictures": 1,
        "bytes": 0,
    }
    video_frames = [frame.video_frame for frame in session.frames()]
    assert video_frames[29:32] == [29, None, 30]
    clips = export_session(session, "clips", tmp_path / "clips")
    numbers = [number for number, _ in decoded(clips / "event-1.mp4")]
    assert set(range(51, 61)) <= set(numbers)
    assert 50 not in numbers


def test_recording_stops_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    free = [2**40]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**40, 0, free[0]))
    recording = Recording(INFO, SourceConfig(), PipelineConfig())
    recording.start()
    stamps = times_ns(120)
    recording.begin(tmp_path / "s", CONSENT, sessions.MODEL)
    for n in range(40):
        recording.add_step(shown(n, stamps[n]))
    wait_for(lambda: recording.status.duration_s > 1)
    free[0] = 100 * 2**20
    for n in range(40, 120):
        recording.add_step(shown(n, stamps[n]))
    assert recording.stop(20)
    (fault,) = recording.faults.take_all()
    assert "Only 100 MiB are free" in str(fault)
    assert recording.finished.take_all() == [tmp_path / "s"]
    session = read_session(tmp_path / "s")
    assert "Only 100 MiB are free" in session.notes[0]
    assert len(decoded(session.media_path)) >= 40


def wait_for(condition, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def test_recording_from_begin_to_end(tmp_path: Path) -> None:
    recording = Recording(INFO, SourceConfig(), PipelineConfig())
    recording.start()
    stamps = times_ns(90)
    for n in range(90):
        if n == 30:
            recording.begin(tmp_path / "first", CONSENT, sessions.MODEL)
        if n == 60:
            recording.end()
            recording.end()
        recording.add_step(shown(n, stamps[n]))
    assert recording.stop(20)
    assert recording.finished.take_all() == [tmp_path / "first"]
    assert recording.faults.take_all() == []
    session = read_session(tmp_path / "first")
    assert [number for number, _ in decoded(session.media_path)] == list(range(30, 60))
    assert (session.subject_id, session.metadata["consent"]["participant_id"]) == ("p7", "p7")
    assert session.metadata["consent"]["statement"] == "I agree to be recorded."
    assert session.is_complete


def test_the_last_seconds_are_saved_while_recording_goes_on(tmp_path: Path) -> None:
    recording = Recording(INFO, SourceConfig(), PipelineConfig(), RecordingConfig(replay_s=1.0))
    recording.start()
    stamps = times_ns(120)
    recording.begin(tmp_path / "all", CONSENT, sessions.MODEL)
    for n in range(120):
        recording.add_step(shown(n, stamps[n]))
        if n == 80:
            recording.save_last(tmp_path / "last", CONSENT, sessions.MODEL)
    assert recording.stop(20)
    assert sorted(recording.finished.take_all()) == [tmp_path / "all", tmp_path / "last"]
    assert len(decoded(tmp_path / "all" / "video.mp4")) == 120
    last = decoded(tmp_path / "last" / "video.mp4")
    first = next(n for n in range(81) if stamps[n] >= stamps[80] - 1e9)
    assert [number for number, _ in last] == list(range(first, 81))
    assert read_session(tmp_path / "last").timeline.seconds[-1] == pytest.approx(1.0, abs=0.06)


def test_nothing_is_recorded_without_consent(tmp_path: Path) -> None:
    recording = Recording(INFO, SourceConfig(), PipelineConfig())
    for record in (recording.begin, recording.save_last):
        with pytest.raises(SessionError, match="needs the consent"):
            record(tmp_path / "s", Consent(" ", "…"), sessions.MODEL)
    assert recording.stop()


def test_faults_of_a_recording_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    recording = Recording(INFO, SourceConfig(), PipelineConfig())
    recording.start()
    recording.save_last(tmp_path / "early", CONSENT, sessions.MODEL)
    recording.begin(tmp_path / "file" / "s", CONSENT, sessions.MODEL)
    recording.begin(tmp_path / "good", CONSENT, sessions.MODEL)
    recording.add_step(shown(0, START_NS))
    recording.begin(tmp_path / "second", CONSENT, sessions.MODEL)
    assert recording.stop(20)
    messages = " | ".join(map(str, recording.faults.take_all()))
    assert "nothing to save yet" in messages
    assert "cannot write to" in messages
    assert "is being recorded: end that first" in messages


def test_pictures_without_room_are_left_out_and_counted(tmp_path: Path) -> None:
    size = numbered_frame(0).nbytes
    recording = Recording(INFO, SourceConfig(), PipelineConfig(), RecordingConfig(max_waiting_bytes=10 * size))
    recording.begin(tmp_path / "s", CONSENT, sessions.MODEL)
    for n, stamp in enumerate(times_ns(30)):
        recording.add_step(shown(n, stamp))  # nobody takes them yet
    recording.start()
    assert recording.stop(20)
    session = read_session(tmp_path / "s")
    assert session.metadata["recording"]["lost_pictures"] == 20
    assert len(session.timeline.frames) == 30
    assert [number for number, _ in decoded(session.media_path)] == list(range(10))


def test_the_replay_is_bounded_in_time_and_in_bytes() -> None:
    buffer = ReplayBuffer(RecordingConfig(replay_s=2.0))
    for n, stamp in enumerate(times_ns(200)):
        buffer.add_step(shown(n, stamp), numbered_frame(n))
        if n % 20 == 19:
            buffer.add_event(sessions.event(n, n, first_ns=stamp - round(n * 1e9 / 30)))
    shots, events, _ = buffer.content()
    assert buffer.duration_s <= 2.0
    assert {event.event_id for event in events} == {159, 179, 199}
    assert all(shot.result.crop is None and shot.result.frame.image_bgr.size == 0 for shot in shots)
    small = ReplayBuffer(RecordingConfig(replay_max_bytes=50_000))
    for n, stamp in enumerate(times_ns(60)):
        small.add_step(shown(n, stamp), numbered_frame(n))
    assert small.byte_count <= 50_000
    assert small.byte_count == sum(len(shot.jpeg) for shot in small.content()[0])


def test_a_replay_of_a_recorded_session_gives_the_same_events(tmp_path: Path, network_path: Path) -> None:
    first = next(movement for movement in DEMO_SCRIPT if movement.kind == "micro")
    span = SourceConfig(start_s=first.onset_frame / 30 - 1.5, end_s=first.offset_frame / 30 + 0.6)
    config = PipelineConfig(recognition=RecognitionConfig(model=network_path))
    with DemoSource(span) as source, Recogniser(config.recognition) as recogniser, Pipeline(config) as pipeline:
        frames = list(source)
        info = replace(source.info, kind="camera", is_live=True)
        stamps = times_ns(len(frames))
        recording = Recording(info, SourceConfig(), config, RecordingConfig(quality="lossless"))
        recording.start()
        recording.begin(tmp_path / "live", CONSENT, ModelRecord.of(recogniser))
        count = 0
        for index, (frame, stamp) in enumerate(zip(frames, stamps, strict=True)):
            result = pipeline.step(replace(frame, index=index, timestamp_ns=stamp))
            recording.add_step(result)
            for candidate in result.decided:
                if candidate.rejection is None:
                    count += 1
                    recording.add_event(Event(count, candidate, recogniser.recognise(candidate)))
        assert recording.stop(60)
        live = read_session(tmp_path / "live")
        analyse(str(live.media_path), tmp_path / "replay", SourceConfig(), config, recogniser)
    replay = read_session(tmp_path / "replay")
    assert len(live.events) == 1
    assert [_what(event) for event in replay.events] == [_what(event) for event in live.events]
    assert [(c.reason, c.onset_frame) for c in replay.candidates] == [
        (c.reason, c.onset_frame) for c in live.candidates
    ]
    assert replay.timeline.seconds == pytest.approx(live.timeline.seconds, abs=2e-6)


def _what(event) -> tuple:
    return (event.onset_frame, event.apex_frame, event.offset_frame, event.label, event.probabilities, event.regions)


def test_the_session_belongs_to_its_video(tmp_path: Path) -> None:
    recording = Recording(INFO, SourceConfig(), PipelineConfig())
    recording.start()
    recording.begin(tmp_path / "s", CONSENT, sessions.MODEL)
    recording.add_step(shown(0, START_NS))
    assert recording.stop(20)
    moved = tmp_path / "elsewhere"
    (tmp_path / "s").rename(moved)
    session: Session = read_session(moved)
    assert session.media_path == moved / "video.mp4"
    assert session.notes == ()
