"""What the readers of data sets hand on: annotated samples, and a note of everything they repaired or left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One annotated micro-expression.

    `subject` is the person's number as text without padding, unique within its data set. `frames` maps frame numbers
    as coded to image files, sorted by number; the key frames are among them. `offset` may be None. `label` is the
    emotion as coded, lower case, with the spellings of `labels.canonical_emotion`. `action_units` keeps the coder's
    text, "" when not coded.
    """

    dataset: str
    subject: str
    clip: str
    onset: int
    apex: int
    offset: int | None
    label: str
    action_units: str
    frames: dict[int, Path]

    @property
    def person(self) -> str:
        """Who it is, across data sets: what a fold leaves out."""
        return f"{self.dataset}/{self.subject}"

    @property
    def key(self) -> str:
        """Name of the sample, unique across data sets: several movements may share a clip."""
        return f"{self.dataset}/{self.subject}/{self.clip}/{self.onset}"


@dataclass(frozen=True, slots=True)
class Note:
    """Something a reader did to one row: `action` is "repaired", "dropped" or "missing frame"."""

    key: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class Annotations:
    """What was read from one data set: `source` is the coding file (or the tree, where labels are folder names)."""

    dataset: str
    source: Path
    samples: tuple[Sample, ...]
    notes: tuple[Note, ...] = ()
