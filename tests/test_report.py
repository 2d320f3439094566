"""What a run says of its network: scores by seed and group, the tables, the picture, the card."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pairs import make_pairs, tiny_config

from app.errors import OutputError
from model.report import Predictions, draw_confusion, pooled_scores, write_report

RIGHT = np.eye(3)


@pytest.fixture(scope="module")
def pairs():
    return make_pairs(9, "a")


def wrong(label: int) -> np.ndarray:
    return RIGHT[(label + 1) % 3]


def found(pairs, seed: int, errors: tuple[int, ...] = ()) -> list[Predictions]:
    """Two folds, of which the second comes first; `errors` are positions that are predicted wrongly."""
    parts = (("a_1", np.arange(3, 9)), ("a_0", np.arange(3)))
    return [
        Predictions(
            name, seed, part, np.array([wrong(pairs.label[i]) if i in errors else RIGHT[pairs.label[i]] for i in part])
        )
        for name, part in parts
    ]


def test_folds_are_pooled_whatever_their_order(pairs):
    scores = pooled_scores(pairs, found(pairs, 0, errors=(0, 4)))
    assert scores["accuracy"] == pytest.approx(7 / 9)
    # class 0 has one sample taken for class 1, class 1 one taken for class 2
    assert scores["confusion"] == [[2, 1, 0], [0, 2, 1], [0, 0, 3]]
    assert scores["uar"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores["uf1"] == pytest.approx((4 / 5 + 4 / 6 + 6 / 7) / 3)
    assert scores["sd"] is None
    only = scores["seeds"]["0"]
    assert only["by_class"]["negative"] == {"samples": 3, "f1": pytest.approx(4 / 5), "recall": pytest.approx(2 / 3)}
    assert only["by_subject"]["a0"]["accuracy"] == pytest.approx(2 / 3)
    assert only["by_subject"]["a2"] == {"samples": 3, "accuracy": 1.0, "uf1": 1.0, "uar": 1.0}
    assert list(only["by_dataset"]) == ["pairs"]


def test_several_seeds_give_mean_and_deviation(pairs):
    scores = pooled_scores(pairs, [*found(pairs, 0), *found(pairs, 1, errors=(0, 1, 2))])
    assert scores["accuracy"] == pytest.approx((1 + 6 / 9) / 2)
    assert scores["sd"]["accuracy"] == pytest.approx(np.std([1, 6 / 9], ddof=1))
    assert np.sum(scores["confusion"]) == 18


def test_files(pairs, tmp_path):
    config = replace(tiny_config(), training_data="noise", protocol="leave one subject out")
    predictions = [*found(pairs, 0, errors=(8,)), *found(pairs, 1)]
    write_report(tmp_path, config, pairs, predictions, settings={"CPU threads": 1})

    with (tmp_path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18
    assert list(rows[0])[:4] == ["key", "subject", "label", "predicted"]
    assert {(r["key"], r["label"], r["predicted"]) for r in rows if r["label"] != r["predicted"]} == {
        ("8", "surprise", "negative")
    }
    assert rows[0]["p_negative"] == "1.00000000"
    assert [row.split(",") for row in (tmp_path / "confusion.csv").read_text().splitlines()] == [
        ["true", "negative", "positive", "surprise"],
        ["negative", "6", "0", "0"],
        ["positive", "0", "6", "0"],
        ["surprise", "1", "0", "5"],
    ]
    card = json.loads((tmp_path / "card.json").read_text())
    classes = card["data"]["cross-validation"]["classes"]
    assert classes["positive"] == {"samples": 3, "subjects": 3, "emotions": ["positive"]}
    assert card["scores"]["accuracy"] == pytest.approx((1 + 8 / 9) / 2)
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "Noise." in text
    assert "Cross-validation: samples 9, subjects 3." in text
    assert "Protocol: leave one subject out." in text
    assert "0.9444 ± 0.0786" in text
    assert "| CPU threads | 1 |" in text
    assert "## Limits" in text
    assert "licences of their owners" in text


def test_scores_selected_on_the_test_stay_out_of_the_card(pairs, tmp_path):
    write_report(tmp_path, tiny_config(), pairs, found(pairs, 0), settings={}, note="No score: selected on the test.")
    assert json.loads((tmp_path / "scores.json").read_text())["accuracy"] == 1.0
    card = json.loads((tmp_path / "card.json").read_text())
    assert (card["scores"], card["by_class"]) == (None, None)
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "No score: selected on the test." in text
    assert "UF1" not in text
    assert "1.0000" not in text


def test_the_picture_shades_what_is_frequent(tmp_path):
    draw_confusion(tmp_path / "confusion.png", np.array([[9, 0], [0, 9]]), ("yes", "no"))
    image = cv2.imread(str(tmp_path / "confusion.png")).astype(int)
    assert min(image.shape[:2]) > 200
    is_dark_blue = (image[..., 0] > image[..., 2] + 40) & (image[..., 2] < 60)
    rows, columns = np.nonzero(is_dark_blue)
    # two cells on the diagonal: what is further down is further right
    assert is_dark_blue.mean() > 0.1
    assert np.corrcoef(rows, columns)[0, 1] > 0.5


def test_a_folder_that_is_gone_is_named(pairs, tmp_path):
    with pytest.raises(OutputError, match=r"gone.*cannot be written"):
        write_report(tmp_path / "gone", tiny_config(), pairs, found(pairs, 0), settings={})
