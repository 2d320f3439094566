"""Two coders compared: Cohen's κ and the IoU of their intervals."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sessions

from app.cli import main
from app.errors import SessionError
from app.session.agreement import agreement, cohen_kappa, read_pair
from app.session.reader import read_session
from app.session.review import Review


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sessions.write_session(tmp_path / "talk")


def review(folder: Path, coder: str, decide: Callable[[Review], None]) -> Path:
    made = Review.open(read_session(folder), coder)
    decide(made)
    made.save()
    return folder / "reviews" / f"{coder}.csv"


def ann(made: Review) -> None:
    made.accept(1)
    made.accept(2)
    made.reject(3)
    made.add(90, 94, 100, "surprise")


def ben(made: Review) -> None:
    made.relabel(1, "surprise")
    made.correct(1, offset_frame=42)
    made.reject(2)
    made.reject(3)


def test_kappa_of_known_tables() -> None:
    # Two readers of 50 applications: 20 yes by both, 15 no by both, 5 and 10 in dispute.
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    # Three categories: 0.7 of them the same, 0.41 by chance.
    counts = {(0, 0): 88, (0, 1): 10, (0, 2): 2, (1, 0): 14, (1, 1): 40, (1, 2): 6, (2, 0): 18, (2, 1): 10, (2, 2): 12}
    pairs = [pair for pair, count in counts.items() for _ in range(count)]
    assert cohen_kappa([a for a, _ in pairs], [b for _, b in pairs]) == pytest.approx((0.7 - 0.41) / (1 - 0.41))


def test_kappa_without_a_choice_is_no_number() -> None:
    assert cohen_kappa([], []) is None
    assert cohen_kappa(["a", "a"], ["a", "a"]) is None
    assert cohen_kappa(["a", "b"], ["a", "b"]) == 1
    with pytest.raises(ValueError, match="same items"):
        cohen_kappa(["a"], [])


def test_two_reviews_of_one_session(folder: Path) -> None:
    result = agreement(*read_pair(review(folder, "Ann", ann), review(folder, "Ben", ben)))
    assert (result.recordings, result.events_a, result.events_b, result.matched) == (1, 3, 1, 1)
    assert result.mean_iou == pytest.approx(9 / 11)
    assert result.f1 == pytest.approx(2 / 4)
    # Ann: yes, yes, no; Ben: yes, no, no.
    assert (result.decisions, result.decision_kappa) == (3, pytest.approx(0.4))
    assert (result.labelled, result.label_agreement, result.label_kappa) == (1, 0, 0)
    # Of 120 frames 31 are in an event of Ann's and 12 in one of Ben's, 10 of them in both.
    by_chance = (31 * 12 + 89 * 108) / 120**2
    assert (result.frames, result.frame_kappa) == (120, pytest.approx((97 / 120 - by_chance) / (1 - by_chance)))


def test_folders_of_sessions_are_pooled_by_name(tmp_path: Path) -> None:
    for side, decide in (("a", ann), ("b", ben)):
        for name in ("one", "two"):
            review(sessions.write_session(tmp_path / side / name), "coder", decide)
    result = agreement(*read_pair(tmp_path / "a", tmp_path / "b"))
    assert (result.recordings, result.events_a, result.frames) == (2, 6, 240)
    sessions.write_session(tmp_path / "b" / "three")
    with pytest.raises(SessionError, match="Only one of the two holds three"):
        read_pair(tmp_path / "a", tmp_path / "b")


def test_what_cannot_be_compared(folder: Path, tmp_path: Path) -> None:
    other = sessions.write_session(tmp_path / "other", frames=60)
    with pytest.raises(SessionError, match="different recordings"):
        read_pair(folder, other)
    with pytest.raises(SessionError, match="neither a session, nor"):
        read_pair(folder, tmp_path / "reviews")


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = review(folder, "Ann", ann), review(folder, "Ben", ben)
    assert main(["agree", str(a), str(b)]) == 0
    assert "mean IoU 0.818" in capsys.readouterr().out
    assert main(["agree", str(a), str(b), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean_iou"] == pytest.approx(9 / 11)
    assert main(["agree", str(a), str(folder)]) == 1
    assert "reviewed by Ann, Ben" in capsys.readouterr().err
