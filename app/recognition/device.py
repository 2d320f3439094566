"""Sessions of ONNX Runtime on a chosen device, and the truth about where they run.

ONNX Runtime lists CUDA as available wherever its GPU build is installed, and falls back to the CPU without an error.
So a GPU counts only when a real run has executed on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from app.config import RecognitionConfig
from app.errors import DeviceError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
# What ONNX Runtime raises; the classes have no common base of their own.
RUNTIME_ERRORS = (
    RuntimeError, ValueError, ort.Fail, ort.InvalidArgument, ort.InvalidGraph, ort.InvalidProtobuf, ort.NoModel,
    ort.NoSuchFile, ort.NotImplemented, ort.RuntimeException, ort.EPFail, ort.DeviceReset,
)  # fmt: skip
_LOG_FATAL, _LOG_WARNING = 4, 2


@dataclass(frozen=True, eq=False, slots=True)
class PlacedSession:
    """A session and where it really runs.

    `provider`: name of the execution provider, with the device's number for CUDA ("CUDAExecutionProvider:0").
    `note`: why it is not the GPU, "" when it is or when the CPU was asked for.
    """

    session: onnxruntime.InferenceSession
    provider: str
    note: str


def open_session(
    content: bytes, threads: int, providers: tuple[str | tuple[str, dict], ...] = (CPU,)
) -> onnxruntime.InferenceSession:
    """A session over an ONNX file's bytes. Raises one of RUNTIME_ERRORS when the file is not a valid network."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_FATAL
    # Between two candidates, seconds apart, spinning threads would take the tracker's cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = onnxruntime.InferenceSession(content, options, providers=list(providers), enable_fallback=0)
    session.disable_fallback()
    return session


def place(
    content: bytes, cpu_session: onnxruntime.InferenceSession, config: RecognitionConfig, probe: dict[str, np.ndarray]
) -> PlacedSession:
    """Decide where a valid network runs.

    Args:
        content: the network's file.
        cpu_session: the same network on the CPU; it is what is returned when that is where to run.
        config: `auto` takes the first GPU if a run executes there; `cuda[:n]` and `require_gpu` take nothing else.
        probe: inputs for that run.

    Raises DeviceError with the reason when the GPU is required and cannot be used, or when the device has no meaning.
    """
    device_id = parse_device(config.device)
    if config.device == "cpu":
        if config.require_gpu:
            raise DeviceError("--require-gpu contradicts --device cpu. Leave one of them out.")
        return PlacedSession(cpu_session, CPU, "")
    try:
        session = _cuda_session(content, config.threads, device_id, probe)
    except DeviceError as error:
        if config.device != "auto" or config.require_gpu:
            raise
        return PlacedSession(cpu_session, CPU, str(error))
    return PlacedSession(session, f"{CUDA}:{device_id}", "")


def parse_device(device: str) -> int:
    """Number of the GPU that `auto`, `cpu`, `cuda` or `cuda:N` means (0 when it says none). Raises DeviceError."""
    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", device)
    if match is None:
        raise DeviceError(f"There is no device {device!r}. Use auto, cpu, cuda or cuda:N.")
    return int(match.group(1) or 0)


def nodes_per_provider(session: onnxruntime.InferenceSession) -> dict[str, int]:
    """How many of the network's nodes each execution provider took."""
    nodes: dict[str, int] = {}
    for subgraph in session.get_provider_graph_assignment_info():
        nodes[subgraph.ep_name] = nodes.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
    return nodes


def _cuda_session(
    content: bytes, threads: int, device_id: int, probe: dict[str, np.ndarray]
) -> onnxruntime.InferenceSession:
    """A session that has run `probe` on a GPU. Raises DeviceError with the reason otherwise."""
    if CUDA not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"No GPU: this ONNX Runtime ({onnxruntime.__version__}) is built without CUDA. "
            "Install onnxruntime-gpu in its place, or use --device cpu."
        )
    # Both report a missing library on standard output or error; the reason below says it once, with what to do.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
    onnxruntime.set_default_logger_severity(_LOG_FATAL)
    try:
        session = open_session(content, threads, ((CUDA, {"device_id": device_id}), CPU))
        if session.get_providers()[0] != CUDA:
            raise DeviceError(f"No GPU: {_missing_library()}")
        session.run(None, probe)
    except RUNTIME_ERRORS as error:
        first_line = str(error).strip().splitlines()[0]
        raise DeviceError(f"GPU {device_id} cannot run the network: {first_line}. Use --device cpu.") from error
    finally:
        onnxruntime.set_default_logger_severity(_LOG_WARNING)
    nodes = nodes_per_provider(session)
    if nodes.get(CUDA, 0) <= sum(nodes.values()) / 2:
        raise DeviceError(f"No GPU: CUDA took only {nodes.get(CUDA, 0)} of the network's {sum(nodes.values())} nodes.")
    return session


def _missing_library() -> str:
    """Why ONNX Runtime could not load its CUDA provider, and what to do. It must have tried before."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    if sys.platform == "win32":
        library = folder / "onnxruntime_providers_cuda.dll"
    else:
        library = folder / "libonnxruntime_providers_cuda.so"
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        reason = str(error)
        if "libcuda.so" in reason or "nvcuda" in reason:
            return f"the NVIDIA driver is missing ({reason}). Install it, or use --device cpu."
        return (
            f"a CUDA library is missing ({reason}). With an NVIDIA GPU and driver, "
            "`pip install 'onnxruntime-gpu[cuda,cudnn]'` brings them; without, use --device cpu."
        )
    return "the CUDA provider refused to start: no supported NVIDIA GPU, or its driver is too old. Use --device cpu."
