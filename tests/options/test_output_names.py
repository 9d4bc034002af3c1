"""The list of everything a run will write."""

from pathlib import Path

import pytest

from vidsr.errors import OptionError, OutputError
from vidsr.options.enhance import parse_options
from vidsr.options.output_names import OutputNames, distinct_outputs, output_names
from vidsr.options.paths import Job, JobList, list_jobs, output_path

X2 = parse_options(scale=2, overwrite=True)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def listed(*inputs: Path, output: Path | None = None, **options: object) -> JobList:
    parsed = parse_options(scale=2, overwrite=True, **options)  # type: ignore[arg-type]
    return distinct_outputs(list_jobs(inputs, output, parsed), parsed)


def test_d5_clips_that_differ_in_their_suffix_get_names_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path, "a.avi", "a.wmv", "b.avi")
    names = [output_path(job, X2).name for job in listed(tmp_path).jobs]
    assert names == ["a.avi.x2.mkv", "a.wmv.x2.mkv", "b.x2.mkv"]


@pytest.mark.parametrize(("fps", "tag"), [(None, "x2"), ("2x", "x2.2x")])
def test_d5_two_clips_of_one_name_are_refused_whatever_overwrite_says(
    tmp_path: Path, fps: str | None, tag: str
) -> None:
    touch(tmp_path, "d1/a.mp4", "d2/a.mp4")
    with pytest.raises(
        OptionError, match=rf"d1/a\.mp4 and .*d2/a\.mp4 would both be written to .*same/a\.mp4\.{tag}\.mp4"
    ):
        listed(tmp_path / "d1/a.mp4", tmp_path / "d2/a.mp4", output=tmp_path / "same", fps=fps)


def test_d3_an_output_that_is_the_next_input_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a.x2.mp4")
    with pytest.raises(OutputError, match=r"a\.x2\.mp4 is an input of this run"):
        listed(tmp_path / "a.mp4", tmp_path / "a.x2.mp4")


@pytest.mark.parametrize("link", ["none", "hard", "symbolic"])
@pytest.mark.parametrize("name", [".vidsr/z.mp4.report.json", ".vidsr/z.mp4.frames.csv", "z.mp4.report.json", "z.mp4"])
def test_d3_no_file_of_a_run_replaces_its_input(tmp_path: Path, name: str, link: str) -> None:
    touch(tmp_path, name if link == "none" else "c.mp4")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    if link == "hard":
        (tmp_path / name).hardlink_to(tmp_path / "c.mp4")
    elif link == "symbolic":
        (tmp_path / name).symlink_to(tmp_path / "c.mp4")
    job = Job(tmp_path / (name if link == "none" else "c.mp4"), tmp_path / "z.mp4")
    with pytest.raises(OutputError, match=r"is the input itself|is an input of this run"):
        output_names(job, parse_options(scale=2, overwrite=True, report=True))


def test_d3_no_file_of_a_run_replaces_its_reference(tmp_path: Path) -> None:
    touch(tmp_path, "c.mp4", ".vidsr/y.mp4.report.json")
    options = parse_options(scale=2, overwrite=True, reference=tmp_path / ".vidsr/y.mp4.report.json")
    with pytest.raises(OutputError, match="is an input of this run"):
        output_names(Job(tmp_path / "c.mp4", tmp_path / "y.mp4"), options)


def test_d3_the_log_and_the_report_are_different_files(tmp_path: Path) -> None:
    touch(tmp_path, "c.mp4")
    options = parse_options(scale=2, log=tmp_path / ".vidsr" / "o.mp4.report.json")
    with pytest.raises(OutputError, match="would be written twice in one run: name other files with --log"):
        output_names(Job(tmp_path / "c.mp4", tmp_path / "o.mp4"), options)


def test_an_output_without_a_clash_keeps_its_short_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    names = [output_names(job, X2) for job in listed(tmp_path / "a.mp4", tmp_path / "b.mp4").jobs]
    assert [name.result.name for name in names] == ["a.x2.mp4", "b.x2.mp4"]
    assert isinstance(names[0], OutputNames) and names[0].report == tmp_path / ".vidsr/a.x2.mp4.report.json"


@pytest.mark.parametrize("flag", ["log", "report"])
def test_side_files_are_hidden_unless_they_are_asked_for(tmp_path: Path, flag: str) -> None:
    touch(tmp_path, "c.mp4")
    (tmp_path / "folder").mkdir()
    suffix = {"log": "frames.csv", "report": "report.json"}[flag]

    def name(value: object) -> Path | None:
        names = output_names(Job(tmp_path / "c.mp4", tmp_path / "o.mp4"), parse_options(scale=2, **{flag: value}))
        assert names.report == tmp_path / ".vidsr/o.mp4.report.json", "which verify reads"
        return names.log if flag == "log" else names.asked_report

    assert name(None) == (tmp_path / ".vidsr/o.mp4.frames.csv" if flag == "log" else None)
    assert name(True) == tmp_path / f"o.mp4.{suffix}"
    assert name(tmp_path / "folder") == tmp_path / f"folder/o.mp4.{suffix}"
    assert name(tmp_path / "mine.txt") == tmp_path / "mine.txt"
    assert name("none") is name(False) is None
    with pytest.raises(OutputError, match=rf"--{flag} .*c\.mp4 would replace a clip of this run"):
        name(tmp_path / "c.mp4")
