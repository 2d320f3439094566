"""MMNet: muscle motion-guided network for micro-expression recognition.

X. Li, C. Sui, X. Zhu, M. Zhao: "MMNet: Muscle motion-guided network for micro-expression recognition", IJCAI 2022,
arXiv 2201.05297. The main branch sees the difference apex − onset (how the muscles moved), the position branch the
onset frame shrunk to 14×14 (where the parts of the face are); their sum is classified.

Attributes carry the names of the authors' state dict, which therefore loads once its unused entries are dropped
(`timeembed`, `pos`, `head`, `vit_pos.head`, `vit_pos.to_Mask`, `vit_pos.cls_token`).

Legend for shapes: N pairs, C channels, H and W pixels, P = 14·14 patches, D = 512 features, K classes.
"""

from __future__ import annotations

from functools import partial

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from model.configs import NetworkConfig

INPUT_SIZE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_GRID = 14
_FEATURES = 512
_HEADS = 4


def normalise_crops(crops_NHWC: Tensor) -> Tensor:
    """Turn uint8 RGB crops (N, 224, 224, 3) into what the network takes: float32 (N, 3, 224, 224), ImageNet scaling."""
    crops_NCHW = crops_NHWC.permute(0, 3, 1, 2).to(torch.float32) / 255.0
    mean = torch.tensor(IMAGENET_MEAN, device=crops_NHWC.device).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=crops_NHWC.device).view(1, 3, 1, 1)
    return (crops_NCHW - mean) / std


class ContinuousAttention(nn.Module):
    """CA block: a residual block whose spatial attention continues that of the block before it (eq. 1–3).

    Takes x (N, C_in, H, W) and the attention of the previous block (N, 1, H, W) or None; returns the attended features
    (N, C_out, H/stride, W/stride) and their attention (N, 1, H/stride, W/stride) in 0–1.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.attn = nn.Sequential(nn.Conv2d(2, 1, 1, bias=False), nn.BatchNorm2d(1))
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x_NCHW: Tensor, previous_N1HW: Tensor | None = None) -> tuple[Tensor, Tensor]:
        identity_NCHW = x_NCHW if self.downsample is None else self.downsample(x_NCHW)
        f_NCHW = F.relu(self.bn1(self.conv1(x_NCHW)), inplace=True)
        f_NCHW = F.relu(self.bn2(self.conv2(f_NCHW)) + identity_NCHW, inplace=True)
        pooled_N2HW = torch.cat([f_NCHW.mean(dim=1, keepdim=True), f_NCHW.amax(dim=1, keepdim=True)], dim=1)
        attention_N1HW = torch.sigmoid(self.attn(pooled_N2HW))
        if previous_N1HW is not None:
            attention_N1HW = attention_N1HW * F.max_pool2d(previous_N1HW, 3, stride=2, padding=1)
        return f_NCHW * attention_N1HW, attention_N1HW


class PositionCalibration(nn.Module):
    """PC module: the layout of the face from the onset frame at 14×14, by a small vision transformer.

    Takes the normalised onset (N, 3, 224, 224), returns (N, 512, 14, 14).
    """

    def __init__(self, blocks: int, mlp_ratio: float) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, _FEATURES, 1)})
        self.pos_embed = nn.Parameter(torch.zeros(1, _GRID * _GRID, _FEATURES))
        self.blocks = nn.Sequential(
            *(Block(_FEATURES, _HEADS, mlp_ratio=mlp_ratio, qkv_bias=True, norm_layer=norm) for _ in range(blocks))
        )
        self.norm = norm(_FEATURES)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, onset_NCHW: Tensor) -> Tensor:
        small_NCHW = F.interpolate(onset_NCHW, size=(_GRID, _GRID), mode="bilinear", antialias=True)
        tokens_NPD = self.patch_embed["proj"](small_NCHW).flatten(2).transpose(1, 2) + self.pos_embed
        tokens_NPD = self.norm(self.blocks(tokens_NPD))
        return tokens_NPD.transpose(1, 2).reshape(-1, _FEATURES, _GRID, _GRID)


class MotionBranch(nn.Module):
    """Main branch: stem 2, four CA blocks that hand their attention on, and the head over both branches.

    Takes the stem's features (N, 180, 112, 112) and the position features (N, 512, 14, 14); returns logits (N, K) and
    the attention of the first CA block (N, 112, 112).
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(180, 128, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(128)
        # Lists of one, so that the parameters are called `layer1.0.…` as the authors' are.
        self.layer1 = nn.ModuleList([ContinuousAttention(128, 128, stride=1)])
        self.layer2 = nn.ModuleList([ContinuousAttention(128, 128, stride=2)])
        self.layer3 = nn.ModuleList([ContinuousAttention(128, 256, stride=2)])
        self.layer4 = nn.ModuleList([ContinuousAttention(256, _FEATURES, stride=2)])
        self.fc = nn.Linear(_FEATURES * _GRID * _GRID, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_NCHW: Tensor, position_NCHW: Tensor | float) -> tuple[Tensor, Tensor]:
        x_NCHW = F.relu(self.bn1(self.conv1(x_NCHW)), inplace=True)
        x_NCHW, first_N1HW = self.layer1[0](x_NCHW)
        attention_N1HW = first_N1HW
        for layer in (self.layer2, self.layer3, self.layer4):
            x_NCHW, attention_N1HW = layer[0](x_NCHW, attention_N1HW)
        logits_NK = self.fc((x_NCHW + position_NCHW).flatten(1))
        return logits_NK, first_N1HW.squeeze(1)


class MMNet(nn.Module):
    """The whole network for 224×224 crops."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.conv_act = nn.Sequential(
            nn.Conv2d(3, 180, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(180), nn.ReLU(inplace=True)
        )
        self.has_position = config.architecture != "no-position"
        if self.has_position:
            self.vit_pos = PositionCalibration(config.position_blocks, config.position_mlp_ratio)
        self.main_branch = MotionBranch(len(config.class_names))

    def forward(self, onset_NCHW: Tensor, apex_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Classify pairs.

        Both inputs are (N, 3, 224, 224), RGB, normalised as by `normalise_crops`. Returns logits (N, K) and the
        attention of the first CA block (N, 112, 112) in 0–1.
        """
        position_NCHW = self.vit_pos(onset_NCHW) if self.has_position else 0.0
        return self.main_branch(self.conv_act(apex_NCHW - onset_NCHW), position_NCHW)
