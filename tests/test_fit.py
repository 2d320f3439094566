"""One network: it learns, stops, chooses and resumes as it says, and nothing saved is ever lost."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from pairs import Pairs, make_pairs, tiny_config
from safetensors.torch import save_file
from torch import nn

from app.errors import ModelError, OutputError
from model import fit as fit_module
from model.checkpoint import RunRecord, load_checkpoint, read_record, save_checkpoint, written_whole
from model.configs import casme2_3class, synthetic
from model.fit import CHECKPOINT, Choice, evaluate, fit, make_optimiser, random_seed, write_rows
from model.mmnet import MMNet


def record(**changes) -> RunRecord:
    return RunRecord(tiny_config(**changes), seed=3, data={"train_pairs": 4}, fold="a_1")


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return make_pairs(2, "a")


@pytest.fixture(scope="module")
def unbroken(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit") / "unbroken"
    return folder, *fit(record(), pairs, folder)


def test_a_resumed_fit_ends_with_the_same_network(unbroken, pairs, tmp_path, monkeypatch):
    whole, network, finished = unbroken
    train_epoch = fit_module._train_epoch

    def cut_off(network, optimiser, part, record, bar):
        if record.epochs_done == 1:
            raise KeyboardInterrupt
        return train_epoch(network, optimiser, part, record, bar)

    monkeypatch.setattr(fit_module, "_train_epoch", cut_off)
    with pytest.raises(KeyboardInterrupt):
        fit(record(), pairs, tmp_path)
    monkeypatch.undo()
    assert read_record(tmp_path / CHECKPOINT).epochs_done == 1
    (tmp_path / f"{CHECKPOINT}.17.tmp").write_bytes(b"what a kill leaves behind")

    resumed, found = fit(record(), pairs, tmp_path)
    assert found == finished
    assert (tmp_path / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    assert all(torch.equal(tensor, resumed.state_dict()[name]) for name, tensor in network.state_dict().items())
    assert sorted(p.name for p in tmp_path.iterdir()) == [CHECKPOINT, "metrics.csv", "tensorboard"]


def test_each_epoch_is_logged(unbroken):
    folder, _, finished = unbroken
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["train_loss"]) == finished.history[1]["train_loss"]
    assert all(file.stat().st_size > 100 for file in (folder / "tensorboard").iterdir())


def test_seed_and_fold_decide_where_a_network_begins(pairs, tmp_path):
    nothing = record(epochs=0)
    first, again, other_seed, other_fold = (
        fit(part, pairs, tmp_path / str(i))[0].state_dict()["conv_act.0.weight"]
        for i, part in enumerate((nothing, nothing, replace(nothing, seed=4), replace(nothing, fold="a_2")))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other_seed)
    assert not torch.equal(first, other_fold)
    assert random_seed(3, "a_1") != random_seed(3, "a_2")


def test_the_best_epoch_is_kept(pairs, tmp_path, monkeypatch):
    """Losses are scripted, so that the best epoch is not the last."""
    losses = iter([0.9, 0.4, 0.7, 0.6, 0.5])
    scores = fit_module.scores_of
    monkeypatch.setattr(fit_module, "scores_of", lambda *given: scores(*given) | {"loss": next(losses)})
    weights = []

    def no_training(network, *_):
        with torch.no_grad():
            network.main_branch.fc.bias += 1
        weights.append(network.main_branch.fc.bias.clone())
        return {"train_loss": 1.0, "train_accuracy": 0.0}

    monkeypatch.setattr(fit_module, "_train_epoch", no_training)
    one = pairs.subset(np.array([0]))
    network, found = fit(record(epochs=9), pairs, tmp_path, validate=one, choice=Choice("loss", patience=2))
    assert found.epochs_done == 4
    assert torch.equal(network.main_branch.fc.bias, weights[1])


def test_choice():
    history = [{"validate_loss": loss, "validate_accuracy": hits} for loss, hits in ((3, 0.2), (1, 0.5), (2, 0.5))]
    assert Choice("loss", 2).epoch(history) == 2
    assert Choice("accuracy", None).epoch(history) == 2
    assert not Choice("loss", 2).is_over(history)
    assert Choice("loss", 1).is_over(history)
    assert not Choice("accuracy", None).is_over(history)
    assert not Choice("loss", 1).is_over([])


@pytest.mark.slow
def test_the_network_learns_three_pairs_by_heart(tmp_path):
    recipe = {"epochs": 8, "batch_size": 3, "learning_rate": 1e-3, "head_rate": 0.002, "decay": 0.9, "warmup_steps": 4}
    still = {"flip_probability": 0.0, "rotation_deg": 0.0, "padding_px": 0, "colour_jitter": 0.0}
    history = fit(record(**recipe, **still), make_pairs(3, "a"), tmp_path)[1].history
    assert history[-1]["train_accuracy"] == 1.0
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 2


def test_head_and_rest_learn_at_their_own_rates():
    network = MMNet(synthetic().network)
    optimiser = make_optimiser(network, replace(synthetic().recipe, head_rate=0.25))
    rates = {id(p): group["rate"] for group in optimiser.param_groups for p in group["params"]}
    assert len(rates) == len(list(network.parameters()))
    head = {name for name, p in network.named_parameters() if rates[id(p)] == 0.25}
    assert head == {"main_branch.fc.weight", "main_branch.fc.bias"}


def test_a_diverged_loss_says_so(pairs, tmp_path):
    with pytest.raises(ModelError, match=r"no longer finite.*lower --lr"):
        fit(record(learning_rate=1e18, batch_size=1), pairs, tmp_path)


def test_outputs_that_are_not_finite_say_so(pairs):
    network = MMNet(casme2_3class().network)
    nn.init.constant_(network.main_branch.fc.bias, torch.nan)
    with pytest.raises(ModelError, match=r"no longer finite.*lower --lr"):
        evaluate(network, pairs)


def test_a_checkpoint_of_other_settings_is_not_resumed(unbroken, pairs):
    folder = unbroken[0]
    for other in (record(weight_decay=0.1), replace(record(), seed=4), replace(record(), fold="a_2")):
        with pytest.raises(ModelError, match="other settings"):
            fit(other, pairs, folder)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_is_not_opened(tmp_path, legacy):
    path = tmp_path / CHECKPOINT
    torch.save({"weight": torch.zeros(3)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelError, match=r"torch\.save.*run any code.*checkpoint\.safetensors"):
        load_checkpoint(path)


def test_a_checkpoint_without_the_later_fields_is_read(tmp_path):
    """Fields that came after the first runs have defaults."""
    values = json.loads(record().dumps())
    for name in ("fold", "scored", "crop_recipe"):
        del values[name]
    del values["config"]["classes"]
    state = {f"network.{name}": tensor for name, tensor in MMNet(record().config.network).state_dict().items()}
    save_file(state, tmp_path / CHECKPOINT, metadata={"run": json.dumps(values)})
    assert load_checkpoint(tmp_path / CHECKPOINT)[2] == replace(record(), fold="")


@pytest.mark.parametrize("metadata", [None, {"run": "{}"}, {"run": '{"format": 7}'}, {"run": "no JSON"}])
def test_a_safetensors_file_from_elsewhere_is_refused(tmp_path, metadata):
    save_file({"weight": torch.zeros(3)}, tmp_path / CHECKPOINT, metadata=metadata)
    with pytest.raises(ModelError, match="not a checkpoint of this trainer"):
        load_checkpoint(tmp_path / CHECKPOINT)


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit on the size of a file")
def test_a_full_disk_costs_no_epoch_that_was_saved(tmp_path):
    import resource

    network = nn.Linear(1000, 100)
    path = tmp_path / CHECKPOINT
    save_checkpoint(path, network, None, record())
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OutputError, match=r"checkpoint.*go on with --resume"):
            save_checkpoint(path, network, None, replace(record(), history=({"epoch": 1},)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_table_is_replaced_in_one_piece(tmp_path):
    path = tmp_path / "metrics.csv"
    write_rows(path, [{"epoch": 1}])
    with pytest.raises(TypeError), written_whole(path) as temporary:
        temporary.write_bytes("no bytes")
    assert path.read_text() == "epoch\n1\n"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]
    with pytest.raises(OutputError, match=r"missing.*cannot be written"):
        write_rows(tmp_path / "missing" / "metrics.csv", [{"epoch": 1}])
