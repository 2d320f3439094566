"""Folds on the machines of a Ray cluster, each in a process of its own, as on one machine.

The data and the folder of the run must have the same paths on every machine. A fold whose machine vanished is given to
another one and goes on from its checkpoint, so that the numbers are those of an unbroken run.
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.errors import EngineError

_MAX_RETRIES = 3


def run_on_ray(
    engine: str, commands: Sequence[Sequence[str]], logs: Sequence[Path], threads: int
) -> Iterator[tuple[int, int]]:
    """Run commands of this Python on a cluster. Yields, in the order in which they end, position and exit code.

    Args:
        engine: "ray://HOST:PORT"; "ray" finds a cluster, or starts one on this machine.
        commands: what follows the interpreter; --parent is added.
        logs: where the output of each is appended.
        threads: of the CPU, for one command.

    Raises:
        EngineError: there is no such engine, Ray is not installed, no cluster answers, or a machine was lost too often.
    """
    if engine != "ray" and not (engine.startswith("ray://") and engine != "ray://"):
        raise EngineError(f"There is no engine {engine!r}: use local, ray or ray://HOST:PORT.")
    # Nothing about a user's work is reported to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise EngineError(f"{error}. The engine ray needs it: pip install '.[cluster]'.") from None
    try:
        ray.init(address=None if engine == "ray" else engine, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
        raise EngineError(f"No Ray cluster answers for {engine}: {error}") from None
    try:
        remote = ray.remote(num_cpus=threads, max_retries=_MAX_RETRIES)(_run)
        pairs = enumerate(zip(commands, logs, strict=True))
        running = {remote.remote(list(command), log, os.getcwd()): position for position, (command, log) in pairs}
        while running:
            (reference, *_), _ = ray.wait(list(running), num_returns=1)
            position = running.pop(reference)
            try:
                yield position, ray.get(reference)
            except ray.exceptions.RayError as error:
                raise EngineError(
                    f"The machine of {logs[position].parent} was lost {_MAX_RETRIES} times ({type(error).__name__}): "
                    "go on with --resume."
                ) from None
    finally:
        ray.shutdown()


def _run(command: list[str], log: Path, folder: str) -> int:
    """On a machine of the cluster: the process ends with the worker that started it."""
    with log.open("a", encoding="utf-8") as output:
        return subprocess.run(
            [sys.executable, *command, "--parent", str(os.getpid())],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
