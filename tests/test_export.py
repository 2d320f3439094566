"""Export: what is in the file, and that only a trained network which computes the same gets there."""

from __future__ import annotations

import hashlib
import json
import logging

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import app
from app.config import RecognitionConfig
from app.errors import ModelError, OutputError
from app.face.alignment import AS_IS_RECIPE, CROP_RECIPE
from app.recognition.classifier import Classifier
from model import export
from model.checkpoint import RunRecord, save_checkpoint
from model.configs import casme2_5class, synthetic
from model.export import DeployedNetwork, Provenance, export_onnx, main, update_manifest
from model.mmnet import MMNet, normalise_crops

SCORES = {"accuracy": 0.5, "uf1": 0.4, "uar": 0.3, "confusion": [[1, 0, 0], [0, 1, 0], [2, 0, 0]]}
PROVENANCE = Provenance("tiny", "noise", "none", SCORES)
DATA = {"train_pairs": 4, "validate_pairs": 2, "train_people": 3, "validate_people": 1}


def trained(config=synthetic) -> MMNet:
    """A network after one forward pass in training mode: enough to have running statistics of its own."""
    torch.manual_seed(0)
    network = MMNet(config().network).train()
    with torch.no_grad():
        network(*torch.randn(2, 2, 3, 224, 224))
    return network.eval()


@pytest.fixture(scope="module")
def network() -> MMNet:
    return trained()


@pytest.fixture(scope="module")
def path(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.onnx"
    assert export_onnx(network, path, PROVENANCE) < 3e-3
    return path


def crops(count: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 224, 224, 3), dtype=np.uint8)


def test_file_stands_alone_and_is_small(path):
    assert sorted(p.name for p in path.parent.iterdir()) == ["tiny.onnx"]
    assert path.stat().st_size < 20e6
    onnx.checker.check_model(onnx.load(path), full_check=True)


def test_inputs_and_outputs(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {i.name: (i.type, i.shape[1:]) for i in session.get_inputs()}
    outputs = {o.name: (o.type, o.shape[1:]) for o in session.get_outputs()}
    assert inputs == {name: ("tensor(uint8)", [224, 224, 3]) for name in ("onset", "apex")}
    assert outputs == {"probabilities": ("tensor(float)", [4]), "attention": ("tensor(float)", [112, 112])}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_batch_gives_what_the_network_gives(network, path, count):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    onset, apex = crops(count, 1), crops(count, 2)
    probabilities, attention = session.run(None, {"onset": onset, "apex": apex})
    with torch.no_grad():
        logits, expected = network(*(normalise_crops(torch.from_numpy(x)) for x in (onset, apex)))
    np.testing.assert_allclose(probabilities, logits.softmax(1).numpy(), atol=1e-3)
    np.testing.assert_allclose(attention, expected.numpy(), atol=1e-3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_metadata_say_what_the_network_is(path):
    metadata = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert metadata["format_version"] == "1"
    assert json.loads(metadata["class_names"]) == ["negative", "positive", "surprise", "none"]
    assert metadata["crop_recipe"] == CROP_RECIPE
    assert metadata["training_data"] == "noise"
    assert metadata["protocol"] == "none"
    assert json.loads(metadata["scores"]) == SCORES
    assert metadata["is_trained"] == "true"
    assert metadata["created_by"] == f"mmnet {app.__version__}"


def test_file_tells_nothing_of_the_machine_it_was_made_on(path):
    graph = onnx.load(path).graph
    assert not any(node.doc_string or node.metadata_props for node in graph.node)
    content = path.read_bytes()
    assert b"site-packages" not in content
    assert str(path.parent).encode() not in content
    assert app.__file__.rsplit("/", 2)[0].encode() not in content


def test_the_application_accepts_the_file(path):
    with Classifier(RecognitionConfig(model=path, device="cpu")) as classifier:
        prediction = classifier.classify(*crops(2))
    assert prediction.class_names == ("negative", "positive", "surprise", "none")
    assert prediction.attention.shape == (112, 112)


def test_same_network_gives_the_same_bytes(network, path, tmp_path):
    export_onnx(network, tmp_path / "again.onnx", PROVENANCE)
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()


def test_random_weights_are_refused(tmp_path):
    with pytest.raises(ModelError, match="never seen a training step"):
        export_onnx(MMNet(synthetic().network), tmp_path / "random.onnx", PROVENANCE)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_computes_something_else_is_not_kept(network, tmp_path, monkeypatch):
    class Mistaken(DeployedNetwork):
        def forward(self, onset, apex):
            probabilities, attention = super().forward(onset, apex)
            if not torch.compiler.is_exporting():
                attention = attention + 1e-3
            return probabilities, attention

    monkeypatch.setattr(export, "DeployedNetwork", Mistaken)
    (tmp_path / "net.onnx").write_bytes(b"the one before")
    with pytest.raises(ModelError, match=r"differ by 1\.0e-03"):
        export_onnx(network, tmp_path / "net.onnx", PROVENANCE)
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    assert (tmp_path / "net.onnx").read_bytes() == b"the one before"


def test_a_place_that_cannot_be_written_is_named(network, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        export_onnx(network, tmp_path / "file" / "net.onnx", PROVENANCE)


def checkpoint(folder, results, config=synthetic):
    history = ({"epoch": 1, "train_loss": 1.0},)
    record = RunRecord(config(), seed=0, data=DATA, history=history, results=results)
    network = trained(config)
    save_checkpoint(folder / "checkpoint.safetensors", network, torch.optim.AdamW(network.parameters()), record)
    return folder / "checkpoint.safetensors"


def test_command_writes_file_and_manifest(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    out = tmp_path / "weights" / "five.onnx"
    code = main([str(checkpoint(tmp_path, SCORES, casme2_5class)), "--out", str(out), "--default"])
    assert code == 0
    manifest = json.loads((out.parent / "manifest.json").read_text())
    assert manifest == {
        "format_version": 1,
        "models": [
            {
                "name": "five",
                "file": "five.onnx",
                "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
                "bytes": out.stat().st_size,
                "classes": ["happiness", "surprise", "disgust", "repression", "others"],
                "card": "five.md",
                "default": True,
            }
        ],
    }
    metadata = {p.key: p.value for p in onnx.load(out).metadata_props}
    assert "4 pairs of 3 people" in metadata["training_data"]
    assert "2 pairs of 1 other people" in metadata["protocol"]
    assert json.loads(metadata["scores"]) == SCORES


def test_a_users_own_network_gets_a_card_and_no_manifest(tmp_path, caplog):
    run = tmp_path / "run" / "final"
    run.mkdir(parents=True)
    saved, out = checkpoint(run, SCORES), tmp_path / "own" / "net.onnx"
    assert main([str(saved), "--out", str(out)]) == 0
    assert sorted(p.name for p in out.parent.iterdir()) == ["net.md", "net.onnx"]
    card = (out.parent / "net.md").read_text()
    assert "4 pairs of 3 people" in card
    assert "uf1 0.4000" in card
    with Classifier(RecognitionConfig(model=out, device="cpu")) as classifier:
        assert classifier.card == card

    (run.parent / "card.md").write_text("# the run's\n")
    assert main([str(saved), "--out", str(out)]) == 0
    assert (out.parent / "net.md").read_text() == card
    assert "stays as it is" in caplog.text
    (out.parent / "net.md").unlink()
    assert main([str(saved), "--out", str(out)]) == 0
    assert (out.parent / "net.md").read_text() == "# the run's\n"


def test_command_refuses_an_unfinished_run(tmp_path, caplog):
    code = main([str(checkpoint(tmp_path, None)), "--out", str(tmp_path / "net.onnx")])
    assert code == 1
    assert "1 of " in caplog.text
    assert "--resume" in caplog.text
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint"])
def test_command_names_a_checkpoint_it_cannot_read(tmp_path, caplog, content):
    file = tmp_path / "checkpoint.safetensors"
    if content is not None:
        file.write_bytes(content)
    assert main([str(file), "--out", str(tmp_path / "net.onnx")]) == 1
    assert str(file) in caplog.text


def test_manifest_keeps_other_networks_and_one_default(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.onnx").write_bytes(name.encode())

    def defaults() -> dict[str, bool]:
        models = json.loads((tmp_path / "manifest.json").read_text())["models"]
        return {model["name"]: model["default"] for model in models}

    update_manifest(tmp_path / "b.onnx", ["x", "y"])
    update_manifest(tmp_path / "a.onnx", ["x", "y"])
    assert defaults() == {"a": False, "b": True}
    update_manifest(tmp_path / "a.onnx", ["x", "y"], is_default=True)
    assert defaults() == {"a": True, "b": False}
    update_manifest(tmp_path / "a.onnx", ["x", "y"])
    assert defaults() == {"a": True, "b": False}


def test_batch_norm_counts_training_steps():
    """What the refusal of random weights rests on."""
    network = trained()
    counts = {int(m.num_batches_tracked) for m in network.modules() if isinstance(m, nn.BatchNorm2d)}
    assert counts == {1}


def test_a_network_trained_on_everybody_says_whose_scores_it_carries(network):
    results = SCORES | {"sd": {"uf1": 0.02}, "class_names": ["negative", "positive", "surprise"]}
    record = RunRecord(
        synthetic(), 0, DATA, results=results, scored="cross-validation, 3 folds", crop_recipe=AS_IS_RECIPE
    )
    said = export.provenance_of(record)
    assert said.protocol == "cross-validation, 3 folds"
    assert said.scores["sd"] == {"uf1": 0.02}
    assert said.crop_recipe == AS_IS_RECIPE
    plain = export.provenance_of(RunRecord(synthetic(), 0, DATA, results=SCORES))
    assert "scored on 2 pairs of 1 other people" in plain.protocol
    assert plain.crop_recipe == CROP_RECIPE
