"""A session as an ELAN annotation file (EAF 3.0): events with phases and classes, and what was rejected and why.

Format: "ELAN Annotation Format, EAF v3.0", Max Planck Institute for Psycholinguistics. Times are whole milliseconds.
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as xml

from app.export.reviewed import Reviewed
from app.session.records import SessionEvent

_NAMESPACE = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_LANGUAGE = "und"
_VOCABULARY = "class"
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps allowed within this "
    "interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to the same parent are "
    "ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
}


@dataclass(frozen=True, slots=True)
class _Span:
    """An annotation on a top-level tier."""

    start_ms: int
    stop_ms: int
    text: str
    apex_ms: int | None = None  # divides an event into its phases
    label: str = ""
    comment: str = ""


def as_eaf(reviewed: Reviewed, path: Path) -> bytes:
    """The document.

    Args:
        path: where it will lie, because it names its video relative to itself.
    """
    return _Document(reviewed, path).content()


class _Document:
    def __init__(self, reviewed: Reviewed, path: Path) -> None:
        self._reviewed, self._path = reviewed, path
        self._slots: list[tuple[str, int]] = []
        self._count = 0
        metadata = reviewed.session.metadata
        self._root = xml.Element(
            "ANNOTATION_DOCUMENT",
            {
                "AUTHOR": reviewed.coder or "mmnet",
                "DATE": _date_with_zone(str(metadata.get("started_at") or "")),
                "FORMAT": "3.0",
                "VERSION": "3.0",
                "xmlns:xsi": _NAMESPACE,
                "xsi:noNamespaceSchemaLocation": _SCHEMA,
            },
        )

    def content(self) -> bytes:
        header = self._header()
        time_order = xml.SubElement(self._root, "TIME_ORDER")
        reviewed = self._reviewed
        for tier, spans in _lanes("event", [_event_span(event) for event in reviewed.kept]):
            self._add_events(tier, spans)
        withdrawn = [
            _Span(*_ms(c.onset_s, c.offset_s), _why(c.reason, c.measured, c.limit, c.unit)) for c in reviewed.candidates
        ]
        withdrawn += [
            _Span(*_ms(e.onset_s, e.offset_s), f"by {e.coder}" + (f": {e.comment}" if e.comment else ""))
            for e in reviewed.rejected
        ]
        for tier, spans in _lanes("rejected", withdrawn):
            self._add_tier(tier, "rejected", [(self._slot(s.start_ms), self._slot(s.stop_ms), s.text) for s in spans])
        for name, time in sorted(self._slots, key=lambda slot: slot[1]):
            xml.SubElement(time_order, "TIME_SLOT", {"TIME_SLOT_ID": name, "TIME_VALUE": str(time)})
        xml.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"}).text = str(self._count)
        self._add_types()
        xml.indent(self._root)
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(self._root, encoding="utf-8") + b"\n"

    def _header(self) -> xml.Element:
        header = xml.SubElement(self._root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
        session = self._reviewed.session
        medium = session.media_path
        if medium is not None and medium.is_file():
            medium = medium.absolute()
            attributes = {
                "MEDIA_URL": medium.as_uri(),
                "MIME_TYPE": mimetypes.guess_type(medium.name)[0] or "video/mp4",
                "RELATIVE_MEDIA_URL": _relative(medium, self._path.absolute().parent),
            }
            xml.SubElement(header, "MEDIA_DESCRIPTOR", attributes)
        model = session.metadata.get("model") or {}
        about = {
            "mmnet": session.metadata.get("app_version"),
            "mmnet model": model.get("name"),
            "mmnet model sha256": model.get("sha256"),
            "mmnet training data": model.get("training_data"),
        }
        for name, value in about.items():
            if value:
                xml.SubElement(header, "PROPERTY", {"NAME": name}).text = _clean(str(value))
        return header

    def _add_events(self, tier: str, spans: Sequence[_Span]) -> None:
        """An event tier and the tiers that hang on it."""
        suffix = tier.removeprefix("event")
        phases, times = [], []
        for span in spans:
            start, stop = self._slot(span.start_ms), self._slot(span.stop_ms)
            times.append((start, stop, span.text))
            if span.apex_ms is not None and span.start_ms < span.apex_ms < span.stop_ms:
                apex = self._slot(span.apex_ms)
                phases += [(start, apex, "onset to apex"), (apex, stop, "apex to offset")]
        names = self._add_tier(tier, "event", times)
        self._add_tier(f"phase{suffix}", "phase", phases, parent=tier)
        notes: tuple[tuple[str, Callable[[_Span], str]], ...] = (
            ("label", lambda span: span.label),
            ("comment", lambda span: span.comment),
        )
        for kind, text in notes:
            words = [(name, text(span)) for name, span in zip(names, spans, strict=True) if text(span)]
            self._add_references(f"{kind}{suffix}", kind, words, parent=tier)

    def _tier(self, name: str, kind: str, parent: str = "") -> xml.Element:
        attributes = {"LINGUISTIC_TYPE_REF": kind, "TIER_ID": name}
        if parent:
            attributes["PARENT_REF"] = parent
        if self._reviewed.coder:
            attributes["ANNOTATOR"] = _clean(self._reviewed.coder)
        if self._reviewed.session.subject_id:
            attributes["PARTICIPANT"] = _clean(self._reviewed.session.subject_id)
        return xml.SubElement(self._root, "TIER", attributes)

    def _add_tier(self, name: str, kind: str, times: Iterable[tuple[str, str, str]], parent: str = "") -> list[str]:
        tier, names = self._tier(name, kind, parent), []
        for start, stop, text in times:
            attributes = {"ANNOTATION_ID": self._annotation(), "TIME_SLOT_REF1": start, "TIME_SLOT_REF2": stop}
            annotation = xml.SubElement(xml.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", attributes)
            xml.SubElement(annotation, "ANNOTATION_VALUE").text = _clean(text)
            names.append(attributes["ANNOTATION_ID"])
        return names

    def _add_references(self, name: str, kind: str, words: Iterable[tuple[str, str]], parent: str) -> None:
        tier = self._tier(name, kind, parent)
        for target, text in words:
            attributes = {"ANNOTATION_ID": self._annotation(), "ANNOTATION_REF": target}
            if kind == "label":
                attributes["CVE_REF"] = self._entry(text)
            annotation = xml.SubElement(xml.SubElement(tier, "ANNOTATION"), "REF_ANNOTATION", attributes)
            xml.SubElement(annotation, "ANNOTATION_VALUE").text = _clean(text)

    def _add_types(self) -> None:
        subdivision, association = "Time_Subdivision", "Symbolic_Association"
        for name, is_aligned, constraint in (
            ("event", True, ""),
            ("phase", True, subdivision),
            ("label", False, association),
            ("comment", False, association),
            ("rejected", True, ""),
        ):
            attributes = {"LINGUISTIC_TYPE_ID": name, "TIME_ALIGNABLE": str(is_aligned).lower()}
            attributes["GRAPHIC_REFERENCES"] = "false"
            if constraint:
                attributes["CONSTRAINTS"] = constraint
            if name == "label":
                attributes["CONTROLLED_VOCABULARY_REF"] = _VOCABULARY
            xml.SubElement(self._root, "LINGUISTIC_TYPE", attributes)
        language = {"LANG_ID": _LANGUAGE, "LANG_LABEL": "undetermined (und)"}
        xml.SubElement(self._root, "LANGUAGE", language)
        for name, description in _CONSTRAINTS.items():
            xml.SubElement(self._root, "CONSTRAINT", {"STEREOTYPE": name, "DESCRIPTION": description})
        vocabulary = xml.SubElement(self._root, "CONTROLLED_VOCABULARY", {"CV_ID": _VOCABULARY})
        about = "Expression class that a movement is consistent with"
        xml.SubElement(vocabulary, "DESCRIPTION", {"LANG_REF": _LANGUAGE}).text = about
        for word in self._words():
            entry = xml.SubElement(vocabulary, "CV_ENTRY_ML", {"CVE_ID": self._entry(word)})
            xml.SubElement(entry, "CVE_VALUE", {"DESCRIPTION": "", "LANG_REF": _LANGUAGE}).text = _clean(word)

    def _words(self) -> tuple[str, ...]:
        """Every class that may be named: the network's, then those that coders used."""
        used = (event.label for event in self._reviewed.events if event.label)
        return tuple(dict.fromkeys((*self._reviewed.class_names, *used)))

    def _entry(self, word: str) -> str:
        return f"cve{self._words().index(word)}"

    def _annotation(self) -> str:
        self._count += 1
        return f"a{self._count}"

    def _slot(self, time_ms: int) -> str:
        self._slots.append((f"ts{len(self._slots) + 1}", time_ms))
        return self._slots[-1][0]


def _event_span(event: SessionEvent) -> _Span:
    start_ms, stop_ms = _ms(event.onset_s, event.offset_s)
    words = ", ".join(event.regions) or "micro-expression"
    return _Span(start_ms, stop_ms, words, round(event.apex_s * 1000), event.label, event.comment)


def _ms(start_s: float, stop_s: float) -> tuple[int, int]:
    start_ms = max(0, round(start_s * 1000))
    return start_ms, max(start_ms + 1, round(stop_s * 1000))


def _lanes(name: str, spans: Iterable[_Span]) -> list[tuple[str, list[_Span]]]:
    """Tiers in which nothing overlaps, as ELAN asks; one at least: `event`, `event-2`, …"""
    lanes: list[list[_Span]] = [[]]
    for span in sorted(spans, key=lambda span: (span.start_ms, span.stop_ms)):
        free = next((lane for lane in lanes if not lane or lane[-1].stop_ms <= span.start_ms), None)
        if free is None:
            lanes.append(free := [])
        free.append(span)
    return [(name if number == 1 else f"{name}-{number}", lane) for number, lane in enumerate(lanes, 1)]


def _why(reason: str, measured: float | None, limit: float | None, unit: str) -> str:
    if measured is None or limit is None:
        return reason
    unit = f" {unit}" if unit else ""
    return f"{reason}: {measured:g}{unit}, limit {limit:g}{unit}"


def _relative(medium: Path, folder: Path) -> str:
    try:
        relative = Path(os.path.relpath(medium, folder)).as_posix()
    except ValueError:  # on another drive
        return medium.as_uri()
    return relative if relative.startswith(".") else f"./{relative}"


def _date_with_zone(started_at: str) -> str:
    has_zone = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", started_at)
    return started_at if has_zone else "1970-01-01T00:00:00+00:00"


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("", text)
