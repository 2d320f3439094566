"""The command line as a user meets it: exit codes, messages, standard output."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from mjpeg_server import MjpegServer

from app import __version__
from app.capture.demo import DEMO_SCRIPT, DemoSource
from app.cli import TRAINING_COMMANDS, main
from app.config import SourceConfig

FIRST = next(movement for movement in DEMO_SCRIPT if movement.kind == "micro")
SPAN = ["--start", str((FIRST.onset_frame - 45) / 30), "--end", str(FIRST.offset_frame / 30 + 0.6)]


def in_fresh_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_help_needs_no_heavy_import() -> None:
    done = in_fresh_python(
        "import sys\nfrom app.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'numpy', 'cv2', 'mediapipe', 'onnxruntime', 'PyQt6', 'torch', 'av'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in ("view", "analyze", "bench", "cameras", "doctor"))
    assert all(f"    {command} " in done.stdout for command in TRAINING_COMMANDS)
    assert "cannot read thoughts" in done.stdout


@pytest.mark.parametrize("command", TRAINING_COMMANDS)
def test_the_training_commands_are_reached(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: mmnet {command}" in capsys.readouterr().out


def test_training_without_torch_says_what_to_install() -> None:
    done = in_fresh_python(
        "import sys\nsys.modules['torch'] = None\nfrom app.cli import main\nsys.exit(main(['export', '--help']))\n"
    )
    assert done.returncode == 1
    assert "pip install '.[train]'" in done.stderr


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.strip() == f"mmnet {__version__}"


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--info"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze"],
        ["analyze", "demo", "--fps", "0"],
        ["analyze", "demo", "--start", "-1"],
        ["analyze", "demo", "--end", "nan"],
        ["analyze", "demo", "--device", "tpu"],
        ["analyze", "demo", "--sensitivity", "20"],
        ["bench", "--frames", "1.5"],
        ["view", "demo", "--width", "many"],
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: mmnet" in capsys.readouterr().err


def test_end_before_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "demo", "--start", "3", "--end", "2", "--out", str(tmp_path / "r")]) == 1
    assert "--end 2 must be later than --start 3" in capsys.readouterr().err


def test_analyze_demo_prints_it_beside_its_script(tmp_path, network_path, capsys) -> None:
    arguments = ["analyze", "demo", *SPAN, "--out", str(tmp_path / "r"), "--model", str(network_path)]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert f"{FIRST.label:9s} {FIRST.onset_frame:4d} {FIRST.apex_frame:4d} {FIRST.offset_frame:4d}" in printed.out
    assert "found 1 of 1, missed 0, false alarms 0" in printed.out
    with (tmp_path / "r/demo/events.csv").open(newline="") as file:
        (event,) = csv.DictReader(file)
    assert f"class right in {int(event['label'] == FIRST.label)} of 1" in printed.out
    assert "CPUExecutionProvider" in printed.out
    assert "\r" not in printed.err  # no progress bar where there is no terminal
    assert (tmp_path / "r/demo/events.csv").is_file()


def test_json_prints_only_json_lines(tmp_path, network_path, capsys) -> None:
    arguments = ["analyze", "demo", *SPAN, "--out", str(tmp_path / "r"), "--model", str(network_path), "--json"]
    assert main(arguments) == 0
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert event["apex_frame"] == FIRST.apex_frame
    assert event["apex_s"] == pytest.approx(FIRST.apex_frame / 30, abs=1e-5)
    assert event["label"] in ("negative", "positive", "surprise")
    assert isinstance(event["p_positive"], float)


def test_existing_results_stay_untouched(tmp_path, network_path, capsys) -> None:
    out = tmp_path / "r"
    out.mkdir()
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    arguments = ["analyze", "demo", "--end", "0.3", "--out", str(out), "--model", str(network_path)]
    assert main(arguments) == 1
    assert "--exist-ok" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
    assert main([*arguments, "--exist-ok"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["demo", "notes.txt"]


def test_one_bad_input_does_not_stop_the_others(tmp_path, network_path, capsys) -> None:
    renamed = tmp_path / "notes.mp4"
    renamed.write_text("this is no video", encoding="utf-8")
    out = tmp_path / "r"
    arguments = ["analyze", str(renamed), "demo", str(tmp_path / "gone.mp4"), "--end", "0.3", "--out", str(out)]
    assert main([*arguments, "--model", str(network_path)]) == 1
    printed = capsys.readouterr()
    assert (out / "demo/events.csv").is_file()
    assert not (out / "notes").exists()
    assert "notes.mp4" in printed.err
    assert "gone.mp4" in printed.err
    assert "2 of 3 inputs failed" in printed.err


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "nowhere.onnx"), (b"", "nowhere.onnx"), (b"not a network", "nowhere.onnx")],
    ids=["missing", "empty", "damaged"],
)
def test_a_bad_model_file_is_named(tmp_path, capsys, content, message) -> None:
    path = tmp_path / "nowhere.onnx"
    if content is not None:
        path.write_bytes(content)
    assert main(["analyze", "demo", "--out", str(tmp_path / "r"), "--model", str(path)]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_require_gpu_fails_with_the_reason_where_there_is_none(tmp_path, network_path, capsys) -> None:
    import onnxruntime

    if _has_gpu(onnxruntime, network_path):
        pytest.skip("this machine has a GPU")
    arguments = ["analyze", "demo", "--out", str(tmp_path / "r"), "--model", str(network_path), "--require-gpu"]
    assert main(arguments) == 1
    assert "GPU" in capsys.readouterr().err


def _has_gpu(onnxruntime, network_path: Path) -> bool:
    from app.config import RecognitionConfig
    from app.recognition.classifier import Classifier

    with Classifier(RecognitionConfig(model=network_path)) as classifier:
        return classifier.provider.startswith("CUDA")


def test_a_network_camera_is_analysed_for_as_long_as_asked(tmp_path, network_path, capsys) -> None:
    with DemoSource(SourceConfig(end_s=1.0)) as source:
        frames = [frame.image_bgr for frame in source]
    out = tmp_path / "r"
    with MjpegServer(frames, 30, is_looping=True) as server:
        assert main(["analyze", server.url, "--end", "1.5", "--out", str(out), "--model", str(network_path)]) == 0
    (session,) = out.iterdir()
    metadata = json.loads((session / "metadata.json").read_text(encoding="utf-8"))
    assert metadata["source"]["is_live"]
    assert metadata["source"]["kind"] == "stream"
    with (session / "frames.csv").open(encoding="utf-8") as file:
        times = [float(row["timestamp"]) for row in csv.DictReader(file)]
    assert times[0] == 0
    assert times == sorted(times)
    assert 1.2 < times[-1] < 1.5


def test_a_network_camera_that_vanishes_is_an_error_after_what_was_seen_is_saved(
    tmp_path, network_path, capsys
) -> None:
    with DemoSource(SourceConfig(end_s=1.0)) as source:
        frames = [frame.image_bgr for frame in source]
    out = tmp_path / "r"
    # A stream that ends is a camera that was unplugged: nobody said that it is over.
    with MjpegServer(frames * 3, 30, is_looping=False) as server:
        assert main(["analyze", server.url, "--out", str(out), "--model", str(network_path)]) == 1
    assert "What was readable is saved in" in capsys.readouterr().err
    (session,) = out.iterdir()
    assert len((session / "frames.csv").read_text(encoding="utf-8").splitlines()) > 10


def test_bench_reports_stages_and_ratio(network_path, capsys) -> None:
    assert main(["bench", "demo", "--frames", "30", "--model", str(network_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {stage["stage"] for stage in report["stages"]} == {"track", "register", "spot", "recognise a pair"}
    assert all(0 < stage["p50_ms"] <= stage["p95_ms"] for stage in report["stages"])
    assert report["ratio"] == pytest.approx(report["pipeline_fps"] / report["mesh_fps"])
    assert report["frame_count"] == 20
    assert report["provider"] == "CPUExecutionProvider"


def test_bench_of_a_source_too_short_to_measure(network_path, capsys) -> None:
    assert main(["bench", "demo", "--frames", "5", "--model", str(network_path)]) == 1
    assert "at least" in capsys.readouterr().err


def test_default_results_never_go_to_the_current_folder(tmp_path, network_path, monkeypatch) -> None:
    here, documents = tmp_path / "here", tmp_path / "documents"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr("platformdirs.user_documents_dir", lambda: str(documents))
    assert main(["analyze", "demo", "--end", "0.3", "--model", str(network_path), "-q"]) == 0
    assert list(here.iterdir()) == []
    assert len(list(documents.glob("mmnet/*/demo/events.csv"))) == 1


def test_a_missing_library_sends_to_the_doctor(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "app.cli_analyze", None)
    assert main(["analyze", "demo"]) == 1
    assert "mmnet doctor" in capsys.readouterr().err
