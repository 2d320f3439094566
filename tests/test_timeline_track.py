"""An hour of motion: every peak survives whatever stretch is drawn, and no stretch has more points than can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from app.datatypes import SpotState
from app.face.topology import REGION_NAMES
from app.runtime.records import MotionPoint
from app.ui import timeline_track
from app.ui.timeline_track import CURVES, HEAD, REGION_LANES, MotionTrack

STEP_NS = 33_333_333
ORIGIN_NS = 7_000_000_000


def point(index: int, *, brow: float = 0.1, head: float = 5.0, **changes: object) -> MotionPoint:
    displacement = np.full((len(REGION_NAMES), 2), 0.01)
    displacement[REGION_NAMES.index("left inner brow")] = (0.0, -brow)
    values = {
        "frame_index": index,
        "timestamp_ns": ORIGIN_NS + index * STEP_NS,
        "strength": 0.5,
        "head_speed_percent_s": head,
        "displacement_percent": displacement,
        "is_blink": False,
        "is_gap": False,
        "state": SpotState.IDLE,
    }
    return MotionPoint(**(values | changes))


def filled(count: int, peaks: dict[int, float] | None = None, batch: int = 97) -> MotionTrack:
    track = MotionTrack()
    peaks = peaks or {}
    for start in range(0, count, batch):
        track.add(point(index, brow=peaks.get(index, 0.1)) for index in range(start, min(count, start + batch)))
    return track


BROWS = CURVES.index("Brows")


def test_each_region_has_one_lane():
    assert sorted(position for lane in REGION_LANES.values() for position in lane) == list(range(len(REGION_NAMES)))
    assert CURVES[-1] == HEAD


def test_a_short_stretch_is_drawn_frame_by_frame():
    track = filled(300, {120: 2.0})
    stretch = track.stretch(3.0, 5.0, ORIGIN_NS, 800)
    assert stretch.times_s[1:-1] == pytest.approx(np.arange(91, 151)[: len(stretch.times_s) - 2] / 30, abs=0.034)
    assert stretch.values[BROWS].max() == pytest.approx(2.0)
    assert stretch.times_s[stretch.values[BROWS].argmax()] == pytest.approx(4.0, abs=1e-3)


@pytest.mark.parametrize("count", [5_000, 40_000, 40_007])
@pytest.mark.parametrize("width", [100, 1200])
def test_every_peak_is_drawn_and_no_more_points_than_can_be_seen(count: int, width: int):
    rng = np.random.default_rng(count)
    peaks = {int(index): 2.0 + rank for rank, index in enumerate(sorted(rng.choice(count, 6, replace=False)))}
    peaks[count - 1] = 9.0
    track = filled(count, peaks)
    whole_s = count * STEP_NS / 1e9
    stretch = track.stretch(0, whole_s, ORIGIN_NS, width)
    assert len(stretch.times_s) <= 4 * width + 4
    assert np.all(np.diff(stretch.times_s) > 0)
    for index, height in peaks.items():
        near = np.abs(stretch.times_s - index * STEP_NS / 1e9) < 2 * whole_s / width + 1
        assert np.isclose(stretch.values[BROWS, near], height).any()


def test_a_stretch_that_moves_keeps_its_shape():
    track = filled(20_000, {index: 1 + index % 7 for index in range(0, 20_000, 13)})
    one, other = (track.stretch(start, start + 400, ORIGIN_NS, 300) for start in (100.0, 101.0))
    common = np.intersect1d(one.times_s, other.times_s)
    assert len(common) > 0.9 * len(np.unique(one.times_s))


def test_gaps_and_lost_faces_break_the_line():
    track = MotionTrack()
    lost = {"displacement_percent": None, "strength": None, "head_speed_percent_s": None}
    track.add([point(0), point(1, is_gap=True), point(2), point(3, **lost), point(4)])
    stretch = track.stretch(0, 1, ORIGIN_NS, 500)
    assert np.isnan(stretch.values[BROWS]).tolist() == [False, True, False, True, False]


def test_long_lost_faces_break_the_decimated_line_too():
    track = MotionTrack()
    lost = {"displacement_percent": None, "strength": None, "head_speed_percent_s": None}
    track.add(point(index, **(lost if 3000 <= index < 6000 else {})) for index in range(9000))
    stretch = track.stretch(0, 300, ORIGIN_NS, 90)
    middle = (stretch.times_s > 110) & (stretch.times_s < 190)
    assert np.isnan(stretch.values[BROWS, middle]).all()
    assert not np.isnan(stretch.values[BROWS, stretch.times_s < 90]).any()


def test_blinks_are_intervals():
    track = MotionTrack()
    track.add(point(index, is_blink=index in {10, 11, 12, 40}) for index in range(60))
    assert track.blinks_s(0, 2, ORIGIN_NS) == [
        (pytest.approx(10 / 30, abs=1e-3), pytest.approx(13 / 30, abs=1e-3)),
        (pytest.approx(40 / 30, abs=1e-3), pytest.approx(41 / 30, abs=1e-3)),
    ]
    assert track.blinks_s(0.6, 1.0, ORIGIN_NS) == []


def test_frames_and_times_are_looked_up():
    track = filled(100)
    assert track.frame_at(ORIGIN_NS + 50 * STEP_NS + STEP_NS // 3) == 50
    assert track.frame_at(0) == 0
    assert track.frame_at(10**15) == 99
    assert track.time_of(70) == ORIGIN_NS + 70 * STEP_NS
    assert track.time_of(100) is None
    assert MotionTrack().frame_at(5) is None
    assert MotionTrack().stretch(0, 10, 0, 100).times_s.size == 0


def test_of_a_very_long_run_the_older_half_is_let_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timeline_track, "MAX_FRAMES", 1000)
    track = filled(3000, {2900: 5.0}, batch=100)
    assert len(track) <= 1000
    assert int(track.frames[-1]) == 2999
    assert track.stretch(0, 100, ORIGIN_NS, 60).values[BROWS].max() == pytest.approx(5.0)
