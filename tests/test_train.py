"""Training on given people: pairs read and augmented, what a run leaves, what the command line refuses."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from pairs import Pairs, make_pairs, save_pairs, tiny_config

from app.errors import DataError, ModelError, OutputError
from model.checkpoint import load_checkpoint
from model.configs import CONFIGS, THREE_CLASSES, casme2_3class, casme2_5class, samm_3class, samm_5class
from model.dataset import PairDataset, augment, load_pairs
from model.export import provenance_of
from model.fit import evaluate, learning_rate
from model.train import main, train


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def learn() -> Pairs:
    return make_pairs(4, "a")


@pytest.fixture(scope="module")
def held_out() -> Pairs:
    return make_pairs(3, "b", seed=1)


@pytest.fixture(scope="module")
def run(learn, held_out, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return out, train(tiny_config(epochs=1), learn, held_out, out, seed=3)


def test_a_run_leaves_its_numbers(run, held_out):
    out, record = run
    assert sorted(p.name for p in out.iterdir()) == [
        "card.json",
        "card.md",
        "checkpoint.safetensors",
        "config.json",
        "confusion.csv",
        "confusion.png",
        "metrics.csv",
        "predictions.csv",
        "scores.json",
        "tensorboard",
    ]
    config = json.loads((out / "config.json").read_text())
    assert config["data"] == {
        "train_pairs": 3,
        "calibrate_pairs": 1,
        "validate_pairs": 3,
        "train_people": 1,
        "calibrate_people": 1,
        "validate_people": 1,
    }
    assert (config["seed"], config["threads"], config["recipe"]["batch_size"]) == (3, 1, 4)

    card = (out / "card.md").read_text(encoding="utf-8")
    assert "Training: samples 3, subjects 1." in card
    assert "Test: samples 3, subjects 1." in card

    metrics = rows(out / "metrics.csv")
    assert [row["epoch"] for row in metrics] == ["1"]
    assert {"train_loss", "validate_accuracy", "validate_uf1", "validate_uar"} <= set(metrics[0])

    predictions = rows(out / "predictions.csv")
    assert [row["subject"] for row in predictions] == held_out.subject.tolist()
    hits = sum(row["label"] == row["predicted"] for row in predictions)
    scores = json.loads((out / "scores.json").read_text())
    assert scores["accuracy"] == hits / 3
    assert np.sum(scores["confusion"]) == 3
    assert np.sum(scores["control"]["confusion"]) == 3
    assert {name: scores[name] for name in record.results} == record.results
    assert scores["calibration"] == {"temperature": record.calibration.temperature, "none_bias": 0.0}
    assert 0 <= scores["calibration_error"] <= 1


def test_the_checkpoint_holds_the_network_that_was_scored(run, held_out):
    out, record = run
    network, optimiser, found = load_checkpoint(out / "checkpoint.safetensors")
    assert found == record
    assert optimiser == {}
    probabilities = record.calibration.applied(evaluate(network, held_out), THREE_CLASSES)
    saved = [float(row["p_surprise"]) for row in rows(out / "predictions.csv")]
    np.testing.assert_allclose(probabilities[:, 2], saved, atol=1e-4)


def test_a_run_can_be_exported(run):
    said = provenance_of(run[1])
    assert said.name == "synthetic"
    assert set(said.scores) == {"accuracy", "uf1", "uar", "confusion"}


def test_a_finished_run_is_not_repeated(run, learn, held_out):
    out, record = run
    before = (out / "checkpoint.safetensors").read_bytes()
    with pytest.raises(OutputError, match="--resume"):
        train(tiny_config(epochs=1), learn, held_out, out, seed=3)
    assert train(tiny_config(epochs=1), learn, held_out, out, seed=3, resume=True) == record
    assert (out / "checkpoint.safetensors").read_bytes() == before


def test_other_settings_are_not_resumed(run, learn, held_out):
    out, _ = run
    with pytest.raises(ModelError, match="other settings"):
        train(tiny_config(epochs=1, learning_rate=1e-5), learn, held_out, out, seed=3, resume=True)
    with pytest.raises(ModelError, match="other settings"):
        train(tiny_config(epochs=1), make_pairs(5, "a"), held_out, out, seed=3, resume=True)


def test_a_run_begins_with_the_weights_of_another(run, learn, held_out, tmp_path):
    start = run[0] / "checkpoint.safetensors"
    config = tiny_config(epochs=1, learning_rate=0.0)
    record = train(config, learn, held_out, tmp_path / "next", seed=4, start=start)
    assert len(record.started_from) == 64
    before, after = (load_checkpoint(p)[0].state_dict() for p in (start, tmp_path / "next" / "checkpoint.safetensors"))
    for name in ("conv_act.0.weight", "main_branch.fc.weight", "vit_pos.pos_embed"):
        assert torch.equal(before[name], after[name])
    with pytest.raises(ModelError, match="other settings"):
        train(config, learn, held_out, tmp_path / "next", seed=4, resume=True)
    other = replace(config, network=replace(config.network, position_blocks=1))
    with pytest.raises(ModelError, match="other classes or depth"):
        train(other, learn, held_out, tmp_path / "other", start=start)
    assert not (tmp_path / "other").exists()


def test_people_in_both_sets_are_refused(learn, tmp_path):
    with pytest.raises(DataError, match=r"a0.*by person"):
        train(tiny_config(), learn, make_pairs(3, "a", seed=2), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_made_is_named(learn, held_out, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file.*another --out"):
        train(tiny_config(), learn, held_out, tmp_path / "file" / "run")


def test_command_line(learn, held_out, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    files = [str(save_pairs(tmp_path / "a", learn)), str(save_pairs(tmp_path / "b", held_out))]
    out = tmp_path / "run"
    arguments = ["--pairs", files[0], "--validate", files[1], "--out", str(out), "--epochs", "1", "--batch", "3"]
    arguments += ["--threads", "1"]
    assert main([*arguments, "--lr", "1e-4", "--seed", "7"]) == 0
    record = load_checkpoint(out / "checkpoint.safetensors")[2]
    assert (record.seed, record.config.recipe.batch_size, record.config.recipe.learning_rate) == (7, 3, 1e-4)
    assert '"uf1"' in caplog.text
    assert main(arguments) == 1
    assert "--resume" in caplog.text
    assert main(["--pairs", "missing", "--validate", files[1], "--out", str(tmp_path / "other")]) == 1
    assert "missing" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give PREPARED folders"),
        (["--pairs", "a"], "give PREPARED folders"),
        (["a", "--pairs", "a", "--validate", "b"], "give PREPARED folders"),
        (["a", "--protocol", "paper", "--final"], "not selected on the test"),
        (["a", "--epochs", "0"], "less than 1"),
        (["a", "--seed", "-1"], "less than 0"),
    ],
)
def test_command_line_refuses(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main([*arguments, "--out", str(tmp_path / "run")])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_configuration_is_named_after_its_function(name):
    config = CONFIGS[name]()
    assert config.name == name
    assert config.recipe.epochs > 0


def test_derived_configurations_keep_the_closest_published_recipe():
    assert samm_5class().recipe == casme2_5class().recipe
    assert samm_3class().recipe == casme2_3class().recipe
    assert samm_5class().network.position_blocks == 2
    assert samm_3class().network.class_names == THREE_CLASSES


def test_published_recipes():
    five, three = casme2_5class().recipe, casme2_3class().recipe
    assert (five.epochs, five.batch_size, five.weight_decay) == (74, 32, 0.6)
    assert (five.flip_probability, five.rotation_deg, five.padding_px) == (0.5, 3.0, 15)
    assert (three.epochs, three.batch_size, three.weight_decay) == (99, 24, 0.7)
    assert (three.flip_probability, three.rotation_deg, three.padding_px) == (0.0, 4.0, 4)
    rates = [learning_rate(three, epoch, step=1000) for epoch in (0, 1, 50, 51, 98)]
    assert rates == pytest.approx([8e-4, 8e-4 * 0.987, 8e-4 * 0.987**50, 8e-4 * 0.987**50, 8e-4 * 0.987**50])


def test_learning_rate_warms_up():
    recipe = replace(casme2_3class().recipe, warmup_steps=4)
    assert [learning_rate(recipe, 0, step) for step in range(6)] == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4, 8e-4, 8e-4])


def test_pairs_are_drawn_from_seed_and_position_alone(learn):
    recipe = casme2_5class().recipe
    first = [PairDataset(learn, recipe, seed=(1, 2))[i] for i in (0, 1, 2)]
    again = [PairDataset(learn, recipe, seed=(1, 2))[i] for i in (2, 1, 0)][::-1]
    other = PairDataset(learn, recipe, seed=(1, 3))[0]
    for (onset, apex, label), (onset_again, apex_again, label_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(onset, onset_again)
        np.testing.assert_array_equal(apex, apex_again)
        assert label == label_again
    assert not np.array_equal(first[0][0], other[0])


def test_the_control_does_not_move(learn):
    onset, apex, _ = PairDataset(learn, is_still=True)[1]
    np.testing.assert_array_equal(onset, apex)
    np.testing.assert_array_equal(onset, learn.onset[1])


def test_a_subset_keeps_names_with_their_pairs(learn):
    part = learn.subset(np.array([3, 1]))
    assert (part.key.tolist(), part.label.tolist()) == (["3", "1"], [0, 1])
    np.testing.assert_array_equal(part.centre(0)[1], learn.apex[3])


def smooth_pair() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:224, :224]
    onset = np.stack([rows, columns, (rows + columns) // 2], axis=-1).astype(np.uint8)
    apex = onset.copy()
    apex[100:124, 40:64] //= 2
    return onset, apex


def test_augmentation_is_shared_by_both_frames():
    onset, _ = smooth_pair()
    changed = 0
    for seed in range(20):
        first, second = augment(onset, onset.copy(), casme2_5class().recipe, np.random.default_rng(seed))
        np.testing.assert_array_equal(first, second)
        changed += not np.array_equal(first, onset)
    assert changed == 20


def test_augmentation_keeps_what_moved_and_where():
    onset, apex = smooth_pair()
    recipe = replace(casme2_5class().recipe, colour_jitter=0.0)
    columns = []
    for seed in range(30):
        both = augment(onset, apex, recipe, np.random.default_rng(seed)).astype(int)
        rows, cols = np.nonzero(np.abs(both[0] - both[1]).sum(axis=-1) > 40)
        assert abs(rows.mean() - 112) < 20
        assert len(rows) == pytest.approx(24 * 24, rel=0.15)
        columns.append(cols.mean())
    mirrored = np.array(columns) > 112
    assert 5 < mirrored.sum() < 25
    assert np.abs(np.array(columns)[mirrored] - (223 - 51.5)).max() < 20
    assert np.abs(np.array(columns)[~mirrored] - 51.5).max() < 20


def test_now_and_then_nothing_moves_and_is_called_none(learn):
    pairs = replace(learn, class_names=(*THREE_CLASSES, "none"))
    recipe = replace(tiny_config().recipe, still_probability=0.5)
    drawn = [PairDataset(pairs, recipe, seed=(seed,))[i] for seed in range(10) for i in range(4)]
    still = [(onset == apex).all() for onset, apex, _ in drawn]
    assert 10 < sum(still) < 30
    assert all((label == 3) == is_still for (_, _, label), is_still in zip(drawn, still, strict=True))


def test_a_weaker_and_a_stronger_movement_are_drawn(learn):
    recipe = replace(
        tiny_config().recipe, intensity_jitter=0.5, rotation_deg=0.0, padding_px=0, colour_jitter=0.0,
        flip_probability=0.0, grey_probability=0.0,
    )  # fmt: skip
    onset = np.full((224, 224, 3), 100, np.uint8)
    steps = [
        augment(onset, onset + np.uint8(40), recipe, np.random.default_rng(seed))[1].mean() - 100 for seed in range(30)
    ]
    assert 40 * np.exp(-0.5) - 1 < min(steps) < 34
    assert 46 < max(steps) < 40 * np.exp(0.5) + 1


def test_augmentation_without_range_changes_nothing():
    onset, apex = smooth_pair()
    recipe = replace(casme2_3class().recipe, rotation_deg=0.0, padding_px=0, colour_jitter=0.0)
    first, second = augment(onset, apex, recipe, np.random.default_rng(0))
    np.testing.assert_array_equal(first, onset)
    np.testing.assert_array_equal(second, apex)


def test_pairs_are_read_back(learn, tmp_path):
    found = load_pairs(save_pairs(tmp_path / "pairs", learn), THREE_CLASSES)
    assert found.label.tolist() == learn.label.tolist()
    assert found.subject.tolist() == learn.subject.tolist()
    for index in range(len(learn)):
        for ours, theirs in zip(found.centre(index), learn.centre(index), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert len(load_pairs(tmp_path / "pairs", ("negative", "positive"))) == (learn.label < 2).sum()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("onset,apex,subject\na.png,b.png,c\n", "lacks the column label"),
        ("onset,apex,subject,label\n", "no pairs of the classes negative, positive, surprise"),
        ("onset,apex,subject,label\na.png,b.png,c,joy\n", "no pairs of the classes"),
        ("onset,apex,subject,label,crop_recipe\na,b,c,negative,x\na,b,c,negative,y\n", "different ways"),
        ("\0\n\udcff", "cannot be read|lacks the column"),
    ],
)
def test_unusable_tables_of_pairs_are_refused(tmp_path, table, message):
    (tmp_path / "manifest.csv").write_bytes(table.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message):
        load_pairs(tmp_path, THREE_CLASSES)


def test_unusable_pictures_are_named(learn, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_pairs(tmp_path / "missing", THREE_CLASSES)
    pairs = load_pairs(save_pairs(tmp_path / "pairs", learn), THREE_CLASSES)
    (tmp_path / "pairs" / "1_apex.png").write_text("not a picture")
    cv2.imwrite(str(tmp_path / "pairs" / "0_onset.png"), np.zeros((100, 100, 3), np.uint8))
    with pytest.raises(DataError, match=r"0_onset.png is 100×100"):
        pairs.centre(0)
    with pytest.raises(DataError, match=r"1_apex.png"):
        pairs.centre(1)
