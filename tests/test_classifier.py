"""Recognition on real ONNX Runtime with tiny networks of the same contract."""

from __future__ import annotations

import logging

import networks
import numpy as np
import pytest
from onnx import TensorProto

from app.config import RecognitionConfig
from app.errors import DeviceError, ModelError
from app.recognition import device
from app.recognition.classifier import Classifier, load_classifier

GREY = np.full((224, 224, 3), 100, np.uint8)


def _cpu(model) -> RecognitionConfig:
    return RecognitionConfig(model=model, device="cpu")


@pytest.mark.parametrize(("channel_bgr", "label"), [(2, "negative"), (1, "positive"), (0, "surprise")])
def test_crops_reach_the_network_in_rgb(network_path, channel_bgr, label):
    apex = GREY.copy()
    apex[:, :, channel_bgr] += 2
    with Classifier(_cpu(network_path)) as classifier:
        prediction = classifier.classify(GREY, apex)
    rest, highest = np.exp(0), np.exp(2)
    assert prediction.label == label
    assert prediction.confidence == pytest.approx(highest / (highest + 2 * rest), abs=1e-6)
    assert prediction.probabilities.dtype == np.float64
    assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-12)
    assert prediction.elapsed_ms > 0


def test_attention_lies_over_the_crop(network_path):
    apex = GREY.copy()
    apex[:112, 112:] += 30  # top right
    with Classifier(_cpu(network_path)) as classifier:
        attention = classifier.classify(GREY, apex).attention
    assert attention.shape == (112, 112)
    assert attention.dtype == np.float32
    assert attention[:56, 56:].min() > 0.99
    assert np.delete(attention.reshape(2, 56, 2, 56).swapaxes(1, 2).reshape(4, -1), 1, axis=0).max() == 0.5


def test_same_pair_gives_the_same_numbers(network_path):
    rng = np.random.default_rng(0)
    onset, apex = rng.integers(0, 256, (2, 224, 224, 3), np.uint8)
    with Classifier(_cpu(network_path)) as first, Classifier(_cpu(network_path)) as second:
        assert np.array_equal(first.classify(onset, apex).probabilities, second.classify(onset, apex).probabilities)


def test_it_says_what_it_is(weights_folder):
    with Classifier(RecognitionConfig(device="cpu"), weights_folder) as classifier:
        assert classifier.model_name == "tiny"
        assert len(classifier.sha256) == 64
        assert classifier.class_names == networks.CLASS_NAMES
        assert classifier.card == "# tiny\n"
        assert classifier.metadata["training_data"] == "none: made for a test"
        assert (classifier.provider, classifier.provider_note) == ("CPUExecutionProvider", "")


def test_any_number_of_classes(tmp_path):
    names = ("happiness", "surprise", "disgust", "repression", "others")
    with Classifier(_cpu(networks.write_network(tmp_path / "five.onnx", names))) as classifier:
        assert classifier.classify(GREY, GREY).probabilities == pytest.approx([0.2] * 5)
        assert classifier.card == ""


def test_a_users_own_file_may_have_the_name_of_one_that_came_with_the_program(weights_folder, tmp_path):
    own = networks.write_network(tmp_path / "tiny.onnx", ("a", "b"), changes={"training_data": "my own"})
    with Classifier(_cpu(own), weights_folder) as classifier:
        assert (classifier.class_names, classifier.model_path) == (("a", "b"), own)
        assert (classifier.metadata["training_data"], classifier.card) == ("my own", "")


@pytest.mark.parametrize("crop", [GREY[:200], GREY[:, :, 0], GREY.astype(np.float32)])
def test_a_wrong_crop_is_a_bug_of_the_caller(network_path, crop):
    with Classifier(_cpu(network_path)) as classifier, pytest.raises(ValueError, match="a crop is"):
        classifier.classify(GREY, crop)


def test_no_use_after_close(network_path):
    classifier = Classifier(_cpu(network_path))
    classifier.close()
    classifier.close()
    with pytest.raises(RuntimeError, match="closed"):
        classifier.classify(GREY, GREY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": None, "protocol": None}, r"lacks class_names, protocol"),
        ({"format_version": "2"}, r"format version '2'"),
        ({"crop_recipe": "by eye"}, r"cut in another way \('by eye'"),
        ({"class_names": "negative"}, r"no JSON"),
        ({"class_names": '["a", "b", "a"]'}, r"unusable class names"),
        ({"class_names": "[]"}, r"unusable class names"),
        ({"class_names": '["a", "b"]'}, r"outputs are .*\(N, 3\).*not .*\(N, 2\)"),
        ({"is_trained": "false"}, r"is not trained"),
    ],
)
def test_wrong_metadata_is_refused(tmp_path, changes, message):
    path = networks.write_network(tmp_path / "wrong.onnx", changes=changes)
    with pytest.raises(ModelError, match=message):
        Classifier(_cpu(path))


def test_wrong_input_names_and_types_are_refused(tmp_path):
    renamed = networks.write_network(tmp_path / "renamed.onnx", inputs=("first", "second"))
    with pytest.raises(ModelError, match=r"inputs are first: uint8 \(N, 224, 224, 3\), second.*not onset: uint8"):
        Classifier(_cpu(renamed))
    real = networks.write_network(tmp_path / "float.onnx", input_type=TensorProto.FLOAT)
    with pytest.raises(ModelError, match="onset: float"):
        Classifier(_cpu(real))


def test_classes_must_be_those_of_the_manifest(weights_folder):
    record = networks.manifest_record(weights_folder / "tiny.onnx", ("a", "b", "c"))
    networks.write_manifest(weights_folder, record)
    with pytest.raises(ModelError, match="its manifest says"):
        Classifier(RecognitionConfig(device="cpu"), weights_folder)


@pytest.mark.parametrize("content", [b"", b"not a network", "half"])
def test_damaged_files_are_refused(tmp_path, network_path, content):
    whole = network_path.read_bytes()
    path = tmp_path / "damaged.onnx"
    path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(ModelError, match="damaged or truncated"):
        Classifier(_cpu(path))


def test_a_network_without_softmax_is_noticed(tmp_path):
    path = networks.write_network(tmp_path / "logits.onnx", has_softmax=False)
    with Classifier(_cpu(path)) as classifier, pytest.raises(ModelError, match="no probabilities"):
        classifier.classify(GREY, GREY + np.uint8(5))


def test_without_trained_weights_only_spotting_is_left(tmp_path, weights_folder):
    classifier, reason = load_classifier(RecognitionConfig(device="cpu"), tmp_path)
    assert classifier is None
    assert reason.startswith("Spotting only, no class is named. This installation has no weights.")
    untrained = networks.write_network(tmp_path / "untrained.onnx", changes={"is_trained": "false"})
    classifier, reason = load_classifier(_cpu(untrained), weights_folder)
    assert classifier is None
    assert "is not trained" in reason


def test_load_gives_the_classifier_and_no_reason(weights_folder):
    classifier, reason = load_classifier(RecognitionConfig(device="cpu"), weights_folder)
    with classifier:
        assert reason == ""


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:0", "", "CUDA"])
def test_unknown_devices_are_refused(network_path, name):
    with pytest.raises(DeviceError, match="auto, cpu, cuda or cuda:N"):
        Classifier(RecognitionConfig(model=network_path, device=name))


def test_required_gpu_and_cpu_contradict(network_path):
    with pytest.raises(DeviceError, match="contradicts"):
        Classifier(RecognitionConfig(model=network_path, device="cpu", require_gpu=True))


def test_required_gpu_needs_something_to_run(tmp_path):
    with pytest.raises(DeviceError, match="has no weights"):
        load_classifier(RecognitionConfig(require_gpu=True), tmp_path)


def test_auto_uses_what_really_runs_and_says_why(network_path, capfd, caplog):
    caplog.set_level(logging.INFO, logger="mmnet")
    with Classifier(RecognitionConfig(model=network_path)) as classifier:
        classifier.classify(GREY, GREY)
    if classifier.provider == device.CPU:
        assert classifier.provider_note.startswith(("No GPU: ", "GPU 0 cannot run the network: "))
    else:
        assert classifier.provider == "CUDAExecutionProvider:0"
        assert classifier.provider_note == ""
    assert classifier.provider in caplog.text
    assert capfd.readouterr() == ("", ""), "ONNX Runtime's own messages must not reach the terminal"


def test_a_required_gpu_is_used_or_refused(network_path):
    for config in (
        RecognitionConfig(model=network_path, device="cuda"),
        RecognitionConfig(model=network_path, require_gpu=True),
        RecognitionConfig(model=network_path, device="cuda:99"),
    ):
        try:
            classifier = Classifier(config)
        except DeviceError as error:
            assert "--device cpu" in str(error)  # noqa: PT017 — a machine with a GPU raises nothing here
        else:
            assert classifier.provider == "CUDAExecutionProvider:0"
            assert config.device != "cuda:99"


def test_nodes_are_counted_where_they_run(network_path):
    session = device.open_session(network_path.read_bytes(), threads=1)
    assert device.nodes_per_provider(session) == {device.CPU: 9}


def test_threads_are_limited(network_path):
    session = device.open_session(network_path.read_bytes(), threads=3)
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
