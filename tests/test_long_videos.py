"""Long videos for spotting, and the table of truth that is written of them."""

from __future__ import annotations

import csv
import shutil

import fictional
import pytest

from app.errors import DataError, OutputError
from model.readers import LONG_VIDEO_READERS, read_long_videos
from model.readers.long_videos import TRUTH_COLUMNS, write_truth

# Every dropped row is a warning in the log; what matters of it is tested here.
pytestmark = pytest.mark.usefixtures("caplog")


def test_long_videos_of_samm(tmp_path):
    found = read_long_videos("samm_long", fictional.samm_long(tmp_path))
    assert [(video.subject, video.video, video.fps) for video in found.videos] == [
        ("6", "006_1", 200.0),
        ("20", "020_6", 200.0),
        ("22", "022_3", 200.0),
    ]
    movements = [[(m.kind, m.onset, m.apex, m.offset, m.label) for m in video.movements] for video in found.videos]
    assert movements == [[("macro", 3, 5, 9, ""), ("micro", 11, 12, 12, "")], [("macro", 5, 7, 30, "")], []]
    assert {note.key: note.reason for note in found.notes if note.action == "dropped"} == {
        "samm_long/006_1/006_1_3": "no onset is coded",
        "samm_long/020_6/020_6_6": "its type is neither micro nor macro",
        "samm_long/021_1/021_1_1": "the images of video 021_1 are missing",
    }


def test_long_videos_of_samm_get_emotions_from_the_coding_of_the_clips(tmp_path):
    fictional.samm(tmp_path)
    found = read_long_videos("samm_long", fictional.samm_long(tmp_path))
    assert [m.label for m in found.videos[0].movements] == ["", "happiness"]


def test_truth_counts_frames_from_0_as_events_do(tmp_path):
    found = read_long_videos("casme_sq_long", fictional.casme_sq(tmp_path))
    assert [video.subject for video in found.videos] == ["1", "2", "2"]
    assert write_truth(found.videos, tmp_path / "truth.csv") == 3
    with (tmp_path / "truth.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == TRUTH_COLUMNS
    assert rows == [
        [str(tmp_path / "rawpic/s15/15_0101disgustingteeth"), "8", "9", "11", "micro", "negative", "30.0"],
        [str(tmp_path / "rawpic/s15/15_0101disgustingteeth"), "14", "16", "16", "macro", "positive", "30.0"],
        [str(tmp_path / "rawpic/s16/16_0503unnyfarting"), "4", "6", "8", "micro", "positive", "30.0"],
        [str(tmp_path / "rawpic/s16/16_0508funnydunkey"), "", "", "", "", "", "30.0"],
    ]
    with pytest.raises(OutputError, match=r"truth\.csv exists already"):
        write_truth(found.videos, tmp_path / "truth.csv")
    with pytest.raises(OutputError, match="cannot be written"):
        write_truth(found.videos, tmp_path / "nowhere/truth.csv")


@pytest.mark.parametrize(("name", "build"), [("samm_long", fictional.samm_long), ("casme_sq_long", fictional.casme_sq)])
def test_long_videos_without_images_are_refused(tmp_path, name, build):
    assert name in LONG_VIDEO_READERS
    build(tmp_path)
    for folder in [path for path in tmp_path.iterdir() if path.is_dir()]:
        shutil.rmtree(folder)
    with pytest.raises(DataError, match=r"0 videos were found.*Unpack the images there"):
        read_long_videos(name, tmp_path)
