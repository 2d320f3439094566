"""The network against the published facts."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from model.configs import casme2_3class, casme2_5class
from model.mmnet import IMAGENET_MEAN, IMAGENET_STD, ContinuousAttention, MMNet, PositionCalibration, normalise_crops

PUBLISHED = (casme2_5class, casme2_3class)


def build(config=casme2_3class, seed=0) -> MMNet:
    torch.manual_seed(seed)
    return MMNet(config().network)


@pytest.fixture(scope="module")
def network() -> MMNet:
    return build().eval()


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(1, 3, 224, 224, generator=generator) for _ in range(2))


@pytest.mark.parametrize(("config", "classes"), [(casme2_5class, 5), (casme2_3class, 3)])
def test_every_stage_has_the_published_shape(config, classes, pair):
    network = build(config).eval()
    shapes = {}

    def note(name):
        def hook(_module, _inputs, output):
            shapes[name] = tuple((output[0] if isinstance(output, tuple) else output).shape[1:])

        return hook

    branch = network.main_branch
    stages = {"stem1": network.conv_act, "stem2": branch.bn1, "position": network.vit_pos}
    stages |= {f"block{i}": getattr(branch, f"layer{i}")[0] for i in (1, 2, 3, 4)}
    for name, module in stages.items():
        module.register_forward_hook(note(name))
    with torch.no_grad():
        logits, attention = network(*pair)

    assert shapes == {
        "stem1": (180, 112, 112),
        "stem2": (128, 112, 112),
        "block1": (128, 112, 112),
        "block2": (128, 56, 56),
        "block3": (256, 28, 28),
        "block4": (512, 14, 14),
        "position": (512, 14, 14),
    }
    assert logits.shape == (1, classes)
    assert attention.shape == (1, 112, 112)
    assert attention.min() >= 0
    assert attention.max() <= 1


def test_parameters_taking_part_are_9_4_million():
    assert sum(p.numel() for p in build(casme2_5class).parameters()) == 9_438_841
    assert sum(p.numel() for p in build(casme2_3class).parameters()) == 9_241_719


def test_a_pair_costs_14_4_gflops(network, pair):
    """The counter knows convolutions and products, not normalisation and pooling."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*pair)
    assert counter.get_total_flops() / 1e9 == pytest.approx(14.4, abs=0.2)


@pytest.mark.parametrize(("config", "blocks", "hidden"), [(casme2_5class, 2, 2048), (casme2_3class, 3, 1024)])
def test_position_branch_differs_between_the_configurations(config, blocks, hidden):
    position = build(config).vit_pos
    assert len(position.blocks) == blocks
    assert {block.mlp.fc1.out_features for block in position.blocks} == {hidden}
    assert {block.attn.num_heads for block in position.blocks} == {4}
    assert {block.norm1.eps for block in position.blocks} | {position.norm.eps} == {1e-6}


def test_state_dict_has_the_authors_names(network):
    names = set(network.state_dict())
    assert {
        "conv_act.0.weight",
        "conv_act.1.running_mean",
        "vit_pos.patch_embed.proj.bias",
        "vit_pos.pos_embed",
        "vit_pos.blocks.2.attn.qkv.bias",
        "vit_pos.blocks.0.mlp.fc2.weight",
        "vit_pos.norm.weight",
        "main_branch.conv1.weight",
        "main_branch.bn1.weight",
        "main_branch.layer1.0.attn.0.weight",
        "main_branch.layer4.0.attn.1.running_var",
        "main_branch.layer2.0.downsample.0.weight",
        "main_branch.fc.bias",
    } <= names
    assert not any(name.startswith("main_branch.layer1.0.downsample") for name in names)


def test_identical_frames_give_the_main_branch_nothing_to_see(network, pair):
    seen = []
    handle = network.conv_act.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(pair[0], pair[0])
        network(*pair)
    handle.remove()
    assert not seen[0].any()
    assert torch.equal(seen[1], pair[1] - pair[0])


def test_position_branch_sees_only_the_onset(network, pair):
    seen = []
    handle = network.vit_pos.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(*pair)
    handle.remove()
    assert torch.equal(seen[0], pair[0])


def test_gradients_reach_every_parameter(pair):
    network = build().train()
    onset, apex = (torch.cat([x, x.flip(3)]) for x in pair)
    F.cross_entropy(network(onset, apex)[0], torch.tensor([0, 2])).backward()
    untouched = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert untouched == []


def test_initialisation():
    network = build()
    main, position = network.main_branch, network.vit_pos
    for conv in (main.conv1, main.layer2[0].conv1, main.layer4[0].conv2, main.layer3[0].downsample[0]):
        fan_out = conv.out_channels * conv.kernel_size[0] ** 2
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
    # PyTorch's default, uniform in ±1/sqrt(fan_in): stem 1, patch embedding and head.
    for layer, fan_in in ((network.conv_act[0], 27), (position.patch_embed["proj"], 3), (main.fc, 512 * 14 * 14)):
        bound = fan_in**-0.5
        assert layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
    linears = [m for m in position.blocks.modules() if isinstance(m, nn.Linear)]
    assert len(linears) == 12
    for linear in linears:
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert (linear.bias == 0).all()
    assert position.pos_embed.std().item() == pytest.approx(0.02, rel=0.05)


def test_attention_continues_that_of_the_block_before():
    torch.manual_seed(0)
    block = ContinuousAttention(4, 6, stride=2).eval()
    x = torch.randn(2, 4, 16, 16)
    previous = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        free, own = block(x)
        attended, product = block(x, previous)
    # 3×3 windows, every second pixel, one pixel of padding: row 0 sees rows 0–1, row 1 sees rows 1–3.
    pooled = torch.stack(
        [
            torch.stack(
                [
                    previous[:, :, max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2].amax((2, 3))
                    for j in range(8)
                ],
                -1,
            )
            for i in range(8)
        ],
        -2,
    )
    torch.testing.assert_close(product, own * pooled)
    torch.testing.assert_close(attended, free * pooled)


def test_attention_comes_from_the_mean_and_the_largest_channel():
    block = ContinuousAttention(3, 3, stride=1).eval()
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        block.conv2.weight.zero_()  # leaves the identity
        block.attn[0].weight.copy_(torch.tensor([2.0, -1.0]).view(1, 2, 1, 1))
        features, attention = block(x)
    expected = torch.sigmoid((2 * x.mean(1, keepdim=True) - x.amax(1, keepdim=True)) / (1 + 1e-5) ** 0.5)
    torch.testing.assert_close(attention, expected)
    torch.testing.assert_close(features, x * expected)


def test_position_branch_shrinks_with_antialiasing():
    position = PositionCalibration(blocks=1, mlp_ratio=2.0).eval()
    seen = []
    position.patch_embed["proj"].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    stripes = torch.zeros(1, 3, 224, 224)
    stripes[..., 1::2] = 1.0
    with torch.no_grad():
        position(stripes)
    assert seen[0].shape == (1, 3, 14, 14)
    # Stripes finer than the grid average out; picking single pixels would give 0 or 1.
    torch.testing.assert_close(seen[0], torch.full_like(seen[0], 0.5), atol=0.03, rtol=0)


def test_crops_are_scaled_to_imagenet_statistics():
    crops = torch.randint(0, 256, (2, 224, 224, 3), dtype=torch.uint8)
    x = normalise_crops(crops)
    assert x.shape == (2, 3, 224, 224)
    assert x.dtype == torch.float32
    restored = x * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) + torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
    torch.testing.assert_close(restored, crops.permute(0, 3, 1, 2) / 255)
