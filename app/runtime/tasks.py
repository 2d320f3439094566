"""One long piece of work beside a window that goes on answering."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from app.errors import MmnetError

Result = TypeVar("Result")
logger = logging.getLogger("mmnet.runtime")


class Task(Generic[Result]):
    """Runs `work` on a thread of its own, once.

    Attributes:
        result: what it returned, None before its end and after a failure.
        error: what it raised.
    """

    def __init__(self, name: str, work: Callable[[], Result]) -> None:
        self.result: Result | None = None
        self.error: Exception | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; False when it is late."""
        self._thread.join(timeout_s)
        return self.is_over

    def _run(self) -> None:
        try:
            self.result = self._work()
        except MmnetError as error:
            self.error = error
        except Exception as error:
            logger.exception("%s failed", self._thread.name)
            self.error = error
