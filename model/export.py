"""Export a trained network to ONNX.

    mmnet export runs/NAME/checkpoint.safetensors --out weights/NAME.onnx
    mmnet export --from-reference FILE.pth --out NAME.onnx      # a state dict with the authors' names

The file is all that passes from training to the application. Its graph takes `onset` and `apex`, uint8 (N, 224, 224, 3)
RGB crops, and returns `probabilities` (N, K) and `attention` (N, 112, 112), float32; scaling, difference, the 14×14
resize and softmax are inside. Its metadata say what it is (see `Provenance`).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import logging
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import Tensor, nn

import app
from app.errors import MmnetError, ModelError, OutputError
from app.face.alignment import AS_IS_RECIPE, CROP_RECIPE, CROP_SIZE
from model.calibration import NONE, UNCALIBRATED, Calibration
from model.checkpoint import RunRecord, load_checkpoint
from model.mmnet import MMNet, normalise_crops
from model.reference import load_reference, sha256_of
from model.report import POOLED

FORMAT_VERSION = 1
PARITY_TOLERANCE = 1e-4
HALF_TOLERANCE = 3e-3  # of a network whose weights are rounded to float16
_OPSET = 18
_HALVED_FROM = 1024  # weights; norms and biases are few and stay as they are
_MANIFEST, _CARD = "manifest.json", "card.md"
_OUTPUTS = ("probabilities", "attention")
_log = logging.getLogger("mmnet.export")


class DeployedNetwork(nn.Module):
    """What the application runs: uint8 crops (N, 224, 224, 3) in; probabilities (N, K), attention (N, 112, 112) out."""

    def __init__(self, network: MMNet, calibration: Calibration = UNCALIBRATED) -> None:
        super().__init__()
        self.network, self.temperature = network, calibration.temperature
        bias = [calibration.none_bias if name == NONE else 0.0 for name in network.config.class_names]
        self.register_buffer("bias", torch.tensor(bias))

    def forward(self, onset: Tensor, apex: Tensor) -> tuple[Tensor, Tensor]:
        logits, attention = self.network(normalise_crops(onset), normalise_crops(apex))
        return ((logits + self.bias) / self.temperature).softmax(dim=1), attention


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a network was trained on and how it scored; kept inside the file.

    `scores` holds at least accuracy, uf1 and uar on people that were not in the training data; it is empty when they
    are not known. `crop_recipe`: how the crops that it learned from were cut.
    """

    name: str
    training_data: str
    protocol: str
    scores: dict
    crop_recipe: str = CROP_RECIPE

    def metadata(self, class_names: Sequence[str]) -> dict[str, str]:
        """Metadata properties of the file, all of them strings."""
        return {
            "format_version": str(FORMAT_VERSION),
            "name": self.name,
            "class_names": json.dumps(list(class_names)),
            "crop_recipe": self.crop_recipe,
            "training_data": self.training_data,
            "protocol": self.protocol,
            "scores": json.dumps(self.scores),
            "is_trained": "true",
            "created_by": f"mmnet {app.__version__}",
        }


def provenance_of(record: RunRecord) -> Provenance:
    """What a finished run says of its network.

    Raises:
        ModelError: epochs of the run are still missing.
    """
    if record.results is None:
        raise ModelError(
            f"The run has finished {record.epochs_done} of {record.config.recipe.epochs} epochs: an untrained network "
            "is not exported. Go on with mmnet train --resume."
        )
    data, recipe = record.data, record.config.recipe
    pairs = f"{data['train_pairs']} pairs of {data['train_people']} people"
    scored = f"{record.config.protocol} ({recipe.epochs}); " + (
        f"scored on {data['validate_pairs']} pairs of {data['validate_people']} other people"
    )
    return Provenance(
        name=record.config.name,
        training_data=f"{record.config.training_data}; {pairs}",
        protocol=record.scored or scored,
        scores={name: record.results[name] for name in (*POOLED, "sd", "confusion") if name in record.results},
        crop_recipe=record.crop_recipe or CROP_RECIPE,
    )


def reference_provenance(path: Path) -> Provenance:
    """What is known of a checkpoint from elsewhere: its name and hash."""
    return Provenance(
        name=path.stem,
        training_data=f"unknown; read from {path.name}, sha256 {sha256_of(path)}",
        protocol="unknown; published scores of MMNet are test-selected",
        scores={},
        crop_recipe=AS_IS_RECIPE,
    )


def export_onnx(network: MMNet, path: Path, provenance: Provenance, calibration: Calibration = UNCALIBRATED) -> float:
    """Write a trained network to one ONNX file, which appears only once ONNX Runtime agrees with PyTorch.

    Args:
        calibration: what is done to the logits, so that confidence is what it says.

    Returns:
        The largest difference found between the two, in probability or attention.

    Raises:
        ModelError: the network has never seen a training step, or the exported graph computes something else.
        OutputError: the file cannot be written.
    """
    if not isinstance(network, MMNet):
        raise ModelError("Only MMNet is exported; this network is there for comparison.")
    if not network.main_branch.bn1.num_batches_tracked:
        raise ModelError("This network has never seen a training step; random weights are not exported.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be made: {error.strerror}.") from None
    deployed = DeployedNetwork(network.cpu().eval(), calibration)
    batch = {0: torch.export.Dim("batch")}
    with _quiet():
        program = torch.onnx.export(
            deployed,
            _random_crops(2, seed=0),
            dynamo=True,
            opset_version=_OPSET,
            input_names=["onset", "apex"],
            output_names=list(_OUTPUTS),
            dynamic_shapes=(batch, batch),
            verbose=False,
        )
    # The exporter notes on every node the source line it came from, paths of this machine included.
    ClearMetadataAndDocStringPass()(program.model)
    program.model.metadata_props.update(provenance.metadata(network.config.class_names))
    temporary = path.with_suffix(".onnx.tmp")
    try:
        program.save(temporary, external_data=False)
        check_parity(deployed, temporary)
        _halve(temporary)
        difference = check_parity(deployed, temporary, HALF_TOLERANCE)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        temporary.unlink(missing_ok=True)
    return difference


def _halve(path: Path) -> None:
    """Store the large weights of a file as float16; the graph casts them back, so that it computes in float32."""
    model = onnx.load(path)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < _HALVED_FROM:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


def check_parity(deployed: nn.Module, path: Path, tolerance: float = PARITY_TOLERANCE) -> float:
    """Run PyTorch and ONNX Runtime on the same crops, one pair and three; return the largest difference.

    Raises:
        ModelError: a result differs by more than the tolerance.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    largest = 0.0
    for count in (1, 3):
        onset, apex = _random_crops(count, seed=count)
        with torch.inference_mode():
            expected = deployed(onset, apex)
        found = session.run(list(_OUTPUTS), {"onset": onset.numpy(), "apex": apex.numpy()})
        for name, ours, theirs in zip(_OUTPUTS, expected, found, strict=True):
            if ours.shape != theirs.shape:
                raise ModelError(f"The exported graph gives {name} of shape {theirs.shape}, not {tuple(ours.shape)}.")
            largest = max(largest, float(np.abs(ours.numpy() - theirs).max()))
    if not largest <= tolerance:
        raise ModelError(f"ONNX Runtime and PyTorch differ by {largest:.1e}, more than {tolerance:.0e}.")
    return largest


def update_manifest(path: Path, class_names: Sequence[str], is_default: bool = False) -> None:
    """Enter a network into the manifest beside it; the first one, or one marked so, is what the application takes."""
    manifest_path = path.with_name(_MANIFEST)
    models = []
    if manifest_path.exists():
        models = json.loads(manifest_path.read_text(encoding="utf-8"))["models"]
    replaced = next((model for model in models if model["name"] == path.stem), {})
    models = [model for model in models if model is not replaced]
    is_default = is_default or not models or replaced.get("default", False)
    if is_default:
        models = [model | {"default": False} for model in models]
    content = path.read_bytes()
    entry = {
        "name": path.stem,
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "classes": list(class_names),
        "card": f"{path.stem}.md",
        "default": is_default,
    }
    manifest = {"format_version": FORMAT_VERSION, "models": sorted([*models, entry], key=lambda model: model["name"])}
    temporary = manifest_path.with_suffix(".tmp")
    temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    temporary.replace(manifest_path)


def write_card(path: Path, provenance: Provenance, checkpoint: Path | None) -> Path:
    """Put a model card beside an exported network, NAME.md: that of the run, or what the file says of itself.

    A card that is there already is left alone: somebody may have written it.

    Raises:
        OutputError: it cannot be written.
    """
    card = path.with_suffix(".md")
    if card.exists():
        _log.warning("%s is there already and stays as it is: does it still describe the network?", card)
        return card
    text = _brief_card(provenance)
    try:
        if checkpoint is not None:
            # The network for use lies a folder below the cross-validation that scored it.
            run = checkpoint.parent.parent if checkpoint.parent.name == "final" else checkpoint.parent
            if (run / _CARD).is_file():
                text = (run / _CARD).read_text(encoding="utf-8")
        card.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{card} cannot be written: {error.strerror}.") from None
    return card


def _brief_card(provenance: Provenance) -> str:
    scores = {name: provenance.scores[name] for name in POOLED if name in provenance.scores}
    lines = [f"# {provenance.name}", "", f"Training data: {provenance.training_data}.", ""]
    lines += [f"Protocol: {provenance.protocol}.", "", f"Crops: {provenance.crop_recipe}.", ""]
    lines += ["Scores: " + (", ".join(f"{k} {v:.4f}" for k, v in scores.items()) or "not known") + ".", ""]
    return "\n".join(lines)


def _random_crops(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Crops that differ by a few grey levels, as onset and apex do: bolder noise would only saturate the softmax."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, CROP_SIZE, CROP_SIZE, 3)
    onset = torch.randint(0, 256, shape, generator=generator)
    apex = (onset + torch.randint(-12, 13, shape, generator=generator)).clamp(0, 255)
    return onset.to(torch.uint8), apex.to(torch.uint8)


@contextlib.contextmanager
def _quiet():
    """Keep the exporter's progress and its deprecation warnings off the screen."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mmnet export", description="Export a trained network to ONNX.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("checkpoint", type=Path, nargs="?", help="checkpoint.safetensors of a finished run")
    source.add_argument("--from-reference", type=Path, metavar="FILE", help="state dict with the authors' names")
    parser.add_argument(
        "--class-names",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="A,B,…",
        help="outputs of a --from-reference file, in order (default: the authors' order)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument("--default", action="store_true", help="name it in the manifest beside it as the default")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    logging.basicConfig(format="%(message)s")
    _log.setLevel(logging.INFO)
    arguments = _arguments(argv)
    try:
        if arguments.from_reference:
            network, calibration = load_reference(arguments.from_reference, arguments.class_names), UNCALIBRATED
            provenance = reference_provenance(arguments.from_reference)
        else:
            network, _, record = load_checkpoint(arguments.checkpoint)
            provenance, calibration = provenance_of(record), record.calibration
        difference = export_onnx(network, arguments.out, provenance, calibration)
        write_card(arguments.out, provenance, arguments.checkpoint)
        if arguments.default or arguments.out.with_name(_MANIFEST).exists():
            update_manifest(arguments.out, network.config.class_names, arguments.default)
    except MmnetError as error:
        _log.error("%s", error)
        return 1
    megabytes = arguments.out.stat().st_size / 1e6
    _log.info("%s: %.1f MB, differs from PyTorch by %.1e", arguments.out, megabytes, difference)
    return 0


if __name__ == "__main__":
    sys.exit(main())
