"""Presets: built-in ones, the user's own, and what counts when an option is given too."""

from pathlib import Path
from typing import Any

import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from vidsr.errors import ExitCode, OptionError
from vidsr.options import presets
from vidsr.options.enhance import parse_options
from vidsr.options.output_size import Automatic, Factor, Height

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "presets.md"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(presets, "user_folder", lambda: tmp_path / "presets")
    return tmp_path / "presets"


@pytest.mark.parametrize("name", sorted(path.stem for path in presets.FOLDER.glob("*.toml")))
def test_every_built_in_preset_is_accepted_and_documented(name: str) -> None:
    parsed = parse_options(preset=name)
    assert parsed != parse_options(scale=1)
    assert f"| `{name}` |" in GUIDE.read_text()
    assert name in parse_help()


def parse_help() -> str:
    from vidsr.options.table import option

    return option("preset").help


# a clip of the kind, and what the preset makes of it
KINDS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "web-video": ({"crf": 38}, (128, 96)),
    "phone": ({"crf": 23}, (128, 96)),
    "anime": ({"crf": 20}, (128, 96)),
    "screen": ({"crf": 10}, (128, 96)),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_preset_makes_a_verified_clip(tmp_path: Path, name: str) -> None:
    clip, size = KINDS[name]
    source = make_clip(tmp_path / "clip.mp4", frames=3, size=(64, 48), **clip)
    result = run_vidsr("enhance", source, "-o", tmp_path / "out.mp4", "--preset", name)
    assert result.returncode == 0 and result.stderr.rstrip().endswith("verified"), result.stderr
    assert f"{size[0]}x{size[1]}" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tape", "dvd", "old-film"])
def test_a_preset_of_1080p_makes_a_verified_clip(tmp_path: Path, name: str) -> None:
    from tests.video.test_deinterlace import FLAGGED, woven

    source = woven(tmp_path / "clip.mkv", options=FLAGGED)
    options = ("--frames", "4", "--model", "bicubic", "--encoder-preset", "ultrafast")
    result = run_vidsr("enhance", source, "-o", tmp_path / "out.mp4", "--preset", name, *options)
    assert result.returncode == 0 and "x1080  4 frames" in result.stderr, result.stderr


def test_an_option_that_is_given_counts_more_than_the_preset() -> None:
    assert parse_options(preset="tape").output_size == Height(1080)
    assert parse_options(preset="tape", height=720).output_size == Height(720)
    assert parse_options(preset="phone").output_size == Automatic()
    assert parse_options(preset="anime", crf=20).encoding.crf == 20
    assert parse_options(preset="anime").encoding.options == (("tune", "animation"),)


def test_the_words_of_encoders_still_mean_their_speed() -> None:
    assert parse_options(scale=2, preset="ultrafast") == parse_options(scale=2, encoder_preset="ultrafast")
    assert parse_options(codec="av1", preset="5").encoding.preset == "5"


def test_options_are_saved_and_loaded_again(tmp_path: Path, own_folder: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4", frames=2, size=(64, 48))
    options = ("--scale", "3/2", "--denoise", "0.5", "--encoder-option", "tune=grain", "--crf", "20", "--no-verify")
    words = ("enhance", source, *options, "--frames", "1", "--model", "bicubic")
    result = run_vidsr(*words, "--save-preset", "mine")
    assert result.returncode == 0 and f"preset saved: {own_folder / 'mine.toml'}" in result.stderr, result.stderr
    assert "frames" not in (own_folder / "mine.toml").read_text()
    loaded = parse_options(preset="mine")
    assert loaded.output_size == Factor(parse_options(scale="3/2").output_size.value)  # type: ignore[union-attr]
    assert loaded.model == "bicubic" and loaded.encoding.crf == 20
    assert loaded.encoding.options == (("tune", "grain"),) and loaded.restorations[0].strength == 0.5
    again = run_vidsr(*words, "-o", tmp_path / "b.mp4", "--save-preset", "mine")
    assert again.returncode == ExitCode.BAD_REQUEST and "mine.toml exists" in again.stderr


def test_a_dry_run_says_that_it_saves_no_preset(tmp_path: Path, own_folder: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4", frames=2, size=(64, 48))
    result = run_vidsr("enhance", source, "--scale", "2", "--model", "bicubic", "--save-preset", "mine", "--dry-run")
    assert result.returncode == 0 and "preset mine is not saved: --dry-run writes nothing" in result.stderr
    assert not (own_folder / "mine.toml").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("scale = ", "is no preset"),
        ("sclae = 2", "sets sclae, which is no option of a preset; did you mean scale?"),
        ('log = "a.csv"', "sets log, which is no option of a preset"),
        ("scale = -1", "--scale -1 is not positive"),
    ],
)
def test_a_bad_preset_file_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(OptionError) as error:
        parse_options(preset=str(tmp_path / "bad.toml"))
    assert line in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_preset_gets_the_list_and_a_suggestion() -> None:
    with pytest.raises(OptionError, match=r"choose anime, dvd, .*did you mean tape\?"):
        parse_options(preset="tpae")
    with pytest.raises(OptionError, match="is no name"):
        presets.save("../evil", {})
