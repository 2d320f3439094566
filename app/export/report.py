"""A session as one HTML file to read and print: pictures, timeline, table, provenance, notice. Nothing is loaded."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app import __version__
from app.export.medium import in_blocks
from app.export.reviewed import Reviewed
from app.session.folder import KEY_FRAMES
from app.session.reader import Session
from app.session.records import SessionEvent

NOTICE = (
    "Experimental software. It detects brief facial movements and names an expression class that a movement is "
    "consistent with. It cannot read thoughts or detect lies, and most of what it reports may be wrong: on public "
    "tests, the best published methods reach an F1 score of 0.10 to 0.29 at finding micro-expressions.",
    "For use with the knowledge and consent of the person filmed only. In the European Union, inferring the emotions "
    "of employees or students is prohibited (AI Act, Art. 5(1)(f)), and people exposed to such a system must be told "
    "(Art. 50(3)).",
)
_WIDTH, _LANE, _LEFT = 1000, 24, 110  # of the timeline, in its own units
_BINS = 500
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #1b1f24; max-width: 1100px; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 22px; margin-bottom: 0; } h2 { font-size: 16px; margin-top: 2em; } .muted { color: #59636e; }
.notice { border-left: 4px solid #b35900; background: #fff6eb; padding: .6em 1em; margin: 1em 0; }
.notice p { margin: .3em 0; } table { border-collapse: collapse; width: 100%; } td, th { text-align: left;
padding: 4px 8px; border-bottom: 1px solid #d8dee4; vertical-align: top; } td.number { text-align: right;
font-variant-numeric: tabular-nums; } .event { break-inside: avoid; display: grid; grid-template-columns: auto 1fr;
gap: 1.2em; padding: 1em 0; border-bottom: 1px solid #d8dee4; } figure { display: inline-block; margin: 0 6px 0 0; }
figcaption { font-size: 12px; color: #59636e; } img { width: 132px; height: 132px; border-radius: 4px; display: block; }
svg { width: 100%; height: auto; } @media print { body { margin: 0; max-width: none; } }
"""


def as_html(reviewed: Reviewed, *, is_blurred: bool = False) -> bytes:
    """The page."""
    session = reviewed.session
    parts = [
        f"<h1>{escape(session.name)}</h1>",
        f'<p class="muted">{escape(_subtitle(session))}</p>',
        f'<div class="notice">{"".join(f"<p>{escape(text)}</p>" for text in NOTICE)}</div>',
        *(f'<div class="notice"><p>{escape(note)}</p></div>' for note in session.notes),
        f"<h2>Timeline</h2>{_timeline(reviewed)}",
        f"<h2>Events ({len(reviewed.kept)})</h2>",
        *(_event(session, event, is_blurred) for event in reviewed.kept),
        "" if reviewed.kept else "<p>None was found.</p>",
        f"<h2>Table</h2>{_table(reviewed)}",
        f"<h2>Not counted</h2>{_rejections(reviewed)}",
        f"<h2>Provenance</h2>{_provenance(reviewed)}",
    ]
    page = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(session.name)} – mmnet</title>'
        f"<style>{_STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
    return page.encode()


def _subtitle(session: Session) -> str:
    seconds = session.timeline.seconds
    length = f"{seconds[-1] - seconds[0]:.1f} s, {len(seconds)} frames" if len(seconds) else "no frames"
    subject = f"; subject {session.subject_id}" if session.subject_id else ""
    return f"{session.media_file}; {length}{subject}; analysed {str(session.metadata.get('started_at') or '')[:19]}"


def _event(session: Session, event: SessionEvent, is_blurred: bool) -> str:
    figures = []
    for name in KEY_FRAMES:
        if (path := session.picture(event.event_id, name)) is not None:
            second = getattr(event, f"{name}_s")
            figures.append(
                f'<figure><img alt="{name}" src="{_data(path, is_blurred)}">'
                f"<figcaption>{name}, {second:.3f} s</figcaption></figure>"
            )
    # The pictures are those of the detector; where a coder moved the key frames they show other moments.
    moved = " Pictures: as detected, before the correction." if event.source == "corrected" and figures else ""
    named = f"consistent with {event.label}" if event.label else "not classified"
    confidence = f" ({event.confidence:.2f})" if event.confidence is not None else ""
    chances = ", ".join(f"{name} {value:.2f}" for name, value in event.probabilities.items())
    movements = "; ".join(
        f"{m.region} {m.x_percent:+.1f} / {m.y_percent:+.1f} % of the eye distance" for m in event.movements
    )
    lines = {
        "": f"Event {event.event_id}: {named}{confidence}",
        "Time": f"{event.onset_s:.3f}–{event.offset_s:.3f} s, apex {event.apex_s:.3f} s "
        f"(frames {event.onset_frame}, {event.apex_frame}, {event.offset_frame}), {event.duration_s * 1000:.0f} ms",
        "Regions": ", ".join(event.regions),
        "Movement, right / down": movements,
        "Action units that fit": ", ".join(event.action_units),
        "Probabilities": chances,
        "Review": " ".join(filter(None, (event.review, f"by {event.coder}" if event.coder else "", event.comment)))
        + moved,
    }
    text = "".join(
        f"<div>{f'<span class=muted>{escape(name)}:</span> ' if name else ''}"
        f"{escape(value) if name else f'<b>{escape(value)}</b>'}</div>"
        for name, value in lines.items()
        if value.strip()
    )
    return f'<div class="event"><div>{"".join(figures)}</div><div>{text}</div></div>'


def _data(path: Path, is_blurred: bool) -> str:
    content = path.read_bytes()
    if is_blurred:
        image_bgr = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        content = cv2.imencode(".png", in_blocks(image_bgr))[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _timeline(reviewed: Reviewed) -> str:
    session = reviewed.session
    seconds = session.timeline.seconds
    if len(seconds) < 2:
        return "<p>No frames.</p>"
    start_s, stop_s = float(seconds[0]), float(seconds[-1])

    def x(second: float) -> float:
        return _LEFT + (second - start_s) / (stop_s - start_s) * (_WIDTH - _LEFT)

    curve = _motion_curve(session, start_s, stop_s)
    lanes = [
        ("motion", _curve(curve, _LANE * 2)),
        ("events", _bars(((e.onset_s, e.offset_s, _title(e)) for e in reviewed.kept), x, "#0b6e99")),
        (
            "not counted",
            _bars(
                [(c.onset_s, c.offset_s, c.reason) for c in reviewed.candidates]
                + [(e.onset_s, e.offset_s, f"rejected by {e.coder}") for e in reviewed.rejected],
                x,
                "#b35900",
            ),
        ),
    ]
    drawn, top = [], 0
    for name, content in lanes:
        height = _LANE * 2 if name == "motion" else _LANE
        drawn.append(
            f'<g transform="translate(0 {top})"><text x="0" y="{height / 2 + 4}" font-size="12">{name}</text>'
            f'<rect x="{_LEFT}" y="2" width="{_WIDTH - _LEFT}" height="{height - 4}" fill="#f3f5f7"/>{content}</g>'
        )
        top += height
    ticks = "".join(
        f'<text x="{x(t):.1f}" y="{top + 14}" font-size="11" text-anchor="middle">{t:g} s</text>'
        for t in _ticks(start_s, stop_s)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH + 20} {top + 20}" role="img" aria-label="timeline">{"".join(drawn)}{ticks}</svg>'
        f'<p class="muted">Motion: strength of the spotter, the dashed line is its threshold.</p>'
    )


def _motion_curve(session: Session, start_s: float, stop_s: float) -> np.ndarray:
    """(_BINS,) the largest spot score in each part of the time, nan where nothing was measured."""
    curve = np.full(_BINS, np.nan)
    for frame in session.frames():
        if frame.spot_score is not None:
            place = min(_BINS - 1, int((frame.timestamp_s - start_s) / (stop_s - start_s) * _BINS))
            curve[place] = np.fmax(curve[place], frame.spot_score)
    return curve


def _curve(curve: np.ndarray, height: int) -> str:
    if np.isnan(curve).all():
        return ""
    highest = max(2.0, float(np.nanmax(curve)))
    ys = height - 3 - np.nan_to_num(curve) / highest * (height - 6)
    xs = _LEFT + (np.arange(_BINS) + 0.5) / _BINS * (_WIDTH - _LEFT)
    runs, run = [], []
    for x, y, value in zip(xs, ys, curve, strict=True):
        if np.isnan(value):
            runs, run = [*runs, run], []
        else:
            run.append(f"{x:.1f},{y:.1f}")
    lines = "".join(
        f'<polyline points="{" ".join(r)}" fill="none" stroke="#444c56"/>' for r in [*runs, run] if len(r) > 1
    )
    threshold_y = height - 3 - (height - 6) / highest
    return (
        f'{lines}<line x1="{_LEFT}" x2="{_WIDTH}" y1="{threshold_y:.1f}" y2="{threshold_y:.1f}" stroke="#b35900" '
        'stroke-dasharray="4 4"/>'
    )


def _bars(spans: Iterable[tuple[float, float, str]], x: Any, colour: str) -> str:
    return "".join(
        f'<rect x="{x(a):.1f}" y="4" width="{max(2.0, x(b) - x(a)):.1f}" height="{_LANE - 8}" rx="1" '
        f'fill="{colour}"><title>{escape(title)}</title></rect>'
        for a, b, title in spans
    )


def _ticks(start_s: float, stop_s: float) -> Sequence[float]:
    raw = (stop_s - start_s) / 8
    scale = 10 ** np.floor(np.log10(raw))
    step = scale * next(factor for factor in (1, 2, 5, 10) if factor * scale >= raw)
    return [float(round(t, 6)) for t in np.arange(np.ceil(start_s / step) * step, stop_s + step / 100, step)]


def _title(event: SessionEvent) -> str:
    return f"{event.event_id}: {event.label or 'not classified'}, apex {event.apex_s:.3f} s"


def _table(reviewed: Reviewed) -> str:
    columns = ("event_id", "onset_s", "apex_s", "offset_s", "label", "confidence", "fps_effective", "review", "source")
    head = "".join(f"<th>{name}</th>" for name in columns)
    rows = "".join(f"<tr>{''.join(_cell(getattr(event, name)) for name in columns)}</tr>" for event in reviewed.events)
    return f"<table><tr>{head}</tr>{rows}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.3f}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value}</td>'
    return f"<td>{escape(str(value or ''))}</td>"


def _rejections(reviewed: Reviewed) -> str:
    counts = Counter(candidate.reason for candidate in reviewed.candidates)
    counts.update(f"rejected by {event.coder}" for event in reviewed.rejected)
    if not counts:
        return "<p>No movement was rejected.</p>"
    rows = "".join(f'<tr><td>{escape(name)}</td><td class="number">{n}</td></tr>' for name, n in counts.most_common())
    return f"<table><tr><th>Reason</th><th>Movements</th></tr>{rows}</table>"


def _provenance(reviewed: Reviewed) -> str:
    metadata = reviewed.session.metadata
    source, model = metadata.get("source") or {}, metadata.get("model") or {}
    consent = metadata.get("consent") or {}
    facts = {
        "Analysed by": f"mmnet {metadata.get('app_version')}, session format {metadata.get('format_version')}",
        "Report by": f"mmnet {__version__}, {datetime.now().astimezone().isoformat(timespec='seconds')}",
        "Source": f"{source.get('label')}, {source.get('kind')}, {source.get('width')}×{source.get('height')}, "
        f"{source.get('codec') or 'codec not told'}; requested {source.get('requested') or 'nothing'}",
        "Frame rate": f"nominal {source.get('fps')}, delivered {metadata.get('delivered_fps')}",
        "Frames": f"{metadata.get('frames')}, with a face {metadata.get('frames_with_face')}, dropped "
        f"{metadata.get('frames_dropped')}",
        "Network": f"{model['name']}, SHA-256 {model['sha256']}" if model else metadata.get("recognition"),
        "Ran on": model.get("provider"),
        "Trained on": model.get("training_data"),
        "Protocol": model.get("protocol"),
        "Consent": f"participant {consent['participant_id']}, {consent['given_at']}" if consent else "none recorded",
        "Reviewed by": reviewed.coder or "nobody",
        "Complete": "yes" if reviewed.session.is_complete else f"no: {metadata.get('error') or 'interrupted'}",
    }
    rows = "".join(f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items() if value)
    return f"<table>{rows}</table>"
