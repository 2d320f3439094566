"""Cross-validation: the same numbers however many processes and attempts it takes, and scores that are honest."""

from __future__ import annotations

import csv
import json
import logging
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
import torch
from pairs import Pairs, make_pairs, save_pairs, tiny_config

from app.errors import DataError, ModelError
from model import crossvalidate
from model.annotations import Sample
from model.checkpoint import load_checkpoint, read_record
from model.configs import CONFIGS
from model.crossvalidate import begin, plan, pool, train_final, train_folds
from model.fit import CHECKPOINT
from model.folds import PROTOCOLS
from model.labels import class_protocol
from model.prepared import OK, TABLE, PreparedSample, crop_folder, crop_name, table_text
from model.train import main

FILES = ("metrics.csv", "predictions.csv", "scores.json", "confusion.csv", "card.json")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Two people with two pairs each, of two classes."""
    return save_pairs(tmp_path_factory.mktemp("data") / "tiny", two_people())


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    assert main(arguments(data, out)) == 0
    return out


def arguments(data: Path, out: Path, *more: str) -> list[str]:
    return [str(data), "--out", str(out), "--epochs", "2", "--threads", "1", *more]


def content(out: Path) -> dict[str, str]:
    return {name: (out / name).read_text(encoding="utf-8") for name in FILES}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def two_people(seed: int = 0) -> Pairs:
    return replace(make_pairs(4, "p", seed), subject=np.array(["p0", "p0", "p1", "p1"]), label=np.array([0, 1, 0, 1]))


def four_people(count: int = 8) -> Pairs:
    """Four people with two pairs each, two of them from another data set."""
    pairs = make_pairs(count, "p")
    subject = np.array([f"{'ab'[i % 4 // 2]}/{i % 4}" for i in range(count)])
    return replace(pairs, subject=subject, dataset=np.array([name[0] for name in subject]))


def test_a_run_leaves_its_numbers(unbroken):
    assert sorted(p.name for p in unbroken.iterdir()) == sorted(
        [*FILES, "card.md", "config.json", "confusion.png", "folds"]
    )
    assert sorted(p.name for p in (unbroken / "folds").iterdir()) == ["p0", "p1"]
    fold = unbroken / "folds" / "p1" / "seed0"
    assert sorted(p.name for p in fold.iterdir()) == [CHECKPOINT, "metrics.csv", "predictions.csv", "tensorboard"]
    record = read_record(fold / CHECKPOINT)
    assert (record.fold, record.epochs_done, record.results["epoch"]) == ("p1", 2, 2)
    assert record.data["train_people"] == 1

    predictions = rows(unbroken / "predictions.csv")
    assert [(row["key"], row["fold"]) for row in predictions] == [
        (f"{number}_onset.png", f"p{number // 2}") for number in range(4)
    ]
    hits = sum(row["label"] == row["predicted"] for row in predictions)
    assert json.loads((unbroken / "scores.json").read_text())["accuracy"] == hits / 4
    assert [(r["fold"], r["epoch"]) for r in rows(unbroken / "metrics.csv")] == [
        (f, e) for f in ("p0", "p1") for e in "12"
    ]
    assert json.loads((unbroken / "config.json").read_text())["threads"] == 1


def test_processes_give_the_same_numbers(unbroken, data, tmp_path):
    out = tmp_path / "run"
    assert main(arguments(data, out, "--jobs", "2")) == 0
    assert content(out) == content(unbroken)
    networks = [load_checkpoint(run / "folds" / "p0" / "seed0" / CHECKPOINT)[0].state_dict() for run in (out, unbroken)]
    assert all(torch.equal(tensor, networks[1][name]) for name, tensor in networks[0].items())


def test_a_killed_run_ends_with_the_same_numbers(unbroken, data, tmp_path):
    """Both its processes end with the one that is killed, and the folds they had begun are gone on with."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "model.train", *arguments(data, out, "--jobs", "2")]
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers = []
    try:
        while not (out / "folds" / "p0" / "seed0" / CHECKPOINT).exists():
            assert process.poll() is None
            time.sleep(0.01)
        workers = process.children()
    finally:
        process.kill()
        process.wait()
    if sys.platform == "linux":
        assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert not (out / "scores.json").exists()
    assert main(arguments(data, out, "--resume")) == 0
    assert content(out) == content(unbroken)


def test_a_finished_run_trains_nothing_more(unbroken, data, monkeypatch):
    monkeypatch.setattr(crossvalidate, "fit", None)
    before = content(unbroken)
    assert main([a for a in arguments(data, unbroken, "--resume") if a not in ("--threads", "1")]) == 0
    assert content(unbroken) == before


def test_another_run_is_neither_overwritten_nor_continued(unbroken, data, tmp_path, caplog):
    before = content(unbroken)
    assert main(arguments(data, unbroken)) == 1
    assert "is not empty" in caplog.text
    assert main(arguments(data, unbroken, "--resume", "--lr", "1e-5")) == 1
    assert "other settings (config)" in caplog.text
    other = save_pairs(tmp_path / "tiny", two_people(seed=9))
    assert main(arguments(other, unbroken, "--resume")) == 1
    assert "other settings (data)" in caplog.text
    assert main(arguments(data, unbroken, "--resume", "--fold", "p7")) == 1
    assert "no fold p7; there are p0, p1" in caplog.text
    assert content(unbroken) == before


def test_damaged_predictions_are_named(unbroken, data, tmp_path, caplog):
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    file = out / "folds" / "p1" / "seed0" / "predictions.csv"
    for text, message in (
        ("key,subject\n2,p1\n", "cannot be read"),
        (file.read_text().replace("\n3_", "\n9_"), "other samples"),
    ):
        file.write_text(text)
        assert main(arguments(data, out, "--resume")) == 1
        assert message in caplog.text


def test_the_final_network_carries_the_scores_of_the_folds(unbroken, data, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(unbroken, out)
    assert main(arguments(data, out, "--resume", "--final")) == 0
    record = read_record(out / "final" / CHECKPOINT)
    scores = json.loads((out / "scores.json").read_text())
    assert record.data["train_pairs"] == 4
    assert record.epochs_done == 2
    assert {name: record.results[name] for name in ("accuracy", "uf1", "uar", "confusion")} == {
        name: scores[name] for name in ("accuracy", "uf1", "uar", "confusion")
    }
    assert "leave one subject out" in record.scored
    assert "2 folds" in record.scored
    assert "trained on everybody for 2 epochs" in record.scored


def scripted(monkeypatch) -> list[tuple[str, list[str], list[str] | None, object]]:
    """Replaces training and evaluation by a note of what was asked, and predictions that are always right."""
    asked = []

    def note(record, pairs, folder, *, validate=None, choice=None):
        people = sorted(set(validate.subject.tolist())) if validate is not None else None
        asked.append((record.fold, sorted(set(pairs.subject.tolist())), people, choice))
        row = {"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "validate_loss": 1.0, "validate_accuracy": 0.5}
        folder.mkdir(parents=True)
        return torch.nn.Linear(1, 1), replace(record, history=(row,) * 3)

    monkeypatch.setattr(crossvalidate, "fit", note)
    monkeypatch.setattr(crossvalidate, "evaluate", lambda _, pairs: np.eye(3)[pairs.label])
    return asked


def test_early_stopping_looks_at_training_subjects_only(monkeypatch, tmp_path):
    asked = scripted(monkeypatch)
    run = plan(tiny_config(), four_people(), PROTOCOLS["loso-early-stopping"], tmp_path / "run")
    train_folds(run)
    for fold, learned_from, watched, choice in asked:
        held_out = fold.replace("_", "/")
        assert len(watched) == 1
        assert sorted([held_out, *learned_from, *watched]) == ["a/0", "a/1", "b/2", "b/3"]
        assert choice.measure == "loss"
    assert len(asked) == 4
    scores = pool(run)
    train_final(run, scores)
    assert read_record(tmp_path / "run" / "final" / CHECKPOINT).config.recipe.epochs == 1


def test_the_paper_protocol_is_marked_as_selected_on_the_test(monkeypatch, tmp_path):
    asked = scripted(monkeypatch)
    run = plan(tiny_config(), four_people(), PROTOCOLS["paper"], tmp_path / "run")
    train_folds(run)
    assert [(fold.replace("_", "/"), choice.measure) for fold, *_, choice in asked] == [
        (watched[0], "accuracy") for _, _, watched, _ in asked
    ]
    scores = pool(run)
    assert "test-selected, for comparison only" in scores["protocol"]
    assert scores["note"]
    assert json.loads((run.out / "card.json").read_text())["scores"] is None
    with pytest.raises(ModelError, match="use loso"):
        train_final(run, scores)


def test_seeds_repeat_every_fold(monkeypatch, tmp_path):
    asked = scripted(monkeypatch)
    options = {"out": tmp_path / "run", "folds": 2, "seeds": (4, 5)}
    run = plan(tiny_config(), four_people(), PROTOCOLS["kfold"], **options)
    train_folds(run)
    assert [fold for fold, *_ in asked] == ["fold01", "fold02"] * 2
    scores = pool(run)
    assert list(scores["seeds"]) == ["4", "5"]
    assert scores["sd"] == {"accuracy": 0.0, "uf1": 0.0, "uar": 0.0}
    assert scores["protocol"] == "2 folds of subjects, fixed number of epochs"
    assert [row["seed"] for row in rows(run.out / "predictions.csv")] == ["4"] * 8 + ["5"] * 8


def test_data_sets_are_left_out_as_a_whole(monkeypatch, tmp_path):
    asked = scripted(monkeypatch)
    run = plan(tiny_config(), four_people(), PROTOCOLS["lodo"], tmp_path / "run")
    train_folds(run)
    assert [(fold, people) for fold, people, *_ in asked] == [("a", ["b/2", "b/3"]), ("b", ["a/0", "a/1"])]
    assert list(pool(run)["seeds"]["0"]["by_dataset"]) == ["a", "b"]


def test_a_fold_does_not_depend_on_those_before_it(unbroken, data, tmp_path):
    assert main(arguments(data, tmp_path / "run", "--fold", "p1")) == 0
    parts = [out / "folds" / "p1" / "seed0" / "predictions.csv" for out in (tmp_path / "run", unbroken)]
    assert parts[0].read_text() == parts[1].read_text()
    assert not (tmp_path / "run" / "folds" / "p0").exists()


def prepare(folder: Path, pairs: Pairs) -> Path:
    """Write a prepared data set by hand: each sample has two onset frames and one apex frame."""
    table = []
    for i, label in enumerate(pairs.label.tolist()):
        sample = Sample("casme2", pairs.subject[i], f"EP{i:02d}", 10, 20, None, ("happiness", "disgust")[label], "", {})
        crops = crop_folder(folder, sample.key)
        crops.mkdir(parents=True)
        for role, frame, crop in (("onset", 10, pairs.onset), ("onset", 11, pairs.apex), ("apex", 20, pairs.apex)):
            cv2.imwrite(str(crops / crop_name(role, frame)), crop[i])
        table.append(PreparedSample(sample, (10, 11), (20,), "by hand", OK))
    (folder / TABLE).write_text(table_text(table), encoding="utf-8")
    return folder


def test_prepared_data_are_trained_on(tmp_path, caplog):
    folder, out = prepare(tmp_path / "prepared", two_people()), tmp_path / "run"
    assert main(arguments(folder, out)) == 1
    assert "synthetic has no classes for prepared data" in caplog.text
    classes = tmp_path / "mine.csv"
    classes.write_text("emotion,class\nhappiness,up\ndisgust,down\n", encoding="utf-8")
    options = ["--config", "casme2_5class", "--classes", str(classes), "--fold", "casme2_p1", "--epochs", "1"]
    assert main(arguments(folder, out, *options)) == 0
    record = read_record(out / "folds" / "casme2_p1" / "seed0" / CHECKPOINT)
    assert record.config.network.class_names == ("up", "down")
    assert record.config.network.position_blocks == 2
    assert record.config.training_data == "casme2; classes mine"
    assert record.crop_recipe == "by hand"
    predictions = rows(out / "folds" / "casme2_p1" / "seed0" / "predictions.csv")
    assert [(row["key"], row["label"]) for row in predictions] == [
        ("casme2/p1/EP02/10", "up"),
        ("casme2/p1/EP03/10", "down"),
    ]


def test_several_files_of_pairs_are_refused(data, tmp_path, caplog):
    assert main([str(data), *arguments(data, tmp_path / "run")]) == 1
    assert "given alone" in caplog.text


@pytest.mark.parametrize("name", sorted({name for name in CONFIGS if not name.startswith("synthetic")}))
def test_configurations_and_class_protocols_agree(name):
    config = CONFIGS[name]()
    assert class_protocol(config.classes).class_names == config.network.class_names


def test_a_class_of_one_subject_is_named(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    pairs = replace(four_people(), label=np.array([0, 1, 0, 1, 0, 1, 2, 1]))
    begin(plan(tiny_config(), pairs, PROTOCOLS["loso"], tmp_path / "run"), resume=False)
    assert "All samples of surprise are of one subject" in caplog.text


def test_one_class_alone_is_refused(tmp_path):
    pairs = replace(four_people(), label=np.zeros(8, np.int64))
    with pytest.raises(DataError, match="one class"):
        plan(tiny_config(), pairs, PROTOCOLS["loso"], tmp_path / "run")


def test_a_worker_that_fails_is_named_and_the_others_end(monkeypatch, tmp_path):
    run = plan(tiny_config(), four_people(), PROTOCOLS["loso"], tmp_path / "run")
    script = tmp_path / "worker.py"
    script.write_text(
        "import sys, time\n"
        "if 'a_0' in sys.argv: sys.exit('The loss is no longer finite.')\n"
        "time.sleep(60)\n"
    )  # fmt: skip
    start = time.monotonic()
    with pytest.raises(ModelError, match=r"a_0.*no longer finite.*log\.txt.*--resume"):
        train_folds(run, 2, [sys.executable, str(script)])
    assert time.monotonic() - start < 30
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(ModelError, match=r"signal 9.*fewer --jobs"):
        train_folds(run, 2, [sys.executable, str(script)])
