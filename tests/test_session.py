"""What an analysis leaves on disk, and what it refuses to touch."""

import csv
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import pytest

from app.analysis import Summary, analyse, check_output_folder, session_names
from app.capture.demo import DEMO_SCRIPT, DemoSource
from app.config import PipelineConfig, RecognitionConfig, SourceConfig
from app.errors import OutputError, SourceError
from app.pipeline import Recogniser

FIRST = next(movement for movement in DEMO_SCRIPT if movement.kind == "micro")
START_FRAME, END_FRAME = FIRST.onset_frame - 45, FIRST.offset_frame + 18
START_S, END_S = (START_FRAME - 0.5) / 30, (END_FRAME - 0.5) / 30
EVENT_COLUMNS = (
    "event_id,subject_id,face_id,media_file,onset_frame,apex_frame,offset_frame,onset_s,apex_s,offset_s,duration_s,"
    "label,confidence,p_negative,p_positive,p_surprise,regions,spot_score,head_motion,blink,quality,fps_effective,"
    "source,review,coder,comment,model,model_sha256,app_version,action_units,movements,onset_exact_s,apex_exact_s,"
    "offset_exact_s,announced_s,decided_s"
)


def analysed(folder: Path, network_path: Path | None, spec: str = "demo", **limits: float) -> Summary:
    span = {"start_s": START_S, "end_s": END_S} | limits
    recognition = RecognitionConfig(model=network_path)
    with Recogniser(recognition) as recogniser:
        config = PipelineConfig(recognition=recognition)
        return analyse(spec, folder, SourceConfig(**span), config, recogniser)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, network_path: Path) -> Summary:
    return analysed(tmp_path_factory.mktemp("sessions") / "demo", network_path)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_events_csv_is_as_promised(session: Summary, network_path: Path) -> None:
    text = (session.folder / "events.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == EVENT_COLUMNS
    assert "\r" not in text
    (row,) = rows(session.folder / "events.csv")
    assert (row["event_id"], row["media_file"], row["source"], row["review"]) == ("1", "demo", "auto", "")
    assert int(row["apex_frame"]) == FIRST.apex_frame
    for name in ("onset", "apex", "offset"):
        assert float(row[f"{name}_s"]) == pytest.approx(int(row[f"{name}_frame"]) / 30, abs=1e-5)
    assert float(row["duration_s"]) == pytest.approx(float(row["offset_s"]) - float(row["onset_s"]), abs=1e-5)
    probabilities = {name: float(row[f"p_{name}"]) for name in ("negative", "positive", "surprise")}
    assert sum(probabilities.values()) == pytest.approx(1, abs=3e-4)
    assert row["label"] == max(probabilities, key=probabilities.get)
    assert float(row["confidence"]) == max(probabilities.values())
    assert row["model_sha256"] == hashlib.sha256(network_path.read_bytes()).hexdigest()
    assert "mouth corner" in row["regions"]
    # The decision is made of frames after the offset, and the announcement of frames after the apex.
    assert float(row["apex_s"]) < float(row["announced_s"]) <= float(row["decided_s"])
    assert 0 < float(row["decided_s"]) - FIRST.offset_frame / 30 < 0.5


def test_frames_csv_has_a_row_for_every_frame(session: Summary) -> None:
    table = rows(session.folder / "frames.csv")
    assert [int(row["frame"]) for row in table] == list(range(START_FRAME, END_FRAME))
    first_columns = "frame,face_id,timestamp,confidence,success,pose_Rx,pose_Ry,pose_Rz,motion,spot_score,blink,state"
    assert ",".join(list(table[0])[:12]) == first_columns
    assert {row["success"] for row in table} == {"1"}
    peak = max(table, key=lambda row: float(row["spot_score"]))
    assert abs(int(peak["frame"]) - FIRST.apex_frame) <= 1
    assert {row["state"] for row in table} >= {"warmup", "idle", "rising"}


def test_metadata_tells_where_everything_comes_from(session: Summary, network_path: Path) -> None:
    metadata = json.loads((session.folder / "metadata.json").read_text(encoding="utf-8"))
    assert (metadata["format_version"], metadata["is_complete"], metadata["error"]) == (2, True, "")
    assert metadata["model"]["sha256"] == hashlib.sha256(network_path.read_bytes()).hexdigest()
    assert metadata["model"]["provider"] == "CPUExecutionProvider"
    assert metadata["model"]["training_data"] == "none: made for a test"
    assert metadata["frames"] == session.frame_count
    assert metadata["events"] == len(metadata["recognition_ms"]) == 1
    assert metadata["recognition_ms"][0] > 0
    assert metadata["source"]["kind"] == "demo"
    assert metadata["settings"]["pipeline"]["spotter"]["max_duration_ms"] == 500


def test_elan_annotations_lie_beside_the_tables(session: Summary) -> None:
    root = ElementTree.parse(session.folder / "events.eaf").getroot()
    (tier,) = [tier for tier in root.iter("TIER") if tier.get("TIER_ID") == "event"]
    assert len(list(tier.iter("ALIGNABLE_ANNOTATION"))) == 1


def test_three_pictures_for_each_event(session: Summary) -> None:
    folder = session.folder / "events" / "1"
    assert sorted(path.name for path in folder.iterdir()) == ["apex.png", "offset.png", "onset.png"]
    for path in folder.iterdir():
        assert cv2.imread(str(path)).shape == (224, 224, 3)


def test_same_file_twice_gives_the_same_bytes(session: Summary, tmp_path: Path, network_path: Path) -> None:
    again = analysed(tmp_path / "again", network_path)
    for name in ("events.csv", "frames.csv"):
        assert (again.folder / name).read_bytes() == (session.folder / name).read_bytes()
    assert (again.folder / "events/1/apex.png").read_bytes() == (session.folder / "events/1/apex.png").read_bytes()


def test_without_a_network_events_have_no_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.pipeline.load_classifier", lambda config: (None, "Spotting only"))
    summary = analysed(tmp_path / "demo", None)
    (row,) = rows(summary.folder / "events.csv")
    assert (row["label"], row["confidence"], row["model"]) == ("", "", "")
    assert not any(column.startswith("p_") for column in row)
    metadata = json.loads((summary.folder / "metadata.json").read_text(encoding="utf-8"))
    assert (metadata["model"], metadata["recognition"]) == (None, "Spotting only")


def test_a_replaced_session_leaves_no_stale_pictures(session: Summary, tmp_path: Path, network_path: Path) -> None:
    folder = tmp_path / "demo"
    stale = folder / "events" / "7"
    stale.mkdir(parents=True)
    (stale / "apex.png").write_bytes(b"old")
    analysed(folder, network_path, end_s=START_S + 0.2)
    assert not stale.exists()
    assert rows(folder / "events.csv") == []


def test_what_was_readable_is_saved_before_the_error(tmp_path: Path, network_path: Path, monkeypatch) -> None:
    class Failing(DemoSource):
        def __iter__(self):
            yield from super().__iter__()
            raise SourceError("the file ends in the middle")

    monkeypatch.setattr("app.capture.demo.DemoSource", Failing)
    summary = analysed(tmp_path / "demo", network_path)
    assert "in the middle" in str(summary.error)
    assert len(rows(summary.folder / "events.csv")) == 1
    metadata = json.loads((summary.folder / "metadata.json").read_text(encoding="utf-8"))
    assert (metadata["is_complete"], metadata["error"]) == (False, "the file ends in the middle")


def test_a_source_that_cannot_be_opened_leaves_an_earlier_session_alone(tmp_path: Path, network_path: Path) -> None:
    folder = tmp_path / "talk"
    folder.mkdir()
    (folder / "events.csv").write_text("precious", encoding="utf-8")
    with pytest.raises(SourceError, match="absent"):
        analysed(folder, network_path, spec=str(tmp_path / "absent.mp4"))
    assert (folder / "events.csv").read_text(encoding="utf-8") == "precious"


def test_a_file_where_the_session_should_go(tmp_path: Path, network_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="--out"):
        analysed(tmp_path / "taken" / "demo", network_path)
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_output_error(tmp_path: Path, network_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    os.symlink("/dev/full", folder / "events.csv")
    with pytest.raises(OutputError, match="No space left"):
        analysed(folder, network_path, end_s=START_S + 0.2)


def test_output_folder_rules(tmp_path: Path) -> None:
    check_output_folder(tmp_path / "new", exist_ok=False)
    check_output_folder(tmp_path, exist_ok=False)
    (tmp_path / "old.txt").write_text("x", encoding="utf-8")
    check_output_folder(tmp_path, exist_ok=True)
    with pytest.raises(OutputError, match="untouched"):
        check_output_folder(tmp_path, exist_ok=False)
    with pytest.raises(OutputError, match="is a file"):
        check_output_folder(tmp_path / "old.txt", exist_ok=True)


def test_session_names_are_safe_and_unique(tmp_path: Path) -> None:
    (tmp_path / "take.2").mkdir()
    specs = [
        "a/talk.mp4", "b/talk.mov", "c/Talk.mkv", "demo", "0", str(tmp_path / "take.2"),
        "http://user:secret@127.0.0.1:8080/cam?key=1", "面部 🙂.mp4",
    ]  # fmt: skip
    names = session_names(specs)
    assert names[:6] == ["talk", "talk-2", "Talk-3", "demo", "camera-0", "take.2"]
    assert names[6] == "http-127.0.0.1-8080-cam"
    assert names[7] == "面部 🙂"


def test_a_warning_at_the_end_of_a_recording_is_kept(tmp_path: Path, network_path: Path, monkeypatch) -> None:
    class LateWarning(DemoSource):
        def __iter__(self):
            yield from super().__iter__()
            self.info = replace(self.info, warnings=("times were estimated",))

    monkeypatch.setattr("app.capture.demo.DemoSource", LateWarning)
    summary = analysed(tmp_path / "demo", network_path, end_s=START_S + 0.2)
    metadata = json.loads((summary.folder / "metadata.json").read_text(encoding="utf-8"))
    assert summary.info.warnings == ("times were estimated",)
    assert metadata["source"]["warnings"] == ["times were estimated"]
