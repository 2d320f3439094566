"""Deleting sessions, and their pictures only."""

from pathlib import Path

import pytest
import sessions
from videos import numbered_frame, write_video

from app.errors import OutputError, SessionError
from app.session.reader import read_session
from app.session.retention import delete_pictures, delete_session
from app.session.review import Review


def test_a_session_is_deleted_and_its_neighbours_stay(tmp_path: Path) -> None:
    folder = sessions.write_session(tmp_path / "talk")
    other = sessions.write_session(tmp_path / "other")
    delete_session(folder)
    assert not folder.exists()
    assert read_session(other).is_complete


def test_numbers_stay_when_pictures_go(tmp_path: Path) -> None:
    folder = sessions.write_session(tmp_path / "talk")
    write_video(folder / "video.mp4", [numbered_frame(0)] * 3)
    before = read_session(folder)
    review = Review.open(before, "Ann")
    review.reject(2)
    review.save()
    assert delete_pictures(folder) == 10
    session = read_session(folder)
    assert session.events == before.events
    assert session.coders == ("Ann",)
    assert session.picture(1, "apex") is None
    assert session.media_path is None
    assert session.metadata["pictures_deleted_at"]
    assert not [path for path in folder.rglob("*") if path.suffix in (".png", ".mp4")]


@pytest.mark.parametrize("delete", [delete_session, delete_pictures])
def test_only_sessions_are_deleted(tmp_path: Path, delete) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "events").mkdir()
    (precious / "events" / "photo.png").write_bytes(b"precious")
    with pytest.raises(SessionError, match="no session folder"):
        delete(precious)
    folder = sessions.write_session(tmp_path / "talk", frames=10)
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(SessionError, match="is a link"):
        delete(link)
    assert (precious / "events" / "photo.png").read_bytes() == b"precious"


@pytest.mark.parametrize("delete", [delete_session, delete_pictures])
def test_a_session_that_is_being_written_stays(tmp_path: Path, delete) -> None:
    with sessions.begin(tmp_path / "s") as writer:
        writer.add_step(sessions.step(0))
        with pytest.raises(OutputError, match="being written"):
            delete(tmp_path / "s")
    assert read_session(tmp_path / "s").is_complete
