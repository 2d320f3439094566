"""Class protocols: which samples of which data sets take part, and which class each emotion belongs to."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.errors import DataError
from model.annotations import Sample
from model.coding_sheet import canonical_emotion
from model.configs import (
    FIVE_CLASSES,
    FOUR_CLASSES,
    MMEW_FOUR_CLASSES,
    SAMM_FIVE_CLASSES,
    SEVEN_CLASSES,
    THREE_CLASSES,
)

_ANY = ""  # in place of a data set's name: for every data set that has no rule of its own for the emotion


@dataclass(frozen=True, slots=True)
class ClassProtocol:
    """From the emotions that coders name to the classes of a network.

    `class_of` maps (data set, emotion), both in lower case, to one of `class_names`; the data set "" stands for any.
    What it does not list takes no part, nor do the clips in `left_out`: "data set/subject/clip" in lower case.
    """

    name: str
    class_names: tuple[str, ...]
    class_of: Mapping[tuple[str, str], str]
    left_out: frozenset[str] = frozenset()

    def label_of(self, sample: Sample) -> int | None:
        """Position of the sample's class in `class_names`; None when it takes no part."""
        if f"{sample.dataset}/{sample.subject}/{sample.clip}".lower() in self.left_out:
            return None
        name = self.class_of.get((sample.dataset.lower(), sample.label), self.class_of.get((_ANY, sample.label)))
        return None if name is None else self.class_names.index(name)


def _rules(dataset: str, classes: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Rules of one data set from the emotions of each class, written with spaces between them."""
    return {(dataset, emotion): name for name, emotions in classes.items() for emotion in emotions.split()}


def _themselves(dataset: str, class_names: tuple[str, ...]) -> dict[tuple[str, str], str]:
    """Every emotion is its own class."""
    return {(dataset, name): name for name in class_names}


_SAMM = {"negative": "anger contempt disgust fear sadness", "positive": "happiness", "surprise": "surprise"}
_CASME3 = {"negative": "disgust fear anger sadness", "positive": "happiness", "surprise": "surprise"}
_CASME2 = {"negative": "repression disgust fear sadness", "positive": "happiness", "surprise": "surprise"}
_MEGC = ("casme2", "smic_hs", "samm")

CLASS_PROTOCOLS: dict[str, ClassProtocol] = {
    protocol.name: protocol
    for protocol in (
        ClassProtocol("casme2_5class", FIVE_CLASSES, _themselves("casme2", FIVE_CLASSES)),
        # As MMNet was trained. Fear and sadness count: 156 samples of the release of 2019, not the 145 of MEGC 2019.
        ClassProtocol("casme2_3class", THREE_CLASSES, _rules("casme2", _CASME2)),
        ClassProtocol("samm_5class", SAMM_FIVE_CLASSES, _themselves("samm", SAMM_FIVE_CLASSES)),
        ClassProtocol("samm_3class", THREE_CLASSES, _rules("samm", _SAMM)),
        # The sheet calls "others" what lies in the folder "repression".
        ClassProtocol(
            "mmew_4class",
            MMEW_FOUR_CLASSES,
            _themselves("mmew", MMEW_FOUR_CLASSES) | _rules("mmew", {"others": "repression"}),
        ),
        ClassProtocol("casme3_3class", THREE_CLASSES, _rules("casme3", _CASME3)),
        ClassProtocol("casme3_4class", FOUR_CLASSES, _rules("casme3", _CASME3 | {"others": "others"})),
        ClassProtocol("casme3_7class", SEVEN_CLASSES, _themselves("casme3", SEVEN_CLASSES)),
        # Composite task of MEGC 2019 (See et al. 2019) by the rule that gives its 145 + 164 + 133 samples. Two clips of
        # CASME II and one that only a later release has are not on its list. Whoever reads samples from that list finds
        # the common classes in place of emotions.
        ClassProtocol(
            "megc2019_3class",
            THREE_CLASSES,
            _rules("casme2", {"negative": "disgust repression", "positive": "happiness"})
            | _rules("samm", _SAMM)
            | {rule: name for part in _MEGC for rule, name in _themselves(part, THREE_CLASSES).items()},
            left_out=frozenset({"casme2/4/ep12_01f", "casme2/5/ep09_05f", "casme2/24/ep02_07"}),
        ),
        # Repression is negative in CASME II, where it is a class of its own, and of no class where it shares one with
        # others; combinations of emotions are of no class.
        ClassProtocol(
            "composite_3class",
            THREE_CLASSES,
            _rules(_ANY, _SAMM) | _themselves(_ANY, THREE_CLASSES) | _rules("casme2", {"negative": "repression"}),
        ),
    )
}


def class_protocol(name: str) -> ClassProtocol:
    """A protocol by its name, or one's own from a .csv file, see `read_protocol`.

    Raises:
        DataError: there is no such protocol, or the file cannot be used.
    """
    if name in CLASS_PROTOCOLS:
        return CLASS_PROTOCOLS[name]
    if name.lower().endswith(".csv"):
        return read_protocol(Path(name))
    raise DataError(
        f"There is no class protocol {name!r}. Known are {', '.join(CLASS_PROTOCOLS)}; or name a .csv file with the "
        f"columns emotion and class."
    )


def read_protocol(path: Path) -> ClassProtocol:
    """One's own classes from a CSV file with the columns emotion and class, and dataset where they differ between sets.

    The order of the classes is that of their first appearance; emotions without a row take no part; a row without a
    data set is for all that have none of their own.

    Raises:
        DataError: the file is missing or a row cannot be understood; the message names the line.
    """
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file. It should have the columns emotion and class.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table of classes: {error}. Save it as CSV in UTF-8.") from None
    header = [name.strip().lower() for name in lines[0]] if lines else []
    if not {"emotion", "class"} <= set(header):
        raise DataError(f"{path} needs a header with the columns emotion and class (and dataset, if they differ).")
    class_of: dict[tuple[str, str], str] = {}
    for number, line in enumerate(lines[1:], 2):
        row = dict(zip(header, map(str.strip, line), strict=False))
        if not any(row.values()):
            continue
        rule, name = (row.get("dataset", _ANY).lower(), canonical_emotion(row.get("emotion", ""))), row.get("class", "")
        if not rule[1] or not name:
            raise DataError(f"{path}, line {number}: emotion or class is empty. Emotions without a row take no part.")
        if class_of.setdefault(rule, name) != name:
            raise DataError(
                f"{path}, line {number}: {rule[1]} is in class {class_of[rule]} already. Keep one of the two."
            )
    class_names = tuple(dict.fromkeys(class_of.values()))
    if len(class_names) < 2:
        raise DataError(f"{path} names {len(class_names)} classes: at least two are needed to tell apart.")
    return ClassProtocol(path.stem, class_names, class_of)
