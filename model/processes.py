"""Processes that must not outlive the one that they work for."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, _worker: int = 0) -> None:
    """Ask Linux to end this process when the one that started it has died; elsewhere nothing can be asked for.

    `partial(end_with_parent, os.getpid())` is a worker_init_fn: a DataLoader passes the number of the worker.

    Args:
        parent: number of the process that started this one, which may be dead by now.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(f"The process {parent} that this one works for is gone.")
