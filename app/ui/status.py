"""The status bar: how fast, what was lost, what recognition really runs on."""

from __future__ import annotations

from PyQt6.QtWidgets import QLabel, QStatusBar, QWidget

from app.runtime.workers import Figures, RecognitionStatus
from app.ui.words import provider_in_words


class StatusFigures(QStatusBar):
    """Figures of the run, renewed twice a second."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self._fields: dict[str, QLabel] = {}
        for name, tip in (
            ("rate", "Frames analysed a second / frames captured a second"),
            ("stages", "Milliseconds a frame in each stage, median"),
            ("losses", "Frames lost: they arrived while the analysis was behind, or the source lost them"),
            ("queue", "Frames waiting for analysis"),
            ("latency", "From the grab of a frame to its result, median and 95th percentile"),
        ):
            self._fields[name] = label = QLabel()
            label.setToolTip(tip)
            label.setAccessibleName(tip)
            self.addWidget(label)
        for name, tip in (
            ("memory", "Memory of this program"),
            ("provider", "What recognition really runs on"),
        ):
            self._fields[name] = label = QLabel()
            label.setToolTip(tip)
            self.addPermanentWidget(label)

    def show_run(self, figures: Figures, recognition: RecognitionStatus | None) -> None:
        """Everything that is known now."""
        self.show_figures(figures)
        self.show_recognition(recognition)

    def show_figures(self, figures: Figures) -> None:
        self._set("rate", f"{figures.analysed_fps:.1f} / {figures.captured_fps:.1f} fps")
        stages = {name: p for name, p in figures.stage_ms.items() if name != "all"}
        self._set(
            "stages", " · ".join(f"{name} {p.p50_ms:.1f}" for name, p in stages.items()) + " ms" if stages else ""
        )
        self._fields["stages"].setToolTip(
            "Milliseconds a frame in each stage\n"
            + "\n".join(f"{name}: median {p.p50_ms:.1f}, 95 % {p.p95_ms:.1f}" for name, p in figures.stage_ms.items())
        )
        self._set("losses", f"lost {figures.dropped}")
        self._set("queue", f"queue {figures.queued}")
        latency = figures.latency_ms
        self._set("latency", f"latency {latency.p50_ms:.0f} ms (95 %: {latency.p95_ms:.0f})" if latency else "")
        self._set("memory", f"{figures.memory_mib:.0f} MiB")

    def show_recognition(self, recognition: RecognitionStatus | None) -> None:
        label = self._fields["provider"]
        if recognition is None:
            label.setText("loading the network …")
        elif recognition.provider:
            label.setText(f"{recognition.model_name} on {provider_in_words(recognition.provider)}")
            label.setToolTip(f"What recognition really runs on: {recognition.provider}\n{recognition.status}")
        else:
            label.setText("no network")
            label.setToolTip(recognition.status)

    def text(self, field: str) -> str:
        """What a field shows: rate, stages, losses, queue, latency, memory or provider."""
        return self._fields[field].text()

    def _set(self, field: str, text: str) -> None:
        self._fields[field].setText(text)
        self._fields[field].setVisible(bool(text))
