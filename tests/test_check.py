"""`mmnet check`: what is said of a data set before anything is trained on it."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import fictional
import pytest

from model.check import main
from model.readers import READERS
from model.readers.published import DERIVED, RECALLED, STATED, published_for


def lines(capsys) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_report_says_what_was_found_and_how_it_differs(tmp_path, capsys):
    root = fictional.casme2(tmp_path)
    assert main(["casme2", str(root)]) == 0
    found = lines(capsys)
    assert found[0] == "casme2, compared with CASME II coded 2014"
    assert f"coded in     {root / 'CASME2-coding-20140508.xlsx'}" in found
    assert f"images       {root / 'CASME2_RAW/CASME2-RAW'}" in found
    assert "samples             7   published    255   ≠" in found
    assert "subjects            5   published     26   ≠" in found
    assert "  disgust           2   published     63   ≠" in found
    assert "  fear              0   published      2   ≠" in found
    assert "  casme2/1 2, casme2/4 1, casme2/5 1, casme2/16 1, casme2/17 2" in found
    assert found[found.index("Dropped: 1") + 1] == "  casme2/17/EP99_99/3: there is no folder with its images"
    assert "  casme2/4/EP12_01f/261: no apex is coded: the middle, 266, is taken" in found
    assert "Repaired: 2" in found
    assert "Missing frames: 3" in found


def test_numbers_that_nobody_verified_do_not_accuse_the_copy(tmp_path, capsys):
    assert main(["casme", str(fictional.casme(tmp_path))]) == 0
    found = lines(capsys)
    assert "samples             3   published    189   ≠" in found
    assert "subjects            2   published     19 (recalled)   differs, but that number is not verified" in found


def test_numbers_that_agree_have_no_mark(tmp_path, capsys):
    fictional.fourdme(tmp_path)
    header = ("sub_ID", "fold_name", "Onset", "Apex", "Offset", "AUs", "Emotion")
    rows = [(3, "s3_ME_01", onset, onset + 1, 3000, "4", "Negative") for onset in range(2231, 2498)]
    fictional.write_sheets(tmp_path / "4DME_Labelling_Micro_release v1.xlsx", Sheet1=[header, *rows])
    fictional.draw(tmp_path / "gray_micro/3/s3_ME_01", [f"Frame_{n:09d}.jpg" for n in range(2230, 2490)])
    main(["4dme", str(tmp_path)])
    found = lines(capsys)
    assert next(line for line in found if line.startswith("samples")).endswith("published    267")


def test_report_as_json(tmp_path, capsys):
    root = fictional.samm(tmp_path)
    assert main(["samm", str(root), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["coded_in"] == str(root / "SAMM_Micro_FACS_Codes_v2.xlsx")
    assert report["images"] == str(root / "SAMM")
    assert report["samples"] == {"found": 4, "published": 159, "certainty": "stated"}
    assert report["classes"]["others"] == {"found": 1, "published": 26, "certainty": "stated"}
    assert report["samples_per_subject"] == {"samm/6": 2, "samm/11": 1, "samm/25": 1}
    assert [note["key"] for note in report["repaired"]] == ["samm/11/011_2_1/20"]
    assert report["dropped"] == report["missing_frames"] == []


@pytest.mark.parametrize("name", sorted(set(READERS) - {"manifest", "smic_vis", "smic_nir"}))
def test_every_reader_can_be_checked(tmp_path, capsys, name):
    builders = {"smic_hs": fictional.smic, "4dme": fictional.fourdme}
    build = builders.get(name) or getattr(fictional, name)
    assert main([name, str(build(tmp_path)), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["dataset"] == name
    assert report["samples"]["found"] == sum(report["samples_per_subject"].values()) > 1
    assert report["samples"]["published"] > 50


def test_people_who_must_not_be_shown_are_named(tmp_path, capsys):
    fictional.casme2(tmp_path)
    for folder in (tmp_path / "CASME2_RAW/CASME2-RAW").glob("sub01"):
        folder.rename(folder.with_name("sub12"))
    rows = [(12, "EP19_06", None, 5, 7, 9, None, 12, "surprise")]
    fictional.write_sheets(tmp_path / "CASME2-coding-20140508.xlsx", Sheet1=[fictional.CASME2_HEADER, *rows])
    assert main(["casme2", str(tmp_path)]) == 0
    assert "pictures of these people must not be published: casme2/12" in lines(capsys)


def test_a_table_of_ones_own_has_nothing_to_compare_with(tmp_path, capsys):
    fictional.draw(tmp_path, ["1.jpg", "2.jpg"])
    (tmp_path / "manifest.csv").write_text("subject,onset,apex,label\na,1.jpg,2.jpg,fear\n")
    assert main(["manifest", str(tmp_path)]) == 0
    found = lines(capsys)
    assert found[0] == "manifest"
    assert "samples             1" in found
    assert f"images       {tmp_path}" in found


def test_the_folder_of_the_images_is_the_deepest_with_all_of_them(tmp_path, capsys, monkeypatch):
    fictional.draw(tmp_path / "own/a", ["1.jpg"])
    fictional.draw(tmp_path / "own/b", ["2.jpg"])
    (tmp_path / "tables").mkdir()
    table = tmp_path / "tables/manifest.csv"
    table.write_text(f"subject,onset,apex,label\na,../own/a/1.jpg,{tmp_path}/own/b/2.jpg,fear\n")
    assert main(["manifest", str(table)]) == 0
    assert f"images       {tmp_path / 'own'}" in lines(capsys)
    fictional.draw(tmp_path / "tables", ["1.jpg", "2.jpg"])
    table.write_text("subject,onset,apex,label\na,1.jpg,2.jpg,fear\n")
    monkeypatch.chdir(table.parent)
    assert main(["manifest", "."]) == 0
    assert f"images       {table.parent}" in lines(capsys)


def test_long_videos_are_checked_and_their_truth_written(tmp_path, capsys):
    root = fictional.samm_long(tmp_path / "data")
    assert main(["samm_long", str(root), "--truth", str(tmp_path / "truth.csv")]) == 0
    found = lines(capsys)
    assert "videos              3   published    147   ≠" in found
    assert "  macro             2   published    343   ≠" in found
    assert "videos without a movement: 022_3" in found
    assert len((tmp_path / "truth.csv").read_text().splitlines()) == 1 + 3 + 1


def test_truth_is_refused_where_there_is_none(tmp_path, capsys):
    root = fictional.samm(tmp_path)
    with pytest.raises(SystemExit):
        main(["samm", str(root), "--truth", str(tmp_path / "truth.csv")])
    assert "--truth is for samm_long and casme_sq_long" in capsys.readouterr().err
    assert not (tmp_path / "truth.csv").exists()


def test_a_tree_that_cannot_be_used_fails(tmp_path, caplog, capsys):
    root = fictional.casme2(tmp_path)
    shutil.rmtree(root / "CASME2_RAW")
    assert main(["casme2", str(root)]) == 1
    assert "CASME2_RAW/CASME2-RAW/sub01/EP02_01f/img46.jpg is expected there" in caplog.text
    assert main(["casme2", str(tmp_path / "nowhere")]) == 1
    assert "nowhere does not exist" in caplog.text
    assert capsys.readouterr().out == ""


def test_readers_log_again_after_a_check(tmp_path):
    main(["casme2", str(fictional.casme2(tmp_path))])
    assert logging.getLogger("mmnet.readers").isEnabledFor(logging.WARNING)


def test_looking_at_a_data_set_needs_no_torch():
    code = "import sys, model.check; sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1]).returncode == 0


def test_published_numbers_agree_with_themselves():
    for name in READERS:
        release = published_for(name, "CASME2-coding-20140508.xlsx")
        if release is None:
            continue
        certainties = {release.samples.certainty, *(figure.certainty for figure in release.per_class.values())}
        assert certainties <= {STATED, DERIVED, RECALLED}
        if release.per_class:
            assert sum(figure.number for figure in release.per_class.values()) == release.samples.number


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("CASME2-coding-20140508.xlsx", "CASME II coded 2014"),
        ("CASME2-coding-20190701.xlsx", "CASME II coded 2019"),
        ("CASME2-coding-updated.xlsx", "CASME II, updated"),
        ("CASME2_label_Ver_2.xls", "CASME II"),
    ],
)
def test_the_release_is_told_by_the_coding_file(file, title):
    assert published_for("casme2", file).title == title
