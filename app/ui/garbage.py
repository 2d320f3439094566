"""Python's cyclic garbage collection, kept in the thread that owns the widgets."""

from __future__ import annotations

import gc

from PyQt6.QtCore import QObject, QTimer

_PERIOD_MS = 1000


class GarbageTimer(QObject):
    """Collects garbage once a second, in the GUI thread only.

    Left to itself, Python collects in whichever thread happens to allocate; a widget that is freed there crashes Qt.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self, interval=_PERIOD_MS)
        self._timer.timeout.connect(self.collect)

    def start(self) -> None:
        gc.disable()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()
        gc.unfreeze()
        gc.enable()

    def collect(self) -> None:
        """Collect the oldest generation that has reached its threshold, as Python itself would."""
        due = [
            g for g, (count, limit) in enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True)) if count > limit
        ]
        if due:
            gc.collect(due[-1])

    def settle(self) -> None:
        """Take out of all later collections what the libraries made while they were loaded: it costs 50 ms each time.

        Only while this timer runs: `gc.freeze` does not look whether another thread is just collecting.
        """
        gc.collect()
        gc.freeze()
