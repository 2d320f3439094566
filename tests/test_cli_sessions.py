"""Exporting and deleting sessions by command."""

from pathlib import Path

import pytest
import sessions
from videos import numbered_frame, write_video

from app.cli import FORMAT_NAMES, main
from app.export import FORMATS
from app.session.reader import read_session
from app.session.review import Review


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    video = write_video(tmp_path / "talk 1.mp4", [numbered_frame(n) for n in range(120)])
    folder = sessions.write_session(tmp_path / "talk 1", str(video))
    review = Review.open(read_session(folder), "Ann")
    review.relabel(1, "surprise")
    review.save()
    return folder


def test_the_help_names_every_format() -> None:
    assert ", ".join(FORMATS) == FORMAT_NAMES


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "magnified"])
def test_every_format_is_reached(folder: Path, tmp_path: Path, format: str, capsys) -> None:
    out = tmp_path / f"out{FORMATS[format].suffix}"
    assert main(["export-events", str(folder), "--format", format, "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert out.stat().st_size > 0
    assert main(["export-events", str(folder), "--format", format, "--out", str(out)]) == 1
    assert "left untouched" in capsys.readouterr().err
    assert main(["export-events", str(folder), "--format", format, "--out", str(out), "--exist-ok"]) == 0


def test_a_face_that_nobody_sees_cannot_be_magnified(folder: Path, tmp_path: Path, capsys) -> None:
    arguments = ["export-events", str(folder), "--format", "magnified", "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "No usable face is seen in event-1" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--blur"]) == 1
    assert "no movement left to enlarge" in capsys.readouterr().err


def test_training_data_of_several_sessions(folder: Path, tmp_path: Path, capsys) -> None:
    other = sessions.write_session(tmp_path / "more" / "talk 1", str(tmp_path / "talk 1.mp4"), subject_id="p2")
    review = Review.open(read_session(other), "Ben")
    review.accept(2)
    review.save()
    out = tmp_path / "training"
    assert main(["export-events", str(folder), str(other), "--format", "manifest", "--out", str(out)]) == 0
    assert f"{out}: 2 events" in capsys.readouterr().out
    lines = (out / "manifest.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "subject,onset,apex,label,offset,aus,dataset"
    assert lines[1].startswith("p1,talk 1/event-1/000031.png,talk 1/event-1/000035.png,surprise,")
    assert lines[2].startswith("p2,talk 1-2/event-2/000071.png,")
    assert main(["export-events", str(folder), str(other), "--format", "eaf", "--out", str(tmp_path / "x.eaf")]) == 1
    assert "takes one session at a time" in capsys.readouterr().err


def test_what_was_recovered_is_told(folder: Path, tmp_path: Path, capsys) -> None:
    with (folder / "events.csv").open("a", encoding="utf-8") as file:
        file.write("4,p1,1")
    assert main(["export-events", str(folder), "--format", "csv", "--out", str(tmp_path / "x.csv")]) == 0
    assert "mmnet: warning: talk 1: events.csv: 1 row cannot be read" in capsys.readouterr().err


def test_deleting_asks_first(folder: Path, tmp_path: Path, capsys) -> None:
    assert main(["delete", str(folder)]) == 1
    assert "add --yes" in capsys.readouterr().err
    assert main(["delete", str(folder), "--pictures", "--yes"]) == 0
    assert "9 pictures and videos deleted" in capsys.readouterr().out
    assert len(read_session(folder).events) == 3
    assert main(["delete", str(tmp_path), str(folder), "--yes"]) == 1
    assert "no session folder" in capsys.readouterr().err
    assert not folder.exists()
    assert (tmp_path / "talk 1.mp4").is_file()
