"""The part of a recording that the user asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from app.config import SourceConfig
from app.errors import SourceError


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """Half-open interval [start, end) of media time in nanoseconds; `end_ns` None = to the end."""

    start_ns: int
    end_ns: int | None

    @classmethod
    def of(cls, config: SourceConfig) -> Self:
        """Take the span from `config`; SourceError when it is empty or starts before 0."""
        end_s = float("inf") if config.end_s is None else config.end_s
        if not 0 <= config.start_s < end_s:
            raise SourceError(f"Nothing lies between --start {config.start_s:g} s and --end {end_s:g} s.")
        return cls(round(config.start_s * 1e9), None if config.end_s is None else round(end_s * 1e9))

    def has_begun(self, timestamp_ns: int) -> bool:
        """Whether the moment is not before the span."""
        return timestamp_ns >= self.start_ns

    def is_over(self, timestamp_ns: int) -> bool:
        """Whether the moment is behind the span."""
        return self.end_ns is not None and timestamp_ns >= self.end_ns

    def missed_error(self, label: str, last_ns: int) -> SourceError:
        """What to raise when no frame lay inside; `last_ns` is the time of the last frame."""
        end = "the end" if self.end_ns is None else f"{self.end_ns / 1e9:g} s"
        return SourceError(
            f"{label} has no frame between {self.start_ns / 1e9:g} s and {end}: the last one read is at "
            f"{last_ns / 1e9:.3f} s. Change --start or --end."
        )
