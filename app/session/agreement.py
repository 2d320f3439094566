"""How far two coders' reviews agree: Cohen's κ of their decisions, classes and frames, IoU of their intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.errors import SessionError
from app.session.folder import METADATA
from app.session.reader import read_rows, read_session
from app.session.records import SessionEvent, read_event
from app.session.review import ACCEPTED, REJECTED, reviewed_events
from app.spotting.scoring import intersection_over_union, match

MIN_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two reviews of the same recordings, pooled. A κ is None where there is nothing, or only one category, to compare.

    `decision_kappa` is over the detected events that both accepted or rejected; `frame_kappa` over all frames, each in
    an event or not; `label_kappa` over the events that both kept and named, matched by an IoU of at least 0.5.
    """

    recordings: int
    events_a: int
    events_b: int
    matched: int
    mean_iou: float | None
    decisions: int
    decision_kappa: float | None
    labelled: int
    label_agreement: float | None
    label_kappa: float | None
    frames: int
    frame_kappa: float | None

    @property
    def f1(self) -> float | None:
        """Of one coder's intervals against the other's; it does not matter which is which."""
        total = self.events_a + self.events_b
        return 2 * self.matched / total if total else None


@dataclass(frozen=True, eq=False, slots=True)
class Coded:
    """One coder's review of one recording of `frame_count` frames, rejected events included."""

    name: str
    events: tuple[SessionEvent, ...]
    frame_count: int

    @property
    def kept(self) -> tuple[SessionEvent, ...]:
        return tuple(event for event in self.events if event.review != REJECTED)


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's κ of two codings of the same items; None for no item, or when chance alone would always agree."""
    if len(first) != len(second):
        raise ValueError("both must code the same items")
    if not first:
        return None
    categories = sorted({*first, *second}, key=str)
    place = {category: index for index, category in enumerate(categories)}
    counts = np.zeros((len(categories), len(categories)))
    for a, b in zip(first, second, strict=True):
        counts[place[a], place[b]] += 1
    return _kappa_of_counts(counts)


def agreement(first: Sequence[Coded], second: Sequence[Coded]) -> Agreement:
    """Compare two coders, recording by recording in the same order."""
    ious: list[float] = []
    decisions: list[tuple[bool, bool]] = []
    labels: list[tuple[str, str]] = []
    frames = np.zeros((2, 2))
    for a, b in zip(first, second, strict=True):
        found = match([_span(event) for event in a.kept], [_span(event) for event in b.kept], MIN_IOU)
        for index_a, index_b in found.pairs:
            event_a, event_b = a.kept[index_a], b.kept[index_b]
            ious.append(intersection_over_union(_span(event_a), _span(event_b)))
            if event_a.label and event_b.label:
                labels.append((event_a.label, event_b.label))
        of_b = {event.event_id: event for event in b.events if event.source != "manual"}
        for event in a.events:
            other = of_b.get(event.event_id)
            if event.source != "manual" and other is not None and event.review and other.review:
                decisions.append((event.review == ACCEPTED, other.review == ACCEPTED))
        inside_a, inside_b = (_inside(coded, max(a.frame_count, b.frame_count)) for coded in (a, b))
        np.add.at(frames, (inside_a.astype(int), inside_b.astype(int)), 1)
    label_a, label_b = [pair[0] for pair in labels], [pair[1] for pair in labels]
    return Agreement(
        recordings=len(first),
        events_a=sum(len(coded.kept) for coded in first),
        events_b=sum(len(coded.kept) for coded in second),
        matched=len(ious),
        mean_iou=float(np.mean(ious)) if ious else None,
        decisions=len(decisions),
        decision_kappa=cohen_kappa([pair[0] for pair in decisions], [pair[1] for pair in decisions]),
        labelled=len(labels),
        label_agreement=float(np.mean(np.array(label_a) == np.array(label_b))) if labels else None,
        label_kappa=cohen_kappa(label_a, label_b),
        frames=int(frames.sum()),
        frame_kappa=_kappa_of_counts(frames),
    )


def read_pair(first: Path, second: Path) -> tuple[list[Coded], list[Coded]]:
    """Reviews to compare: two session folders, two tables reviews/CODER.csv, or two folders of sessions of equal names.

    Raises:
        SessionError: something cannot be read, has several reviews, or is of other recordings.
    """
    sides = [_read_side(path) for path in (first, second)]
    names = [{coded.name for coded in side} for side in sides]
    if len(sides[0]) > 1 or len(sides[1]) > 1:
        if unmatched := sorted(names[0] ^ names[1]):
            raise SessionError(f"Only one of the two holds {', '.join(unmatched[:5])}: compare the same recordings.")
        sides = [sorted(side, key=lambda coded: coded.name) for side in sides]
    for a, b in zip(*sides, strict=True):
        if a.frame_count != b.frame_count:
            raise SessionError(
                f"{a.name} and {b.name} are of different recordings ({a.frame_count} and {b.frame_count} frames): "
                "compare reviews of the same."
            )
    return sides[0], sides[1]


def _read_side(path: Path) -> list[Coded]:
    if path.is_file():
        session = read_session(path.parent.parent)
        events = read_rows(path, read_event, [])
        return [Coded(session.name, events, len(session.timeline.frames))]
    if (path / METADATA).is_file():
        session = read_session(path)
        return [Coded(session.name, reviewed_events(session), len(session.timeline.frames))]
    folders = sorted(below.parent for below in path.glob(f"*/{METADATA}"))
    if not folders:
        raise SessionError(f"{path} is neither a session, nor a folder of sessions, nor a review (reviews/CODER.csv).")
    return [coded for folder in folders for coded in _read_side(folder)]


def _span(event: SessionEvent) -> tuple[int, int]:
    return event.onset_frame, event.offset_frame


def _inside(coded: Coded, frame_count: int) -> np.ndarray:
    """(F,) bool: whether each frame is within a kept event."""
    inside = np.zeros(frame_count, bool)
    for event in coded.kept:
        inside[max(0, event.onset_frame) : event.offset_frame + 1] = True
    return inside


def _kappa_of_counts(counts: np.ndarray) -> float | None:
    total = counts.sum()
    if not total:
        return None
    shares = counts / total
    observed, expected = np.trace(shares), float(shares.sum(axis=1) @ shares.sum(axis=0))
    return None if np.isclose(expected, 1) else float((observed - expected) / (1 - expected))
