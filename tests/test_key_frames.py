"""Key frames that cannot be used as coded: repairs by rule, and corrections by hand."""

from __future__ import annotations

from pathlib import Path

import fictional
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.annotations import Annotations
from model.readers import READERS, read_dataset
from model.readers.assembly import UnusableError, read_corrections, settle


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


def test_a_mistyped_offset_costs_no_time():
    assert settle(10, 15, 10**12, range(1, 31)).offset == 30


@pytest.mark.usefixtures("caplog")
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
    repaired = {note.key: note.reason for note in meant.notes if note.action == "repaired"}
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
