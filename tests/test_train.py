"""Training: pairs read and augmented, runs that learn, resume and score as they say."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.errors import DataError, ModelError, OutputError
from model import train as train_module
from model.checkpoint import load_checkpoint
from model.configs import CONFIGS, THREE_CLASSES, casme2_3class, casme2_5class, synthetic_3class
from model.dataset import Pairs, augment, load_pairs
from model.mmnet import MMNet
from model.train import evaluate, learning_rate, main, train


def pairs(count: int, people: str, seed: int = 0) -> Pairs:
    """Grey noise in which a bright patch at one of three heights appears: the height is the class."""
    rng = np.random.default_rng(seed)
    onset = rng.integers(60, 120, (count, 224, 224, 3), dtype=np.uint8)
    label = np.arange(count) % 3
    apex = onset.copy()
    for image, row in zip(apex, 30 + 70 * label, strict=True):
        image[row : row + 40, 60:160] += 80
    return Pairs(onset, apex, label, np.array([f"{people}{i % 3}" for i in range(count)]), THREE_CLASSES)


def save(path, part: Pairs, **changes):
    arrays = {name: getattr(part, name) for name in ("onset", "apex", "label", "subject")} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def tiny_config(**changes):
    config = synthetic_3class()
    recipe = {"epochs": 2, "batch_size": 4, "learning_rate": 3e-4, "warmup_steps": 0, "padding_px": 2} | changes
    return replace(config, recipe=replace(config.recipe, **recipe))


@pytest.fixture(scope="module")
def learn() -> Pairs:
    return pairs(6, "a")


@pytest.fixture(scope="module")
def held_out() -> Pairs:
    return pairs(3, "b", seed=1)


@pytest.fixture(scope="module")
def unbroken(learn, held_out, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "unbroken"
    return out, train(tiny_config(), learn, held_out, out, seed=3)


def test_a_run_leaves_its_numbers(unbroken, held_out):
    out, record = unbroken
    assert sorted(p.name for p in out.iterdir()) == [
        "checkpoint.safetensors",
        "config.json",
        "metrics.csv",
        "predictions.csv",
        "results.json",
    ]
    config = json.loads((out / "config.json").read_text())
    assert config["data"] == {"train_pairs": 6, "validate_pairs": 3, "train_people": 3, "validate_people": 3}
    assert config["recipe"]["batch_size"] == 4

    metrics = rows(out / "metrics.csv")
    assert [row["epoch"] for row in metrics] == ["1", "2"]
    assert {"train_loss", "validate_accuracy", "validate_uf1", "validate_uar"} <= set(metrics[0])

    predictions = rows(out / "predictions.csv")
    assert [row["subject"] for row in predictions] == held_out.subject.tolist()
    hits = sum(row["label"] == row["predicted"] for row in predictions)
    results = json.loads((out / "results.json").read_text())
    assert results["accuracy"] == hits / 3
    assert np.sum(results["confusion"]) == 3
    assert np.sum(results["control"]["confusion"]) == 3
    assert record.results == results


def test_a_resumed_run_ends_with_the_same_numbers(unbroken, learn, held_out, tmp_path, monkeypatch):
    whole, _ = unbroken
    real = train_module._train_epoch

    def cut_off(network, optimiser, part, record):
        if record.epochs_done == 1:
            raise KeyboardInterrupt
        return real(network, optimiser, part, record)

    monkeypatch.setattr(train_module, "_train_epoch", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config(), learn, held_out, tmp_path / "run", seed=3)
    monkeypatch.undo()
    assert load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")[2].epochs_done == 1
    train(tiny_config(), learn, held_out, tmp_path / "run", seed=3, resume=True)

    for name in ("metrics.csv", "predictions.csv", "results.json"):
        assert (tmp_path / "run" / name).read_text() == (whole / name).read_text()
    networks = [load_checkpoint(out / "checkpoint.safetensors")[0].state_dict() for out in (whole, tmp_path / "run")]
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


def test_the_checkpoint_holds_the_network_that_was_scored(unbroken, held_out):
    out, record = unbroken
    network, optimiser, found = load_checkpoint(out / "checkpoint.safetensors")
    assert found == record
    assert len(optimiser) == len(list(network.parameters()))
    probabilities = evaluate(network, held_out)
    saved = [float(row["p_surprise"]) for row in rows(out / "predictions.csv")]
    np.testing.assert_allclose(probabilities[:, 2], saved, atol=1e-4)


@pytest.mark.slow
def test_the_network_learns_a_dozen_pairs_by_heart(held_out, tmp_path):
    config = tiny_config(
        epochs=4, batch_size=2, learning_rate=1e-3, head_rate=0.01, flip_probability=0.0, colour_jitter=0.0, decay=0.6
    )
    history = train(config, pairs(12, "a"), held_out, tmp_path / "run").history
    assert history[-1]["train_accuracy"] > 0.9
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 3


def test_head_and_rest_learn_at_their_own_rates():
    network = MMNet(synthetic_3class().network)
    optimiser = train_module._optimiser(network, replace(synthetic_3class().recipe, head_rate=0.25))
    rates = {id(p): group["rate"] for group in optimiser.param_groups for p in group["params"]}
    assert len(rates) == len(list(network.parameters()))
    head = {name for name, p in network.named_parameters() if rates[id(p)] == 0.25}
    assert head == {"main_branch.fc.weight", "main_branch.fc.bias"}


def test_other_settings_are_not_resumed(unbroken, learn, held_out):
    out, _ = unbroken
    with pytest.raises(ModelError, match="other settings"):
        train(tiny_config(learning_rate=1e-5), learn, held_out, out, seed=3, resume=True)
    with pytest.raises(ModelError, match="other settings"):
        train(tiny_config(), pairs(7, "a"), held_out, out, seed=3, resume=True)


def test_a_finished_run_is_not_overwritten(unbroken, learn, held_out):
    out, _ = unbroken
    before = (out / "checkpoint.safetensors").read_bytes()
    with pytest.raises(OutputError, match="--resume"):
        train(tiny_config(), learn, held_out, out)
    assert (out / "checkpoint.safetensors").read_bytes() == before


def test_people_in_both_sets_are_refused(learn, tmp_path):
    with pytest.raises(DataError, match=r"a0.*by person"):
        train(tiny_config(), learn, pairs(3, "a", seed=2), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_diverged_run_says_so(learn, held_out, tmp_path):
    with pytest.raises(ModelError, match="lower --lr"):
        train(tiny_config(learning_rate=1e18), learn, held_out, tmp_path / "run")


def test_command_line(learn, held_out, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    files = [str(save(tmp_path / "a.npz", learn)), str(save(tmp_path / "b.npz", held_out))]
    out = tmp_path / "run"
    arguments = ["--pairs", files[0], "--validate", files[1], "--out", str(out), "--epochs", "1", "--batch", "3"]
    assert main([*arguments, "--lr", "1e-4", "--seed", "7"]) == 0
    record = load_checkpoint(out / "checkpoint.safetensors")[2]
    assert (record.seed, record.config.recipe.batch_size, record.config.recipe.learning_rate) == (7, 3, 1e-4)
    assert '"uf1"' in caplog.text
    assert main(arguments) == 1
    assert "--resume" in caplog.text
    assert main(["--pairs", "missing.npz", "--validate", files[1], "--out", str(tmp_path / "other")]) == 1
    assert "missing.npz" in caplog.text
    with pytest.raises(SystemExit):
        main([*arguments[:-1], "0"])


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_configuration_is_named_after_its_function(name):
    config = CONFIGS[name]()
    assert config.name == name
    assert config.recipe.epochs > 0


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


def test_augmentation_without_range_changes_nothing():
    onset, apex = smooth_pair()
    recipe = replace(casme2_3class().recipe, rotation_deg=0.0, padding_px=0, colour_jitter=0.0)
    first, second = augment(onset, apex, recipe, np.random.default_rng(0))
    np.testing.assert_array_equal(first, onset)
    np.testing.assert_array_equal(second, apex)


def test_pairs_are_read_back(learn, tmp_path):
    found = load_pairs(save(tmp_path / "pairs.npz", learn), THREE_CLASSES)
    for name in ("onset", "apex", "label", "subject"):
        np.testing.assert_array_equal(getattr(found, name), getattr(learn, name))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"apex": None}, "apex"),
        ({"onset": np.zeros((6, 100, 100, 3), np.uint8)}, "onset is"),
        ({"apex": np.zeros((6, 224, 224, 3), np.float32)}, "apex is .* float32"),
        ({"label": np.array([0, 1, 2, 3, 0, 0])}, "labels outside"),
        ({"subject": np.array(["a"])}, "1,"),
        ({"subject": np.array([None] * 6, dtype=object)}, "cannot be read"),
    ],
)
def test_unusable_pairs_are_refused(learn, tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        load_pairs(save(tmp_path / "pairs.npz", learn, **changes), THREE_CLASSES)


def test_files_that_hold_no_pairs_are_refused(learn, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_pairs(tmp_path / "missing.npz", THREE_CLASSES)
    (tmp_path / "text.npz").write_text("not an archive")
    (tmp_path / "empty.npz").write_bytes(b"")
    save(tmp_path / "cut.npz", learn)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:100_000])
    for name in ("text.npz", "empty.npz", "cut.npz"):
        with pytest.raises(DataError, match="cannot be read"):
            load_pairs(tmp_path / name, THREE_CLASSES)
    nothing = Pairs(learn.onset[:0], learn.apex[:0], learn.label[:0], learn.subject[:0], THREE_CLASSES)
    with pytest.raises(DataError, match="holds no pairs"):
        load_pairs(save(tmp_path / "nothing.npz", nothing), THREE_CLASSES)
