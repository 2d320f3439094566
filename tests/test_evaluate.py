"""`mmnet evaluate`: real pictures through tracker, aligner and ONNX Runtime to a table and its scores."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.config import RecognitionConfig
from app.errors import DataError
from app.face.alignment import AS_IS_RECIPE, CROP_RECIPE
from app.recognition.classifier import Classifier
from model.evaluate import main
from model.prepared import PreparedPairs
from model.score_pairs import ScoredPair, by_column, classify_prepared, verification

# What the tiny network of the tests votes for: the colour that rises from onset to apex.
RISES = {"negative": 2, "positive": 1, "surprise": 0}


@pytest.fixture
def pictures(tmp_path, astronaut_bgr) -> Path:
    """Whole pictures of one face: one of the three colours is stronger in each apex."""
    cv2.imwrite(str(tmp_path / "onset.png"), astronaut_bgr)
    for name, channel in RISES.items():
        apex = astronaut_bgr.astype(np.int16)
        apex[..., channel] += 20
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.clip(apex, 0, 255).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 90, np.uint8))
    return tmp_path


def manifest(folder: Path, *rows: str, header: str = "subject,onset,apex,label") -> Path:
    path = folder / "manifest.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def run(pictures: Path, network_path: Path, *arguments: str) -> int:
    given = ["pairs", str(pictures / "manifest.csv"), "--out", str(pictures / "out" / "predictions.csv")]
    return main([*given, "--model", str(network_path), "--device", "cpu", *arguments])


def test_every_pair_gets_a_row_and_a_score(pictures, network_path, capsys):
    manifest(
        pictures,
        "a,onset.png,positive.png,Positive",
        "a,onset.png,negative.png,negative",
        "b,onset.png,surprise.png,negative",
        "b,onset.png,surprise.png,",
    )
    assert run(pictures, network_path) == 0
    found = rows(pictures / "out" / "predictions.csv")
    assert [row["predicted"] for row in found] == ["positive", "negative", "surprise", "surprise"]
    assert [row["label"] for row in found] == ["positive", "negative", "negative", ""]
    assert [row["subject"] for row in found] == ["a", "a", "b", "b"]
    assert float(found[0]["p_positive"]) > 0.99
    assert sum(float(found[0][f"p_{name}"]) for name in RISES) == pytest.approx(1, abs=1e-5)
    said = capsys.readouterr().out
    assert "accuracy 0.6667" in said
    assert "(3 pairs with a label)" in said


def test_a_pair_without_a_face_is_a_row_with_the_reason_and_an_exit_code(pictures, network_path, caplog):
    manifest(pictures, "a,wall.png,positive.png,positive", "a,gone.png,positive.png,", "a,onset.png,positive.png,")
    assert run(pictures, network_path) == 1
    wall, gone, good = rows(pictures / "out" / "predictions.csv")
    assert (wall["predicted"], wall["problem"]) == ("", "onset: no face")
    assert "gone.png" in gone["problem"]
    assert good["predicted"] == "positive"
    assert "2 of 3 pairs" in caplog.text


def test_crops_as_they_are_need_no_face(pictures, network_path):
    for name, red in (("dark", 60), ("light", 90)):
        cv2.imwrite(str(pictures / f"{name}.png"), np.full((280, 230, 3), (60, 60, red), np.uint8))
    manifest(pictures, "a,dark.png,light.png", header="subject,onset,apex")
    assert run(pictures, network_path, "--crops", "as-is") == 0
    (row,) = rows(pictures / "out" / "predictions.csv")
    assert (row["predicted"], row["problem"]) == ("negative", "")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,onset.png,positive.png,joy"], "line 2: 'joy' is no class of the network"),
        ([], "has no rows"),
    ],
)
def test_a_manifest_that_does_not_fit(pictures, network_path, caplog, lines, message):
    manifest(pictures, *lines)
    assert run(pictures, network_path) == 1
    assert message in caplog.text
    assert not (pictures / "out").exists()


def test_a_manifest_without_its_columns(pictures, network_path, caplog):
    manifest(pictures, "1,2", header="onset,apex")
    assert run(pictures, network_path) == 1
    assert "no column subject" in caplog.text


def scored(label: str, predicted: str, **facts: str) -> ScoredPair:
    names = ("negative", "positive", "none")
    probabilities = np.where(np.array(names) == predicted, 0.8, 0.1)
    return ScoredPair("a", "b", "c", label, probabilities, facts=facts)


def test_a_network_with_none_is_scored_as_a_verifier():
    pairs = [
        *[scored("negative", "negative")] * 3,
        *(scored("negative", "none"), scored("positive", "positive"), scored("positive", "negative")),
        *(scored("none", "none"), scored("none", "positive")),
    ]
    found = verification(pairs, ("negative", "positive", "none"))
    assert found.lost == pytest.approx(1 / 6)
    assert found.found_none == 0.5
    assert found.uf1 == pytest.approx((6 / 8 + 2 / 3) / 2)
    assert found.calibration_error == pytest.approx(0.8 - 5 / 8)
    assert verification(pairs[:6], ("negative", "positive", "none")) is None
    assert verification(pairs[:3], ("negative", "positive")) is None


def test_scores_by_a_column():
    names = ("negative", "positive", "none")
    pairs = [scored("none", "none", kind="blink", size=str(i)) for i in range(20)]
    pairs += [scored("negative", "positive", kind="micro", size=str(i)) for i in range(20, 40)]
    assert by_column(pairs, names, "kind") == [("blink", 20, 1.0, 1.0), ("micro", 20, 0.0, 0.0)]
    assert [(group, samples, accuracy) for group, samples, accuracy, _ in by_column(pairs, names, "size")] == [
        ("below 19.5", 20, 1.0),
        ("from 19.5", 20, 0.0),
    ]
    with pytest.raises(DataError, match="No pair has a value in the column 'age'"):
        by_column(pairs, names, "age")


def test_groups_are_printed(pictures, network_path, capsys):
    manifest(
        pictures,
        *("a,onset.png,positive.png,positive,f", "b,onset.png,negative.png,positive,m"),
        header="subject,onset,apex,label,sex",
    )
    assert run(pictures, network_path, "--by", "sex") == 0
    said = capsys.readouterr().out
    assert "by sex:" in said
    assert re.search(r"f +1  accuracy 1.000", said)
    assert re.search(r"m +1  accuracy 0.000", said)


def prepared(class_names=("negative", "positive", "surprise"), recipe=CROP_RECIPE) -> PreparedPairs:
    onset = np.full((1, 224, 224, 3), 100, np.uint8)
    apex = onset.copy()
    apex[..., 1] += 30
    text = np.array(["casme2/1/EP01/5"])
    label = np.array([1])
    return PreparedPairs((onset,), (apex,), label, text, text, text, text, class_names, recipe)


class TestPrepared:
    @pytest.fixture
    def classifier(self, network_path):
        with Classifier(RecognitionConfig(network_path, "cpu")) as opened:
            yield opened

    def test_key_frames_are_classified(self, classifier):
        (pair,) = classify_prepared(prepared(), classifier)
        assert pair.label == "positive"
        assert pair.probabilities.argmax() == 1

    def test_other_classes_are_refused(self, classifier):
        with pytest.raises(DataError, match="Choose the protocol of the network"):
            classify_prepared(prepared(("positive", "negative", "surprise")), classifier)

    def test_other_crops_are_refused(self, classifier):
        with pytest.raises(DataError, match="learned from other crops"):
            classify_prepared(prepared(recipe=AS_IS_RECIPE), classifier)


def test_spotting_prints_a_report(tmp_path, capsys):
    folder = tmp_path / "results" / "talk"
    folder.mkdir(parents=True)
    (folder / "events.csv").write_text("onset_frame,apex_frame,offset_frame,label\n10,14,20,positive\n")
    (folder / "frames.csv").write_text("frame,timestamp\n" + "".join(f"{i},{i / 30:.6f}\n" for i in range(1801)))
    (tmp_path / "truth.csv").write_text("media_file,onset_frame,offset_frame\ntalk.mp4,100,110\n")
    arguments = ["spotting", str(tmp_path / "results"), "--truth", str(tmp_path / "truth.csv")]
    assert main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["f1"], report["false_alarms_per_minute"]) == (0.0, pytest.approx(1.0))
    assert main(arguments) == 0
    assert "false alarms per minute    1" in capsys.readouterr().out
