"""Tiny networks with the contract of an exported MMNet, and folders of weights made of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from app.face.alignment import CROP_RECIPE

CLASS_NAMES = ("negative", "positive", "surprise")
CROP, ATTENTION = (224, 224, 3), (112, 112)


def metadata(class_names: Sequence[str] = CLASS_NAMES) -> dict[str, str]:
    """What a trained network of ours says of itself."""
    return {
        "format_version": "1",
        "class_names": json.dumps(list(class_names)),
        "crop_recipe": CROP_RECIPE,
        "training_data": "none: made for a test",
        "protocol": "none",
        "scores": "{}",
        "is_trained": "true",
    }


def write_network(
    path: Path,
    class_names: Sequence[str] = CLASS_NAMES,
    *,
    changes: dict[str, str | None] | None = None,
    inputs: tuple[str, str] = ("onset", "apex"),
    input_type: int = TensorProto.UINT8,
    has_softmax: bool = True,
) -> Path:
    """Write a network that votes for class 0, 1 or 2 when red, green or blue rises from onset to apex.

    `attention` is the sigmoid of the mean difference at every second pixel. `changes` overwrites metadata, or removes
    it where the value is None.
    """
    onset, apex = inputs
    vote = np.zeros((3, len(class_names)), np.float32)
    vote[range(3), [channel % len(class_names) for channel in range(3)]] = 1
    constants = {
        "vote": vote,
        "starts": np.array([0, 0]),
        "ends": np.array(CROP[:2]),
        "axes": np.array([1, 2]),
        "steps": np.array([2, 2]),
    }
    nodes = [
        helper.make_node("Cast", [onset], ["onset_float"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [apex], ["apex_float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["apex_float", "onset_float"], ["difference"]),
        helper.make_node("ReduceMean", ["difference"], ["channels"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["channels", "vote"], ["logits"]),
        helper.make_node("Softmax" if has_softmax else "Identity", ["logits"], ["probabilities"]),
        helper.make_node("Slice", ["difference", "starts", "ends", "axes", "steps"], ["sampled"]),
        helper.make_node("ReduceMean", ["sampled"], ["mean"], axes=[3], keepdims=0),
        helper.make_node("Sigmoid", ["mean"], ["attention"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, input_type, ["N", *CROP]) for name in inputs],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", len(class_names)]),
            helper.make_tensor_value_info("attention", TensorProto.FLOAT, ["N", *ATTENTION]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    said = metadata(class_names) | (changes or {})
    helper.set_model_props(model, {key: value for key, value in said.items() if value is not None})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def manifest_record(path: Path, class_names: Sequence[str] = CLASS_NAMES, **changes: object) -> dict:
    """The manifest's record of a network's file."""
    content = path.read_bytes()
    record = {
        "name": path.stem,
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "classes": list(class_names),
        "card": f"{path.stem}.md",
        "default": True,
    }
    return record | changes


def write_manifest(folder: Path, *records: dict) -> Path:
    """Write the manifest of a folder of weights."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({"format_version": 1, "models": records}), encoding="utf-8")
    return path
