"""Coding sheets and image folders: headers wherever they are, cells of any type, files by number."""

from __future__ import annotations

import datetime

import pytest
from fictional import SAMM_HEADER, draw, write_sheets

from app.errors import DataError
from model.coding_sheet import canonical_emotion, cell_frame, cell_text, read_sheet, read_workbook, subject_number
from model.frame_index import child, find_files, find_trees, frame_number, index_frames, nearest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Others ", "others"),
        ("Other", "others"),
        ("happy", "happiness"),
        ("Sad", "sadness"),
        ("Repression", "repression"),
        ("Surprise+Positive", "surprise+positive"),
        ("Happy + other", "happiness+others"),
        ("", ""),
    ],
)
def test_emotions_have_one_spelling(text, expected):
    assert canonical_emotion(text) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (46.0, 46),
        (46, 46),
        (46.6, 47),
        ("46", 46),
        (" 046 ", 46),
        ("46.0", 46),
        (0, 0),
        ("/", None),
        ("", None),
        (None, None),
        ("nan", None),
        (float("nan"), None),
        (float("inf"), None),
        ("?", None),
        (datetime.date(2014, 5, 8), None),
    ],
)
def test_frame_numbers_of_cells(cell, expected):
    assert cell_frame(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("01", "1"),
        ("006", "6"),
        ("sub12", "12"),
        ("spNO.170", "170"),
        ("s15", "15"),
        (6.0, "6"),
        ("x", None),
        ("", None),
    ],
)
def test_subjects_are_numbers_without_padding(cell, expected):
    assert subject_number(cell) == expected


def test_text_of_cells_has_no_decimals_that_were_not_typed():
    assert [cell_text(cell) for cell in (12.0, 12.5, " 4+7 ", None, "")] == ["12", "12.5", "4+7", "", ""]


def test_header_is_found_below_notes(tmp_path):
    notes = [("SAMM",), (), ("Subject numbers are those of the consent forms",)] + [()] * 10
    path = write_sheets(tmp_path / "a.xlsx", Sheet=[*notes, SAMM_HEADER, ("006", "006_1_2", 1, 562, 565)])
    (row,) = read_sheet(path, ("subject", "clip", "onset", "apex", "offset", "label"))
    assert (row.number, row.line) == (0, 15)
    assert [row.cells[name] for name in ("subject", "clip", "onset", "apex", "offset")] == [
        "006",
        "006_1_2",
        562,
        565,
        "",
    ]


@pytest.mark.parametrize(
    "header",
    [
        ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion", "Action Units"),
        (" subject ", "fold_name", "Onset Frame ", "Apex", "Offset", "emotion", "AU"),
        ("sub_ID'", "count", "onset", "ApexF1", "OffsetF", "Label", "AUs"),
        ("SubID", "seq", "OnsetF", "ApexF", "offset", "Emotion", "au"),
    ],
)
def test_columns_are_found_by_any_of_their_names(tmp_path, header):
    path = write_sheets(tmp_path / "a.xlsx", Sheet=[(None, *header), (None, 1, "c", 2, 3, 4, "fear", "5")])
    (row,) = read_sheet(path, ("subject", "clip", "onset", "apex", "offset", "label", "action_units"))
    assert row.cells == {
        "subject": 1, "clip": "c", "onset": 2, "apex": 3, "offset": 4, "label": "fear", "action_units": "5",
    }  # fmt: skip


def test_blank_rows_count_in_row_numbers(tmp_path):
    path = write_sheets(tmp_path / "a.xlsx", Sheet=[("Subject", "Onset"), (), (1, 2)])
    assert [(row.number, row.line) for row in read_sheet(path, ())][-1] == (1, 3)


def test_the_first_sheet_with_a_header_counts_unless_one_is_preferred(tmp_path):
    sheets = {"Readme": [("x",)], "A": [("Subject", "Onset"), (1, 2)], "label": [("Subject", "Onset"), (3, 4)]}
    path = write_sheets(tmp_path / "a.xlsx", **sheets)
    assert read_sheet(path, ())[0].cells["subject"] == 1
    assert read_sheet(path, (), preferred="Label")[0].cells["subject"] == 3
    assert read_sheet(path, (), preferred="other")[0].cells["subject"] == 1


def test_sheets_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no\.xlsx cannot be read as a spreadsheet"):
        read_workbook(tmp_path / "no.xlsx")
    (tmp_path / "text.xlsx").write_text("Subject,Filename\n")
    with pytest.raises(DataError, match=r"text\.xlsx cannot be read as a spreadsheet.*Copy it anew"):
        read_workbook(tmp_path / "text.xlsx")
    with pytest.raises(DataError, match=r"has no header.*\(Codes\) names a subject and an onset"):
        read_sheet(write_sheets(tmp_path / "a.xlsx", Codes=[(1, 2, 3)]), ())
    path = write_sheets(tmp_path / "b.xlsx", Codes=[(), ("Subject", None, "Onset", "Felt")])
    with pytest.raises(DataError, match=r"no column for apex, label\. Its header in row 2 is: Subject, Onset, Felt"):
        read_sheet(path, ("label", "apex"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reg_img46.jpg", 46),
        ("006_05562.jpg", 5562),
        ("355.jpg", 355),
        ("EP01_5-012.jpg", 12),
        ("Frame_000002490.png", 2490),
        ("1.2.jpg", 2),
        ("face.jpg", None),
    ],
)
def test_number_of_a_file_is_its_last_digits(name, expected):
    assert frame_number(name) == expected


def test_files_are_sorted_by_number_and_only_images_count(tmp_path):
    names = ["img10.jpg", "img9.JPG", "img100.png", "img0099.bmp", "._img11.jpg", "img12.txt", "Thumbs.db", "face.jpg"]
    draw(tmp_path / "a", [name for name in names if name.lower().endswith(("jpg", "png", "bmp"))])
    for name in ("img12.txt", "Thumbs.db"):
        (tmp_path / "a" / name).write_text("")
    (tmp_path / "a/img13.jpg").mkdir()
    assert [(n, path.name) for n, path in index_frames(tmp_path / "a").items()] == [
        (9, "img9.JPG"), (10, "img10.jpg"), (99, "img0099.bmp"), (100, "img100.png"),
    ]  # fmt: skip


def test_nearest_number():
    numbers = [9, 10, 14]
    assert [nearest(numbers, wanted) for wanted in (1, 9, 11, 12, 13, 14, 99)] == [9, 9, 10, 10, 14, 14, 14]


def test_folders_are_found_whatever_their_capitals_and_depth(tmp_path):
    tree = tmp_path / "Cropped/Cropped"
    (tree / "Sub01/EP01").mkdir(parents=True)
    (tree / "Sub01/sub02").mkdir()
    (tmp_path / ".sub03").mkdir()
    assert find_trees(tmp_path, r"sub\d+") == [tree]
    assert child(tree, "sub01 ") == tree / "Sub01"
    assert child(tree, "sub1") is None
    deep = tmp_path / "a/b/c/d/e/f/g"
    (deep / "sub01").mkdir(parents=True)
    assert find_trees(tmp_path, r"sub\d+") == [tree]
    assert find_trees(tmp_path / "a", r"sub\d+") == [deep]


def test_the_better_pattern_then_the_later_release_wins(tmp_path):
    for name in (
        "coding-2014.xlsx",
        "Coding-2019.xlsx",
        "coding-old.xlsx",
        "~$coding-2019.xlsx",
        "more/coding-2020.xlsx",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = find_files(tmp_path, (r"coding-20\d+\.xlsx", r"coding-.*\.xlsx"))
    names = [path.name for path in found]
    assert names == ["Coding-2019.xlsx", "coding-2014.xlsx", "coding-2020.xlsx", "coding-old.xlsx"]
