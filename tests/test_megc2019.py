"""The composite of MEGC 2019: which samples of its three data sets are in, and which of their folders are read."""

from __future__ import annotations

import shutil

import fictional
import pytest

from app.errors import DataError
from model.annotations import Annotations
from model.readers import read_dataset

# Every dropped row is a warning in the log; what matters of it is tested here.
pytestmark = pytest.mark.usefixtures("caplog")


def reasons(annotations: Annotations, action: str) -> dict[str, str]:
    return {note.key: note.reason for note in annotations.notes if note.action == action}


def test_composite_is_what_the_list_says(tmp_path):
    annotations = read_dataset("megc2019", fictional.megc2019(tmp_path))
    assert annotations.source == tmp_path / fictional.MEGC_LIST
    assert read_dataset("megc2019", annotations.source) == annotations
    assert [(s.dataset, s.subject, s.clip, s.label) for s in annotations.samples] == [
        ("casme2", "1", "EP02_01f", "positive"),
        ("casme2", "1", "EP19_06", "surprise"),
        ("casme2", "16", "EP01_08", "negative"),
        ("smic_hs", "1", "s1_ne_01", "negative"),
        ("smic_hs", "11", "s11_sur_01", "surprise"),
        ("samm", "6", "006_1_2", "positive"),
        ("samm", "11", "011_2_1", "surprise"),
    ]
    dropped = reasons(annotations, "dropped")
    assert dropped["casme2/26/EP01_01"] == "it is listed, but not among the samples of casme2"


def test_composite_takes_the_crops_of_its_parts_where_they_are_preferred(tmp_path):
    fictional.megc2019(tmp_path)
    fictional.casme2(tmp_path / "CASME2", "Cropped", "CASME2_RAW/CASME2-RAW")
    # Two folders that both are called by the data set.
    shutil.move(tmp_path / "SMIC/SMIC_all_raw", tmp_path / "SMIC_all_raw")
    (tmp_path / "SMIC").rmdir()
    fictional.smic(tmp_path, tree="SMIC_all_cropped")
    for prefers_crops, trees in ((True, ("Cropped", "SMIC_all_cropped")), (False, ("CASME2_RAW", "SMIC_all_raw"))):
        annotations = read_dataset("megc2019", tmp_path, prefers_crops=prefers_crops)
        assert len(annotations.samples) == 7
        for sample in annotations.samples:
            folders = sample.frames[sample.onset].relative_to(tmp_path).parts
            assert sample.dataset == "samm" or {*folders} & {*trees}, folders


def test_composite_without_its_list_follows_the_rule_behind_it(tmp_path):
    annotations = read_dataset("megc2019", fictional.megc2019(tmp_path, is_listed=False))
    assert [(s.person, s.clip, s.label) for s in annotations.samples] == [
        ("casme2/1", "EP02_01f", "positive"),
        ("casme2/1", "EP19_06", "surprise"),
        ("casme2/16", "EP01_08", "negative"),
        ("smic/1", "s1_ne_01", "negative"),
        ("smic/1", "s1_po_01", "positive"),
        ("smic/11", "s11_sur_01", "surprise"),
        ("samm/6", "006_1_2", "positive"),
        ("samm/6", "006_1_3", "negative"),
        ("samm/11", "011_2_1", "surprise"),
    ]
    assert "combined_3class_gt.csv is absent" in reasons(annotations, "repaired")["megc2019"]


@pytest.mark.parametrize("line", ["casme2,sub01,EP02_01f", "casme2,sub01,EP02_01f,3", "casme9,sub01,EP02_01f,1"])
def test_a_damaged_list_is_refused(tmp_path, line):
    fictional.megc2019(tmp_path)
    (tmp_path / fictional.MEGC_LIST).write_text(f"casme2,sub01,EP02_01f,1\n\n{line}\n")
    with pytest.raises(DataError, match=r"line 3: 'casme.*' is not data set, subject, clip and class"):
        read_dataset("megc2019", tmp_path)


def test_a_list_of_other_samples_is_refused(tmp_path):
    fictional.megc2019(tmp_path)
    (tmp_path / fictional.MEGC_LIST).write_text("casme2,sub26,EP01_01,1\n")
    with pytest.raises(DataError, match="names no sample of the data sets below"):
        read_dataset("megc2019", tmp_path)
