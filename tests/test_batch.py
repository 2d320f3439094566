"""A corpus in one command: resumed where it was, the same for any number of processes, bad inputs named."""

import csv
import json
from pathlib import Path

import pytest
from videos import numbered_frame, write_video

from app.capture.demo import DEMO_SCRIPT, DemoSource
from app.cli import main
from app.config import SourceConfig
from app.session.reader import read_session
from app.session.review import Review

FIRST = next(movement for movement in DEMO_SCRIPT if movement.kind == "micro")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short clips without a face, one with a micro-expression, one that is no video."""
    folder = tmp_path_factory.mktemp("corpus") / "clips 面部"
    folder.mkdir()
    for name in ("a one", "b"):
        write_video(folder / f"{name}.mp4", [numbered_frame(n) for n in range(12)])
    (folder / "bad.mp4").write_text("this is no video", encoding="utf-8")
    with DemoSource(SourceConfig(start_s=FIRST.onset_frame / 30 - 1.5, end_s=FIRST.offset_frame / 30 + 0.6)) as source:
        write_video(folder / "moved.mp4", [frame.image_bgr for frame in source], codec_options={"crf": "12"})
    return folder


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def contents(out: Path) -> dict[str, bytes]:
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for name in ("events.csv", "frames.csv", "candidates.csv")
        for path in out.glob(f"*/{name}")
    }


def test_several_processes_give_the_same_as_one(corpus, tmp_path, network_path, capsys) -> None:
    fixed = ["--model", str(network_path), "--subject", "p3"]
    assert main(["analyze", str(corpus), "--out", str(tmp_path / "one"), *fixed]) == 1
    assert main(["analyze", str(corpus), "--out", str(tmp_path / "two"), "--jobs", "2", *fixed]) == 1
    printed = capsys.readouterr()
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert printed.out.count("4 inputs: 3 analysed, 0 done before, 1 failed; 1 events found now") == 2
    assert printed.err.count("1 of 4 inputs failed") == 2
    rows = table(tmp_path / "two")
    assert list(rows) == ["a one", "b", "bad", "moved"]
    assert {name: row["status"] for name, row in rows.items()} == {
        "a one": "done",
        "b": "done",
        "bad": "failed",
        "moved": "done",
    }
    assert (rows["moved"]["events"], rows["a one"]["events"], rows["a one"]["frames"]) == ("1", "0", "12")
    assert "not a video" in rows["bad"]["error"]
    assert table(tmp_path / "one") == rows
    assert read_session(tmp_path / "two" / "moved").events[0].subject_id == "p3"


def test_a_run_goes_on_where_it_was(corpus, tmp_path, network_path, capsys) -> None:
    out = tmp_path / "out"
    arguments = ["analyze", str(corpus), "--out", str(out), "--model", str(network_path)]
    assert main(arguments) == 1
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/metadata.json")}
    interrupted = out / "b" / "metadata.json"
    metadata = json.loads(interrupted.read_text(encoding="utf-8"))
    interrupted.write_text(json.dumps(metadata | {"is_complete": False}), encoding="utf-8")
    before[interrupted] = interrupted.stat().st_mtime_ns
    capsys.readouterr()
    assert main(arguments) == 1
    assert "--resume" in capsys.readouterr().err
    assert main([*arguments, "--resume"]) == 1
    assert "4 inputs: 1 analysed, 2 done before, 1 failed" in capsys.readouterr().out
    changed = [path.parent.name for path, time_ns in before.items() if path.stat().st_mtime_ns != time_ns]
    assert changed == ["b"]
    assert {name: row["status"] for name, row in table(out).items()} == {
        "a one": "skipped",
        "b": "done",
        "bad": "failed",
        "moved": "skipped",
    }
    assert table(out)["moved"]["events"] == "1"


def test_other_settings_are_not_what_was_done(corpus, tmp_path, network_path, capsys) -> None:
    clips = [str(corpus / "a one.mp4"), str(corpus / "b.mp4")]
    arguments = ["analyze", *clips, "--out", str(tmp_path / "out"), "--model", str(network_path)]
    assert main(arguments) == 0
    review = Review.open(read_session(tmp_path / "out" / "b"), "Ann")
    review.add(2, 4, 6)
    review.save()
    capsys.readouterr()
    assert main([*arguments, "--resume", "--end", "0.3"]) == 1
    printed = capsys.readouterr()
    assert "2 inputs: 1 analysed, 0 done before, 1 failed" in printed.out
    assert "reviewed by Ann, whose work would be lost" in printed.err
    assert read_session(tmp_path / "out" / "b").coders == ("Ann",)


def test_a_list_of_inputs(corpus, tmp_path, network_path, capsys) -> None:
    (tmp_path / "list.txt").write_text(f"# two\n{corpus}/a one.mp4\n{corpus}/b.mp4\n", encoding="utf-8")
    arguments = ["analyze", str(tmp_path / "list.txt"), "--out", str(tmp_path / "out"), "--model", str(network_path)]
    assert main([*arguments, "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert set(table(tmp_path / "out")) == {"a one", "b"}


def test_streaming_takes_one_source(corpus, tmp_path, capsys) -> None:
    assert main(["analyze", str(corpus), "--out", str(tmp_path / "out"), "--lsl"]) == 1
    assert "one source at a time" in capsys.readouterr().err
    assert main(["analyze", "demo", "--out", str(tmp_path / "out"), "--engine", "slurm"]) == 1
    assert "use local, ray" in capsys.readouterr().err
