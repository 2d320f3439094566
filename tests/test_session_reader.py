"""A session that is read back: the same, or what can be recovered of it, with a word about the rest."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sessions
from videos import numbered_frame, write_video

from app.errors import OutputError, SessionError
from app.session.folder import is_being_written, write_whole
from app.session.reader import read_session
from app.session.records import Origin, event_row, read_event, session_event


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sessions.write_session(tmp_path / "talk")


def test_what_was_written_is_what_is_read(folder: Path) -> None:
    session = read_session(folder)
    expected = [
        session_event(
            sessions.event(number, end),
            Origin(0, 0),
            subject_id="p1",
            media_file="talk.mp4",
            model="tiny",
            model_sha256="ab" * 32,
        )
        for number, end in enumerate(sessions.EVENT_ENDS, 1)
    ]
    assert list(session.events) == expected
    assert [(c.candidate_id, c.reason, c.measured, c.limit, c.offset_frame) for c in session.candidates] == [
        (1, "blink", 0.42, 0.35, 20),
        (2, "blink", 0.42, 0.35, 60),
    ]
    assert (session.is_complete, session.subject_id, session.class_names) == (True, "p1", sessions.fakes.CLASS_NAMES)
    assert session.metadata["delivered_fps"] == pytest.approx(30, abs=0.01)
    assert session.metadata["rejected"] == {"blink": 2}


def test_frames_are_read_one_by_one_with_what_was_measured(folder: Path) -> None:
    frames = read_session(folder).frames()
    first = next(frames)
    assert (first.frame, first.is_success, first.quality, first.motion_percent) == (0, False, "no face", None)
    assert (first.face_box_px, first.displacement_percent) == (None, None)
    later = list(frames)[9]
    assert (later.frame, later.is_success, later.state) == (10, True, "idle")
    assert later.timestamp_s == pytest.approx(1 / 3, abs=1e-6)
    assert later.displacement_percent.shape == (len(sessions.REGION_NAMES), 2)
    x, y, width, height = later.face_box_px
    assert (x, y, width, height) == pytest.approx((48, 24, 64, 72), abs=0.2)


def test_an_event_survives_its_row(folder: Path) -> None:
    for event in read_session(folder).events:
        row = {name: str(value) for name, value in event_row(event).items()}
        assert read_event(row) == event


def test_the_timeline_finds_frames_and_seconds(folder: Path) -> None:
    timeline = read_session(folder).timeline
    assert timeline.frame_at(1.01) == 30
    assert timeline.frame_at(-5) == 0
    assert timeline.frame_at(1e6) == 119
    assert timeline.second_of(45) == pytest.approx(1.5)
    with pytest.raises(SessionError, match="no frame 500: it has 0 to 119"):
        timeline.second_of(500)


def test_the_medium_is_found_where_it_was_and_beside_the_session(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    video = write_video(tmp_path / "raw" / "talk 面部 🙂.mp4", [numbered_frame(0)] * 3)
    folder = sessions.write_session(tmp_path / "results" / "talk", str(video), frames=10)
    assert read_session(folder).media_path == video
    beside = folder.parent / video.name
    video.rename(beside)
    assert read_session(folder).media_path == beside
    beside.unlink()
    session = read_session(folder)
    assert session.media_path is None
    assert any("is not where it was analysed" in note for note in session.notes)


def test_passwords_in_addresses_are_not_kept(tmp_path: Path) -> None:
    folder = sessions.write_session(tmp_path / "s", "rtsp://user:secret@127.0.0.1/cam?key=1")
    assert all(b"secret" not in path.read_bytes() for path in folder.rglob("*.*") if path.is_file())
    assert read_session(folder).media_file == "rtsp://127.0.0.1/cam"


# What may have happened to a folder


def test_a_folder_that_is_no_session(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=r"no session folder: it has no metadata\.json"):
        read_session(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "damaged"),
        ("[]", "no format_version"),
        ('{"format_version": "two"}', "no format_version"),
        ('{"format_version": 99, "app_version": "9.1"}', r"newer version \(mmnet 9\.1, format 99.*Update mmnet"),
    ],
)
def test_metadata_that_cannot_be_used(folder: Path, content: str, message: str) -> None:
    (folder / "metadata.json").write_text(content, encoding="utf-8")
    with pytest.raises(SessionError, match=message):
        read_session(folder)


def test_a_session_of_the_version_before_is_read(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text(
        json.dumps({"format_version": 1, "media_file": "demo", "is_complete": True, "source": {"kind": "demo"}})
    )
    (tmp_path / "events.csv").write_text(
        "event_id,subject_id,face_id,media_file,onset_frame,apex_frame,offset_frame,onset_s,apex_s,offset_s,"
        "duration_s,label,confidence,p_positive,regions,spot_score,head_motion,blink,quality,fps_effective,source,"
        "review,coder,comment,model,model_sha256,app_version\n"
        "1,,1,demo,30,33,40,1.0,1.1,1.333333,0.333333,positive,0.9,0.9,chin,2.0,5.0,0,ok,30.0,auto,,,,net,ab,0.1.0\n"
    )
    (tmp_path / "frames.csv").write_text(
        "frame,face_id,timestamp,confidence,success,pose_Rx,pose_Ry,pose_Rz,motion,spot_score,blink,state,"
        "dropped_before,head_motion,quality,face_count\n0,1,0.0,,1,0,0,0,0.1,0.2,0,idle,0,1.0,ok,1\n"
    )
    session = read_session(tmp_path)
    assert (session.events[0].label, session.events[0].apex_frame, session.events[0].app_version) == (
        "positive",
        33,
        "0.1.0",
    )
    assert session.candidates == ()
    assert next(session.frames()).displacement_percent is None
    assert session.notes == ()


def test_broken_rows_are_left_out_and_named(folder: Path) -> None:
    path = folder / "events.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[2] = lines[2].replace("2,p1,1", "two,p1,1")
    path.write_text("".join(lines) + "4,p1,1,talk.mp4,5\n", encoding="utf-8")
    session = read_session(folder)
    assert [event.event_id for event in session.events] == [1, 3]
    assert session.notes[:1] == ("events.csv: 2 rows cannot be read and left out (line 3, 5).",)


def test_key_frames_out_of_order_are_a_broken_row(folder: Path) -> None:
    path = folder / "events.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("1,p1,1,talk.mp4,31,35,40", "1,p1,1,talk.mp4,41,35,40"), encoding="utf-8")
    session = read_session(folder)
    assert [event.event_id for event in session.events] == [2, 3]
    assert "line 2" in session.notes[0]


def test_a_table_of_another_program(folder: Path) -> None:
    (folder / "events.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(SessionError, match="no column event_id, onset_frame, onset_s"):
        read_session(folder)
    (folder / "events.csv").unlink()
    with pytest.raises(SessionError, match=r"events\.csv is missing"):
        read_session(folder)


def test_a_row_that_never_reached_its_end_is_left_out(folder: Path) -> None:
    with (folder / "frames.csv").open("a", encoding="utf-8") as file:
        file.write("120,1,4.0,,1,0.")
    assert len(list(read_session(folder).frames())) == 120
    with (folder / "frames.csv").open("a", encoding="utf-8") as file:
        file.write("\0" * 512)
    session = read_session(folder)
    assert len(list(session.frames())) == 120
    assert session.timeline.frames.tolist() == list(range(120))


def test_frames_and_timeline_leave_out_the_same_rows(folder: Path) -> None:
    path = folder / "frames.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[10] = lines[10].replace(",", ";")
    lines[20] = lines[20].replace("0.", "zero.", 1)
    path.write_text("".join(lines), encoding="utf-8")
    session = read_session(folder)
    numbers = [frame.frame for frame in session.frames()]
    assert numbers == session.timeline.frames.tolist()
    assert sorted({*range(120)} - {*numbers}) == [9, 19]


def test_two_writers_are_refused(tmp_path: Path) -> None:
    with sessions.begin(tmp_path / "s"):
        assert is_being_written(tmp_path / "s")
        assert "still being written" in read_session(tmp_path / "s").notes[0]
        with pytest.raises(OutputError, match="being written by another program"):
            sessions.begin(tmp_path / "s")
    assert not is_being_written(tmp_path / "s")


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\nimport sessions\nfrom pathlib import Path\n"
        "try:\n    sessions.begin(Path(sys.argv[2]))\nexcept Exception as error:\n    print(error)\n"
    )
    with sessions.begin(tmp_path / "s"):
        arguments = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / "s")]
        said = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "is being written by another program" in said


def test_a_reviewed_session_is_not_replaced(folder: Path) -> None:
    (folder / "reviews").mkdir()
    (folder / "reviews" / "ann.csv").write_text("precious", encoding="utf-8")
    before = (folder / "events.csv").read_bytes()
    with pytest.raises(OutputError, match="reviewed by ann, whose work would be lost"):
        sessions.begin(folder)
    assert (folder / "events.csv").read_bytes() == before
    assert not is_being_written(folder)


WRITE_FOR_EVER = """
import sys, time
sys.path.insert(0, sys.argv[1])
import sessions
from pathlib import Path
writer = sessions.begin(Path(sys.argv[2]), is_live=True)
index = 0
while True:
    writer.add_step(sessions.step(index))
    if index % 30 == 29:
        writer.add_event(sessions.event(index // 30 + 1, index))
        print("event", index // 30 + 1, flush=True)
    print("frame", index, time.monotonic(), flush=True)
    index += 1
    time.sleep(0.002)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("after_s", [0.0, 0.31, 0.77])
def test_a_killed_writer_loses_at_most_the_last_second(tmp_path: Path, after_s: float) -> None:
    arguments = [sys.executable, "-c", WRITE_FOR_EVER, str(Path(__file__).parent), str(tmp_path / "s")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        said = [process.stdout.readline() for _ in range(60)]
        time.sleep(after_s)
        killed_at = time.monotonic()
        process.kill()
        said += process.stdout.readlines()
    words = [line.split() for line in said if line.endswith("\n")]
    events = [int(word[1]) for word in words if word[0] == "event"]
    frames = [int(word[1]) for word in words if word[0] == "frame" and float(word[2]) < killed_at - 1.0]
    session = read_session(tmp_path / "s")
    assert not session.is_complete
    assert "was never closed" in session.notes[0]
    assert len(session.notes) == 1
    assert [event.event_id for event in session.events][: len(events)] == events
    numbers = session.timeline.frames.tolist()
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > max(frames, default=-1)
    for event in session.events:
        assert all(session.picture(event.event_id, name) for name in ("onset", "apex", "offset"))
    assert not is_being_written(tmp_path / "s")


FILL_THE_DISK = """
import resource, signal, sys
sys.path.insert(0, sys.argv[1])
import sessions
from pathlib import Path
from app.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = sessions.begin(Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
try:
    for index in range(5000):
        writer.add_step(sessions.step(index))
        if index == 40:
            writer.add_event(sessions.event(1, index))
    writer.close()
except OutputError as error:
    try:
        writer.close(str(error))
    except OutputError:
        pass
    print("stopped at", index, error)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on the size of files")
def test_a_full_disk_ends_the_session_and_keeps_what_was_there(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", FILL_THE_DISK, str(Path(__file__).parent), str(tmp_path / "s")]
    said = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "cannot write to" in said
    stopped_at = int(said.split()[2])
    session = read_session(tmp_path / "s")
    assert not session.is_complete
    assert [event.event_id for event in session.events] == [1]
    # No row that fitted is lost: the file is full to the last line.
    assert os.path.getsize(tmp_path / "s" / "frames.csv") == 60_000
    assert 0 < len(session.timeline.frames) <= stopped_at


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metadata.json"
    write_whole(path, b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
