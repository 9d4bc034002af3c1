"""`vidsr plan`: a complete plan and good estimates, and no file written."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.clips import make_clip
from vidsr.errors import ExitCode, InputError, ModelError, Note, OnNote, OptionError, ignore
from vidsr.kernels import jit
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.paths import Job
from vidsr.pipeline import trial_run
from vidsr.pipeline.estimate import Estimates, _from_trial, estimate_all
from vidsr.pipeline.report import RunReport
from vidsr.pipeline.run import enhance_file
from vidsr.pipeline.trial_run import Trial, _line, _next_length
from vidsr.video import PacketSizes, packet_sizes, probe


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    """(size, time of the last change) of all files below ``folder``."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def planned(*inputs: Path, output: Path | None = None, **options: object) -> Estimates:
    wanted: dict[str, Any] = {"scale": 2, "model": "fast", "preset": "ultrafast", **options}
    return estimate_all(list(inputs), output, parse_options(**wanted))


def test_a_plan_is_complete_and_writes_nothing(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=30, audio=2, subtitles="ass", font=b"font", tags={"colorspace": 1})
    before = everything(tmp_path)
    result = planned(source, output=tmp_path / "new" / "b.mp4", fps="2x", log=tmp_path / "log.csv")
    assert everything(tmp_path) == before
    (file,) = result.files
    output = file.plan.output
    assert (output.width, output.height, output.fps, output.frames) == (128, 96, 50, 60)
    assert file.target == tmp_path / "new" / "b.mp4"
    assert len(file.copied_streams) == 2
    assert sum("left out" in note.text for note in file.notes) == 2
    assert [word.split()[0] for word in file.plan.words] == ["interpolate:", "fast"]
    assert list(file.plan.weights)
    assert result.seconds > file.seconds > 0
    assert result.bytes == file.bytes > 1000
    assert result.memory is None or result.memory > 10e6
    assert result.free > 0
    assert result.exit_code == ExitCode.DONE


def test_a_plan_of_a_folder_includes_every_kind_of_clip_and_the_failures(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    make_clip(folder / "a.mp4", frames=20)
    make_clip(folder / "deep" / "b.mp4", frames=40)
    make_clip(folder / "c.mkv", frames=10, size=(96, 64))
    (folder / "bad.mp4").write_text("no clip")
    (folder / "notes.txt").write_text("notes")
    make_clip(tmp_path / "out.mp4", frames=1).rename(folder / "a.x2.mp4")
    before = everything(tmp_path)
    result = planned(folder, output=folder)
    assert everything(tmp_path) == before
    assert result.exit_code == ExitCode.SOME_FAILED
    assert [failure.source.name for failure in result.failed] == ["bad.mp4"]
    assert [path.name for path in result.skipped] == ["notes.txt"]
    by_name = {file.source.name: file for file in result.files}
    assert "exists" in by_name["a.mp4"].problem
    assert by_name["b.mp4"].target == folder / "deep" / "b.x2.mp4"
    assert all(file.seconds > 0 and file.bytes > 0 for file in result.files)


def test_d5_a_plan_shows_the_names_that_the_run_gives_two_clips_of_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsr.pipeline.estimate._trials", lambda *_: ())
    monkeypatch.setattr("vidsr.pipeline.estimate._estimated", lambda files, _: files)
    for suffix, codec in ((".avi", "mpeg4"), (".flv", "flv")):
        make_clip(tmp_path / f"a{suffix}", frames=1, size=(64, 48), codec=codec)
    names = [file.target.name for file in planned(tmp_path, model="nearest").files]
    assert names == ["a.avi.x2.mkv", "a.flv.x2.mkv"]


def test_files_without_a_trial_run_are_estimated_by_pixels_or_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, size in enumerate([(64, 48), (128, 96), (32, 32)]):
        make_clip(tmp_path / f"{number}.mp4", frames=20, size=size)
    monkeypatch.setattr("vidsr.pipeline.estimate.TRIAL_SECONDS", 0.0)
    result = planned(tmp_path)
    assert [file.basis for file in result.files] == ["by its pixels, not run", "1 frames run", "by its pixels, not run"]
    assert result.files[1].seconds == pytest.approx(4 * result.files[0].seconds)
    monkeypatch.setattr("vidsr.pipeline.estimate.OPENING_SECONDS", 0.0)
    rest = planned(tmp_path)
    assert [path.name for path in rest.unopened] == ["1.mp4", "2.mp4"]
    assert rest.seconds > rest.files[0].seconds * 2


def test_what_the_plan_says_is_not_said_again_as_the_trial_run_measured_it(tmp_path: Path) -> None:
    (file,) = planned(make_clip(tmp_path / "a.mp4", frames=3)).files
    plan, again, more = Note("decided", "blur 1.06"), Note("decided", "blur 0.99"), Note("slow", "slow")
    trial = Trial(3, 0, 0, 0, 3, Fraction(1), PacketSizes([9], [9], 1), 27, 0, (again, more, more))
    assert _from_trial(replace(file, notes=(plan,)), trial).notes == (plan, more)


def test_wrong_options_raise_the_error_of_the_run(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2)
    with pytest.raises(ModelError, match="no_such"):
        planned(source, model="no_such")
    with pytest.raises(InputError, match="no frame from 9 s"):
        planned(source, start="9")
    with pytest.raises(OptionError, match="- is a pipe, which can be read only once"):
        planned(Path("-"), output=tmp_path / "b.mp4")


def test_a_clip_shorter_than_its_headers_say(tmp_path: Path) -> None:
    """The middle of such a clip is not there; its beginning is run instead."""
    source = make_clip(tmp_path / "a.mkv", frames=200, gop=10)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 4])
    (file,) = planned(source).files
    assert "frames run" in file.basis


def test_an_image(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    before = everything(tmp_path)
    (file,) = planned(tmp_path / "a.png", model="bicubic").files
    assert everything(tmp_path) == before
    assert (file.plan.output.width, file.plan.output.height) == (128, 96)
    assert file.bytes > 1000 and file.seconds > 0


def test_the_command_prints_text_or_json(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=30)
    command = [sys.executable, "-m", "vidsr", "plan", str(source), "--scale", "2", "--model", "bicubic"]
    started = time.monotonic()
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert time.monotonic() - started < 60, "20 s on an idle machine"
    printed = json.loads(result.stdout)
    assert printed["files"][0]["plan"]["output"]["width"] == 128
    assert printed["seconds"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    words = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "128x96" in words and "nothing was written" in words


def test_time_is_a_line_through_the_last_two_runs() -> None:
    assert _line([(1, 2.0)]) == (0.0, 2.0)
    setup, per_frame = _line([(1, 3.0), (4, 0.9), (16, 2.1)])
    assert per_frame == pytest.approx(0.1)
    assert setup == pytest.approx(0.5 + 2.4), "what the first run took longer is paid once"


def test_trial_runs_grow_and_end_in_time() -> None:
    walls: list[tuple[int, float]] = []
    spent = 0.0
    while frames := _next_length(walls, 10_000, 9.0 - spent):
        walls.append((frames, 0.3 + 0.05 * frames))
        spent += walls[-1][1]
    assert [frames for frames, _ in walls[:3]] == [1, 4, 16]
    assert walls[-1][0] >= 64
    assert spent < 10
    assert _next_length([(1, 30.0)], 10_000, -21.0) == 0
    assert _next_length([(1, 0.1), (3, 0.2)], 3, 8.0) == 0


def test_bytes_count_a_keyframe_for_every_long_group() -> None:
    trial = Trial(20, 0, 0, 0, 20, Fraction(1), PacketSizes([1000], [100] * 19, 500), 3500, 0, ())
    assert trial.bytes(500, Fraction(25)) == 100 + 2 * 1000 + 498 * 100 + 25 * 500
    cut = replace(trial, sizes=PacketSizes([1000] * 2, [100] * 18, 500), file=4400)
    assert cut.bytes(500, Fraction(25)) == 100 + 26 * 1000 + 474 * 100 + 25 * 500, "scene cuts go on as they were"
    intra = replace(trial, sizes=PacketSizes([100] * 20, [], 0), file=2000)
    assert intra.bytes(500, Fraction(25)) == 50_000


def test_packet_sizes_add_up(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=30, gop=10, audio=1)
    sizes = packet_sizes(source)
    assert (len(sizes.keys), len(sizes.others)) == (3, 27)
    total = sum(sizes.keys) + sum(sizes.others) + sizes.other_streams
    assert 0.5 < total / source.stat().st_size < 1


def test_the_expected_frames_are_those_of_the_range(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=100)
    for options, frames in (({"start": "1", "end": "2"}, 25), ({"start": "3"}, 25), ({"frames": 7}, 7)):
        job = Job(source, tmp_path / "b.mp4")
        expected: list[int | None] = []
        wanted = parse_options(scale=1, overwrite=True, preset="ultrafast", **options)  # type: ignore[arg-type]
        enhance_file(job, wanted, lambda _, total: expected.append(total))  # noqa: B023
        assert set(expected) == {frames}


@pytest.mark.parametrize("is_kept", [True, False])
def test_kernels_that_a_fresh_installation_compiles_do_not_multiply_the_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    """The first run takes 20 s to compile, and a tenth of a second for each frame."""
    clock = [0.0]
    runs: list[int] = []

    @contextmanager
    def compile_time() -> Iterator[jit.Compilation]:
        yield jit.Compilation(0.0 if runs else 20.0)

    def enhance(job: Job, options: EnhanceOptions, on_note: OnNote = ignore) -> RunReport:
        clock[0] += (0.0 if runs else 20.0) + 0.1 * (options.frames or 0)
        report = enhance_file(job, options, on_note=on_note)
        runs.append(report.frames)
        return report

    monkeypatch.setattr(jit, "_cache_is_temporary", not is_kept)
    monkeypatch.setattr(trial_run, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(trial_run, "compile_time", compile_time)
    monkeypatch.setattr(trial_run, "enhance_file", enhance)
    options = parse_options(scale=2, model="nearest", preset="ultrafast", log=False)
    source = make_clip(tmp_path / "a.mp4", frames=100)
    trial = trial_run.trial_run(source, "b.mp4", probe(source), options, 9.0)
    assert runs[:3] == [1, 4, 16]
    assert trial.seconds(1000) == pytest.approx(100 + (0 if is_kept else 20), rel=0.1)
