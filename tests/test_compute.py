"""How training computes: what it chooses, and that the choice changes speed only."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from model.compute import Compute, this_machine

CPU = torch.device("cpu")


def test_bfloat16_is_used_only_where_the_processor_has_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for capabilities, expected in (({"avx2": True}, False), ({"avx512_bf16": True}, True), ({"amx_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda c=capabilities: c)
        assert this_machine() == Compute(CPU, expected)


@pytest.mark.parametrize("has_bfloat16", [False, True])
def test_the_layout_changes_no_result_in_full_precision(has_bfloat16):
    torch.manual_seed(0)
    network, x = nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8)
    expected = network(x)
    compute = Compute(CPU, has_bfloat16)
    with compute.autocast(is_reduced=False):
        found = compute.place(network)(compute.crops(x))
    torch.testing.assert_close(found, expected)


def test_reduced_precision_takes_effect():
    with Compute(CPU, True).autocast(is_reduced=True):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.bfloat16
    with Compute(CPU, False).autocast(is_reduced=True):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is of Linux")
def test_freed_memory_is_kept():
    code = (
        "import psutil, torch; from model.compute import keep_freed_memory; {}; process = psutil.Process();"
        "before = process.memory_info().rss; block = torch.ones(50_000_000); del block;"
        "print(process.memory_info().rss - before > 150_000_000)"
    )

    def is_kept(call: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code.format(call)], capture_output=True, text=True, check=True
        ).stdout.strip()

    assert (is_kept("keep_freed_memory()"), is_kept("pass")) == ("True", "False")
