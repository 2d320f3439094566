"""Scores of spotted events: counts done by hand, and tables that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import fictional
import pytest
from sessions import write_session
from videos import write_numbered

from app.errors import DataError
from app.spotting.sensitivity import least_log_odds
from model.evaluate import main
from model.score_spotting import Movement, Video, at_sensitivity, media_files, read_videos, score_spotting
from model.spotting_curve import sensitivity_curve, write_curve


def movement(onset: int, apex: int | None, offset: int, label: str = "") -> Movement:
    return Movement(onset, apex, offset, label)


def session(folder: Path, rows: str, frames: int = 301, fps: float = 30.0) -> None:
    folder.mkdir(parents=True)
    (folder / "events.csv").write_text("onset_frame,apex_frame,offset_frame,label\n" + rows)
    lines = "".join(f"{i},{i / fps:.6f}\n" for i in range(frames))
    (folder / "frames.csv").write_text("frame,timestamp\n" + lines)


def test_counts_are_pooled_over_videos():
    one = Video("one", (movement(10, 14, 20),), (movement(11, 15, 21), movement(50, 52, 56)), 30.0, 30.0)
    two = Video("two", (movement(5, 8, 12), movement(90, None, 99)), (movement(90, 93, 98),), 30.0, 30.0)
    report = score_spotting([one, two])
    assert (report.true, report.found, report.true_positives) == (3, 3, 2)
    assert report.f1 == pytest.approx(2 * 2 / 6)
    assert report.false_alarms_per_minute == pytest.approx(1.0)
    assert report.apex_error_ms_median == pytest.approx(1000 / 30)
    assert report.strs is None


def test_latency_counts_the_frames_after_apex_and_offset():
    true = (Movement(0, 4, 9, "", apex_s=0.133, offset_s=0.3), Movement(30, 34, 39, "", apex_s=1.133, offset_s=1.3))
    found = (
        Movement(0, 4, 9, "", announced_s=0.233, decided_s=0.4),
        Movement(30, 34, 39, "", announced_s=1.533, decided_s=1.6),
        Movement(70, 74, 79, "", announced_s=9.0, decided_s=9.0),
    )
    report = score_spotting([Video("one", true, found, 60.0, 30.0, recognition_ms=(80.0, 100.0, 120.0))])
    assert (report.announcement_ms_median, report.announcement_ms_p95) == pytest.approx((250, 385))
    assert (report.decision_ms_median, report.decision_ms_p95) == pytest.approx((200, 290))
    assert (report.recognition_ms_median, report.recognition_ms_p95) == pytest.approx((100, 118))


def test_an_apex_that_nobody_coded_has_no_latency():
    true, found = Movement(0, None, 9, ""), Movement(0, 4, 9, "", announced_s=0.2, decided_s=0.4)
    report = score_spotting([Video("one", (true,), (found,), 60.0, 30.0)])
    assert (report.true_positives, report.announcement_ms_median, report.decision_ms_p95) == (1, None, None)


def test_strs_is_the_product_of_both_scores():
    found = [movement(0, 4, 9, "positive"), movement(20, 24, 29, "negative"), movement(60, 64, 69, "positive")]
    true = [movement(0, 4, 9, "positive"), movement(20, 24, 29, "positive"), movement(80, 84, 89, "negative")]
    report = score_spotting([Video("one", tuple(true), tuple(found), 60.0, 30.0)])
    # positive: TP 1, FN 1 → F1 2/3; negative: FP 1 → F1 0
    assert report.recognition_uf1 == pytest.approx(1 / 3)
    assert report.strs == pytest.approx(report.f1 / 3)


def test_nothing_to_find_and_nothing_found_is_perfect():
    report = score_spotting([Video("calm", (), (), 60.0, 30.0)])
    assert (report.f1, report.false_alarms_per_minute, report.precision) == (1.0, 0.0, None)


def test_no_video_is_no_score():
    with pytest.raises(DataError, match="no analysed video"):
        score_spotting([])


def test_false_alarms_are_put_down_to_what_moved():
    others = (Movement(100, 103, 110, "", "blink"), Movement(200, 220, 260, "positive", "macro"))
    found = (movement(104, 106, 112), movement(205, 208, 214), movement(400, 404, 410), movement(10, 14, 60))
    video = Video("one", (movement(10, 14, 20),), found, 60.0, 30.0, others)
    assert score_spotting([video]).false_alarms_by_cause == {"blink": 1, "macro": 1, "nothing": 1, "micro": 1}


class TestSensitivity:
    def video(self) -> Video:
        near = (
            Movement(90, 93, 99, "", log_odds=least_log_odds(1.0) - 0.1),
            Movement(150, 153, 160, "", log_odds=least_log_odds(4.0) - 0.1),
        )
        true = (movement(10, 14, 20), movement(90, 93, 99))
        return Video("one", true, (movement(10, 14, 20),), 60.0, 30.0, (), near, 1.0)

    def test_a_more_sensitive_run_finds_what_odds_alone_kept_out(self):
        assert [m.onset_frame for m in at_sensitivity(self.video(), 1.0).found] == [10]
        assert [m.onset_frame for m in at_sensitivity(self.video(), 2.0).found] == [10, 90]
        assert [m.onset_frame for m in at_sensitivity(self.video(), 8.0).found] == [10, 90, 150]

    def test_a_less_sensitive_run_is_not_guessed(self):
        with pytest.raises(DataError, match=r"--sensitivity 0\.5 or less"):
            at_sensitivity(self.video(), 0.5)

    def test_the_curve_is_written_as_a_table_and_a_picture(self, tmp_path):
        curve = sensitivity_curve([self.video()])
        assert [rate for rate, _ in curve] == [1.0, 2.0, 4.0, 8.0]
        assert [round(report.f1, 2) for _, report in curve] == [0.67, 1.0, 1.0, 0.8]
        write_curve(curve, tmp_path / "curve")
        lines = (tmp_path / "curve" / "sensitivity.csv").read_text().splitlines()
        assert lines[0] == "false_alarms_per_min,f1,precision,recall,false_alarms_per_minute"
        assert lines[-1] == "8.0,0.8,0.6667,1.0,1.0"
        assert (tmp_path / "curve" / "sensitivity.png").read_bytes().startswith(b"\x89PNG")

    def test_results_that_do_not_say_how_sensitive_they_were(self):
        with pytest.raises(DataError, match="analyse the videos again"):
            sensitivity_curve([Video("one", (), (), 60.0, 30.0)])


@pytest.mark.slow
@pytest.mark.usefixtures("caplog")
def test_long_videos_of_a_data_set_are_analysed_at_their_rate_and_scored(tmp_path, capsys):
    root, results = fictional.casme_sq(tmp_path / "casme"), tmp_path / "results"
    assert main(["spotting", str(results), "--dataset", "casme_sq_long", str(root), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["videos"], report["true"], report["found"], report["recall"]) == (3, 2, 0, 0.0)
    metadata = json.loads((results / "15_0101disgustingteeth" / "metadata.json").read_text())
    assert metadata["source"]["fps"] == 30.0
    assert (metadata["frames"], metadata["frames_with_face"]) == (20, 20)


def test_a_data_set_without_long_videos(tmp_path, caplog):
    assert main(["spotting", str(tmp_path), "--dataset", "casme2", str(tmp_path)]) == 1
    assert "no long videos called 'casme2'. Known: samm_long, casme_sq_long." in caplog.text


def test_videos_of_a_data_set_are_not_named_twice(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["spotting", "r", "--dataset", "samm_long", "x", "--videos", "y"])
    assert "--videos goes with --truth" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"), [("--sensitivity", "9", "not in 0.25–8.0"), ("--iou", "1.5", "not in 0–1")]
)
def test_options_out_of_range(option, value, message, capsys):
    with pytest.raises(SystemExit):
        main(["spotting", "r", "--truth", "t.csv", option, value])
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_analyses_scores_and_draws(tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    write_numbered(tmp_path / "clips" / "empty.mp4", count=12)
    truth, results, curve = tmp_path / "truth.csv", tmp_path / "results", tmp_path / "curve"
    truth.write_text("media_file,onset_frame,offset_frame,kind\nempty.mp4,,,neutral\n")
    arguments = ["spotting", str(results), "--truth", str(truth), "--videos", str(tmp_path / "clips"), "--json"]
    assert main([*arguments, "--curve", str(curve)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["videos"], report["found"], report["f1"]) == (1, 0, 1.0)
    assert {path.name for path in curve.iterdir()} == {"sensitivity.csv", "sensitivity.png"}


def test_a_video_that_cannot_be_analysed(tmp_path, caplog):
    (tmp_path / "truth.csv").write_text("media_file,onset_frame,offset_frame\nmissing.mp4,,\n")
    arguments = ["spotting", str(tmp_path / "results"), "--truth", str(tmp_path / "truth.csv")]
    assert main([*arguments, "--videos", str(tmp_path)]) == 1
    assert "Not every video could be analysed" in caplog.text


class TestTables:
    def test_results_are_paired_with_the_truth(self, tmp_path):
        session(tmp_path / "results" / "talk", "11,15,21,positive\n")
        session(tmp_path / "results" / "calm", "", fps=60.0)
        truth = tmp_path / "truth.csv"
        truth.write_text(
            "media_file,onset_frame,apex_frame,offset_frame,kind,label\n"
            "videos/talk.mp4,10,14,20,micro,Positive\nvideos/talk.mp4,100,110,160,macro,positive\ncalm.avi,,,,,\n"
        )
        calm, talk = read_videos(tmp_path / "results", truth)
        assert (calm.true, calm.found, calm.fps) == ((), (), pytest.approx(60))
        assert talk.true == (Movement(10, 14, 20, "positive", apex_s=0.466667, offset_s=0.666667),)
        assert talk.others == (Movement(100, 110, 160, "positive", "macro"),)
        assert media_files(truth) == {"videos/talk.mp4": None, "calm.avi": None}
        assert talk.duration_s == pytest.approx(10)
        report = score_spotting([calm, talk])
        assert (report.f1, report.strs, report.minutes) == (1.0, 1.0, pytest.approx(15 / 60))
        # These sessions are of a time when the moment of the decision was not written.
        assert (report.announcement_ms_median, report.decision_ms_median, report.recognition_ms_p95) == (None,) * 3

    def test_latency_is_read_from_a_session(self, tmp_path):
        folder = write_session(tmp_path / "results" / "talk", frames=130)
        (tmp_path / "t.csv").write_text("media_file,onset_frame,apex_frame,offset_frame\ntalk.mp4,31,35,40\n")
        (video,) = read_videos(folder.parent, tmp_path / "t.csv")
        assert video.recognition_ms == (40.0, 40.0, 40.0)
        report = score_spotting([video])
        assert (report.announcement_ms_median, report.decision_ms_median) == pytest.approx((350 / 3, 100), abs=0.01)

    def test_a_video_without_results(self, tmp_path):
        session(tmp_path / "results" / "talk", "")
        (tmp_path / "t.csv").write_text("media_file,onset_frame,offset_frame\ntalk.mp4,1,5\nother.mp4,1,5\n")
        with pytest.raises(DataError, match="no results of other"):
            read_videos(tmp_path / "results", tmp_path / "t.csv")

    def test_results_that_the_truth_does_not_name(self, tmp_path):
        session(tmp_path / "results" / "talk", "")
        session(tmp_path / "results" / "extra", "")
        (tmp_path / "t.csv").write_text("media_file,onset_frame,offset_frame\ntalk.mp4,1,5\n")
        with pytest.raises(DataError, match="does not name extra"):
            read_videos(tmp_path / "results", tmp_path / "t.csv")

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("media,onset\n", "no column media_file"),
            ("media_file,onset_frame,offset_frame\na,one,2\n", "whole numbers"),
            ("media_file,onset_frame,offset_frame\nx/a.mp4,1,2\ny/a.mp4,1,2\n", "give each its own"),
        ],
    )
    def test_a_truth_that_cannot_be_read(self, tmp_path, table, message):
        (tmp_path / "t.csv").write_text(table)
        with pytest.raises(DataError, match=message):
            read_videos(tmp_path, tmp_path / "t.csv")

    def test_a_frame_rate_that_is_no_number(self, tmp_path):
        (tmp_path / "t.csv").write_text("media_file,onset_frame,offset_frame,fps\na,1,2,fast\n")
        with pytest.raises(DataError, match="fps is a number"):
            media_files(tmp_path / "t.csv")

    def test_a_truth_from_a_spreadsheet_program(self, tmp_path):
        (tmp_path / "t.csv").write_text("media_file,onset_frame,offset_frame,fps\na,1,2,200\n", encoding="utf-8-sig")
        assert media_files(tmp_path / "t.csv") == {"a": 200.0}

    def test_a_truth_that_is_not_there(self, tmp_path):
        with pytest.raises(DataError, match="does not exist"):
            read_videos(tmp_path, tmp_path / "none.csv")
