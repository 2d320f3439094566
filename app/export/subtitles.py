"""A session's events as subtitles: WebVTT and SRT, each cue from onset to offset."""

from __future__ import annotations

from html import escape

from app.export.reviewed import Reviewed
from app.session.records import SessionEvent


def as_vtt(reviewed: Reviewed) -> bytes:
    """WebVTT, for browsers."""
    cues = [
        f"{event.event_id}\n{_clock(event.onset_s, '.')} --> {_clock(_end_s(event), '.')}\n{escape(_words(event))}\n"
        for event in reviewed.kept
    ]
    return "\n".join(["WEBVTT\n", *cues]).encode()


def as_srt(reviewed: Reviewed) -> bytes:
    """SubRip, for players; its cues are numbered from 1 without a gap."""
    cues = [
        f"{number}\n{_clock(event.onset_s, ',')} --> {_clock(_end_s(event), ',')}\n{_words(event)}\n"
        for number, event in enumerate(reviewed.kept, 1)
    ]
    return "\n".join(cues).encode()


def _words(event: SessionEvent) -> str:
    what = f"consistent with {event.label}" if event.label else "candidate micro-expression"
    where = f" ({', '.join(event.regions)})" if event.regions else ""
    # An empty line would end the cue.
    return " ".join(f"{what}{where}".split())


def _end_s(event: SessionEvent) -> float:
    return max(event.offset_s, event.onset_s + 0.001)


def _clock(seconds: float, point: str) -> str:
    minutes, ms = divmod(round(max(0.0, seconds) * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{ms // 1000:02d}{point}{ms % 1000:03d}"
