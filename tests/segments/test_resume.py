"""A run that ends early keeps its finished segments; the same command continues and writes the same bytes."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run_vidsr
from tests.segments.runs import SEGMENTS, Stopped, run, run_with_notes, source, stop_after
from vidsr.errors import ExitCode, InputError, OutputError, VidsrError
from vidsr.segments.begun_job import BegunJob
from vidsr.segments.enhance import complete
from vidsr.segments.job_folder import JobFolder
from vidsr.segments.run_segment import run_segment
from vidsr.segments.source_frames import open_segment

FORMATS: dict[str, dict[str, Any]] = {
    "out.mp4": {"codec": "libx264"},
    "out.mkv": {"codec": "libx265", "preset": "ultrafast"},
    "out.webm": {"codec": "libvpx-vp9"},
    "av1.mp4": {"codec": "libsvtav1", "preset": "12"},
    "out.mov": {"codec": "prores_ks"},
}


def finished(output: Path) -> list[str]:
    return sorted(path.name for path in JobFolder.of(output).path.glob("[0-9]*.json"))


def interrupted(clip: Path, output: Path, frames: int = 60, **options: Any) -> None:
    with pytest.raises(Stopped):
        run(clip, output, on_frames=stop_after(frames), **options)


@pytest.mark.parametrize("name", FORMATS)
def test_a_resumed_run_writes_the_same_bytes(tmp_path: Path, name: str) -> None:
    clip = source(tmp_path)
    whole, output = tmp_path / f"whole{Path(name).suffix}", tmp_path / name
    run(clip, whole, **FORMATS[name])
    interrupted(clip, output, **FORMATS[name])
    assert not output.exists()
    _, notes = run_with_notes(clip, output, **FORMATS[name])
    assert [note for note in notes if note.startswith("resuming: ")]
    assert output.read_bytes() == whole.read_bytes()
    assert not JobFolder.of(output).path.exists()


def test_the_report_sums_up_all_runs(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    interrupted(clip, output, fps="2x", frames=150)
    report, notes = run_with_notes(clip, output, fps="2x")
    assert f"resuming: 2 of {SEGMENTS} segments done" in notes
    between = sum(report.counts[name] for name in ("interpolated", "held_at_cuts", "held_drawings"))
    assert (report.frames, between) == (200, 99)
    assert report.verification is not None and report.verification.ok


def test_an_interrupt_before_the_first_segment_leaves_nothing(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    interrupted(clip, output, frames=1)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"crf": 30}, "--crf was not given, is 30"),
        ({"chroma": "444"}, "--chroma was not given, is 444"),
        ({"log": "none"}, "--log was not given, is no"),
        ({"scale": 3, "model": "bicubic"}, "--scale, --height or --size was 2, is 3"),
    ],
)
def test_other_options_are_refused(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mp4"
    interrupted(clip, output, codec="libx264")
    before = finished(output)
    with pytest.raises(OutputError, match=named) as raised:
        run(clip, output, **{"codec": "libx264"} | changes)
    assert "--fresh" in str(raised.value) and "\n" not in str(raised.value)
    assert finished(output) == before
    run(clip, output, fresh=True, **{"codec": "libx264"} | changes)
    assert output.exists()


def test_a_copy_of_the_report_may_be_asked_for_when_the_run_continues(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mp4"
    interrupted(clip, output, codec="libx264")
    assert finished(output)
    report = run(clip, output, codec="libx264", report=tmp_path / "mine.json")
    assert "resuming" in {note.code for note in report.notes}
    assert (tmp_path / "mine.json").read_bytes() == (tmp_path / ".vidsr" / "out.mp4.report.json").read_bytes()


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    interrupted(clip, output)
    monkeypatch.setattr("vidsr.pipeline.plan.__version__", "9.9")
    with pytest.raises(OutputError, match=r"made by vidsr .*, and this is 9\.9"):
        run(clip, output)


def test_a_source_that_changed_is_refused(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    interrupted(clip, output)
    source(tmp_path, crf=30)
    with pytest.raises(OutputError, match="of another source"):
        run(clip, output)


@pytest.mark.parametrize("fate", ["gone", "changed"])
def test_a_source_that_changes_between_segments(tmp_path: Path, fate: str) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"

    def change(done: int, _: int | None) -> None:
        if done >= 60 and clip.exists():
            clip.unlink() if fate == "gone" else clip.write_bytes(clip.read_bytes()[:-100])

    with pytest.raises(InputError, match=f"{fate}.*same command again|changed since the job began"):
        run(clip, output, on_frames=change)
    assert finished(output) and not output.exists()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    seen = []

    def second(done: int, _: int | None) -> None:
        if not seen:
            with pytest.raises(OutputError) as raised:
                run(clip, output)
            seen.append(str(raised.value))

    run(clip, output, on_frames=second)
    assert f"in use by process {os.getpid()} on" in seen[0]
    assert output.exists()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    interrupted(clip, output)
    (JobFolder.of(output).path / "lock").write_text("process 1 on elsewhere")
    run(clip, output)
    assert output.exists()


DAMAGE = {
    "no report": lambda folder: folder.report(0).unlink(),
    "empty report": lambda folder: folder.report(0).write_bytes(b""),
    "report of another segment": lambda folder: folder.report(0).rename(folder.report(1)),
    "report without packets": lambda folder: folder.packets(0).unlink(),
    "truncated packets": lambda folder: folder.packets(0).write_bytes(folder.packets(0).read_bytes()[:-7]),
    "longer packets": lambda folder: folder.packets(0).write_bytes(folder.packets(0).read_bytes() + b"x"),
    "one wrong byte": lambda folder: folder.packets(0).write_bytes(b"\xff" + folder.packets(0).read_bytes()[1:]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_segment_is_made_again(tmp_path: Path, damage: str) -> None:
    clip, output, whole = source(tmp_path), tmp_path / "out.mkv", tmp_path / "whole.mkv"
    run(clip, whole)
    interrupted(clip, output)
    DAMAGE[damage](JobFolder.of(output))
    _, notes = run_with_notes(clip, output)
    assert output.read_bytes() == whole.read_bytes()
    if damage != "no report":
        assert [note for note in notes if "is damaged: it is made again" in note]


@pytest.mark.parametrize("damage", ["no report", "empty report", "report without packets", "truncated packets"])
def test_a_segment_damaged_before_the_assembly_is_one_line(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, output, whole = source(tmp_path), tmp_path / "out.mkv", tmp_path / "whole.mkv"
    run(clip, whole)

    def complete_damaged(begun: BegunJob, *more: Any) -> Any:
        DAMAGE[damage](JobFolder(begun.folder))
        return complete(begun, *more)

    monkeypatch.setattr("vidsr.segments.enhance.complete", complete_damaged)
    with pytest.raises(VidsrError, match=r"out.mkv.vidsr.* again") as raised:
        run(clip, output)
    assert "\n" not in str(raised.value) and not output.exists()
    monkeypatch.undo()
    run(clip, output)
    assert output.read_bytes() == whole.read_bytes()


def test_a_plan_removed_between_segments_is_one_line(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"

    def remove(done: int, _: int | None) -> None:
        if done:
            (JobFolder.of(output).path / "plan.json").unlink(missing_ok=True)

    with pytest.raises(OutputError, match=r"no plan\.json: give"):
        run(clip, output, on_frames=remove)
    assert not output.exists()


def test_a_source_that_cannot_be_read_any_more_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"

    def closed(job: Any, segment: Any, *more: Any) -> Any:
        if segment.first.frame:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(job.source))
        return open_segment(job, segment, *more)

    monkeypatch.setattr("vidsr.segments.run_segment.open_segment", closed)
    result = run_vidsr("enhance", clip, "-o", output, "--scale", "2", "--model", "bicubic", "--segment", "1s")
    assert result.returncode == ExitCode.BAD_REQUEST
    assert "clip.mkv cannot be used (permission denied): check its permissions" in result.stderr
    assert finished(output) == ["00000.json"] and not output.exists()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"plan": 1}', None])
def test_a_damaged_plan_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    interrupted(clip, output)
    plan = JobFolder.of(output).path / "plan.json"
    plan.unlink() if content is None else plan.write_bytes(content)
    with pytest.raises(OutputError, match="give --fresh to begin again"):
        run(clip, output)
    run(clip, output, fresh=True)


def test_a_read_only_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    clip = source(tmp_path)
    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(OutputError, match=r"out.mkv.vidsr cannot be written \(Read-only file system\)"):
        run(clip, tmp_path / "out.mkv")


def test_a_full_disk_keeps_the_finished_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, output, whole = source(tmp_path), tmp_path / "out.mkv", tmp_path / "whole.mkv"
    run(clip, whole)
    from vidsr.video.packet_file import PacketFileWriter

    add, calls = PacketFileWriter.add, []

    def full(self: PacketFileWriter, packet: Any) -> None:
        calls.append(packet.size)
        if len(calls) > 60:
            raise OSError(28, "No space left on device")
        add(self, packet)

    monkeypatch.setattr(PacketFileWriter, "add", full)
    with pytest.raises(
        OutputError, match=r"out.mkv.vidsr cannot be written \(no space left on device\): free some space"
    ):
        run(clip, output)
    monkeypatch.undo()
    assert finished(output)
    run(clip, output)
    assert output.read_bytes() == whole.read_bytes()


def test_a_folder_search_skips_job_folders(tmp_path: Path) -> None:
    from vidsr.options.input_folder import search

    clip = source(tmp_path)
    interrupted(clip, tmp_path / "out.mkv")
    assert search(tmp_path).chosen == [clip]
    assert search(tmp_path).skipped == {}


def test_ctrl_c_says_how_to_continue(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    code = f"""
import os, signal, sys
from vidsr.runtime import interrupt
from vidsr.segments import enhance
interrupt.install()
begin_segment = enhance.begin_segment
def stop_in_the_third(folder, index, *more):
    if index == 2:
        os.kill(os.getpid(), signal.SIGINT)
    return begin_segment(folder, index, *more)
enhance.begin_segment = stop_in_the_third
sys.argv = ["vidsr", "enhance", {str(clip)!r}, "-o", {str(output)!r}, *"--scale 2 --model bicubic --segment 1s".split()]
from vidsr.cli.app import run
run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 130, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last == f"vidsr: interrupted; 2 of {SEGMENTS} segments are finished: the same command continues"
    assert finished(output) == ["00000.json", "00001.json"]


def test_a_kill_after_the_output_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"

    def stop(*_: Any) -> None:
        raise Stopped

    monkeypatch.setattr(JobFolder, "remove", stop)
    with pytest.raises(Stopped):
        run(clip, output)
    monkeypatch.undo()
    before = output.read_bytes()
    run(clip, output)
    assert output.read_bytes() == before
    assert not JobFolder.of(output).path.exists()


def test_the_folder_of_a_finished_output_is_removed_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the name of the output and the end of its job folder left the folder for ever."""
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    words = ("enhance", clip, "-o", output, "--scale", "2", "--model", "bicubic", "--segment", "1s")
    monkeypatch.setattr(JobFolder, "remove", lambda _: None)
    assert run_vidsr(*words).returncode == 0
    monkeypatch.undo()
    assert JobFolder.of(output).path.exists()
    again = run_vidsr(*words)
    assert again.returncode == 0 and "already done" in again.stderr
    assert not JobFolder.of(output).path.exists()


def test_another_file_in_the_place_of_the_output_is_kept(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    interrupted(clip, output)
    output.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        run(clip, output)
    assert output.read_text() == "mine"
    assert finished(output)


def test_a_plan_changed_by_hand_is_one_line(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    interrupted(clip, output)
    plan = JobFolder.of(output).path / "plan.json"
    text = plan.read_text()
    assert text.count('"kernel":"bicubic"') == 1
    plan.write_text(text.replace('"kernel":"bicubic"', '"kernel":"lanczos"'))
    with pytest.raises(OutputError, match=r"plan\.json is damaged: give --fresh"):
        run(clip, output)


def test_a_segment_of_another_job_is_made_again(tmp_path: Path) -> None:
    clip, output, other, whole = source(tmp_path), *(tmp_path / f"{name}.mkv" for name in ("out", "other", "whole"))
    run(clip, whole)
    interrupted(clip, output)
    interrupted(clip, other, model="lanczos", scale=2)
    folder, foreign = JobFolder.of(output), JobFolder.of(other)
    folder.report(0).write_bytes(foreign.report(0).read_bytes())
    folder.packets(0).write_bytes(foreign.packets(0).read_bytes())
    _, notes = run_with_notes(clip, output)
    assert [note for note in notes if note.startswith("segment 0 in ")]
    assert output.read_bytes() == whole.read_bytes()


def test_a_source_that_changes_within_the_last_segment_is_refused(tmp_path: Path) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"

    def change(done: int, expected: int | None) -> None:
        if done == expected:
            clip.write_bytes(clip.read_bytes()[:-100])

    with pytest.raises(InputError, match="changed since the job began"):
        run(clip, output, on_frames=change)
    assert len(finished(output)) == SEGMENTS - 1 and not output.exists()


def test_a_source_that_changes_before_the_assembly_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"

    def complete_changed(begun: BegunJob, *more: Any) -> Any:
        os.utime(clip)
        return complete(begun, *more)

    monkeypatch.setattr("vidsr.segments.enhance.complete", complete_changed)
    with pytest.raises(InputError, match="changed since the job began"):
        run(clip, output)
    assert len(finished(output)) == SEGMENTS and not output.exists()


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, output = source(tmp_path, size=(32, 32)), tmp_path / "out.mkv"
    interrupted(clip, output, scale=2, model="fast")
    monkeypatch.setattr("vidsr.models.model.Model.sha256", "0" * 64)
    with pytest.raises(OutputError, match="holds segments made with other weights: give the same command, or --fresh"):
        run(clip, output, scale=2, model="fast")


def test_segments_of_encoders_that_differ_are_not_assembled(tmp_path: Path) -> None:
    """As on machines with other versions of an encoder."""
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    interrupted(clip, output)
    report = JobFolder.of(output).report(0)
    data = json.loads(report.read_bytes())
    data["encoded"]["parameters"] = "0" * 64
    report.write_text(json.dumps(data))
    with pytest.raises(OutputError, match=r"out\.mkv\.vidsr: segment 0 has other encoder parameters: give --fresh"):
        run(clip, output)
    assert not output.exists() and len(finished(output)) == SEGMENTS


def test_a_segment_made_twice_has_the_same_packets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, output = source(tmp_path), tmp_path / "out.mkv"
    synced: list[Path] = []
    monkeypatch.setattr("vidsr.runtime.output_file.sync", synced.append)
    interrupted(clip, output, codec="libx264")
    folder = JobFolder.of(output)
    assert {".packets", ".json"} <= {path.suffix for path in synced} and folder.path in synced
    before, report = folder.packets(0).read_bytes(), json.loads(folder.report(0).read_bytes())
    again = run_segment(folder.path, 0)
    assert folder.packets(0).read_bytes() == before
    changed = {name for name, value in json.loads(folder.report(0).read_bytes()).items() if value != report[name]}
    assert changed <= {"seconds", "threads"} and again.index == 0
