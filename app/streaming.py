"""Events and motion as Lab Streaming Layer outlets, for other programs on the network, on LSL's common clock."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Mapping
from typing import Any

from app import __version__
from app.datatypes import SourceInfo, StepResult
from app.errors import OutputError
from app.resource import Resource

EVENT_STREAM, MOTION_STREAM = "mmnet-events", "mmnet-motion"
MOTION_CHANNELS = (("spot_score", "threshold"), ("motion", "percent"), ("head_motion", "percent/s"), ("blink", "bool"))


class LslOutlets(Resource):
    """Two outlets: `mmnet-events`, a marker stream of JSON objects, and `mmnet-motion`, a signal with a sample a frame.

    A marker has the time of the apex and every value of the event's row in events.csv. Frames without a usable face
    have NaN. Both have the time at which the frame was taken; for recordings, when it would have been taken had the
    recording begun with the analysis.

    Args:
        source_id: tells the streams of several programs apart and lets a receiver find them again after a break.

    Raises:
        OutputError: pylsl, or the library that it loads, is not installed.
    """

    def __init__(self, info: SourceInfo, source_id: str) -> None:
        try:
            self._lsl = importlib.import_module("pylsl")
        except (ImportError, RuntimeError) as error:
            raise OutputError(f"{error}. Streaming needs pylsl: pip install '.[lsl]'.") from None
        lsl = self._lsl
        self._is_live = info.is_live
        self._offset_s: float | None = None
        self._origin_ns = 0  # what the seconds of events count from
        rate = lsl.IRREGULAR_RATE  # cameras do not keep theirs
        markers = lsl.StreamInfo(EVENT_STREAM, "Markers", 1, rate, lsl.cf_string, f"{source_id}-events")
        motion = lsl.StreamInfo(
            MOTION_STREAM, "Motion", len(MOTION_CHANNELS), rate, lsl.cf_float32, f"{source_id}-motion"
        )
        for stream in (markers, motion):
            about = stream.desc().append_child("acquisition")
            about.append_child_value("manufacturer", "mmnet").append_child_value("version", __version__)
            about.append_child_value("source", info.label)
        channels = motion.desc().append_child("channels")
        for label, unit in MOTION_CHANNELS:
            channels.append_child("channel").append_child_value("label", label).append_child_value("unit", unit)
        self._events, self._motion = lsl.StreamOutlet(markers), lsl.StreamOutlet(motion)

    def add_step(self, result: StepResult) -> None:
        """Send the motion of one frame."""
        if self._is_live and self._offset_s is None:
            self._origin_ns = result.frame.timestamp_ns
        motion = result.motion
        nan = float("nan")
        sample = [nan, nan, nan, nan]
        if motion is not None:
            sample = [motion.strength, motion.largest_percent, motion.head_speed_percent_s, float(motion.is_blink)]
        self._motion.push_sample(sample, self._lsl_time(result.frame.timestamp_ns))

    def add_event(self, row: Mapping[str, Any]) -> None:
        """Send an event as it stands in events.csv."""
        text = json.dumps({name: value for name, value in row.items() if value != ""}, ensure_ascii=False)
        self._events.push_sample([text], self._lsl_time(self._origin_ns + round(row["apex_exact_s"] * 1e9)))

    @property
    def has_consumers(self) -> bool:
        """Whether anybody listens to the events."""
        return self._events.have_consumers()

    def close(self) -> None:
        """End both streams. Closing twice is harmless."""
        self._events = self._motion = None

    def _lsl_time(self, timestamp_ns: int) -> float:
        if self._offset_s is None:
            now_ns = time.perf_counter_ns() if self._is_live else timestamp_ns
            self._offset_s = self._lsl.local_clock() - now_ns / 1e9
        return timestamp_ns / 1e9 + self._offset_s
