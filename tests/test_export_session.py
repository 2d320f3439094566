"""Sessions in the formats of other programs, read back by what others wrote."""

import csv
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import av
import cv2
import numpy as np
import openpyxl
import pympi
import pytest
import sessions
from PIL import Image
from videos import number_of, numbered_frame, write_video

from app.errors import OutputError, SessionError
from app.export import FORMATS, export_session
from app.export.tables import BORIS_COLUMNS
from app.session.reader import Session, read_session
from app.session.records import event_columns
from app.session.review import Review


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Three events, one relabelled, one with its apex moved, one rejected, one added, with their video."""
    video = write_video(tmp_path / "talk 面部 🙂.mp4", [numbered_frame(n) for n in range(120)], codec="libx264")
    folder = sessions.write_session(tmp_path / "my talk", str(video))
    review = Review.open(read_session(folder), "Ann")
    review.relabel(1, "surprise")
    review.comment(1, "=1+1 <&> \x0b odd")
    review.correct(2, apex_frame=76)
    review.reject(3)
    review.add(90, 94, 100, "contempt")
    review.save()
    return read_session(folder)


def rows_of(content: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content, newline=""), delimiter=delimiter))


@pytest.mark.parametrize(("format", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_tables_keep_automatic_and_reviewed_values(session, tmp_path, format, delimiter) -> None:
    path = export_session(session, format, tmp_path / "out" / f"events.{format}")
    text = path.read_text(encoding="utf-8")
    header = text.splitlines()[0].split(delimiter)
    assert tuple(header[: len(event_columns(session.class_names))]) == event_columns(session.class_names)
    first, second, added, rejected = rows_of(text, delimiter)
    assert (first["label"], first["auto_label"], first["review"], first["coder"]) == (
        "surprise",
        "positive",
        "accepted",
        "Ann",
    )
    assert (second["apex_frame"], second["auto_apex_frame"], second["source"]) == ("76", "75", "corrected")
    assert (rejected["review"], rejected["event_id"]) == ("rejected", "3")
    assert (added["source"], added["auto_onset_frame"], added["label"]) == ("manual", "", "contempt")


def test_a_workbook_holds_numbers_and_no_formulas(session, tmp_path) -> None:
    path = export_session(session, "xlsx", tmp_path / "talk.xlsx")
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["events", "candidates", "metadata"]
    header, *rows = book["events"].iter_rows()
    columns = [cell.value for cell in header]
    first = dict(zip(columns, rows[0], strict=True))
    assert first["comment"].value.startswith("=1+1 <&>")
    assert first["comment"].data_type == "s"
    assert first["onset_frame"].value == 31
    assert isinstance(first["confidence"].value, float)
    assert book["candidates"].max_row == 3
    names = {row[0].value: row[1].value for row in book["metadata"].iter_rows(min_row=2)}
    assert names["model.sha256"] == "ab" * 32


def test_json_holds_everything(session, tmp_path) -> None:
    document = json.loads(export_session(session, "json", tmp_path / "talk.json").read_text(encoding="utf-8"))
    assert document["coder"] == "Ann"
    assert document["metadata"]["model"]["name"] == "tiny"
    assert [event["event_id"] for event in document["events"]] == [1, 2, 4, 3]
    assert document["events"][0]["auto_label"] == "positive"
    assert document["candidates"][0]["reason"] == "blink"


def test_elan_reads_back_the_same_events(session, tmp_path) -> None:
    path = export_session(session, "eaf", tmp_path / "elan" / "talk.eaf")
    eaf = pympi.Elan.Eaf(str(path))
    assert set(eaf.get_tier_names()) == {"event", "phase", "label", "comment", "rejected"}
    events = eaf.get_annotation_data_for_tier("event")
    assert [(start, stop) for start, stop, _ in events] == [(1033, 1333), (2367, 2667), (3000, 3333)]
    assert events[2][2] == "micro-expression"
    phases = eaf.get_annotation_data_for_tier("phase")
    assert phases[2:4] == [(2367, 2533, "onset to apex"), (2533, 2667, "apex to offset")]
    assert [entry[2] for entry in eaf.get_ref_annotation_data_for_tier("label")] == ["surprise", "positive", "contempt"]
    assert eaf.get_ref_annotation_data_for_tier("comment")[0][2] == "=1+1 <&>  odd"
    rejected = eaf.get_annotation_data_for_tier("rejected")
    assert [text for *_, text in rejected] == ["blink: 0.42, limit 0.35", "blink: 0.42, limit 0.35", "by Ann"]
    (medium,) = eaf.media_descriptors
    assert medium["RELATIVE_MEDIA_URL"] == "../talk 面部 🙂.mp4"
    assert medium["MEDIA_URL"].startswith("file:///")
    words = [values[0][0] for values, *_ in eaf.controlled_vocabularies["class"][1].values()]
    assert words == ["negative", "positive", "surprise", "contempt"]


def test_elan_documents_keep_to_the_order_and_references_of_the_schema(session, tmp_path) -> None:
    root = ElementTree.parse(export_session(session, "eaf", tmp_path / "talk.eaf")).getroot()
    order = [
        *("LICENSE", "HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "LOCALE", "LANGUAGE", "CONSTRAINT"),
        *("CONTROLLED_VOCABULARY", "LEXICON_REF", "REF_LINK_SET", "EXTERNAL_REF"),
    ]
    places = [order.index(child.tag) for child in root]
    assert places == sorted(places)
    times = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    assert list(times.values()) == sorted(times.values())
    identifiers = [a.get("ANNOTATION_ID") for a in root.iter() if "ANNOTATION_ID" in a.attrib]
    assert len(identifiers) == len(set(identifiers))
    tiers = {tier.get("TIER_ID") for tier in root.iter("TIER")}
    types = {kind.get("LINGUISTIC_TYPE_ID") for kind in root.iter("LINGUISTIC_TYPE")}
    for tier in root.iter("TIER"):
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        assert tier.get("PARENT_REF", "event") in tiers
        assert (tier.get("ANNOTATOR"), tier.get("PARTICIPANT")) == ("Ann", "p1")
    for annotation in root.iter("ALIGNABLE_ANNOTATION"):
        assert times[annotation.get("TIME_SLOT_REF1")] < times[annotation.get("TIME_SLOT_REF2")]
    entries = {entry.get("CVE_ID") for entry in root.iter("CV_ENTRY_ML")}
    for annotation in root.iter("REF_ANNOTATION"):
        assert annotation.get("ANNOTATION_REF") in identifiers
        assert annotation.get("CVE_REF", next(iter(entries))) in entries


def test_events_that_overlap_get_tiers_of_their_own(session, tmp_path) -> None:
    review = Review.open(session, "Ann")
    review.add(35, 38, 45)
    review.save()
    eaf = pympi.Elan.Eaf(str(export_session(session, "eaf", tmp_path / "talk.eaf")))
    assert {"event", "event-2", "phase-2", "label-2"} <= set(eaf.get_tier_names())
    assert eaf.get_annotation_data_for_tier("event-2") == [(1167, 1500, "micro-expression")]


def test_boris_has_its_own_columns(session, tmp_path) -> None:
    text = export_session(session, "boris", tmp_path / "talk.tsv").read_text(encoding="utf-8")
    assert tuple(text.splitlines()[0].split("\t")) == BORIS_COLUMNS
    rows = rows_of(text, "\t")
    assert [(row["Behavior"], row["Start (s)"], row["Stop (s)"], row["Behavior type"]) for row in rows] == [
        ("surprise", "1.033", "1.333", "STATE"),
        ("positive", "2.367", "2.667", "STATE"),
        ("contempt", "3.000", "3.333", "STATE"),
    ]
    assert rows[0]["Subject"] == "p1"
    assert (rows[1]["Image index start"], rows[1]["Image index stop"]) == ("71", "80")
    assert (rows[0]["FPS (frame/s)"], rows[0]["Coding duration"]) == ("30.0", "3.967")


def test_subtitles(session, tmp_path) -> None:
    vtt = export_session(session, "vtt", tmp_path / "talk.vtt").read_text(encoding="utf-8")
    assert vtt.startswith("WEBVTT\n\n1\n00:00:01.033 --> 00:00:01.333\nconsistent with surprise (left mouth corner")
    srt = export_session(session, "srt", tmp_path / "talk.srt").read_text(encoding="utf-8")
    blocks = srt.strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == ["1", "2", "3"]
    assert blocks[2].split("\n")[1:] == ["00:00:03,000 --> 00:00:03,333", "consistent with contempt"]


def test_clips_show_the_frames_of_each_event_at_their_times(session, tmp_path) -> None:
    folder = export_session(session, "clips", tmp_path / "clips")
    assert sorted(path.name for path in folder.iterdir()) == ["event-1.mp4", "event-2.mp4", "event-4.mp4"]
    with av.open(str(folder / "event-1.mp4")) as container:
        frames = list(container.decode(video=0))
    numbers = [number_of(frame.to_ndarray(format="bgr24")) for frame in frames]
    assert numbers == list(range(16, 56))
    assert np.diff([frame.time for frame in frames]) == pytest.approx(1 / 30, abs=1e-3)


def test_animated_pictures_are_slow_and_show_the_face(session, tmp_path) -> None:
    folder = export_session(session, "gif", tmp_path / "gifs")
    with Image.open(folder / "event-2.gif") as picture:
        assert picture.n_frames == 40
        assert picture.info["duration"] == pytest.approx(133, abs=5)
        assert (picture.width, picture.height) < (128, 96)


def test_blurred_clips_hide_the_face_and_only_it(session, tmp_path) -> None:
    def first(folder: Path) -> np.ndarray:
        with av.open(str(folder / "event-1.mp4")) as container:
            return next(container.decode(video=0)).to_ndarray(format="bgr24").astype(int)

    plain = first(export_session(session, "clips", tmp_path / "plain"))
    hidden = first(export_session(session, "clips", tmp_path / "hidden", is_blurred=True))
    difference = np.abs(plain - hidden).mean(axis=2)
    assert difference[:, :10].mean() < 4
    assert difference[48:80, 55:105].mean() > 8


def test_a_report_is_one_page_with_everything_in_it(session, tmp_path) -> None:
    page = export_session(session, "report", tmp_path / "talk.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 6  # the added event has no pictures, the rejected one is out
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "cannot read thoughts" in page
    assert "ab" * 32 in page
    assert "consistent with surprise" in page
    assert "=1+1 &lt;&amp;&gt;" in page
    assert "before the correction" in page
    hidden = export_session(session, "report", tmp_path / "hidden.html", is_blurred=True).read_text(encoding="utf-8")
    assert page.split('src="')[1] != hidden.split('src="')[1]


def test_a_session_without_events_is_exported_too(tmp_path) -> None:
    with sessions.begin(tmp_path / "s") as writer:
        for index in range(3):
            writer.add_step(sessions.step(index))
    session = read_session(tmp_path / "s")
    for format in ("csv", "xlsx", "json", "eaf", "boris", "vtt", "srt", "report"):
        export_session(session, format, tmp_path / f"out.{format}")
    with pytest.raises(SessionError, match="no event to make a clip of"):
        export_session(session, "clips", tmp_path / "clips")


def test_what_is_refused(session, tmp_path) -> None:
    with pytest.raises(OutputError, match="no format 'doc'"):
        export_session(session, "doc", tmp_path / "x.doc")
    (tmp_path / "mine.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="left untouched"):
        export_session(session, "csv", tmp_path / "mine.csv")
    export_session(session, "csv", tmp_path / "mine.csv", exist_ok=True)
    with pytest.raises(OutputError, match="cannot write to"):
        export_session(session, "csv", tmp_path / "mine.csv" / "below.csv")
    session.media_path.unlink()
    with pytest.raises(SessionError, match="is not there"):
        export_session(session, "clips", tmp_path / "clips")
    assert not (tmp_path / "clips").exists()


def test_accepted_events_become_training_data(session, tmp_path) -> None:
    pytest.importorskip("torch")
    from model.readers import read_dataset

    folder = export_session(session, "manifest", tmp_path / "training")
    annotations = read_dataset("manifest", folder)
    assert [(s.subject, s.label, s.onset, s.apex, s.offset) for s in annotations.samples] == [
        ("p1", "surprise", 31, 35, 40),
        ("p1", "positive", 71, 76, 80),
        ("p1", "contempt", 90, 94, 100),
    ]
    assert annotations.notes == ()
    sample = annotations.samples[1]
    assert list(sample.frames) == list(range(71, 81))
    assert number_of(cv2.imread(str(sample.frames[76]))) == 76


def test_training_data_need_a_review_and_a_subject(tmp_path) -> None:
    video = write_video(tmp_path / "talk.mp4", [numbered_frame(n) for n in range(120)])
    session = read_session(sessions.write_session(tmp_path / "s", str(video), subject_id=""))
    with pytest.raises(SessionError, match="review the sessions first"):
        export_session(session, "manifest", tmp_path / "training")
    review = Review.open(session, "Ann")
    review.accept(1)
    review.save()
    with pytest.raises(SessionError, match="--subject ID"):
        export_session(session, "manifest", tmp_path / "training")
    assert not (tmp_path / "training").exists()


def test_every_format_has_a_suffix_or_makes_a_folder() -> None:
    assert {name for name, format in FORMATS.items() if not format.suffix} == {"clips", "gif", "magnified", "manifest"}
