"""Settings: saved and found again, checked value by value, never in the way of a start."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.config import PipelineConfig, RecognitionConfig, SourceConfig
from app.errors import SettingsError
from app.settings import (
    RECENT_COUNT,
    CameraSettings,
    Loaded,
    Settings,
    load_settings,
    read_settings,
    settings_path,
    write_settings,
)

CHOSEN = Settings(
    is_notice_seen=True,
    theme="light",
    font_scale=1.3,
    device="cuda:1",
    model="/weights/mine.onnx",
    session_folder="/data/Sitzungen 中文",
    replay_s=12.0,
    coder="Zoë",
    overlays=("mesh", "crop"),
    gates={"max_duration_ms": 400.0},
    cameras={"Kamera é": CameraSettings(1280, 720, 60.0, 90, False)},
    recent=("demo", "talk.mp4"),
    layout={"geometry": "AAEC"},
)


def written(tmp_path: Path, **settings: object) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"format_version": 1, "settings": settings}), encoding="utf-8")
    return path


def test_what_was_chosen_is_found_again(tmp_path):
    path = tmp_path / "new" / "settings.json"
    write_settings(CHOSEN, path)
    assert load_settings(path) == Loaded(CHOSEN)
    assert [file.name for file in path.parent.iterdir()] == ["settings.json"]


def test_without_a_file_there_are_defaults(tmp_path):
    assert load_settings(tmp_path / "none.json") == Loaded(Settings())
    assert settings_path().name == "settings.json"


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("theme", "pink", "theme is 'pink': must be one of system, light, dark"),
        ("font_scale", 9, "font_scale is 9: must lie between 0.8 and 2"),
        ("font_scale", float("nan"), "font_scale is nan: must be a number"),
        ("font_scale", True, "font_scale is True: must be a number"),
        ("device", "tpu", "device is 'tpu': must be auto, cpu, cuda or cuda:N"),
        ("gates", {"max_duration": 400}, "unknown to this version: max_duration"),
        ("cameras", {"C920": {"rotation_deg": 45}}, "must be one of 0, 90, 180, 270"),
        ("cameras", [], "must be an object"),
        ("recent", "demo", "must be a list"),
        ("is_notice_seen", 1, "must be true or false"),
        ("wisdom", 1, "'wisdom' is unknown to this version"),
    ],
)
def test_one_value_that_does_not_fit_leaves_the_others(tmp_path, name, value, problem):
    loaded = load_settings(written(tmp_path, **{"replay_s": 20, name: value}))
    assert loaded.settings == Settings(replay_s=20.0)
    assert len(loaded.problems) == 1
    assert problem in loaded.problems[0]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no settings"),
        ("{", "holds no settings"),
        ("[]", "holds no settings of this program"),
        ('{"format_version": 1}', "holds no settings of this program"),
        ('{"format_version": 2, "settings": {}}', "has format version 2, this program reads 1"),
    ],
)
def test_a_file_that_holds_something_else(tmp_path, text, problem):
    path = tmp_path / "settings.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=problem):
        read_settings(path)
    loaded = load_settings(path)
    assert loaded.settings == Settings()
    assert "The settings start anew." in loaded.problems[0]


def test_a_folder_that_takes_no_files(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="Is the folder writable"):
        write_settings(Settings(), tmp_path / "file" / "settings.json")


class TestBesideTheCommandLine:
    def test_what_was_typed_comes_before_what_was_saved(self):
        typed = PipelineConfig(recognition=RecognitionConfig(model="other", device="cpu"))
        config = CHOSEN.pipeline_config(typed)
        assert (config.recognition.model, config.recognition.device) == ("other", "cpu")
        config = CHOSEN.pipeline_config(PipelineConfig())
        assert (config.recognition.model, config.recognition.device) == ("/weights/mine.onnx", "cuda:1")
        assert config.spotter.max_duration_ms == 400
        assert Settings().pipeline_config(PipelineConfig()) == PipelineConfig()

    def test_a_camera_is_opened_as_the_last_time(self):
        config = CHOSEN.source_config("Kamera é", SourceConfig())
        assert (config.width, config.height, config.fps, config.rotation_deg) == (1280, 720, 60, 90)
        config = CHOSEN.source_config("Kamera é", SourceConfig(width=640))
        assert (config.width, config.height, config.fps, config.rotation_deg) == (640, None, None, 90)
        assert CHOSEN.source_config("other", SourceConfig()) == SourceConfig()


def test_recent_sources_are_few_and_named_once():
    settings = Settings()
    for number in range(20):
        settings = settings.with_recent(f"{number}.mp4")
    settings = settings.with_recent("15.mp4")
    assert settings.recent[:3] == ("15.mp4", "19.mp4", "18.mp4")
    assert len(settings.recent) == RECENT_COUNT


def test_sessions_go_to_the_documents_unless_told_otherwise(tmp_path):
    assert Settings().sessions_path().name == "mmnet"
    assert replace(Settings(), session_folder=str(tmp_path)).sessions_path() == tmp_path
