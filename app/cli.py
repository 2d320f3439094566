"""The command line: a thin skin over the configuration records. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app import __version__
from app.config import FALSE_ALARMS_PER_MIN, PipelineConfig, RecognitionConfig, SourceConfig, SpotterConfig
from app.errors import MmnetError
from app.terminal import complain

if TYPE_CHECKING:
    pass

COMMANDS = ("view", "analyze", "export-events", "agree", "delete", "bench", "cameras", "doctor")
FORMAT_NAMES = "csv, tsv, xlsx, json, eaf, boris, vtt, srt, clips, gif, magnified, report, manifest"
# Each is `main` of the module of that name in the training package, which the application knows by name only.
TRAINING_COMMANDS = {
    "check": "look at a data set as it was downloaded",
    "prepare": "cut the crops of a data set",
    "synth": "make synthetic training pairs",
    "train": "train a network and score it on people it has not seen",
    "evaluate": "score a network, or spotted events, against the truth",
    "export": "turn a trained network into an ONNX file",
}
_FAILED, _INTERRUPTED = 1, 130
_SOURCE_HELP = "camera number or name | file | folder of images | URL | demo"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in TRAINING_COMMANDS:
        return _training(given[0], given[1:])
    # `mmnet talk.mp4` means `mmnet view talk.mp4`.
    if not any(word in COMMANDS for word in given[:1]) and not {"-h", "--help", "--version", "--info"} & set(given):
        given.insert(0, "view")
    parser = _parser()
    options = parser.parse_args(given)
    level = logging.DEBUG if options.verbose else logging.ERROR if options.quiet else logging.WARNING
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger("mmnet").setLevel(level)
    try:
        return _info() if options.info else int(options.run(options))
    except MmnetError as error:
        complain(error)
        return _FAILED
    except ImportError as error:
        complain(f"a library is missing: {error}. `mmnet doctor` says what to install.")
        return _FAILED
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return _INTERRUPTED


def _training(command: str, arguments: list[str]) -> int:
    try:
        module = importlib.import_module(f"model.{command}")
    except ImportError as error:
        complain(f"{error}. Training needs more libraries: pip install '.[train]' in the source folder.")
        return _FAILED
    return int(module.main(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mmnet",
        description="Finds brief facial movements on video and says which expression class they are consistent with. "
        "Experimental: it cannot read thoughts or detect lies, and most alerts may be wrong.",
        epilog="`mmnet SOURCE` is short for `mmnet view SOURCE`.",
    )
    parser.add_argument("--version", action="version", version=f"mmnet {__version__}")
    parser.add_argument("--info", action="store_true", help="print versions, folders and the default model, and leave")
    parser.set_defaults(verbose=False, quiet=False)
    # Without a word of the user's, --info alone is fine and everything else needs a command.
    commands = parser.add_subparsers(dest="command", required=False, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-v", "--verbose", action="store_true", help="log what happens")
    common.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors and results")
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument("--width", type=_positive_int, metavar="PX", help="ask the camera for this width")
    source.add_argument("--height", type=_positive_int, metavar="PX", help="ask the camera for this height")
    source.add_argument("--fps", type=_positive, metavar="HZ", help="ask the camera for this rate; time base of images")
    source.add_argument("--start", type=_not_negative, default=0.0, metavar="S", help="begin at this second")
    source.add_argument("--end", type=_positive, metavar="S", help="end at this second; of a camera: run so long")
    source.add_argument("--seed", type=int, default=0, help="of the demo's noise and head motion")
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument("--model", metavar="FILE|NAME", help="network to use instead of the default")
    model.add_argument("--device", type=_device, default="auto", metavar="DEV", help="auto | cpu | cuda | cuda:N")
    model.add_argument("--require-gpu", action="store_true", help="fail, with the reason, unless a GPU is really used")
    spotter = argparse.ArgumentParser(add_help=False)
    spotter.add_argument(
        "--sensitivity",
        type=_sensitivity,
        default=SpotterConfig().false_alarms_per_min,
        metavar="RATE",
        help="false alarms a minute to be expected, {} to {} (default: 1)".format(*FALSE_ALARMS_PER_MIN),
    )

    view = commands.add_parser("view", parents=[common, source, model, spotter], help="open the viewer")
    view.add_argument("source", nargs="?", metavar="SOURCE", help=f"{_SOURCE_HELP} (default: choose there)")
    view.add_argument("--screenshot", type=Path, metavar="FILE", help="save the window as a picture and leave")
    view.add_argument("--after", type=_positive, default=5.0, metavar="S", help="seconds before the screenshot")
    view.set_defaults(run=_view)

    analyze = commands.add_parser(
        "analyze", parents=[common, source, model, spotter], help="analyse sources without a window"
    )
    analyze.add_argument("sources", nargs="+", metavar="SOURCE", help=f"{_SOURCE_HELP} | folder or glob of videos")
    analyze.add_argument("--out", type=Path, metavar="DIR", help="where results go (default: your documents folder)")
    analyze.add_argument("--exist-ok", action="store_true", help="allow an existing folder, replacing earlier results")
    analyze.add_argument("--resume", action="store_true", help="skip what is done in --out, do the rest again")
    analyze.add_argument("--jobs", type=_positive_int, default=1, metavar="N", help="inputs at once, each in a process")
    analyze.add_argument(
        "--engine", default="local", metavar="NAME", help="local (default) | ray | ray://HOST:PORT, a Ray cluster"
    )
    analyze.add_argument("--subject", metavar="ID", help="who is filmed, for the tables and for training")
    analyze.add_argument("--json", action="store_true", help="print events as JSON lines on standard output")
    analyze.add_argument("--lsl", action="store_true", help="stream events and motion to the Lab Streaming Layer")
    analyze.set_defaults(run=_analyze)

    export = commands.add_parser("export-events", parents=[common], help="sessions in the formats of other programs")
    export.add_argument("sessions", nargs="+", type=Path, metavar="SESSION", help="session folder")
    export.add_argument("--format", required=True, metavar="NAME", help=FORMAT_NAMES)
    export.add_argument("--out", type=Path, required=True, metavar="PATH", help="file, or folder for several files")
    export.add_argument("--coder", metavar="NAME", help="whose review, where there are several")
    export.add_argument("--blur", action="store_true", help="make faces unrecognisable in pictures and clips")
    export.add_argument("--exist-ok", action="store_true", help="replace what is there")
    export.set_defaults(run=_sessions("export_events"))

    agree = commands.add_parser("agree", parents=[common], help="how far two coders' reviews agree")
    agree.add_argument("first", type=Path, metavar="A", help="session, folder of sessions, or reviews/CODER.csv")
    agree.add_argument("second", type=Path, metavar="B", help="the same recordings by another coder")
    agree.add_argument("--json", action="store_true", help="print the figures as JSON")
    agree.set_defaults(run=_sessions("agree"))

    delete = commands.add_parser("delete", parents=[common], help="delete sessions, or their pictures only")
    delete.add_argument("sessions", nargs="+", type=Path, metavar="SESSION", help="session folder")
    delete.add_argument("--pictures", action="store_true", help="delete videos and pictures, keep the numbers")
    delete.add_argument("--yes", action="store_true", help="really do it")
    delete.set_defaults(run=_sessions("delete"))

    bench = commands.add_parser(
        "bench", parents=[common, source, model, spotter], help="measure milliseconds per stage"
    )
    bench.add_argument("source", nargs="?", default="demo", metavar="SOURCE", help=f"{_SOURCE_HELP} (default: demo)")
    bench.add_argument("--frames", type=_positive_int, default=300, metavar="N", help="how many (default: 300)")
    bench.add_argument("--json", action="store_true", help="print the report as JSON")
    bench.set_defaults(run=_bench)

    cameras = commands.add_parser("cameras", parents=[common], help="list cameras")
    cameras.set_defaults(run=_cameras)
    doctor = commands.add_parser("doctor", parents=[common, model], help="check the installation")
    doctor.set_defaults(run=_doctor)
    for command, meaning in TRAINING_COMMANDS.items():
        commands.add_parser(command, help=f"{meaning} (training)", add_help=False)
    parser.set_defaults(run=lambda options: parser.print_help() or 0)
    return parser


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not abs(number) < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range")
    return number


def _positive(text: str) -> float:
    if (number := _number(text)) <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def _sensitivity(text: str) -> float:
    value = _number(text)
    least, largest = FALSE_ALARMS_PER_MIN
    if not least <= value <= largest:
        raise argparse.ArgumentTypeError(f"{text} was not measured: choose {least} to {largest} false alarms a minute")
    return value


def _not_negative(text: str) -> float:
    if (number := _number(text)) < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _positive_int(text: str) -> int:
    number = _positive(text)
    if number != int(number):
        raise argparse.ArgumentTypeError("must be a whole number")
    return int(number)


def _device(text: str) -> str:
    kind, _, number = text.partition(":")
    if text not in ("auto", "cpu", "cuda") and not (kind == "cuda" and number.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is none of auto, cpu, cuda, cuda:N")
    return text


def _source_config(options: argparse.Namespace) -> SourceConfig:
    if options.end is not None and options.end <= options.start:
        raise MmnetError(f"--end {options.end:g} must be later than --start {options.start:g}.")
    return SourceConfig(options.width, options.height, options.fps, options.start, options.end, options.seed)


def _pipeline_config(options: argparse.Namespace) -> PipelineConfig:
    return PipelineConfig(spotter=SpotterConfig(options.sensitivity), recognition=_recognition_config(options))


def _recognition_config(options: argparse.Namespace) -> RecognitionConfig:
    return RecognitionConfig(options.model, options.device, options.require_gpu)


def _view(options: argparse.Namespace) -> int:
    from app.ui.application import run_viewer

    return run_viewer(
        options.source,
        _source_config(options),
        _pipeline_config(options),
        screenshot=options.screenshot,
        after_s=options.after,
    )


def _analyze(options: argparse.Namespace) -> int:
    from app.cli_analyze import run

    out = options.out or _default_output_folder()
    return run(options, out, _source_config(options), _pipeline_config(options))


def _sessions(command: str) -> Callable[[argparse.Namespace], int]:
    """A command of app.cli_sessions, which is imported when it is needed."""

    def run(options: argparse.Namespace) -> int:
        return int(getattr(importlib.import_module("app.cli_sessions"), command)(options))

    return run


def _default_output_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_documents_dir()) / "mmnet" / datetime.now().strftime("%Y-%m-%d_%H%M%S")


def _bench(options: argparse.Namespace) -> int:
    from app.bench import bench

    report = bench(options.source, options.frames, _source_config(options), _pipeline_config(options))
    if options.json:
        print(json.dumps({**asdict(report), "ratio": report.ratio}))
        return 0
    print(f"{report.source}: {report.width}×{report.height}, {report.frame_count} frames; {report.provider}")
    print(f"{'stage':18s}{'count':>7s}{'p50 ms':>9s}{'p95 ms':>9s}")
    for figures in report.stages:
        print(f"{figures.stage:18s}{figures.count:7d}{figures.p50_ms:9.2f}{figures.p95_ms:9.2f}")
    print(f"pipeline {report.pipeline_fps:.1f} fps, bare face mesh {report.mesh_fps:.1f} fps, ratio {report.ratio:.2f}")
    return 0


def _cameras(options: argparse.Namespace) -> int:
    from app.capture.camera import list_cameras

    cameras = list_cameras()
    for camera in cameras:
        print(f"{camera.index}  {camera.name}")
    if not cameras:
        print("no camera found", file=sys.stderr)
    return 0 if cameras else _FAILED


def _doctor(options: argparse.Namespace) -> int:
    from app.doctor import doctor

    findings = doctor(_recognition_config(options))
    for finding in findings:
        print(finding)
    return _FAILED if any(finding.is_error for finding in findings) else 0


def _info() -> int:
    from app.doctor import info

    for name, value in info().items():
        print(f"{name}: {value}")
    return 0
