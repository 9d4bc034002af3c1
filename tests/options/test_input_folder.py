"""Input folders: what is enhanced, and why the other files are left out."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.clips import make_clip
from vidsr import enhance, verify
from vidsr.degrade.clip import degrade_clip, parse_degrade
from vidsr.errors import InputError
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.input_folder import is_text, still_format
from vidsr.options.output_mark import is_marked
from vidsr.options.paths import list_jobs

X2: EnhanceOptions = parse_options(scale=2)
TYPESCRIPT = b"export const answer: number = 42;\n"
TRANSPORT_STREAM = bytes([0x47, 0x40, 0x00, 0x10, 0x00, 0x00, 0xB0, 0x0D]).ljust(188, b"\xff")


def write(path: Path, data: bytes = b"\0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def names(folder: Path, output: Path | None = None) -> tuple[list[str], dict[str, str]]:
    """Names of the files to enhance, and of the skipped ones with their reasons."""
    listed = list_jobs([folder], output, X2)
    skipped = {path.name: reason for path, reason in listed.skipped.items()}
    return [job.source.name for job in listed.jobs], skipped


def test_typescript_files_are_text_and_transport_streams_are_clips(tmp_path: Path) -> None:
    write(tmp_path / "app.ts", TYPESCRIPT)
    write(tmp_path / "module.mts", TYPESCRIPT)
    write(tmp_path / "recording.ts", TRANSPORT_STREAM)
    write(tmp_path / "damaged.ts", bytes(50) + TRANSPORT_STREAM)
    write(tmp_path / "empty.ts", b"")
    found, skipped = names(tmp_path)
    assert found == ["damaged.ts", "empty.ts", "recording.ts"]
    assert skipped == {"app.ts": "text", "module.mts": "text"}


def test_a_folder_of_typescript_files_has_no_clip(tmp_path: Path) -> None:
    write(tmp_path / "app.ts", TYPESCRIPT)
    with pytest.raises(InputError, match=r"contains no clip and no image \(app\.ts is text\): name another folder"):
        list_jobs([tmp_path], None, X2)


def test_a_named_pipe_in_a_folder_is_skipped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "camera.mp4")
    os.mkfifo(tmp_path / "camera.png")
    write(tmp_path / "a.mp4")
    found, skipped = names(tmp_path)
    assert found == ["a.mp4"]
    assert skipped == {"camera.mp4": "not a regular file", "camera.png": "not a regular file"}


def test_outputs_and_unfinished_files_of_earlier_runs_are_no_inputs(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.x2.mp4", ".vidsr/a.x2.mp4.report.json", "movie.1080p.mkv", "b.part.mp4", "c.failed2.mkv"):
        write(tmp_path / name)
    found, skipped = names(tmp_path)
    assert found == ["a.mp4", "movie.1080p.mkv"]  # a clip may be called 1080p by its owner: it has no report
    assert skipped["a.x2.mp4"] == "an output of vidsr"
    assert skipped["b.part.mp4"] == skipped["c.failed2.mkv"] == "an unfinished output"


@pytest.mark.parametrize(
    ("suffix", "extra"),
    [
        *((suffix, {}) for suffix in (".mp4", ".m4v", ".mov", ".mkv", ".webm")),
        (".mp4", {"metadata": {"comment": "vidsr", "a key of my own": "mine"}}),
        (".mp4", {"cover": True}),
        (".mkv", {"font": bytes(10_000)}),
    ],
)
def test_outputs_are_known_by_their_mark_under_any_name(tmp_path: Path, suffix: str, extra: dict[str, Any]) -> None:
    (tmp_path / "in").mkdir()
    codec = "libvpx" if suffix == ".webm" else "libx264"
    source = make_clip(tmp_path / "in" / f"a{suffix}", frames=2, codec=codec, audio=1, **extra)
    output = tmp_path / "in" / f"holiday{suffix}"
    report = enhance(source, output, scale=2, model="nearest", log=False)
    assert report.verification is not None and report.verification.ok
    (tmp_path / "in" / ".vidsr" / f"{output.name}.report.json").unlink()
    assert names(tmp_path / "in") == ([source.name], {output.name: "an output of vidsr"})
    again = enhance(output, tmp_path / f"again{suffix}", scale=1, model="nearest", log=False)
    assert again.verification is not None and again.verification.ok
    assert verify(output, tmp_path / f"again{suffix}").ok
    source.unlink()
    with pytest.raises(InputError, match=r"is an output of vidsr\): name the files to enhance them again"):
        list_jobs([tmp_path / "in"], None, X2)


def test_degraded_clips_have_no_mark_because_they_are_inputs(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2)
    degrade_clip(source, tmp_path / "b.mp4", parse_degrade(scale="1/2"))
    assert not is_marked(tmp_path / "b.mp4") and not is_marked(source) and not is_marked(tmp_path / "nowhere.mp4")


def test_enhanced_images_next_to_their_sources_are_no_inputs(tmp_path: Path) -> None:
    for name in ("a.png", "a.x2.png", "a.deblur.x2.png", "poster.720p.png"):
        write(tmp_path / name)
    found, skipped = names(tmp_path)
    assert found == ["a.png", "poster.720p.png"]
    assert skipped == {"a.x2.png": "an output of vidsr", "a.deblur.x2.png": "an output of vidsr"}


def test_the_output_folder_inside_the_input_folder_is_not_searched(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4")
    write(tmp_path / "out" / "deep" / "a.x2.mp4")
    assert names(tmp_path, tmp_path / "out") == (["a.mp4"], {})


def test_an_unreadable_subfolder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.mp4")
    write(tmp_path / "secret" / "b.mp4")
    scandir = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path).name == "secret":  # root may read every folder
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    listed = list_jobs([tmp_path], None, X2)
    assert [job.source.name for job in listed.jobs] == ["a.mp4"]
    assert listed.unreadable == {tmp_path / "secret": "permission denied"}
    with pytest.raises(InputError, match=r"secret cannot be read \(permission denied\): check its permissions"):
        list_jobs([tmp_path / "secret"], None, X2)


def test_the_whole_disk_is_refused_and_not_searched() -> None:
    for path in ("/", "/usr/.."):
        with pytest.raises(InputError, match="is the whole disk: name the folder with the clips"):
            list_jobs([Path(path)], None, X2)


@pytest.mark.parametrize("name", [".", "../in", "deep/.."])
def test_the_output_folder_of_the_current_folder_is_next_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path / "in" / "deep" / "a.mp4")
    monkeypatch.chdir(tmp_path / "in")
    (job,) = list_jobs([Path(name)], None, X2).jobs
    assert job.root is not None and job.root.resolve() == tmp_path / "in.x2"


def test_every_folder_that_is_searched_is_announced(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "a.mp4")
    searched: list[Path] = []
    list_jobs([tmp_path], None, X2, searched.append)
    assert searched == [tmp_path, tmp_path / "deep"]


def test_stills_in_clip_containers_are_recognised_by_their_content(tmp_path: Path) -> None:
    for brand, name in ((b"avif", "AVIF"), (b"heic", "HEIC"), (b"mif1", "HEIF"), (b"avis", ""), (b"isom", "")):
        file = write(tmp_path / "a.mp4", b"\0\0\0\x1cftyp" + brand + bytes(20))
        assert still_format(file) == name
    assert still_format(tmp_path / "nowhere.mp4") == "" and not is_text(tmp_path / "nowhere.mp4")


def test_animations_and_images_are_enhanced_next_to_clips(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.gif", "c.png", "d.txt", "e.pdf"):
        (tmp_path / name).write_bytes(b"\0x")
    (tmp_path / "f.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30) + b"acTL")
    listed = list_jobs([tmp_path], None, parse_options(scale=2))
    assert [(job.source.name, job.is_image) for job in listed.jobs] == [
        ("a.mp4", False), ("b.gif", False), ("c.png", True), ("f.png", False),
    ]  # fmt: skip
    assert {path.name: why for path, why in listed.skipped.items()} == dict.fromkeys(
        ("d.txt", "e.pdf"), "neither a clip nor an image"
    )
