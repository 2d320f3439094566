"""What the window says. Movements and classes are described, never feelings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from app.datatypes import Candidate, Event, SpotState

if TYPE_CHECKING:
    from app.capture.camera import CameraMode

NOTICE_TITLE = "Before you start"
NOTICE = (
    "This program is experimental. It detects brief facial movements. It cannot read thoughts or detect lies, and most "
    "of what it reports may be wrong: on public tests, the best published methods reach an F1 score of 0.10 to 0.29 at "
    "finding micro-expressions.",
    "Use it only with the knowledge and consent of the person in the picture.",
    "In the European Union, inferring the emotions of employees or students is prohibited (AI Act, Art. 5(1)(f)), and "
    "people exposed to such a system must be told (Art. 50(3)).",
    "Pictures stay on this computer, and nothing is recorded unless you ask for it.",
)

CONSENT_STATEMENT = (
    "Video of my face is recorded on this computer and analysed for brief facial movements. I know what it is used "
    "for, who will see it and how long it is kept, and I can ask for it to be deleted."
)

SPOT_STATES: dict[SpotState, str] = {
    SpotState.OFF: "not analysed",
    SpotState.WARMUP: "learning the resting face",
    SpotState.IDLE: "watching",
    SpotState.RISING: "movement",
    SpotState.FALLING: "movement",
    SpotState.HOLDING: "long movement",
}

_PROVIDERS = {
    "CPUExecutionProvider": "CPU",
    "CUDAExecutionProvider": "GPU (CUDA)",
    "TensorrtExecutionProvider": "GPU (TensorRT)",
    "CoreMLExecutionProvider": "CoreML",
    "DmlExecutionProvider": "GPU (DirectML)",
}


def consistent_with(event: Event) -> str:
    """What kind of expression a movement looks like, in the words of the field."""
    if event.prediction is None:
        return "Candidate micro-expression"
    return f"Expression consistent with {event.prediction.label}"


def regions_in_words(regions: Iterable[str], limit: int = 3) -> str:
    """`left mouth corner, right mouth corner, chin` → `both mouth corners, chin`."""
    names: list[str] = []
    regions = list(regions)
    for region in regions:
        side, _, part = region.partition(" ")
        other = {"left": "right", "right": "left"}.get(side)
        is_pair = other is not None and f"{other} {part}" in regions
        name = f"both {part}s" if is_pair else region
        if name not in names:
            names.append(name)
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" +{more}" if more > 0 else "")


def clock(seconds: float, *, decimals: int = 3) -> str:
    """Seconds as `m:ss.mmm`, with hours only when there are any."""
    scale = 10**decimals
    total = round(seconds * scale)
    minutes, rest = divmod(total, 60 * scale)
    hours, minutes = divmod(minutes, 60)
    width = 2 + (decimals + 1 if decimals else 0)
    tail = f"{rest / scale:0{width}.{decimals}f}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def provider_in_words(provider: str) -> str:
    """ONNX Runtime's provider as users call it."""
    return _PROVIDERS.get(provider, provider.removesuffix("ExecutionProvider"))


def modes_in_words(modes: Iterable[CameraMode], limit: int = 3) -> str:
    """`1920×1080 at 30 · 1280×720 at 60 · 640×480 at 90 fps`, largest first; "" when nothing is known."""
    listed = [f"{mode.width}×{mode.height} at {mode.fps:.0f}" for mode in modes]
    more = f" · {len(listed) - limit} more" if len(listed) > limit else ""
    return f"{' · '.join(listed[:limit])} fps{more}" if listed else ""


def delivery_in_words(requested_fps: float | None, delivered_fps: float) -> str:
    """What a rate means: `requested 60, delivered 24 fps: movements shorter than 80 ms can be missed`."""
    shortest_ms = round(2000 / delivered_fps, -1)  # two intervals: one frame before, one in, one after
    wish = f"requested {requested_fps:g}, " if requested_fps else ""
    return f"{wish}delivered {delivered_fps:.0f} fps: movements shorter than {shortest_ms:.0f} ms can be missed"


def reason_in_words(reason: str) -> str:
    """Why a face is not analysed, and what to do about it: `too small: come closer`."""
    # The module loads OpenCV; by the time a face has been judged, the analysis thread has loaded it already.
    from app.face.quality import REASONS

    advice = REASONS.get(reason, "")
    return f"{reason}: {advice}" if advice else reason


def rejections_in_words(counts: Mapping[str, int]) -> str:
    """`blink 4 · too long 2`, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return " · ".join(f"{reason} {count}" for reason, count in ordered)


def rejection_meanings(counts: Mapping[str, int]) -> str:
    """One line for each gate that closed, for a tooltip."""
    # Loaded by the analysis thread before it can reject anything.
    from app.spotting.gates import REJECTIONS

    return "\n".join(f"{reason}: {REJECTIONS.get(reason, '')}" for reason in sorted(counts))


def candidate_figures(candidate: Candidate) -> str:
    """Duration, strength and frame rate in one line."""
    return f"{candidate.duration_ms:.0f} ms · {candidate.spot_score:.1f}× threshold · {candidate.fps_effective:.0f} fps"
