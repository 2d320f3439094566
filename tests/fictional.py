"""Tiny made-up copies of the data sets, laid out as they are downloaded, with the quirks of the real ones.

Every image is drawn, every person and every number is invented; only names of files, folders and columns are real.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openpyxl

CASME2_HEADER = (
    *("Subject", "Filename", None, "OnsetFrame", "ApexFrame ", "OffsetFrame", None, "Action Units"),
    "Estimated Emotion",
)
SAMM_HEADER = (
    *("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro"),
    *("Action Units", "Estimated Emotion", "Objective Classes", "Notes"),
)
MEGC_LIST = "combined_3class_gt.csv"


@cache
def _picture(suffix: str) -> bytes:
    """A drawn face of 24 pixels."""
    image = np.full((24, 24), 60, np.uint8)
    cv2.circle(image, (12, 12), 10, 180, -1)
    for eye in (8, 16):
        cv2.circle(image, (eye, 9), 1, 20, -1)
    cv2.ellipse(image, (12, 16), (4, 2), 0, 0, 180, 20, 1)
    return cv2.imencode(suffix, image)[1].tobytes()


def draw(folder: Path, names: Iterable[str]) -> Path:
    """Image files of these names in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(_picture(Path(name).suffix))
    return folder


def write_sheets(path: Path, **sheets: Sequence[Sequence[Any]]) -> Path:
    """A workbook; a row () stays empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def casme(root: Path) -> Path:
    """CASME: two apex columns; file names end in the number, padded for the second section only."""
    header = ("Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None, "AU", "Emotion")
    rows = [
        (1, "EP01_5", None, 9, 10, 11, 12, None, "4", "tense"),
        (2, "EP03_1", None, 98, 100, 100, 102, None, "1+2", "surprise"),
        (2, "EP04_1", None, 8, 9, None, 0, None, 12, "happiness"),
    ]
    write_sheets(root / "casme.xlsx", Sheet1=[header, *rows])
    tree = root / "CASME_raw_selected"
    draw(tree / "sub01/EP01_5", [f"EP01_5-{n}.jpg" for n in range(9, 13)])
    draw(tree / "sub02/EP03_1", [f"EP03_1-{n:03d}.jpg" for n in range(98, 103)])
    draw(tree / "sub02/EP04_1", [f"EP04_1-{n:03d}.jpg" for n in range(8, 12)])
    return root


def casme2(root: Path, *trees: str, coding: str = "CASME2-coding-20140508.xlsx", is_text: bool = True) -> Path:
    """CASME II with its blank columns, a slash for an apex, an apex on the onset, and a clip that is cut short.

    Args:
        trees: folders for the images, by default the doubled raw one; those with "crop" in the name hold crops.
        is_text: subjects are text as in the coding of 2014, else numbers as in that of 2019.
    """
    rows = [
        (1, "EP02_01f", 9, 10, 100, "4+7", "happiness"),
        (1, "EP19_06", 5, 7, 9, 12, "surprise"),
        (4, "EP12_01f", 261, "/", 271, "4+7+L14", "disgust"),
        (5, "EP09_05f", 20, 20, 24, "R1+20", "disgust"),
        (16, "EP01_08", 73, 94, 110, "14", "repression"),
        (17, "EP01_15", 3, 5, 7, "17", "Others"),
        (17, "EP02_03", 3, 5, 7, "15", "sadness"),
        (17, "EP99_99", 3, 5, 7, "15", "disgust"),
    ]
    cells = [(f"{s:02d}" if is_text else s, c, None, on, ap, off, None, au, e) for s, c, on, ap, off, au, e in rows]
    write_sheets(root / coding, Sheet1=[CASME2_HEADER, *cells])
    files = {
        "sub01/EP02_01f": [9, 10, 11, 99, 100],
        "sub01/EP19_06": range(5, 10),
        "sub04/EP12_01f": range(261, 272),
        "sub05/EP09_05f": range(20, 25),
        "sub16/EP01_08": range(73, 97),
        "sub17/EP01_15": range(3, 8),
        "sub17/EP02_03": range(3, 8),
    }
    for tree in trees or ("CASME2_RAW/CASME2-RAW",):
        prefix = "reg_img" if "crop" in tree.lower() else "img"
        for clip, numbers in files.items():
            draw(root / tree / clip, [f"{prefix}{n}.jpg" for n in numbers])
    return root


def samm(root: Path) -> Path:
    """SAMM: thirteen rows above the header, frame numbers of four and five digits, people with a gap between them."""
    rows = [
        ("006", "006_1_2", 1, 562, 565, 568, 7, "Micro - 1/2", "AU12", "Happiness", 5, None),
        ("006", "006_1_3", 1, 9999, 10001, 10003, 5, "Micro - 1/2", "R14A or 17A", "Anger", 1, "note"),
        ("011", "011_2_1", 2, 20, 10, 30, 11, "Micro - 1/2", "A1B+A2C", "Surprise", 2, None),
        ("025", "025_3_1", 3, 5, 6, 8, 4, "Micro - 1/2", "?", "Other", 7, None),
    ]
    notes = [(f"Note {n} on the coding",) if n % 3 else () for n in range(1, 14)]
    write_sheets(root / "SAMM_Micro_FACS_Codes_v2.xlsx", MICRO_ONLY=[*notes, SAMM_HEADER, *rows])
    draw(root / "SAMM/006/006_1_2", [f"006_{n:04d}.jpg" for n in range(562, 569)])
    draw(root / "SAMM/006/006_1_3", [f"006_{n:05d}.jpg" for n in range(9999, 10004)])
    draw(root / "SAMM/011/011_2_1", [f"011_{n:04d}.jpg" for n in range(20, 31)])
    draw(root / "SAMM/025/025_3_1", [f"025_{n:04d}.jpg" for n in range(5, 9)])
    return root


def samm_long(root: Path) -> Path:
    """SAMM long videos: nine rows above the header, numbers as floats, an onset of 0, an offset past the files."""
    header = ("Subject", "Filename", "Inducement Code", "Onset", "Apex", "Offset", "Duration", "Type", "Action Units")
    rows = [
        (6, "006_1_1", 1, 3.0, 5.0, 9.0, 7, "Macro", "12"),
        (6, "006_1_2", 1, 11.0, 12.0, 0.0, 4, "Micro - 1/2", "AU12"),
        (6, "006_1_3", 1, 0.0, 4.0, 9.0, 4, "Macro", "4"),
        (20, "020_6_5", 6, 5.4, 7.0, 76.0, 9, "Macro", "4"),
        (20, "020_6_6", 6, 5.0, 7.0, 9.0, 9, "Other", "4"),
        (21, "021_1_1", 6, 5.0, 7.0, 9.0, 9, "Macro", "4"),
    ]
    write_sheets(
        root / "SAMM_LongVideos_V3_Release.xlsx",
        Readme=[("Long videos",)],
        FACS_Movement_Only=[*[("About this sheet",)] * 9, header, *rows],
    )
    draw(root / "SAMM_longvideos/006_1", [f"006_1_{n:04d}.jpg" for n in range(1, 16)])
    draw(root / "SAMM_longvideos/020_6", [f"020_6_{n:05d}.jpg" for n in range(1, 31)])
    draw(root / "SAMM_longvideos/022_3", [f"022_3_{n:04d}.jpg" for n in range(1, 4)])
    return root


def smic(root: Path, camera: str = "HS", tree: str = "SMIC_all_raw/SMIC_all_raw") -> Path:
    """SMIC: labels are folders, numbers are the camera's own, clips without a movement lie beside those with one."""
    micro = root / tree / camera
    draw(micro / "s1/micro/negative/s1_ne_01", [f"image{n:06d}.bmp" for n in range(36237, 36244)])
    draw(micro / "s1/micro/positive/s1_po_01", [f"image{n:06d}.bmp" for n in range(99998, 100003)])
    draw(micro / "s11/micro/surprise/s11_sur_01", ["reg_image000009.bmp", "reg_image000010.bmp"])
    draw(micro / "s11/micro/surprise/s11_sur_02", ["reg_image000009.bmp"])
    draw(micro / "s11/non_micro/s11_non_01", ["image000001.bmp", "image000002.bmp"])
    return root


def mmew(root: Path) -> Path:
    """MMEW: `others` in the sheet is `repression` on disk; an offset past the files, an apex past the offset."""
    header = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion")
    rows = [
        (1, "S01-01-001", 1, 9, 11, "6+12", "happiness"),
        (1, "S01-04-001", 1, 3, 20, "14", "others"),
        (2, "S02-02-001", 1, 40, 9, "1+2", "surprise"),
        (2, "S02-02-002", 1, None, 0, "1+2", "surprise"),
    ]
    write_sheets(root / "MMEW_Micro_Exp.xlsx", Sheet1=[(*header, "remarks"), *rows])
    clips = ("happiness/S01-01-001", "repression/S01-04-001", "surprise/S02-02-001", "surprise/S02-02-002")
    for clip in clips:
        draw(root / "MMEW_Final/Micro_Expression" / clip, [f"{n}.jpg" for n in range(1, 12)])
    draw(root / "MMEW_Final/Macro_Expression/S01/anger", ["S01-07-001.jpg"])
    return root


def casme3(root: Path, is_long: bool = False) -> Path:
    """CAS(ME)^3 part A: two movements in one video, capitals that differ, dropped frames, depth beside colour.

    Args:
        is_long: images of whole videos, else of the micro-expressions only.
    """
    header = ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion")
    rows = [
        ("spNO.1", "a", 3, 5, 8, "12", "I", "happy"),
        ("spNO.1", "a", 20, 22, 26, "4", "III", "Others"),
        ("spNO.170", "b", 9, 10, 13, "1+2", "II", "surprise"),
        ("spNO.184", "c", 466, 470, 475, "4", "III", "disgust"),
    ]
    write_sheets(root / "annotation/cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", label=[header, *rows])
    write_sheets(
        root / "annotation/cas(me)3_part_A_MaE_label_JpgIndex_v2_emotion.xlsx",
        Sheet1=[("sub", "seq", "onset", "apex", "offset", "emotion"), ("spNO.1", "a", 1, 2, 3, "happy")],
    )
    for kind, suffix in (("depth", "png"), ("frame", "jpg")):
        if is_long:
            videos = root / "part_A/data/part_A_split/part_A"
            colour = "color" if kind == "frame" else kind
            draw(videos / "spNo.1/a" / colour, [f"{n}.{suffix}" for n in range(1, 31)])
            draw(videos / "spNo.170/b" / colour, [f"{n}.{suffix}" for n in (9, 12, 13)])
        else:
            clips = root / "Part_A_ME_clip/Part_A_ME_clip" / kind
            draw(clips / "spNo.1_a_3", [f"{n}.{suffix}" for n in range(3, 9)])
            draw(clips / "spNo.1_a_20", [f"{n}.{suffix}" for n in range(20, 27)])
            draw(clips / "spNo.170_b_9", [f"{n}.{suffix}" for n in (9, 12, 13)])
            draw(clips / "spNo.184_c_466", [])
    return root


def casme_sq(root: Path) -> Path:
    """CAS(ME)^2: a workbook without header, folder numbers that are not subject numbers, misspelt folder names."""
    micro, macro = "micro-expression", "macro-expression"
    rows = [
        (1, "disgust1_1", 9, 10, 12, "4", "negative", micro, "disgust"),
        (1, "disgust1_2", 15, 17, 0, "12", "positive", macro, "happiness"),
        (2, "funny3_1", 5, 0, 9, "12", "positive", micro, "happiness"),
        (2, "funny9_1", 5, 0, 9, "12", "positive", micro, "happiness"),
    ]
    write_sheets(
        root / "CAS(ME)^2code_final.xlsx",
        CASFEcode_final=rows,
        **{
            "naming rule1": [(1, "s15", 1), (2, "s16", 2)],
            "naming rule2": [(101, "disgust1"), (503, "funny3"), (508, "funny8")],
        },
    )
    draw(root / "rawpic/s15/15_0101disgustingteeth", [f"img{n:03d}.jpg" for n in range(1, 21)])
    draw(root / "rawpic/s16/16_0503unnyfarting", [f"img{n:03d}.jpg" for n in range(1, 11)])
    draw(root / "rawpic/s16/16_0508funnydunkey", [f"img{n:03d}.jpg" for n in range(1, 4)])
    return root


def fourdme(root: Path) -> Path:
    """4DME: apostrophes in the header, a static action unit, two emotions at once, long file numbers."""
    header = ("sub_ID'", "fold_name", "fold", "Onset", "Apex", "Offset", "AUs", "Emotion", "eye blink")
    rows = [
        (3, "s3_ME_01", 1, 2490, 2494, 2499, "AUR2+12(k)+45", "Surprise+Positive", 0),
        (3, "s3_ME_02", 2, 99, 101, 104, "AU4(k)+L7", "Negative", 1),
    ]
    write_sheets(root / "4DME_Labelling_Micro_release v1.xlsx", Sheet1=[header, *rows])
    draw(root / "gray_micro/3/s3_ME_01", [f"Frame_{n:09d}.jpg" for n in range(2490, 2500)])
    draw(root / "gray_micro/3/s3_ME_02", [f"Frame_{n:09d}.jpg" for n in range(99, 105)])
    return root


def megc2019(root: Path, is_listed: bool = True) -> Path:
    """The three data sets of the composite below one folder, with the official list or without it."""
    casme2(root / "CASME2")
    samm(root / "SAMM_all")
    smic(root / "SMIC")
    if is_listed:
        lines = [
            *("casme2,sub01,EP02_01f,1", "casme2,sub01,EP19_06,2", "casme2,sub16,EP01_08,0", "casme2,sub26,EP01_01,0"),
            *("smic,s01,s01_ne_01,0", "smic,s11,s11_sur_01,2"),
            *("samm,6,006_1_2,1", "samm,011,011_2_1,2"),
        ]
        (root / MEGC_LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
