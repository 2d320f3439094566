"""Ray tasks: on a cluster of two nodes on this machine, one of which is lost half-way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import EngineError
from app.runtime.engines import RayCluster
from model.cluster import run_on_ray

pytest.importorskip("ray")

# In a process of its own: Ray starts threads that stay, and warns of what is not ours.
TWO_NODES = """
import collections, os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import ray
from ray.cluster_utils import Cluster
import test_cluster
from app.runtime.engines import RayCluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
other = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
told, results = collections.defaultdict(list), {}
tasks = [f"{sys.argv[2]}/{n}" for n in range(6)]
engine = RayCluster(cluster.address)
for position, result in engine.run(test_cluster.note, tasks, lambda n, message: told[n].append(message)):
    results[position] = result
    if len(results) == 2:
        cluster.remove_node(other, allow_graceful=False)
assert [str(results[n]) for n in range(6)] == ["0", "1", "2", "a bad one", "4", "5"], results
assert told[0] == ["begins", "ends"], told
print("nodes", len({Path(task).read_text() for task in tasks if Path(task).exists()}))
"""


def note(task: str, emit) -> str:
    import ray

    from app.errors import SourceError

    emit("begins")
    name = Path(task).name
    if name == "3":
        raise SourceError("a bad one")
    Path(task).write_text(ray.get_runtime_context().get_node_id(), encoding="utf-8")
    import time

    time.sleep(0.5)
    emit("ends")
    return name


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Ray's test cluster")
def test_a_lost_node_changes_no_result(tmp_path: Path) -> None:
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(Path(__file__).parent)}
    arguments = [sys.executable, "-c", TWO_NODES, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "nodes 2" in done.stdout


@pytest.mark.parametrize("engine", ["slurm", "ray://"])
def test_engines_that_training_does_not_know(engine: str) -> None:
    with pytest.raises(EngineError, match="use local, ray or ray://HOST:PORT"):
        next(run_on_ray(engine, [["-c", "pass"]], [Path("log.txt")], 1))


def test_ray_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"pip install '\.\[cluster\]'"):
        next(run_on_ray("ray", [["-c", "pass"]], [Path("log.txt")], 1))
    with pytest.raises(EngineError, match=r"pip install '\.\[cluster\]'"):
        RayCluster("ray://127.0.0.1:1")
