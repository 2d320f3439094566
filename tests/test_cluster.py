"""Ray tasks: on a cluster of two nodes on this machine, one of which is lost half-way."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
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
    is_other = Path(tasks[position]).exists() and Path(tasks[position]).read_text() == other.node_id
    if other in cluster.list_all_nodes() and (is_other or len(results) == 4):
        cluster.remove_node(other, allow_graceful=False)
assert [str(results[n]) for n in range(6)] == ["0", "1", "2", "a bad one", "4", "5"], results
assert all(told[n] == ["begins", "ends"] for n in (0, 1, 2, 4, 5)), told
print("nodes left", len(cluster.list_all_nodes()))
"""


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """For programs that use Ray: without a cluster that somebody else has running or left behind."""
    # Not tmp_path: the names of Ray's sockets would be too long.
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        inherited = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parent)])
        yield inherited | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": folder, "PYTHONPATH": path}


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
def test_a_lost_node_changes_no_result(tmp_path: Path, environment: dict[str, str]) -> None:
    arguments = [sys.executable, "-c", TWO_NODES, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "nodes left 1" in done.stdout


COMMANDS = """
import sys
from pathlib import Path
from model.cluster import run_on_ray

folder = Path(sys.argv[1])
code = "import os, sys; print(sys.argv[1:], os.getcwd()); sys.exit(int(sys.argv[1]))"
logs = [folder / f"{n}.txt" for n in range(3)]
print(sorted(run_on_ray("ray", [["-c", code, str(n)] for n in range(3)], logs, 1)))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="starts Ray on this machine")
def test_commands_run_in_the_users_folder_and_end_with_their_worker(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, str(tmp_path)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "[(0, 0), (1, 1), (2, 2)]" in done.stdout
    for n in range(3):
        said = (tmp_path / f"{n}.txt").read_text(encoding="utf-8")
        assert said.startswith(f"['{n}', '--parent', '")
        assert said.endswith(f"{tmp_path}\n")


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
