"""What the readers of data sets hand on: annotated samples, and a note of everything they repaired or left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Data sets that show the same people under the same numbers: three cameras filmed those of SMIC, two of them a part.
_SAME_PEOPLE = dict.fromkeys(("smic_hs", "smic_vis", "smic_nir"), "smic")


@dataclass(frozen=True, slots=True)
class Sample:
    """One annotated micro-expression.

    `subject` is the person's number as text without padding, unique within its data set. `frames` maps frame numbers
    as coded to image files, sorted by number, from onset to offset (to the apex without one); the key frames are among
    them. `offset` may be None. `label` is the emotion as coded, with the spelling of `coding_sheet.canonical_emotion`.
    `action_units` keeps the coder's text, "" when not coded.
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
        """Who it is, across data sets: what a fold leaves out.

        `smic/3` whichever camera of SMIC filmed them, so that one and the same face is never on both sides of a fold.
        """
        return f"{_SAME_PEOPLE.get(self.dataset, self.dataset)}/{self.subject}"

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


@dataclass(frozen=True, slots=True)
class Movement:
    """One coded movement of a long video, by the numbers of its files.

    `kind` is "micro" or "macro"; `label` is "" where no emotion is coded.
    """

    kind: str
    onset: int
    apex: int
    offset: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class LongVideo:
    """A recording with everything that was coded in it; `frames` is the folder of its images, `fps` their rate."""

    dataset: str
    subject: str
    video: str
    frames: Path
    fps: float
    movements: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class LongVideos:
    """The recordings of one data set for spotting, those without a movement too; `source` is the coding file."""

    dataset: str
    source: Path
    videos: tuple[LongVideo, ...]
    notes: tuple[Note, ...] = ()
