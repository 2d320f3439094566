"""Processes that work for another one end with it, and do not begin where it is gone already."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked to end a process")

_WORKER = """
import sys, time
from model.processes import end_with_parent

end_with_parent(int(sys.argv[1]))
print("at work", flush=True)
time.sleep(60)
"""
_PARENT = """
import os, subprocess, sys

subprocess.run([sys.executable, "-c", sys.argv[1], str(os.getpid())])
"""
ROOT = Path(__file__).parents[1]


def test_a_process_ends_with_the_one_that_it_works_for():
    parent = psutil.Popen([sys.executable, "-c", _PARENT, _WORKER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with parent.stdout:
        try:
            assert parent.stdout.readline() == "at work\n"
            workers = parent.children()
        finally:
            parent.kill()
            parent.wait()
    assert len(workers) == 1
    assert psutil.wait_procs(workers, timeout=10)[1] == []


def test_work_for_a_process_that_is_gone_is_not_begun():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = subprocess.run(
        [sys.executable, "-c", _WORKER, str(gone.pid)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"The process {gone.pid} that this one works for is gone.\n"
