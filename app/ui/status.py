"""The status bar: how fast, what was lost, how the window feels, what recognition really runs on."""

from __future__ import annotations

from PyQt6.QtWidgets import QLabel, QStatusBar, QWidget

from app.runtime.metrics import Percentiles
from app.runtime.records import Figures, RecognitionStatus
from app.ui.layouts import ElidedLabel, set_tone
from app.ui.watchdog import LIMIT_MS, BlockMeter
from app.ui.words import provider_in_words

_LEFT = {
    "rate": "Frames analysed a second / frames captured a second",
    "stages": "Milliseconds a frame in each stage, median",
    "losses": "Frames lost: they arrived while the analysis was behind, or the source lost them",
    "queue": "Frames waiting for analysis",
    "latency": (
        "From the grab of a frame to its result, and until it is on the screen; "
        "from the offset of a movement to its event; median"
    ),
}
_RIGHT = {
    "window": "Longest time that the window kept the user waiting, in the last ten seconds",
    "memory": "Memory of this program",
    "provider": "What recognition really runs on",
}

_YIELDING = ("stages", "latency", "provider")  # shortened where the window is narrow


class StatusFigures(QStatusBar):
    """Figures of the run, renewed twice a second; red where something needs attention."""

    def __init__(self, meter: BlockMeter, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._meter = meter
        self._screen: Percentiles | None = None
        self.setSizeGripEnabled(False)
        self._fields: dict[str, QLabel] = {}
        for fields, add in ((_LEFT, self.addWidget), (_RIGHT, self.addPermanentWidget)):
            for name, tip in fields.items():
                self._fields[name] = label = ElidedLabel() if name in _YIELDING else QLabel()
                label.setToolTip(tip)
                label.setAccessibleName(tip)
                label.hide()
                add(label)

    def clear_figures(self) -> None:
        """Another source begins."""
        self._screen = None
        for name in _LEFT:
            self._set(name, "")

    def show_run(self, figures: Figures, recognition: RecognitionStatus | None) -> None:
        """Everything that is known now."""
        self.show_figures(figures)
        self.show_recognition(recognition)

    def show_screen(self, screen: Percentiles | None) -> None:
        """From the grab of a live frame until it was painted."""
        self._screen = screen

    def show_figures(self, figures: Figures) -> None:
        is_over = figures.analysed_fps == figures.captured_fps == 0
        self._set("rate", "" if is_over else f"{figures.analysed_fps:.1f} / {figures.captured_fps:.1f} fps")
        stages = {name: p for name, p in figures.stage_ms.items() if name != "all"}
        self._set(
            "stages", " · ".join(f"{name} {p.p50_ms:.1f}" for name, p in stages.items()) + " ms" if stages else ""
        )
        self._fields["stages"].setToolTip(
            f"{_LEFT['stages']}\n"
            + "\n".join(f"{name}: median {p.p50_ms:.1f}, 95 % {p.p95_ms:.1f}" for name, p in figures.stage_ms.items())
        )
        self._set("losses", f"lost {figures.dropped}", "warning" if figures.dropped else "")
        self._set("queue", f"queue {figures.queued}")
        latency = figures.latency_ms
        words = tip = ""
        if latency:
            words, tip = f"latency {latency.p50_ms:.0f}", f"result: 95 % within {latency.p95_ms:.0f} ms"
            if self._screen:
                words += f" · on screen {self._screen.p50_ms:.0f}"
                tip += f"\non screen: 95 % within {self._screen.p95_ms:.0f} ms"
            if events := figures.event_latency_ms:
                words += f" · event {events.p50_ms:.0f}"
                tip += f"\nevent: 95 % within {events.p95_ms:.0f} ms"
        self._set("latency", f"{words} ms" if words else "")
        self._fields["latency"].setToolTip(f"{_LEFT['latency']}\n{tip}")
        longest_ms, usual_ms = self._meter.percentile_ms(100), self._meter.percentile_ms(99)
        self._set("window", f"window {longest_ms:.0f} ms", "warning" if longest_ms > LIMIT_MS else "")
        self._fields["window"].setToolTip(f"{_RIGHT['window']}: {longest_ms:.0f} ms; 99 %: {usual_ms:.0f} ms")
        self._set("memory", f"{figures.memory_mib:.0f} MiB")

    def show_recognition(self, recognition: RecognitionStatus | None) -> None:
        label = self._fields["provider"]
        if recognition is None:
            self._set("provider", "loading the network …")
        elif not recognition.provider:
            self._set("provider", "no network", "alarm")
            label.setToolTip(recognition.status)
        elif recognition.has_fallen_back:
            self._set("provider", f"{_name(recognition)} fell back to CPU", "alarm")
            label.setToolTip(
                f"{_RIGHT['provider']}: {recognition.provider}\n{recognition.status}\n"
                "If the CPU is meant, choose it in the settings."
            )
        else:
            self._set("provider", f"{_name(recognition)} on {provider_in_words(recognition.provider)}")
            label.setToolTip(f"{_RIGHT['provider']}: {recognition.provider}\nTrained on: {recognition.training_data}")

    def text(self, field: str) -> str:
        """What a field shows: rate, stages, losses, queue, latency, window, memory or provider."""
        label = self._fields[field]
        return label.whole if isinstance(label, ElidedLabel) else label.text()

    def tone(self, field: str) -> str:
        """Empty for a plain field, else warning or alarm."""
        return str(self._fields[field].property("tone") or "")

    def _set(self, field: str, text: str, tone: str = "") -> None:
        set_tone(self._fields[field], text, tone)
        self._fields[field].setVisible(bool(text))


def _name(recognition: RecognitionStatus) -> str:
    is_named = "synthetic" in recognition.model_name.casefold()
    return (
        f"{recognition.model_name} (synthetic)" if recognition.is_synthetic and not is_named else recognition.model_name
    )
