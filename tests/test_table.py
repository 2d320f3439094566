"""Tables of one's own images, for data sets that no reader knows."""

from __future__ import annotations

from pathlib import Path

import fictional
import pytest

from app.errors import DataError
from model.annotations import Annotations
from model.readers import read_dataset

# Every dropped row is a warning in the log; what matters of it is tested here.
pytestmark = pytest.mark.usefixtures("caplog")


def dropped_rows(annotations: Annotations) -> dict[str, str]:
    return {note.key: note.reason for note in annotations.notes if note.action == "dropped"}


def write_table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_table_of_ones_own_needs_no_reader(tmp_path):
    fictional.draw(tmp_path / "clips/7", [f"img{n}.png" for n in range(8, 13)])
    fictional.draw(tmp_path / "pairs", ["on.jpg", "apex.jpg"])
    fictional.draw(tmp_path / "other", ["5.jpg"])
    path = write_table(
        tmp_path / "manifest.csv",
        "subject,onset,apex,label,offset,aus,dataset",
        "anna 1,clips/7/img8.png,clips/7/img10.png,Happy,clips/7/img12.png,6+12,DFME",
        "bob1,pairs/on.jpg,pairs/apex.jpg,Other,,,",
        "bob1,other/5.jpg,pairs/apex.jpg,fear,,,",
    )
    for root in (path, tmp_path):
        first, second, third = read_dataset("manifest", root).samples
    assert (first.person, first.key) == ("DFME/anna 1", "DFME/anna 1/clips/7/8")
    assert (first.onset, first.apex, first.offset, first.label, first.action_units) == (8, 10, 12, "happiness", "6+12")
    assert list(first.frames) == [8, 9, 10, 11, 12]
    assert (second.key, second.label, second.offset) == ("manifest/bob1/pairs/on/0", "others", None)
    assert second.frames == {0: tmp_path / "pairs/on.jpg", 1: tmp_path / "pairs/apex.jpg"}
    assert third.frames == {0: tmp_path / "other/5.jpg", 1: tmp_path / "pairs/apex.jpg"}


def test_pictures_named_absolutely_or_above_the_table_are_found(tmp_path):
    fictional.draw(tmp_path / "clips", [f"img{n}.png" for n in range(8, 13)])
    (tmp_path / "tables").mkdir()
    path = write_table(
        tmp_path / "tables/mine.csv",
        "subject,onset,apex,label",
        "1,../clips/img8.png,../clips/img10.png,fear",
        f"2,{tmp_path}/clips/img8.png,{tmp_path}/clips/img10.png,fear",
    )
    assert [list(sample.frames) for sample in read_dataset("manifest", path).samples] == [[8, 9, 10]] * 2


def test_rows_of_a_table_that_cannot_be_used_are_dropped(tmp_path):
    fictional.draw(tmp_path, ["1.jpg", "2.jpg"])
    path = write_table(
        tmp_path / "mine.csv",
        "subject,onset,apex,label",
        "a,1.jpg,2.jpg,fear",
        "a,1.jpg,2.jpg,fear",
        "a,1.jpg,3.jpg,fear",
        "a,1.jpg,1.jpg,fear",
        "a,1.jpg,2.jpg,",
        "a,1.jpg",
    )
    annotations = read_dataset("manifest", path)
    assert len(annotations.samples) == 1
    dropped = dropped_rows(annotations)
    assert list(dropped) == [f"mine.csv/row {n}" for n in (3, 4, 5, 6, 7)]
    assert "those of another row" in dropped["mine.csv/row 3"]
    assert "3.jpg is missing" in dropped["mine.csv/row 4"]
    assert "no movement" in dropped["mine.csv/row 5"]
    assert dropped["mine.csv/row 6"] == "label is empty"
    assert dropped["mine.csv/row 7"] == "apex, label is empty"


def test_tables_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.csv cannot be read as a table"):
        read_dataset("manifest", tmp_path)
    with pytest.raises(DataError, match="has no column apex, label"):
        read_dataset("manifest", write_table(tmp_path / "a.csv", "subject,onset", "1,2"))
    with pytest.raises(DataError, match="it has no rows"):
        read_dataset("manifest", write_table(tmp_path / "b.csv", "subject,onset,apex,label"))
    (tmp_path / "c.csv").write_bytes(b"subject,onset,apex,label\n\xff\xfe,1,2,3\n")
    with pytest.raises(DataError, match="Save one as CSV, UTF-8"):
        read_dataset("manifest", tmp_path / "c.csv")
