"""Checkpoints with the authors' names: the same logits as a forward pass written from the published layer table."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from app.config import RecognitionConfig
from app.errors import ModelError
from app.recognition.classifier import Classifier
from model.configs import casme2_3class, casme2_5class
from model.export import main
from model.mmnet import MMNet, normalise_crops
from model.reference import REFERENCE_CLASSES, load_reference


def state_of(config, seed=0) -> dict[str, torch.Tensor]:
    """A state dict as the authors' training leaves it: every number moved, the unused entries there."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in MMNet(config().network).state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(640)
        elif name.endswith("running_var"):
            state[name] = torch.rand(tensor.shape, generator=generator) + 0.5
        else:
            state[name] = torch.randn(tensor.shape, generator=generator) * 0.03 + (name.endswith("weight") * 0.01)
    unused = ("timeembed", "pos", "head.weight", "vit_pos.head.weight", "vit_pos.to_Mask.weight", "vit_pos.cls_token")
    return state | {name: torch.ones(2) for name in unused}


def forward(s: dict[str, torch.Tensor], onset: torch.Tensor, apex: torch.Tensor) -> torch.Tensor:
    """Logits from the tensors alone."""

    def norm(name, x):
        statistics = (s[f"{name}.running_mean"], s[f"{name}.running_var"], s[f"{name}.weight"], s[f"{name}.bias"])
        return F.batch_norm(x, *statistics, training=False)

    def layer_norm(name, x):
        return F.layer_norm(x, (512,), s[f"{name}.weight"], s[f"{name}.bias"], eps=1e-6)

    x = F.relu(norm("conv_act.1", F.conv2d(apex - onset, s["conv_act.0.weight"], stride=2, padding=1)))
    x = F.relu(norm("main_branch.bn1", F.conv2d(x, s["main_branch.conv1.weight"], padding=1)))
    attention = None
    for layer, stride in (("layer1", 1), ("layer2", 2), ("layer3", 2), ("layer4", 2)):
        b = f"main_branch.{layer}.0"
        y = F.relu(norm(f"{b}.bn1", F.conv2d(x, s[f"{b}.conv1.weight"], stride=stride, padding=1)))
        y = norm(f"{b}.bn2", F.conv2d(y, s[f"{b}.conv2.weight"]))
        if stride == 2:
            x = norm(f"{b}.downsample.1", F.conv2d(x, s[f"{b}.downsample.0.weight"], stride=2))
        y = F.relu(y + x)
        pooled = torch.cat([y.mean(1, keepdim=True), y.max(1, keepdim=True).values], 1)
        gate = torch.sigmoid(norm(f"{b}.attn.1", F.conv2d(pooled, s[f"{b}.attn.0.weight"])))
        attention = gate if attention is None else gate * F.max_pool2d(attention, 3, 2, 1)
        x = y * attention

    small = F.interpolate(onset, (14, 14), mode="bilinear", antialias=True)
    p = F.conv2d(small, s["vit_pos.patch_embed.proj.weight"], s["vit_pos.patch_embed.proj.bias"])
    p = p.flatten(2).transpose(1, 2) + s["vit_pos.pos_embed"]
    for i in range(sum(name.endswith("attn.qkv.weight") for name in s)):
        b = f"vit_pos.blocks.{i}"
        qkv = F.linear(layer_norm(f"{b}.norm1", p), s[f"{b}.attn.qkv.weight"], s[f"{b}.attn.qkv.bias"])
        q, k, v = qkv.reshape(len(p), 196, 3, 4, 128).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) / 128**0.5).softmax(-1)
        heads = (weights @ v).transpose(1, 2).reshape(len(p), 196, 512)
        p = p + F.linear(heads, s[f"{b}.attn.proj.weight"], s[f"{b}.attn.proj.bias"])
        hidden = F.gelu(F.linear(layer_norm(f"{b}.norm2", p), s[f"{b}.mlp.fc1.weight"], s[f"{b}.mlp.fc1.bias"]))
        p = p + F.linear(hidden, s[f"{b}.mlp.fc2.weight"], s[f"{b}.mlp.fc2.bias"])
    p = layer_norm("vit_pos.norm", p).transpose(1, 2).reshape(-1, 512, 14, 14)
    return F.linear((x + p).flatten(1), s["main_branch.fc.weight"], s["main_branch.fc.bias"])


@pytest.mark.parametrize(("config", "classes"), [(casme2_5class, 5), (casme2_3class, 3)])
@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"model_state_dict": {f"module.{k}": v for k, v in s.items()}}]
)
def test_the_same_logits(config, classes, wrap, tmp_path):
    state = state_of(config)
    torch.save(wrap(state), tmp_path / "reference.pth")
    network = load_reference(tmp_path / "reference.pth")
    onset, apex = torch.randn(2, 2, 3, 224, 224, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        found, _ = network(onset, apex)
        expected = forward(state, onset, apex)
    assert expected.std() > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert network.config.class_names == REFERENCE_CLASSES[classes]


def test_class_names_can_be_given(tmp_path):
    torch.save(state_of(casme2_3class), tmp_path / "reference.pth")
    assert load_reference(tmp_path / "reference.pth", ("a", "b", "c")).config.class_names == ("a", "b", "c")
    with pytest.raises(ModelError, match="has 3 classes"):
        load_reference(tmp_path / "reference.pth", ("a", "b"))


class TestRefused:
    def test_missing(self, tmp_path):
        with pytest.raises(ModelError, match="no such file"):
            load_reference(tmp_path / "none.pth")

    def test_code_in_a_pickle_is_not_run(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "run"), "w"))

        (tmp_path / "evil.pth").write_bytes(pickle.dumps({"main_branch.fc.weight": Evil()}, protocol=2))
        with pytest.raises(ModelError, match="cannot be read as a state dict"):
            load_reference(tmp_path / "evil.pth")
        assert not (tmp_path / "run").exists()

    def test_not_a_state_dict(self, tmp_path):
        torch.save([1, 2], tmp_path / "list.pth")
        with pytest.raises(ModelError, match="holds no state dict"):
            load_reference(tmp_path / "list.pth")

    def test_another_network(self, tmp_path):
        torch.save({"fc.weight": torch.ones(2, 2)}, tmp_path / "other.pth")
        with pytest.raises(ModelError, match=r"it has no main_branch\.fc"):
            load_reference(tmp_path / "other.pth")

    def test_a_tensor_is_missing(self, tmp_path):
        state = state_of(casme2_3class)
        del state["main_branch.layer3.0.conv1.weight"]
        torch.save(state, tmp_path / "part.pth")
        with pytest.raises(ModelError, match=r"layer3\.0\.conv1"):
            load_reference(tmp_path / "part.pth")


def test_exported_it_runs_in_the_application_with_a_warning(tmp_path, caplog):
    state = state_of(casme2_5class)
    torch.save(state, tmp_path / "reference.pth")
    path = tmp_path / "authors.onnx"
    assert main(["--from-reference", str(tmp_path / "reference.pth"), "--out", str(path)]) == 0
    with Classifier(RecognitionConfig(model=path, device="cpu")) as classifier:
        onset, apex = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
        prediction = classifier.classify(onset, apex)
    rgb = [normalise_crops(torch.from_numpy(crop[None, ..., ::-1].copy())) for crop in (onset, apex)]
    expected = forward(state, *rgb).softmax(1)[0].numpy()
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-3)
    assert prediction.class_names == REFERENCE_CLASSES[5]
    assert "own crops" in caplog.text
    assert "test-selected" in classifier.metadata["protocol"]
