"""What is published about the size of each data set, to compare with what was read.

Nobody can check these numbers without the data: each says how it is known, and a difference from one that is only
recalled says nothing about the copy at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Stated in a public source; following from such numbers; not verified.
STATED, DERIVED, RECALLED = "stated", "derived", "recalled"


@dataclass(frozen=True, slots=True)
class Figure:
    """A published number and how it is known."""

    number: int
    certainty: str


@dataclass(frozen=True, slots=True)
class Published:
    """One release: `subjects` counts people with samples; `mark` is in the name of its coding file, "" fits any."""

    title: str
    samples: Figure
    subjects: Figure | None
    per_class: dict[str, Figure] = field(default_factory=dict)
    mark: str = ""


def _classes(certainty: str, **counts: int) -> dict[str, Figure]:
    return {name: Figure(number, certainty) for name, number in counts.items()}


_CASME2_2014 = _classes(STATED, happiness=32, repression=27, disgust=63, surprise=25, others=99, sadness=7, fear=2)
_CASME2_2019 = _classes(DERIVED, happiness=32, repression=27, disgust=63, surprise=28, others=99)
_SAMM = _classes(
    STATED, anger=57, happiness=26, others=26, surprise=15, contempt=12, disgust=9, fear=8, sadness=6
)  # fmt: skip
_CASME = _classes(
    RECALLED, tense=69, disgust=44, repression=38, surprise=20, happiness=9, sadness=6, fear=2, contempt=1
)  # fmt: skip
_MMEW = _classes(DERIVED, happiness=36, surprise=89, disgust=72, fear=16, sadness=13, anger=8, others=66)
_CASME3_V1 = _classes(
    RECALLED, happiness=64, disgust=281, fear=93, anger=70, sadness=64, surprise=201, others=170
)  # fmt: skip
_CASME3_V2 = _classes(RECALLED, happiness=55, disgust=250, fear=86, anger=64, sadness=57, surprise=187, others=161)
_SMIC_25_FPS = _classes(RECALLED, negative=23, positive=28, surprise=20)

# The first whose mark is in the name of the coding file counts.
_RELEASES: dict[str, tuple[Published, ...]] = {
    "casme": (Published("CASME", Figure(189, STATED), Figure(19, RECALLED), _CASME),),
    "casme2": (
        Published("CASME II coded 2014", Figure(255, STATED), Figure(26, STATED), _CASME2_2014, "20140508"),
        Published("CASME II coded 2019", Figure(255, DERIVED), Figure(26, STATED), _CASME2_2019, "2019"),
        Published("CASME II, updated", Figure(256, STATED), Figure(26, STATED), mark="updated"),
        Published("CASME II", Figure(255, STATED), Figure(26, STATED), _CASME2_2014),
    ),
    "samm": (Published("SAMM", Figure(159, STATED), Figure(29, STATED), _SAMM),),
    "smic_hs": (
        Published(
            "SMIC-HS",
            Figure(164, STATED),
            Figure(16, STATED),
            _classes(DERIVED, negative=70, positive=51, surprise=43),
        ),
    ),
    "smic_vis": (Published("SMIC-VIS", Figure(71, RECALLED), Figure(8, RECALLED), _SMIC_25_FPS),),
    "smic_nir": (Published("SMIC-NIR", Figure(71, RECALLED), Figure(8, RECALLED), _SMIC_25_FPS),),
    "mmew": (Published("MMEW", Figure(300, STATED), Figure(30, DERIVED), _MMEW),),
    "casme_sq": (
        Published(
            "CAS(ME)^2, micro-expressions",
            Figure(57, DERIVED),
            Figure(14, DERIVED),
            _classes(RECALLED, positive=8, negative=21, surprise=9, others=19),
        ),
    ),
    # 100 people were recorded; how many have labelled micro-expressions is told as 93 and as 94.
    "casme3": (
        Published("CAS(ME)^3 part A, v1", Figure(943, RECALLED), None, _CASME3_V1, "v1"),
        Published("CAS(ME)^3 part A, v2", Figure(860, STATED), None, _CASME3_V2),
    ),
    "4dme": (Published("4DME, grey videos", Figure(267, STATED), Figure(41, RECALLED)),),
    "megc2019": (
        Published(
            "MEGC 2019 composite",
            Figure(442, STATED),
            Figure(68, STATED),
            _classes(DERIVED, negative=250, positive=109, surprise=83),
        ),
    ),
}
# The licence of CASME II forbids to show these two in publications.
NOT_FOR_PUBLICATION = frozenset({"casme2/12", "casme2/22"})
# Papers tell of 87, 97 and 98 videos of CAS(ME)^2.
LONG_VIDEOS: dict[str, dict[str, Figure]] = {
    "samm_long": {"videos": Figure(147, STATED), "macro": Figure(343, STATED), "micro": Figure(159, STATED)},
    "casme_sq_long": {"videos": Figure(98, RECALLED), "macro": Figure(300, RECALLED), "micro": Figure(57, DERIVED)},
}


def published_for(dataset: str, coding_file: str) -> Published | None:
    """The release that a coding file belongs to; None for a data set without published numbers."""
    return next((p for p in _RELEASES.get(dataset, ()) if p.mark in coding_file.lower()), None)
