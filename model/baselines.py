"""Simpler networks under the same conditions, to tell what MMNet's parts are worth."""

from __future__ import annotations

import cv2
import numpy as np
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.datatypes import Frame
from app.errors import DataError
from app.face import geometry, topology
from app.face.tracker import FaceTracker
from model.configs import NetworkConfig
from model.mmnet import MMNet

_WEIGHT_DECAY = 1e-3
_STEPS = 200


class DifferenceResNet(nn.Module):
    """A plain ResNet-18 (He et al., CVPR 2016) on apex − onset, without pre-training; attends nowhere in particular."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.resnet = timm.create_model("resnet18", pretrained=False, num_classes=len(config.class_names))

    def forward(self, onset_NCHW: Tensor, apex_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, K) and an attention of ones (N, 112, 112); the inputs are those of MMNet."""
        logits_NK = self.resnet(apex_NCHW - onset_NCHW)
        return logits_NK, torch.ones(len(logits_NK), 112, 112, device=logits_NK.device)


def make_network(config: NetworkConfig) -> MMNet | DifferenceResNet:
    """The untrained network that a configuration names."""
    return DifferenceResNet(config) if config.architecture == "resnet18" else MMNet(config)


def regional_flow(onset_rgb: np.ndarray, apex_rgb: np.ndarray, tracker: FaceTracker) -> np.ndarray:
    """Mean flow of every facial region less that of the stable points, (2R,) percent of the inter-ocular distance.

    Args:
        onset_rgb, apex_rgb: (224, 224, 3) uint8, registered on each other.
        tracker: a static one.

    Raises:
        DataError: no face is found in the onset.
    """
    face = tracker.track(Frame(0, 0, cv2.cvtColor(onset_rgb, cv2.COLOR_RGB2BGR)))
    if face is None:
        raise DataError("No face is found in a crop: its regions are not known.")
    onset, apex = (cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in (onset_rgb, apex_rgb))
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(onset, apex, None)
    points = face.landmarks_px[:, :2].astype(np.float32)
    at_points = cv2.remap(flow, points[None, :, 0], points[None, :, 1], cv2.INTER_LINEAR)[0]
    moved = at_points - np.median(at_points[list(topology.STABLE)], axis=0)
    regions = np.stack([moved[list(indices)].mean(axis=0) for indices in topology.REGIONS.values()])
    return 100 * regions.ravel() / geometry.inter_ocular_px(face.landmarks_px)


class LogisticRegression:
    """Multinomial logistic regression on standardised features, fitted by L-BFGS.

    Args:
        features: (N, D).
        label: (N,) int64.
    """

    def __init__(self, features: np.ndarray, label: np.ndarray, classes: int) -> None:
        self._mean, self._scale = features.mean(axis=0), features.std(axis=0) + 1e-9
        x, y = torch.from_numpy(self._standardised(features)), torch.from_numpy(label)
        self._linear = nn.Linear(features.shape[1], classes, dtype=torch.float64)
        optimiser = torch.optim.LBFGS(self._linear.parameters(), max_iter=_STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            value = F.cross_entropy(self._linear(x), y) + _WEIGHT_DECAY * (self._linear.weight**2).sum()
            value.backward()
            return value

        optimiser.step(loss)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(N, K) float64 of features (N, D)."""
        with torch.inference_mode():
            return self._linear(torch.from_numpy(self._standardised(features))).softmax(dim=1).numpy()

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        return ((features - self._mean) / self._scale).astype(np.float64)
