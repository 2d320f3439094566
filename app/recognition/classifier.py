"""An exported MMNet on ONNX Runtime: checked when loaded, then one prediction for each onset/apex pair.

The file is the whole contract with the training package: scaling, normalisation, the difference of the two crops and
the softmax are inside the graph; what the classes are and how the crops must be cut is in its metadata.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import onnxruntime

from app.config import RecognitionConfig
from app.datatypes import Prediction
from app.errors import DeviceError, ModelError
from app.face.alignment import AS_IS_RECIPE, CROP_RECIPE, CROP_SIZE
from app.recognition import device
from app.recognition.manifest import ModelFile, read_model
from app.resource import Resource

FORMAT_VERSION = "1"
ATTENTION_SIZE = 112
_METADATA_KEYS = ("format_version", "class_names", "crop_recipe", "training_data", "protocol", "scores", "is_trained")
_log = logging.getLogger("mmnet.recognition")


class NoTrainedNetworkError(ModelError):
    """There are no weights, or those named say of themselves that they are not trained: only spotting is possible."""


class Classifier(Resource):
    """Names the expression class of a spotted movement. Build, use and close it on one thread.

    Args:
        config: which network, on which device, with how many threads.
        folder: where the manifest is; by default the `weights` package.

    Attributes:
        class_names: order of the probabilities.
        model_name: name in the manifest, or the stem of a user's own file.
        model_path, sha256: the file and its hash.
        provider: execution provider really in use, e.g. "CPUExecutionProvider" or "CUDAExecutionProvider:0".
        provider_note: why that is not the GPU; "" when it is, or when the CPU was asked for.
        metadata: all that the file says of itself (str → str), e.g. `training_data`, `protocol`, `scores` (JSON).
        card: the model card as Markdown, "" when there is none.

    Raises:
        ModelError: the file is missing, damaged, not one of ours, or untrained.
        DeviceError: the device asked for cannot be used.
    """

    def __init__(self, config: RecognitionConfig | None = None, folder: Path | None = None) -> None:
        config = config or RecognitionConfig()
        device.parse_device(config.device)
        model = read_model(config.model, folder)
        if model is None:
            raise NoTrainedNetworkError("This installation has no weights. Name a network with --model FILE.")
        try:
            session = device.open_session(model.content, config.threads)
        except device.RUNTIME_ERRORS as error:
            raise ModelError(
                f"The model file {model.path} is not an ONNX network, or is damaged or truncated "
                f"({str(error).strip().splitlines()[0]}). Export or copy it again."
            ) from error
        self.metadata = dict(session.get_modelmeta().custom_metadata_map)
        self.class_names = _checked_class_names(model, self.metadata)
        _check_signature(model, session, len(self.class_names))
        self.model_name, self.model_path, self.sha256 = model.name, model.path, model.sha256
        card_path = model.entry.card_path if model.entry else model.path.with_suffix(".md")
        self.card = card_path.read_text(encoding="utf-8") if card_path and card_path.is_file() else ""
        blank = np.zeros((1, CROP_SIZE, CROP_SIZE, 3), np.uint8)
        probe = {"onset": blank, "apex": blank}
        placed = device.place(model.content, session, config, probe)
        self.provider, self.provider_note = placed.provider, placed.note
        self._session: onnxruntime.InferenceSession | None = placed.session
        # The first run allocates; a candidate must not wait for that.
        self._run(probe)
        _log.info("%s (sha256 %s) runs on %s. %s", self.model_name, self.sha256[:12], self.provider, self.provider_note)

    def classify(self, onset_bgr: np.ndarray, apex_bgr: np.ndarray) -> Prediction:
        """Prediction for one pair of registered crops, each (224, 224, 3) uint8 BGR.

        Raises DeviceError when the device fails during use, ModelError when the network gives no probabilities.
        """
        started = time.perf_counter()
        inputs = {"onset": _as_input(onset_bgr), "apex": _as_input(apex_bgr)}
        probabilities, attention = self._run(inputs)
        weights = probabilities[0].astype(np.float64)
        total = weights.sum()
        if not (np.isfinite(weights).all() and np.isclose(total, 1, atol=1e-3)):
            raise ModelError(f"The network {self.model_name!r} gave no probabilities ({weights}). Use another --model.")
        elapsed_ms = (time.perf_counter() - started) * 1e3
        return Prediction(self.class_names, weights / total, attention[0], elapsed_ms)

    def close(self) -> None:
        """Release the session. Closing twice is harmless."""
        self._session = None

    def _run(self, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        if self._session is None:
            raise RuntimeError("this classifier is closed")
        try:
            probabilities, attention = self._session.run(["probabilities", "attention"], inputs)
        except device.RUNTIME_ERRORS as error:
            raise DeviceError(
                f"The network failed on {self.provider}: {str(error).strip().splitlines()[0]}. Use --device cpu."
            ) from error
        return probabilities, attention


def load_classifier(
    config: RecognitionConfig | None = None, folder: Path | None = None
) -> tuple[Classifier | None, str]:
    """The classifier and "", or None and the reason why only spotting is possible: no weights, or an untrained network.

    Raises ModelError and DeviceError as Classifier does; with `require_gpu`, also when there is nothing to run on it.
    """
    config = config or RecognitionConfig()
    try:
        return Classifier(config, folder), ""
    except NoTrainedNetworkError as error:
        if config.require_gpu:
            raise DeviceError(f"Nothing can run on a GPU, which --require-gpu asks for. {error}") from error
        return None, f"Spotting only, no class is named. {error}"


def _as_input(crop_bgr: np.ndarray) -> np.ndarray:
    """(S, S, 3) BGR to (1, S, S, 3) RGB, contiguous."""
    if crop_bgr.shape != (CROP_SIZE, CROP_SIZE, 3) or crop_bgr.dtype != np.uint8:
        raise ValueError(f"a crop is ({CROP_SIZE}, {CROP_SIZE}, 3) uint8, not {crop_bgr.shape} {crop_bgr.dtype}")
    return np.ascontiguousarray(crop_bgr[None, :, :, ::-1])


def _checked_class_names(model: ModelFile, metadata: dict[str, str]) -> tuple[str, ...]:
    """Class names from the metadata. Raises ModelError when the metadata is not that of a trained network of ours."""
    prefix = f"The model file {model.path}"
    missing = [key for key in _METADATA_KEYS if key not in metadata]
    if missing:
        raise ModelError(
            f"{prefix} is not one of ours: its metadata lacks {', '.join(missing)}. Use a file from `mmnet export`."
        )
    if metadata["format_version"] != FORMAT_VERSION:
        raise ModelError(
            f"{prefix} has format version {metadata['format_version']!r}, this program reads {FORMAT_VERSION}. "
            "Export it again with this version."
        )
    if metadata["is_trained"] != "true":
        raise NoTrainedNetworkError(f"The network in {model.path} is not trained. Name another with --model.")
    if metadata["crop_recipe"] == AS_IS_RECIPE:
        _log.warning(
            "%s was trained on a data set's own crops, not on crops cut as here: trust its classes less.", model.name
        )
    elif metadata["crop_recipe"] != CROP_RECIPE:
        raise ModelError(
            f"{prefix} was trained on crops cut in another way ({metadata['crop_recipe']!r}, here {CROP_RECIPE!r}). "
            "Train it again with this version."
        )
    try:
        names = json.loads(metadata["class_names"])
        json.loads(metadata["scores"])
    except ValueError as error:
        raise ModelError(f"{prefix} has metadata that is no JSON ({error}). Export it again.") from error
    is_valid = isinstance(names, list) and len(names) > 1 and all(isinstance(name, str) and name for name in names)
    if not is_valid or len(set(names)) != len(names):
        raise ModelError(f"{prefix} has unusable class names ({metadata['class_names']}). Export it again.")
    if model.entry and tuple(names) != model.entry.class_names:
        raise ModelError(f"{prefix} has the classes {names}, its manifest says {list(model.entry.class_names)}.")
    return tuple(names)


def _check_signature(model: ModelFile, session: onnxruntime.InferenceSession, class_count: int) -> None:
    """Raise ModelError unless names, types and shapes are those of the contract; the batch size is free."""
    crop = ("tensor(uint8)", (CROP_SIZE, CROP_SIZE, 3))
    expected_inputs = {"onset": crop, "apex": crop}
    expected_outputs = {
        "probabilities": ("tensor(float)", (class_count,)),
        "attention": ("tensor(float)", (ATTENTION_SIZE, ATTENTION_SIZE)),
    }
    for kind, expected, nodes in (
        ("inputs", expected_inputs, session.get_inputs()),
        ("outputs", expected_outputs, session.get_outputs()),
    ):
        found = {node.name: (node.type, tuple(node.shape[1:])) for node in nodes}
        if found != expected:
            raise ModelError(
                f"The model file {model.path} is not one of ours: its {kind} are {_described(found)}, "
                f"not {_described(expected)}. Use a file from `mmnet export`."
            )


def _described(signature: dict[str, tuple[str, tuple]]) -> str:
    return ", ".join(
        f"{name}: {kind.removeprefix('tensor(').removesuffix(')')} ({', '.join(map(str, ('N', *shape)))})"
        for name, (kind, shape) in signature.items()
    )
