"""Options: text becomes frozen values that cannot be wrong, or a one-line error."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import OptionError
from vidsr.options.enhance import parse_options
from vidsr.options.output_size import SAME_SIZE, Factor, Height, Size
from vidsr.options.parse import parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("62.5", Fraction(125, 2)), ("1:02.5", Fraction(125, 2)), ("1:00:00", Fraction(3600)), ("0.1", Fraction(1, 10))],
)
def test_times_are_exact(text: str, seconds: Fraction) -> None:
    assert parse_time(text, "--start") == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:2:3:4", "1m", "nan", "1:", ":1"])
def test_text_that_is_not_a_time_gives_a_one_line_error(text: str) -> None:
    with pytest.raises(OptionError, match=r"--start .* is not a time: write seconds"):
        parse_time(text, "--start")


def test_scale_height_and_size_give_the_output_size() -> None:
    assert parse_options(scale="4").output_size == Factor(Fraction(4))
    assert parse_options(scale="3/2").output_size.size(480, 270) == (720, 405)
    assert parse_options(height=1080).output_size == Height(1080)
    assert Height(1080).size(640, 272) == (2542, 1080)
    assert parse_options(size="1920x1080").output_size == Size(1920, 1080)
    assert parse_options(fps="2x").output_size == SAME_SIZE


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(1, 4000))
def test_a_height_gives_an_even_width_of_the_same_aspect_ratio(width: int, height: int, wanted: int) -> None:
    w, h = Height(wanted).size(width, height)
    assert h == wanted
    assert w % 2 == 0
    assert w >= 2
    assert w == 2 or abs(w - width * wanted / height) <= 1


@pytest.mark.parametrize("tag", ["x4", "x1.5", "1080p", "1920x1080", ""])
def test_the_output_size_has_a_tag_for_file_names(tag: str) -> None:
    targets = {
        "x4": Factor(Fraction(4)),
        "x1.5": Factor(Fraction(3, 2)),
        "1080p": Height(1080),
        "1920x1080": Size(1920, 1080),
        "": Factor(Fraction(1)),
    }
    assert targets[tag].tag == tag


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"scale": "4", "height": 1080}, "--scale and --height both set"),
        ({"scale": "0"}, "--scale 0 is not positive"),
        ({"scale": "-2"}, "is not positive"),
        ({"scale": "big"}, "--scale 'big' is not a number"),
        ({"scale": "1/0"}, "is not a number"),
        ({"size": "1920"}, "write it as 1920x1080"),
        ({"size": "0x100"}, "--size 0 is not positive"),
        ({"height": 0}, "--height 0 is not positive"),
        ({"fps": "fast"}, "fast"),
        ({"scale": "2", "precision": "fp8"}, "choose auto, fp32, bf16, fp16, int8"),
        ({"fps": "2x", "interpolation": "magic"}, "--interpolation 'magic' is unknown"),
        ({"scale": "2", "batch": "many"}, "--batch 'many' is not a whole number: give 1 or more"),
        ({"scale": "2", "batch": 0}, "--batch 0 is not positive"),
        ({"scale": "2", "tile": -1}, "--tile -1 is not positive"),
        ({"scale": "2", "tile": 31}, "--tile 31 is too small: give 32 or more"),
        ({"scale": "2", "frames": 0}, "--frames 0 is not positive"),
        ({"scale": "2", "start": "5", "end": "2"}, "--end 2.0 is not after --start 5.0"),
    ],
)
def test_wrong_options_give_a_one_line_error(arguments: dict[str, object], line: str) -> None:
    with pytest.raises(OptionError) as error:
        parse_options(**arguments)  # type: ignore[arg-type]
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_old_names_and_words_are_accepted_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="duplicates= is now called repeats="):
        assert parse_options(duplicates="smooth").repeats == "interpolate"
    with pytest.warns(DeprecationWarning, match="source= is now called domain="):
        assert parse_options(scale=2, source="video").domain == "compressed"
    with pytest.warns(DeprecationWarning):
        assert not parse_options(scale=2, steady=False).temporal_denoise
    with pytest.warns(DeprecationWarning):
        assert parse_options(scale=2, fps_in=24).reading.rate == 24
    with pytest.warns(DeprecationWarning):
        assert parse_options(scale=2, pipe="raw").stdout_format == "raw"


def test_none_stands_for_the_default() -> None:
    assert parse_options(scale=2, model=None, verify=None, codec=None, log=None) == parse_options(scale=2)


def test_an_unknown_name_is_an_error_of_the_caller() -> None:
    with pytest.raises(TypeError, match="unknown option sclae"):
        parse_options(sclae=2)


@pytest.mark.parametrize(("log", "parsed"), [(True, True), ("none", False), ("x.csv", Path("x.csv"))])
def test_the_log_is_a_path_or_a_switch(log: str | bool, parsed: Path | bool) -> None:
    assert parse_options(scale=2, log=log).log == parsed
