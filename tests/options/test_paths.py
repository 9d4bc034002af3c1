"""Paths: the input files, the output names, and no file replaced by accident."""

from pathlib import Path

import pytest

from vidsr.errors import InputError, OptionError, OutputError
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.paths import Job, frame_log_path, list_jobs, output_path

X4: EnhanceOptions = parse_options(scale=4)
X4_2X: EnhanceOptions = parse_options(scale=4, fps="2x")


def files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("source", "options", "name"),
    [
        ("a.mp4", X4_2X, "a.x4.2x.mp4"),
        ("a.b.mkv", X4, "a.b.x4.mkv"),
        ("a.avi", X4, "a.x4.mkv"),
        ("a.gif", X4, "a.x4.mp4"),
        ("a.webm", X4, "a.x4.webm"),
        ("a.webm", parse_options(scale=4, codec="h264"), "a.x4.mkv"),  # H.264 does not go into WebM
        ("a.webm", parse_options(scale=4, codec="libvpx-vp9"), "a.x4.webm"),
        ("a.mp4", parse_options(scale=2, codec="ffv1"), "a.x2.mkv"),
        ("a.mp4", parse_options(scale=2, codec="prores"), "a.x2.mov"),
        ("a.mp4", parse_options(fps="60000/1001"), "a.59.94fps.mp4"),
        ("a.mp4", parse_options(height="1080p"), "a.1080p.mp4"),
        ("a.mp4", parse_options(slow_motion="2.5x"), "a.slow2.5x.mp4"),
        ("a.mp4", parse_options(repeats="interpolate"), "a.smooth.mp4"),
        ("a.JPG", X4, "a.x4.JPG"),
    ],
)
def test_the_default_output_is_next_to_the_source_and_named_after_the_options(
    tmp_path: Path, source: str, options: EnhanceOptions, name: str
) -> None:
    assert output_path(Job(tmp_path / source, None), options) == tmp_path / name


def test_a_folder_is_searched_recursively_and_its_tree_kept(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    files(folder, "b.mp4", "a.mkv", "deep/er/c.MOV", "notes.txt", "cover.jpg", ".hidden.mp4")
    (folder / "deep" / "loop").symlink_to(folder)
    listed = list_jobs([folder], tmp_path / "out", X4)
    assert [job.source.name for job in listed.jobs] == ["a.mkv", "b.mp4", "cover.jpg", "c.MOV"]
    assert {path.name: why for path, why in listed.skipped.items()} == {"notes.txt": "neither a clip nor an image"}
    assert output_path(listed.jobs[3], X4) == tmp_path / "out" / "deep" / "er" / "c.x4.mov"


def test_the_default_output_of_a_folder_is_a_folder_next_to_it(tmp_path: Path) -> None:
    files(tmp_path / "in", "a.mp4")
    (job,) = list_jobs([tmp_path / "in"], None, X4).jobs
    assert output_path(job, X4) == tmp_path / "in.x4" / "a.x4.mp4"
    for fps, name in (("2x", "in.2x"), ("60", "in.60fps")):
        (job,) = list_jobs([tmp_path / "in"], None, parse_options(fps=fps)).jobs
        assert job.root == tmp_path / name


def test_a_folder_of_images_gives_its_images(tmp_path: Path) -> None:
    files(tmp_path / "in", "a.png", "b.jpg", "c.txt")
    assert [job.source.name for job in list_jobs([tmp_path / "in"], None, X4).jobs] == ["a.png", "b.jpg"]


def test_one_clip_is_written_to_exactly_the_output_path(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4")
    (job,) = list_jobs([tmp_path / "a.mp4"], tmp_path / "b.mkv", X4).jobs
    assert output_path(job, X4) == tmp_path / "b.mkv"


def test_one_clip_is_written_into_an_output_folder(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4")
    (job,) = list_jobs([tmp_path / "a.mp4"], tmp_path / "out", X4).jobs
    assert output_path(job, X4) == tmp_path / "out" / "a.x4.mp4"


def test_one_output_file_for_several_clips_is_refused(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(OptionError, match="is one file for several inputs"):
        list_jobs([tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "c.mp4", X4)


def test_a_missing_input_and_a_folder_without_clips_give_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.mp4 does not exist"):
        list_jobs([tmp_path / "nowhere.mp4"], None, X4)
    files(tmp_path, "in/notes.txt")
    with pytest.raises(InputError, match="contains no clip"):
        list_jobs([tmp_path / "in"], None, X4)


def test_an_existing_output_is_only_replaced_with_overwrite(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "a.x4.mp4")
    job = Job(tmp_path / "a.mp4", None)
    with pytest.raises(OutputError, match=r"a\.x4\.mp4 exists: choose another --output, or give --overwrite"):
        output_path(job, X4)
    assert output_path(job, parse_options(scale=4, overwrite=True)) == tmp_path / "a.x4.mp4"


def test_the_input_is_never_replaced_even_through_a_link(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match="is the input itself"):
        output_path(Job(tmp_path / "a.mp4", tmp_path / "link.mp4"), parse_options(scale=4, overwrite=True))


def test_a_log_replaces_no_clip_of_the_run_and_no_existing_file(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "true.mp4", "old.csv")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"

    def logged(name: str, overwrite: bool = True) -> Path | None:
        log, reference = tmp_path / name, tmp_path / "true.mp4"
        return frame_log_path(source, target, parse_options(scale=2, log=log, reference=reference, overwrite=overwrite))

    for name in ("a.mp4", "link.mp4", "b.mp4", "true.mp4", "x/../a.mp4"):
        with pytest.raises(OutputError, match="would replace a clip of this run"):
            logged(name)
    with pytest.raises(OutputError, match="exists: name another file, or give --overwrite"):
        logged("old.csv", overwrite=False)
    with pytest.raises(OutputError, match="exists: name a file, or none"):
        logged("/dev/null")
    assert logged("old.csv") == tmp_path / "old.csv"
    assert logged("new.csv", overwrite=False) == tmp_path / "new.csv"
