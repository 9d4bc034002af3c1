"""Reports of a run: a bar on a terminal, lines of text elsewhere, only errors when quiet."""

from fractions import Fraction
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from vidsr.cli.progress import Reporter, Verbosity
from vidsr.frames import VideoInfo
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan
from vidsr.pipeline.report import RunReport
from vidsr.pipeline.summary import _measure, summarize
from vidsr.runtime.error_boundary import Failure
from vidsr.segments.workers import WorkerLine


def printed(verbosity: Verbosity, terminal: bool) -> str:
    console = Console(file=StringIO(), force_terminal=terminal, width=120, highlight=False)
    info = VideoInfo(width=64, height=48, fps=Fraction(25))
    plan = make_plan(parse_options(scale=4, model="bicubic"), info)
    report = RunReport(
        Path("in.mp4"), Path("out.mp4"), plan, plan.output, 10, 2.0,
        threads={"decode": {"decode": 0.5}, "stages": {"wait": 9.0, "upscale": 1.5}}, means={"psnr_y": 31.234},
    )  # fmt: skip
    with Reporter(verbosity, console) as reporter:
        on_frames = reporter.start(Path("in.mp4"), 0, 2)
        on_frames(0, 10)
        on_frames(5, 10)
        reporter.note("something to know")
        reporter.finish(summarize(report))
        reporter.fail(Path("bad.mp4"), Failure("bad.mp4 is empty"))
        reporter.total(2, 1, 1, {})
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("terminal", [True, False])
def test_the_summary_names_the_bottleneck_and_the_means(terminal: bool) -> None:
    text = printed(Verbosity.VERBOSE, terminal)
    for word in (
        "bottleneck: stages",
        "31.23 dB",
        "5.0 fps",
        "to 256x192",
        "something to know",
        "1 of 2 files enhanced",
    ):
        assert word in text


def test_quiet_prints_only_failures() -> None:
    text = printed(Verbosity.QUIET, False)
    assert "bad.mp4 is empty" in text
    assert "bottleneck" not in text and "something" not in text


def test_lines_show_the_rate_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.cli.progress.LINE_SECONDS", 0.0)
    text = printed(Verbosity.NORMAL, False)
    assert "5/10 frames" in text and "s left" in text


def test_the_time_left_of_a_job_that_continues_leaves_out_what_earlier_runs_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A film of which 900 of 1000 frames were done seemed to be ready within a second."""
    clock = [0.0]
    monkeypatch.setattr("vidsr.cli.progress.perf_counter", lambda: clock[0])
    monkeypatch.setattr("vidsr.cli.run_share.perf_counter", lambda: clock[0])
    console = Console(file=StringIO(), width=120, highlight=False)
    with Reporter(Verbosity.NORMAL, console) as reporter:
        reporter.begin([Path("a.mp4"), Path("b.mp4")])
        on_frames = reporter.start(Path("a.mp4"), 0, 2)
        on_frames(900, 1000)
        clock[0] = 20.0
        on_frames(910, 1000)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[1/2] a.mp4: 910/1000 frames, 0.5 fps, 180 s left, 36 min 20 s for all files" in text


def test_a_run_whose_first_frame_takes_longer_than_a_line_has_no_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A division by zero on a busy machine."""
    clock = [0.0]
    monkeypatch.setattr("vidsr.cli.progress.perf_counter", lambda: clock[0])
    console = Console(file=StringIO(), width=120, highlight=False)
    with Reporter(Verbosity.NORMAL, console) as reporter:
        on_frames = reporter.start(Path("a.mp4"), 0, 1)
        on_frames(0, 10)
        clock[0] = 20.0
        on_frames(0, 10)
    assert "a.mp4: 0/10 frames, 0.0 fps\n" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_never_exceeds_the_expected_number_of_frames(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr("vidsr.cli.progress.LINE_SECONDS", 0.0)
    console = Console(file=StringIO(), force_terminal=terminal, width=120, highlight=False)
    with Reporter(Verbosity.NORMAL, console) as reporter:
        on_frames = reporter.start(Path("in.mp4"), 0, 1)
        on_frames(0, 10)
        on_frames(12, 10)  # headers estimate, and frames came
        assert all(task.total is None or task.percentage <= 100 for task in reporter._bar.tasks)
    assert "12/10" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_each_worker_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.cli.progress.LINE_SECONDS", 0.0)
    for terminal in (True, False):
        console = Console(file=StringIO(), force_terminal=terminal, width=120, highlight=False)
        with Reporter(Verbosity.VERBOSE, console) as reporter:
            reporter.begin([Path("a.mp4"), Path("b.mp4")])
            reporter.start_all([Path("a.mp4"), Path("b.mp4")])
            reporter.worker(WorkerLine(0, "[1/2] a.mp4, segment 3 of 7", 5, None))
            reporter.worker(WorkerLine(1, "[2/2] b.mp4", 5, 10))
            reporter.on_frames(1, 5, 10)
            reporter.ended(0)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert "worker 1: [1/2] a.mp4, segment 3 of 7" in text and "worker 2: [2/2] b.mp4" in text
        assert ("1/2 files, 75%" in text) != terminal


def test_only_psnr_is_shown_in_decibels() -> None:
    assert _measure("psnr_y", 31.234) == "31.23 dB" and _measure("bicubic_psnr_y", 30.0) == "30.00 dB"
    assert _measure("mse_y", 12.25) == "12.25"
    assert _measure("ssim_y", 0.98765) == "0.9877"
