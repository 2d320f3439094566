"""Where many inputs are worked on: here, in several processes, or on the machines of a Ray cluster.

Every engine does the same work for the same result; one task that fails, or takes its whole process with it, does not
stop the others.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from app.errors import EngineError, MmnetError

logger = logging.getLogger("mmnet.runtime")

Emit = Callable[[Any], None]
Work = Callable[[Any, Emit], Any]  # of a task; tells of its progress by calling the second argument
OnMessage = Callable[[int, Any], None]  # position of the task, what it told
_MAX_RETRIES = 3  # of a task whose machine vanished; a task that fails by itself is not tried again


class Engine(Protocol):
    """Does `work` for every task. Yields, in the order in which they end, its position and its result or exception."""

    def run(self, work: Work, tasks: Sequence[Any], on_message: OnMessage) -> Iterator[tuple[int, Any]]: ...


class Here:
    """One after the other in this process."""

    def run(self, work: Work, tasks: Sequence[Any], on_message: OnMessage) -> Iterator[tuple[int, Any]]:
        for position, task in enumerate(tasks):
            yield position, _attempt(work, task, partial(on_message, position))


@dataclass(eq=False)
class _Worker:
    process: Any
    connection: Connection
    position: int


class Processes:
    """Several processes, each with one task at a time. They end with the one that started them."""

    def __init__(self, count: int) -> None:
        self._count = count

    def run(self, work: Work, tasks: Sequence[Any], on_message: OnMessage) -> Iterator[tuple[int, Any]]:
        # A forked child would inherit threads of OpenCV and MediaPipe in the middle of something.
        context = multiprocessing.get_context("spawn")
        waiting = deque(enumerate(tasks))
        workers: list[_Worker] = []
        try:
            while waiting or workers:
                while waiting and len(workers) < self._count:
                    workers.append(self._start(context, work, waiting))
                for connection in wait([worker.connection for worker in workers], timeout=1.0):
                    worker = next(worker for worker in workers if worker.connection is connection)
                    is_over, outcome = self._hear(worker, on_message)
                    if not is_over:
                        continue
                    yield worker.position, outcome
                    if not (waiting and self._next(worker, waiting)):
                        self._dismiss(worker)
                        workers.remove(worker)
        finally:
            for worker in workers:
                worker.process.terminate()
            for worker in workers:
                self._dismiss(worker)

    @staticmethod
    def _start(context: Any, work: Work, waiting: deque[tuple[int, Any]]) -> _Worker:
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(work, theirs), daemon=True)
        process.start()
        theirs.close()
        position, task = waiting.popleft()
        ours.send(task)
        return _Worker(process, ours, position)

    @staticmethod
    def _next(worker: _Worker, waiting: deque[tuple[int, Any]]) -> bool:
        """Give a worker another task; False when it is gone."""
        position, task = waiting[0]
        try:
            worker.connection.send(task)
        except OSError:
            return False
        waiting.popleft()
        worker.position = position
        return True

    @staticmethod
    def _hear(worker: _Worker, on_message: OnMessage) -> tuple[bool, Any]:
        try:
            kind, content = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join()
            code = worker.process.exitcode
            ending = f"by signal {-code}" if code and code < 0 else f"with code {code}"
            return True, EngineError(
                f"its process ended {ending}. If memory was short, use fewer --jobs; look at the file otherwise."
            )
        if kind == "message":
            on_message(worker.position, content)
            return False, None
        return True, content

    @staticmethod
    def _dismiss(worker: _Worker) -> None:
        worker.connection.close()
        worker.process.join(5.0)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()


class RayCluster:
    """Ray tasks on a cluster that is there, or on this machine where there is none. Paths must be the same everywhere.

    Args:
        address: of the cluster as Ray takes it, e.g. "ray://HOST:PORT"; "" finds one, or starts one here.

    Raises:
        EngineError: Ray is not installed, or there is no cluster at that address.
    """

    def __init__(self, address: str = "") -> None:
        # Nothing about a user's work is reported to anybody.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            self._ray = importlib.import_module("ray")
        except ImportError as error:
            raise EngineError(f"{error}. The engine ray needs it: pip install '.[cluster]'.") from None
        self._address = address

    def run(self, work: Work, tasks: Sequence[Any], on_message: OnMessage) -> Iterator[tuple[int, Any]]:
        ray = self._ray
        options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            ray.init(address=self._address or None, **options)
        except (ConnectionError, RuntimeError, ValueError, ImportError) as error:
            raise EngineError(f"No Ray cluster answers at {self._address or 'this machine'}: {error}") from None
        try:
            remote = ray.remote(num_cpus=1, max_retries=_MAX_RETRIES)(_collect)
            running = {remote.remote(work, task, os.getcwd()): position for position, task in enumerate(tasks)}
            while running:
                (reference, *_), _ = ray.wait(list(running), num_returns=1)
                position = running.pop(reference)
                try:
                    messages, outcome = ray.get(reference)
                except ray.exceptions.RayError as error:
                    yield position, EngineError(f"its machine was lost {_MAX_RETRIES} times: {type(error).__name__}")
                    continue
                for message in messages:
                    on_message(position, message)
                yield position, outcome
        finally:
            ray.shutdown()


def engine_named(name: str, jobs: int) -> Engine:
    """The engine for `--engine NAME --jobs N`: "local", "ray", or "ray://ADDRESS".

    Raises:
        EngineError: there is no such engine, or it cannot be used.
    """
    if name == "local":
        return Here() if jobs == 1 else Processes(jobs)
    if name == "ray":
        return RayCluster()
    if name.startswith("ray://") and name != "ray://":
        return RayCluster(name)
    raise EngineError(f"There is no engine {name!r}: use local, ray or ray://HOST:PORT.")


def _serve(work: Work, connection: Connection) -> None:
    """A worker process: tasks come and results go through `connection` until its other end is closed."""
    # Ctrl+C in a terminal reaches every process; the one that started this ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def tell(kind: str, content: Any) -> None:
        try:
            connection.send((kind, content))
        except OSError:
            raise SystemExit from None  # nobody is left to hear it

    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        tell("result", _attempt(work, task, lambda message: tell("message", message)))


def _collect(work: Work, task: Any, folder: str) -> tuple[list[Any], Any]:
    """On a machine of the cluster: what a task told, and its result. Relative paths are those of the user's folder."""
    os.chdir(folder)
    messages: list[Any] = []
    return messages, _attempt(work, task, messages.append)


def _attempt(work: Work, task: Any, emit: Emit) -> Any:
    try:
        return work(task, emit)
    except MmnetError as error:
        return error
    except Exception as error:
        logger.exception("a task failed")
        return _fault(error)


def _fault(error: Exception) -> EngineError:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return EngineError(f"a fault of the program: {type(error).__name__}: {error} ({where.filename}:{where.lineno}).")
