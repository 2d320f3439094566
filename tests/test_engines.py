"""Work on many inputs: the same results everywhere, and one failure is one failure."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from app.errors import EngineError, SourceError
from app.runtime.engines import Engine, Here, Processes, engine_named


def work(task: str, emit) -> str:
    emit(f"{task} begins")
    if task == "bad":
        raise SourceError("this input is bad")
    if task == "fault":
        raise ZeroDivisionError("a bug")
    if task == "crash":
        os._exit(3)
    if task == "killed":
        os.kill(os.getpid(), 9)
    emit(f"{task} ends")
    return task.upper()


def results_of(engine: Engine, tasks: list[str]) -> tuple[dict[str, object], dict[str, list[str]]]:
    told: dict[str, list[str]] = defaultdict(list)
    results = {}
    for position, result in engine.run(work, tasks, lambda position, message: told[tasks[position]].append(message)):
        assert tasks[position] not in results
        results[tasks[position]] = result
    return results, dict(told)


@pytest.mark.parametrize("engine", [Here(), Processes(2)], ids=["here", "processes"])
def test_every_task_has_its_result_and_its_messages(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    results, told = results_of(engine, ["a", "bad", "b", "fault", "c"])
    assert {task: results[task] for task in "abc"} == {"a": "A", "b": "B", "c": "C"}
    assert isinstance(results["bad"], SourceError)
    assert "this input is bad" in str(results["bad"])
    assert isinstance(results["fault"], EngineError)
    assert "a fault of the program: ZeroDivisionError: a bug" in str(results["fault"])
    assert told["b"] == ["b begins", "b ends"]
    assert told["bad"] == ["bad begins"]


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_a_task_that_takes_its_process_with_it_is_one_failure() -> None:
    results, _ = results_of(Processes(2), ["a", "crash", "b", "killed", "c", "d"])
    assert [results[task] for task in "abcd"] == ["A", "B", "C", "D"]
    assert "its process ended with code 3" in str(results["crash"])
    assert "its process ended by signal 9" in str(results["killed"])


def test_stopping_early_leaves_no_process() -> None:
    run = Processes(2).run(work, ["a", "b", "c"], lambda position, message: None)
    next(run)
    run.close()
    with pytest.raises(StopIteration):
        next(run)


START_AND_WAIT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from app.runtime.engines import Processes
import test_engines
if __name__ == "__main__":
    for _ in Processes(2).run(test_engines.tell_for_ever, [sys.argv[2] + "/1", sys.argv[2] + "/2"], lambda *_: None):
        pass
"""


def tell_for_ever(task: str, emit) -> None:
    Path(task).write_text(str(os.getpid()), encoding="utf-8")
    while True:
        emit("still here")
        time.sleep(0.05)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(START_AND_WAIT, encoding="utf-8")
    with subprocess.Popen([sys.executable, script, str(Path(__file__).parent), str(tmp_path)]) as process:
        deadline = time.monotonic() + 60
        while not all((tmp_path / n).exists() and (tmp_path / n).read_text() for n in "12"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    workers = [int((tmp_path / n).read_text()) for n in "12"]
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_engines_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(engine_named("local", 1), Here)
    assert isinstance(engine_named("local", 2), Processes)
    for name in ("slurm", "ray://", "rays"):
        with pytest.raises(EngineError, match="use local, ray or ray://HOST:PORT"):
            engine_named(name, 1)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"pip install '\.\[cluster\]'"):
        engine_named("ray", 1)
