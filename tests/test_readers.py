"""Readers of data sets, each on a tiny made-up copy of its layout."""

from __future__ import annotations

import logging
import shutil

import cv2
import fictional
import pytest

from app.errors import DataError
from model.annotations import Annotations
from model.readers import READERS, read_dataset, read_long_videos

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
        assert sample.person == f"{sample.dataset.removesuffix('_hs')}/{sample.subject}"
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


def test_crops_come_first_where_they_are_preferred(tmp_path):
    trees = ("CASME2_RAW/CASME2-RAW", "CASME2_RAW_selected", "Cropped")
    root = fictional.casme2(tmp_path, *trees)
    for preferred in ("Cropped", "CASME2_RAW_selected", "CASME2_RAW"):
        frames = read_dataset("casme2", root, prefers_crops=True).samples[0].frames
        assert frames[9].relative_to(root).parts[0] == preferred
        # Crops that are not all there do not make up for a whole tree.
        shutil.rmtree(next((root / preferred).rglob("EP12_01f")))


@pytest.mark.parametrize("name", BUILDERS)
def test_preferring_crops_changes_nothing_where_there_are_none(tmp_path, name):
    root = BUILDERS[name](tmp_path)
    assert read_dataset(name, root, prefers_crops=True) == read_dataset(name, root)


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
    keys = set()
    for camera in ("HS", "VIS", "NIR"):
        name = f"smic_{camera.lower()}"
        annotations = read_dataset(name, tmp_path)
        assert annotations.source == tmp_path / "SMIC_all_raw/SMIC_all_raw" / camera
        assert {sample.dataset for sample in annotations.samples} == {name}
        assert read_dataset(name, annotations.source).source == annotations.source
        assert read_dataset(name, tmp_path, prefers_crops=True).source == tmp_path / "SMIC_all_cropped" / camera
        # The people are the same for all of them, the samples are not.
        assert [sample.person for sample in annotations.samples] == ["smic/1", "smic/1", "smic/11"]
        keys |= {sample.key for sample in annotations.samples}
    assert len(keys) == 3 * 3
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
