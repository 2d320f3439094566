"""Events and motion arrive at a real inlet of the Lab Streaming Layer, over the loopback interface."""

import json
import sys
import time

import pytest
import sessions

from app.datatypes import SourceInfo
from app.errors import OutputError
from app.session.records import Origin, event_row, session_event
from app.streaming import EVENT_STREAM, MOTION_CHANNELS, MOTION_STREAM, LslOutlets

INFO = SourceInfo("camera", "camera", 160, 120, 30.0, None, True)


@pytest.fixture
def lsl(tmp_path, monkeypatch):
    """pylsl, told to stay on this machine."""
    settings = "[multicast]\nResolveScope = machine\n[lab]\nKnownPeers = {127.0.0.1}\n[log]\nlevel = -2\n"
    (tmp_path / "lsl.cfg").write_text(settings, encoding="utf-8")
    monkeypatch.setenv("LSLAPICFG", str(tmp_path / "lsl.cfg"))
    return pytest.importorskip("pylsl", exc_type=(ImportError, RuntimeError))


def inlet(lsl, name: str, source_id: str):
    found = lsl.resolve_bypred(f"name='{name}' and source_id='{source_id}'", 1, 20)
    assert found, f"{name} is not on the network"
    made = lsl.StreamInlet(found[0])
    made.open_stream(20)
    return made


def test_an_inlet_receives_events_and_motion(lsl) -> None:
    first_ns = time.perf_counter_ns()
    with LslOutlets(INFO, "mmnet-test") as outlets:
        events, motion = inlet(lsl, EVENT_STREAM, "mmnet-test-events"), inlet(lsl, MOTION_STREAM, "mmnet-test-motion")
        labels = []
        channel = motion.info(20).desc().child("channels").child("channel")
        while not channel.empty():
            labels.append((channel.child_value("label"), channel.child_value("unit")))
            channel = channel.next_sibling("channel")
        assert tuple(labels) == MOTION_CHANNELS
        began_at = lsl.local_clock()
        for index in range(3):
            outlets.add_step(sessions.step(index, first_ns=first_ns, has_face=index != 1))
        event = sessions.event(1, 40, first_ns=first_ns)
        outlets.add_event(event_row(session_event(event, Origin(0, first_ns))))
        samples = [motion.pull_sample(20) for _ in range(3)]
        assert samples[0][0] == pytest.approx([0.4, 2**0.5 / 4, 3.0, 0.0], rel=1e-6)
        assert all(value != value for value in samples[1][0])
        assert samples[2][1] - samples[0][1] == pytest.approx(2 / 30, abs=1e-4)
        assert samples[0][1] == pytest.approx(began_at, abs=30)
        (text,), stamp = events.pull_sample(20)
        row = json.loads(text)
        assert (row["event_id"], row["label"], row["apex_frame"]) == (1, "positive", 35)
        assert stamp - samples[0][1] == pytest.approx(event.candidate.apex_ns / 1e9 - first_ns / 1e9, abs=1e-4)


def test_without_pylsl_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(OutputError, match=r"pip install '\.\[lsl\]'"):
        LslOutlets(INFO, "mmnet-test")
