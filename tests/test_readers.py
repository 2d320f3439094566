"""Readers of data sets, each on a tiny made-up copy of its layout."""

from __future__ import annotations

import csv
import logging
import shutil
from pathlib import Path

import cv2
import fictional
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import DataError, OutputError
from model.annotations import Annotations
from model.readers import LONG_VIDEO_READERS, READERS, read_dataset, read_long_videos
from model.readers.assembly import UnusableError, read_corrections, settle
from model.readers.long_videos import TRUTH_COLUMNS, write_truth

# Every dropped row is a warning in the log; what matters of it is tested here.
pytestmark = pytest.mark.usefixtures("caplog")

BUILDERS = {
    "casme": fictional.casme,
    "casme2": fictional.casme2,
    "samm": fictional.samm,
    "smic_hs": fictional.smic,
    "mmew": fictional.mmew,
    "casme_sq": fictional.casme_sq,
    "casme3": fictional.casme3,
    "4dme": fictional.fourdme,
    "megc2019": fictional.megc2019,
}


def key_frames(annotations: Annotations) -> dict[str, tuple[int, int, int | None]]:
    return {f"{s.subject}/{s.clip}/{s.onset}": (s.onset, s.apex, s.offset) for s in annotations.samples}


def labels(annotations: Annotations) -> list[str]:
    return [sample.label for sample in annotations.samples]


def reasons(annotations: Annotations, action: str) -> dict[str, str]:
    return {note.key: note.reason for note in annotations.notes if note.action == action}


@pytest.mark.parametrize("name", BUILDERS)
def test_samples_are_complete(tmp_path, name):
    annotations = read_dataset(name, BUILDERS[name](tmp_path))
    assert annotations.source.exists()
    assert len({sample.key for sample in annotations.samples}) == len(annotations.samples)
    for sample in annotations.samples:
        numbers = list(sample.frames)
        assert sample.onset < sample.apex <= sample.offset
        assert numbers == sorted(numbers)
        assert (numbers[0], numbers[-1]) == (sample.onset, sample.offset)
        assert sample.subject == str(int(sample.subject))
        assert sample.person == f"{sample.dataset}/{sample.subject}"
        assert cv2.imread(str(sample.frames[sample.apex])) is not None
    assert {note.action for note in annotations.notes} <= {"repaired", "dropped", "missing frame"}


@pytest.mark.parametrize("name", BUILDERS)
def test_doubled_folders_and_other_capitals_change_nothing(tmp_path, name):
    BUILDERS[name](tmp_path / "as_released")
    usual = read_dataset(name, tmp_path / "as_released")
    for folder in [path for path in (tmp_path / "as_released").iterdir() if path.is_dir()]:
        doubled = tmp_path / "doubled" / folder.name / folder.name.upper()
        shutil.copytree(folder, doubled)
    for file in [path for path in (tmp_path / "as_released").iterdir() if path.is_file()]:
        shutil.copy(file, tmp_path / "doubled")
    doubled = read_dataset(name, tmp_path / "doubled")
    assert key_frames(doubled) == key_frames(usual)
    assert [s.key for s in doubled.samples] == [s.key for s in usual.samples]


@pytest.mark.parametrize("name", BUILDERS)
def test_images_without_their_coding_or_the_other_way_round_are_refused(tmp_path, name):
    root = BUILDERS[name](tmp_path / "whole")
    if name != "smic_hs":
        for file in list(root.rglob("*.xlsx")):
            file.rename(tmp_path / file.name)
        with pytest.raises(DataError, match=r"has no coding file of .* is looked for, up to 3 folders deep\. Copy it"):
            read_dataset(name, root)
        for file in tmp_path.glob("*.xlsx"):
            file.rename(root / file.name)
    for folder in [path for path in root.iterdir() if path.is_dir()]:
        shutil.rmtree(folder)
    with pytest.raises(DataError, match=r"is expected there, at most 6 folders deep\. Unpack the images there"):
        read_dataset(name, root)


def test_unknown_names_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"No data set is called 'casme9'\. Known are casme, casme2, .*manifest"):
        read_dataset("casme9", tmp_path)
    with pytest.raises(DataError, match=r"No data set is called 'casme2'\. Known are samm_long, casme_sq_long"):
        read_long_videos("casme2", tmp_path)
    for name in READERS:
        with pytest.raises(DataError, match="nowhere does not exist"):
            read_dataset(name, tmp_path / "nowhere")


def test_repairs_and_drops_are_logged(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="mmnet.readers"):
        annotations = read_dataset("casme2", fictional.casme2(tmp_path))
    assert [record.getMessage() for record in caplog.records] == [
        f"{note.key}: {note.action}: {note.reason}" for note in annotations.notes
    ]
    dropped = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in dropped] == [
        "casme2/17/EP99_99/3: dropped: there is no folder with its images"
    ]


def test_casme(tmp_path):
    annotations = read_dataset("casme", fictional.casme(tmp_path))
    assert key_frames(annotations) == {
        "1/EP01_5/9": (9, 10, 12),
        "2/EP03_1/98": (98, 100, 102),
        "2/EP04_1/8": (8, 9, 9),
    }
    assert labels(annotations) == ["tense", "surprise", "happiness"]
    assert [sample.action_units for sample in annotations.samples] == ["4", "1+2", "12"]
    assert annotations.samples[1].frames[98].name == "EP03_1-098.jpg"


@pytest.mark.parametrize("coding", ["CASME2-coding-20140508.xlsx", "CASME2-coding-20190701.xlsx"])
@pytest.mark.parametrize(
    "tree",
    ["CASME2_RAW/CASME2-RAW", "CASME2_RAW_selected/CASME2_RAW_selected", "Cropped", "Cropped-updated/Cropped"],
)
def test_casme2(tmp_path, tree, coding):
    root = fictional.casme2(tmp_path, tree, coding=coding, is_text="2014" in coding)
    annotations = read_dataset("casme2", root)
    assert annotations.source == root / coding
    assert key_frames(annotations) == {
        "1/EP02_01f/9": (9, 10, 100),
        "1/EP19_06/5": (5, 7, 9),
        "4/EP12_01f/261": (261, 266, 271),
        "5/EP09_05f/20": (20, 22, 24),
        "16/EP01_08/73": (73, 94, 96),
        "17/EP01_15/3": (3, 5, 7),
        "17/EP02_03/3": (3, 5, 7),
    }
    assert labels(annotations) == ["happiness", "surprise", "disgust", "disgust", "repression", "others", "sadness"]
    assert list(annotations.samples[0].frames) == [9, 10, 11, 99, 100]
    assert annotations.samples[0].frames[9].is_relative_to(root / tree)
    assert annotations.samples[2].action_units == "4+7+L14"
    assert reasons(annotations, "repaired") == {
        "casme2/4/EP12_01f/261": "no apex is coded: the middle, 266, is taken",
        "casme2/5/EP09_05f/20": "apex 20 is coded with onset 20 and offset 24: the middle, 22, is taken",
    }
    missing = [(note.key, note.reason) for note in annotations.notes if note.action == "missing frame"]
    assert missing == [
        ("casme2/1/EP02_01f/9", "87 of 92 frames have no file"),
        ("casme2/16/EP01_08/73", "offset 110 has no file: 96 is taken"),
        ("casme2/16/EP01_08/73", "14 of 38 frames have no file"),
    ]


def test_the_fullest_tree_is_read_and_whole_frames_come_before_crops(tmp_path):
    trees = ("Cropped", "CASME2_RAW_selected", "CASME2_RAW/CASME2-RAW")
    root = fictional.casme2(tmp_path, *trees)
    for preferred in ("CASME2_RAW", "CASME2_RAW_selected", "Cropped"):
        frames = read_dataset("casme2", root).samples[0].frames
        assert frames[9].relative_to(root).parts[0] == preferred
        # An archive that is not wholly unpacked has lost against a whole one.
        shutil.rmtree(next((root / preferred).rglob("EP12_01f")))


def test_the_coding_file_can_be_chosen_by_name(tmp_path):
    fictional.casme2(tmp_path, coding="CASME2-coding-20140508.xlsx")
    fictional.casme2(tmp_path, coding="CASME2-coding-20190701.xlsx", is_text=False)
    assert read_dataset("casme2", tmp_path).source.name == "CASME2-coding-20190701.xlsx"
    chosen = read_dataset("casme2", tmp_path / "CASME2-coding-20140508.xlsx")
    assert chosen.source.name == "CASME2-coding-20140508.xlsx"
    assert len(chosen.samples) == 7


def test_renamed_subject_folders_are_found(tmp_path):
    tree = fictional.casme2(tmp_path, "Cropped-updated/Cropped") / "Cropped-updated/Cropped"
    expected = key_frames(read_dataset("casme2", tmp_path))
    for folder in list(tree.iterdir()):
        folder.rename(tree / str(int(folder.name.removeprefix("sub"))))
    assert key_frames(read_dataset("casme2", tmp_path)) == expected


def test_incomplete_and_repeated_rows_are_dropped_with_a_note(tmp_path):
    rows = [
        ("01", "EP02_01f", None, 9, 10, 11, None, "4", "fear"),
        ("01", "EP02_01f", None, 9, 10, 11, None, "4", "fear"),
        ("01", "EP02_01f", None, 10, 11, 99, None, "4", None),
        ("01", "EP02_01f", None, "/", 10, 11, None, "4", "fear"),
        ("01", "EP02_01f", None, 200, 210, 220, None, "4", "fear"),
        ("01", "EP02_01f", None, 9, None, None, None, "4", "fear"),
        ("01", None, None, 9, 10, 11, None, "4", "fear"),
        (None, "EP02_01f", None, 9, 10, 11, None, "4", "fear"),
        ("Coded by two people",),
    ]
    fictional.casme2(tmp_path)
    fictional.write_sheets(tmp_path / "CASME2-coding-20140508.xlsx", Sheet1=[fictional.CASME2_HEADER, *rows])
    annotations = read_dataset("casme2", tmp_path)
    assert [sample.key for sample in annotations.samples] == ["casme2/1/EP02_01f/9"]
    assert [(note.key, note.reason) for note in annotations.notes if note.action == "dropped"] == [
        ("casme2/row 8", "no clip name is coded"),
        ("casme2/row 9", "no subject number is coded"),
        ("casme2/1/EP02_01f/9", "it is coded twice"),
        ("casme2/1/EP02_01f/10", "no emotion is coded"),
        ("casme2/1/EP02_01f/None", "no onset is coded"),
        ("casme2/1/EP02_01f/200", "coded 200–220, but the files are 9–100"),
        ("casme2/1/EP02_01f/9", "no offset is coded and no apex after the onset is coded"),
    ]


def test_a_sheet_of_unusable_rows_is_refused(tmp_path):
    fictional.casme2(tmp_path)
    rows = [fictional.CASME2_HEADER, ("01", "EP02_01f", None, "/", "/", "/", None, "4", "fear")]
    fictional.write_sheets(tmp_path / "CASME2-coding-20140508.xlsx", Sheet1=rows)
    with pytest.raises(DataError, match=r"Nothing of .* can be used \(casme2/1/EP02_01f/None: no onset is coded…\)"):
        read_dataset("casme2", tmp_path)


def test_samm(tmp_path):
    annotations = read_dataset("samm", fictional.samm(tmp_path))
    assert key_frames(annotations) == {
        "6/006_1_2/562": (562, 565, 568),
        "6/006_1_3/9999": (9999, 10001, 10003),
        "11/011_2_1/20": (20, 25, 30),
        "25/025_3_1/5": (5, 6, 8),
    }
    assert labels(annotations) == ["happiness", "anger", "surprise", "others"]
    assert annotations.samples[1].action_units == "R14A or 17A"
    assert annotations.samples[1].frames[9999].name == "006_09999.jpg"


def test_corrections_by_hand_touch_only_rows_that_are_wrong_in_the_sheet_they_were_made_for(tmp_path):
    def build(root: Path, count: int) -> Annotations:
        """Rows 56, 125, 132 and 41 are corrected in 159 rows; here 125 is fine as coded, and 132 is another clip."""
        rows = [("006", "nowhere", 1, 1, 2, 3, 3, "Micro", "4", "Anger")] * count
        rows[56] = ("006", "006_1_2", 1, 5730, 5733, 5703, 3, "Micro", "12", "Anger")
        rows[125] = ("011", "011_2_1", 1, 1100, 1102, 1106, 3, "Micro", "4", "Anger")
        rows[132] = ("011", "011_2_3", 1, 1100, 1099, 1106, 3, "Micro", "4", "Anger")
        rows[41] = ("011", "011_2_2", 1, 1100, 1102, 1106, 3, "Micro", "L14 or R14", "Anger")
        fictional.write_sheets(root / "SAMM_Micro_FACS_Codes_v2.xlsx", Codes=[fictional.SAMM_HEADER, *rows])
        fictional.draw(root / "SAMM/006/006_1_2", [f"006_{n:05d}.jpg" for n in range(5730, 5740)])
        for clip in ("011_2_1", "011_2_2", "011_2_3"):
            fictional.draw(root / "SAMM/011" / clip, [f"011_{n:05d}.jpg" for n in range(1100, 1107)])
        return read_dataset("samm", root)

    meant, other = build(tmp_path / "159", 159), build(tmp_path / "158", 158)
    assert [s.apex for s in meant.samples if s.clip == "011_2_1"] == [1102]
    assert [s.action_units for s in meant.samples if s.clip == "011_2_2"] == ["L14"]
    assert [s.offset for s in meant.samples if s.clip == "006_1_2"] == [5739]
    repaired = reasons(meant, "repaired")
    assert repaired["samm/6/006_1_2/5730"].startswith("offset 5703 → 5739: offset does not fit the images")
    assert repaired["samm/11/011_2_2/1100"].startswith("action_units L14 or R14 → L14: of the coded alternatives")
    middle = "apex 1099 is coded with onset 1100 and offset 1106: the middle, 1103, is taken"
    assert repaired["samm/11/011_2_3/1100"] == middle
    assert len(repaired) == 3
    assert [s.action_units for s in other.samples if s.clip == "011_2_2"] == ["L14 or R14"]
    assert [s.offset for s in other.samples if s.clip == "006_1_2"] == [5733]


def test_every_correction_has_a_place_a_value_and_a_reason():
    count = 0
    for name in READERS:
        for fix in read_corrections(name):
            count += 1
            assert fix.clip or (fix.row < fix.sheet_rows)
            assert fix.field in ("onset", "apex", "offset", "action_units")
            assert fix.value.isdecimal() or fix.field == "action_units"
            assert len(fix.reason) > 10
    assert count > 70


def test_smic_takes_labels_from_folders_and_the_middle_for_the_apex(tmp_path):
    annotations = read_dataset("smic_hs", fictional.smic(tmp_path))
    assert key_frames(annotations) == {
        "1/s1_ne_01/36237": (36237, 36240, 36243),
        "1/s1_po_01/99998": (99998, 100000, 100002),
        "11/s11_sur_01/9": (9, 10, 10),
    }
    assert labels(annotations) == ["negative", "positive", "surprise"]
    assert reasons(annotations, "dropped") == {"smic_hs/11/s11_sur_02": "it has fewer than two images"}
    assert reasons(annotations, "repaired") == {"smic_hs": "no apex is coded: the middle frame of every clip is taken"}


def test_cameras_of_smic_are_kept_apart(tmp_path):
    for camera in ("HS", "VIS", "NIR"):
        fictional.smic(tmp_path, camera)
        fictional.smic(tmp_path, camera, tree="SMIC_all_cropped")
    for camera in ("HS", "VIS", "NIR"):
        name = f"smic_{camera.lower()}"
        annotations = read_dataset(name, tmp_path)
        assert annotations.source == tmp_path / "SMIC_all_raw/SMIC_all_raw" / camera
        assert {sample.dataset for sample in annotations.samples} == {name}
        assert read_dataset(name, annotations.source).source == annotations.source
    with pytest.raises(DataError, match="has no SMIC of the camera HS"):
        read_dataset("smic_hs", tmp_path / "SMIC_all_raw/SMIC_all_raw/VIS")


def test_mmew_keeps_the_label_of_the_sheet(tmp_path):
    annotations = read_dataset("mmew", fictional.mmew(tmp_path))
    assert key_frames(annotations) == {
        "1/S01-01-001/1": (1, 9, 11),
        "1/S01-04-001/1": (1, 3, 11),
        "2/S02-02-001/1": (1, 5, 9),
        "2/S02-02-002/1": (1, 6, 11),
    }
    assert labels(annotations) == ["happiness", "others", "surprise", "surprise"]


def test_mmew_is_found_in_its_official_layout_too(tmp_path):
    fictional.mmew(tmp_path)
    expected = key_frames(read_dataset("mmew", tmp_path))
    micro = tmp_path / "MMEW_Final/Micro_Expression"
    for clip in list(micro.glob("*/*")):
        target = tmp_path / clip.name[:3] / clip.parent.name / clip.name
        target.parent.mkdir(parents=True, exist_ok=True)
        clip.rename(target)
    assert key_frames(read_dataset("mmew", tmp_path)) == expected


@pytest.mark.parametrize("is_long", [False, True])
def test_casme3(tmp_path, is_long):
    annotations = read_dataset("casme3", fictional.casme3(tmp_path, is_long))
    assert key_frames(annotations) == {
        "1/a/3": (3, 5, 8),
        "1/a/20": (20, 22, 26),
        "170/b/9": (9, 12, 13),
    }
    assert labels(annotations) == ["happiness", "others", "surprise"]
    assert list(annotations.samples[1].frames) == list(range(20, 27))
    assert {path.suffix for sample in annotations.samples for path in sample.frames.values()} == {".jpg"}
    missing = [note.reason for note in annotations.notes if note.action == "missing frame"]
    assert missing == ["apex 10 has no file: 9 is taken", "2 of 5 frames have no file"]
    assert list(reasons(annotations, "dropped")) == ["casme3/184/c/466"]


def test_casme3_reads_micro_expressions_out_of_a_sheet_of_both_kinds(tmp_path):
    fictional.casme3(tmp_path)
    shutil.rmtree(tmp_path / "annotation")
    header = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "emotion", "Expression type")
    rows = [
        ("spNO.1", "a", 3, 5, 8, "12", "happy", "Micro-expression"),
        ("spNO.1", "a", 20, 22, 26, "4", "sad", "Macro"),
    ]
    fictional.write_sheets(tmp_path / "CAS(ME)3_part_A_v2.xlsx", Sheet1=[header, *rows])
    assert labels(read_dataset("casme3", tmp_path)) == ["happiness"]


def test_casme_sq(tmp_path):
    annotations = read_dataset("casme_sq", fictional.casme_sq(tmp_path))
    assert key_frames(annotations) == {"1/disgust1_1/9": (9, 10, 12), "2/funny3_1/5": (5, 7, 9)}
    assert labels(annotations) == ["negative", "positive"]
    assert annotations.samples[1].frames[5].parent.name == "16_0503unnyfarting"
    assert list(reasons(annotations, "dropped")) == ["casme_sq/2/funny9_1/5"]


def test_casme_sq_from_short_clips(tmp_path):
    fictional.casme_sq(tmp_path)
    expected = key_frames(read_dataset("casme_sq", tmp_path))
    shutil.rmtree(tmp_path / "rawpic")
    fictional.draw(tmp_path / "cropped/1/disgust1_1", [f"img{n}.jpg" for n in range(9, 13)])
    fictional.draw(tmp_path / "cropped/2/funny3_1", [f"img{n}.jpg" for n in range(5, 10)])
    assert key_frames(read_dataset("casme_sq", tmp_path)) == expected


def test_casme_sq_needs_its_three_sheets(tmp_path):
    fictional.casme_sq(tmp_path)
    fictional.write_sheets(tmp_path / "CAS(ME)^2code_final.xlsx", CASFEcode_final=[(1, "a1_1", 9, 10, 12)])
    with pytest.raises(DataError, match="has 1 sheets, not the codes and the two of naming rules"):
        read_dataset("casme_sq", tmp_path)
    fictional.write_sheets(tmp_path / "CAS(ME)^2code_final.xlsx", A=[("x",)], B=[("x",)], C=[("x",)])
    with pytest.raises(DataError, match="has no row with an onset in its third column"):
        read_dataset("casme_sq", tmp_path)


def test_fourdme(tmp_path):
    annotations = read_dataset("4dme", fictional.fourdme(tmp_path))
    assert key_frames(annotations) == {"3/s3_ME_01/2490": (2490, 2494, 2499), "3/s3_ME_02/99": (99, 101, 104)}
    assert labels(annotations) == ["surprise+positive", "negative"]
    assert annotations.samples[0].action_units == "AUR2+12(k)+45"


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


def test_composite_without_its_list_follows_the_rule_behind_it(tmp_path):
    annotations = read_dataset("megc2019", fictional.megc2019(tmp_path, is_listed=False))
    assert [(s.person, s.clip, s.label) for s in annotations.samples] == [
        ("casme2/1", "EP02_01f", "positive"),
        ("casme2/1", "EP19_06", "surprise"),
        ("casme2/16", "EP01_08", "negative"),
        ("smic_hs/1", "s1_ne_01", "negative"),
        ("smic_hs/1", "s1_po_01", "positive"),
        ("smic_hs/11", "s11_sur_01", "surprise"),
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
    dropped = reasons(annotations, "dropped")
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
        [str(tmp_path / "rawpic/s15/15_0101disgustingteeth"), "8", "9", "11", "micro", "negative"],
        [str(tmp_path / "rawpic/s15/15_0101disgustingteeth"), "14", "16", "16", "macro", "positive"],
        [str(tmp_path / "rawpic/s16/16_0503unnyfarting"), "4", "6", "8", "micro", "positive"],
        [str(tmp_path / "rawpic/s16/16_0508funnydunkey"), "", "", "", "", ""],
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


@pytest.mark.parametrize(
    ("coded", "expected"),
    [
        ((10, 15, 20), (10, 15, 20)),
        ((10, 20, 20), (10, 20, 20)),
        ((10, None, 20), (10, 15, 20)),
        ((10, 0, 20), (10, 15, 20)),
        ((10, 10, 20), (10, 15, 20)),
        ((10, 5, 20), (10, 15, 20)),
        ((10, 25, 20), (10, 15, 20)),
        ((10, 15, 0), (10, 15, 15)),
        ((10, 15, None), (10, 15, 15)),
        ((10, 15, 9), (10, 15, 15)),
        ((0, 4, 6), (1, 4, 6)),
        ((25, 28, 40), (25, 28, 30)),
    ],
)
def test_implausible_key_frames_are_repaired(coded, expected):
    found = settle(*coded, range(1, 31))
    assert (found.onset, found.apex, found.offset) == expected
    assert bool(found.remarks) == (coded != expected)


@given(
    *[st.none() | st.integers(-3, 45)] * 3,
    st.lists(st.integers(0, 40), unique=True).map(sorted),
    st.booleans(),
)
def test_whatever_is_coded_key_frames_have_files_and_are_in_order(onset, apex, offset, numbers, is_own_clip):
    try:
        found = settle(onset, apex, offset, numbers, is_own_clip=is_own_clip)
    except UnusableError:
        # What is coded in order and has its files can always be used.
        is_sound = None not in (onset, apex, offset) and onset < apex <= offset and {onset, apex, offset} <= {*numbers}
        assert not is_sound
        return
    assert found.onset < found.apex <= found.offset
    assert {found.onset, found.apex, found.offset} <= set(numbers)


@pytest.mark.parametrize(
    ("coded", "numbers", "message"),
    [
        ((None, 5, 9), range(1, 31), "no onset"),
        ((5, 7, 9), [], "no numbered images"),
        ((5, None, None), range(1, 31), "no offset is coded and no apex"),
        ((5, 7, 9), range(20, 31), "coded 5–9, but the files are 20–30"),
        ((50, 70, 90), range(1, 31), "coded 50–90, but the files are 1–30"),
        ((25, 28, 40), [24, 25], "not two files"),
    ],
)
def test_movements_without_images_are_unusable(coded, numbers, message):
    with pytest.raises(UnusableError, match=message):
        settle(*coded, numbers)
