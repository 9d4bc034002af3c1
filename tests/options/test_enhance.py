"""Options: what a person writes becomes values that cannot be wrong, or one clear line."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import OptionError
from vidsr.options.enhance import parse_options
from vidsr.options.output_size import Factor, Height, Size, parse_output_size
from vidsr.options.parse import parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("62.5", Fraction(125, 2)), ("1:02.5", Fraction(125, 2)), ("1:00:00", Fraction(3600)), ("0.1", Fraction(1, 10))],
)
def test_times_are_exact(text: str, seconds: Fraction) -> None:
    assert parse_time(text, "--start") == seconds


@pytest.mark.parametrize("text", ["", "-1", "1:2:3:4", "1m", "nan", "1:", ":1"])
def test_what_is_no_time_is_one_clear_line(text: str) -> None:
    with pytest.raises(OptionError, match=r"--start .* is not a time: write seconds"):
        parse_time(text, "--start")


def test_sizes() -> None:
    assert parse_output_size("4", None, None) == Factor(Fraction(4))
    assert parse_output_size("3/2", None, None).size(480, 270) == (720, 405)
    assert parse_output_size(None, 1080, None) == Height(1080)
    assert Height(1080).size(640, 272) == (2542, 1080)
    assert parse_output_size(None, None, "1920x1080") == Size(1920, 1080)


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(1, 4000))
def test_a_height_gives_an_even_width_of_the_same_shape(width: int, height: int, wanted: int) -> None:
    w, h = Height(wanted).size(width, height)
    assert h == wanted
    assert w % 2 == 0
    assert w >= 2
    assert w == 2 or abs(w - width * wanted / height) <= 1


@pytest.mark.parametrize("tag", ["x4", "x1.5", "1080p", "1920x1080", ""])
def test_tags_for_file_names(tag: str) -> None:
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
        ({}, "nothing to do"),
        ({"scale": "4", "height": 1080}, "--scale and --height both set"),
        ({"scale": "0"}, "--scale 0 is not positive"),
        ({"scale": "-2"}, "is not positive"),
        ({"scale": "big"}, "--scale 'big' is not a number"),
        ({"scale": "1/0"}, "is not a number"),
        ({"size": "1920"}, "write it as 1920x1080"),
        ({"size": "0x100"}, "--size 0 is not positive"),
        ({"height": 0}, "--height 0 is not positive"),
        ({"fps": "fast"}, "fast"),
        ({"scale": "2", "precision": "fp8"}, "choose auto, fp32, bf16, fp16"),
        ({"fps": "2x", "interpolation": "magic"}, "--interpolation 'magic' is unknown"),
        ({"scale": "2", "batch": 0}, "--batch 0 is not positive"),
        ({"scale": "2", "tile": -1}, "--tile -1 is not positive"),
        ({"scale": "2", "tile": 31}, "--tile 31 is too small: give 32 or more"),
        ({"scale": "2", "frames": 0}, "--frames 0 is not positive"),
        ({"scale": "2", "start": "5", "end": "2"}, "--end 2.0 is not after --start 5.0"),
    ],
)
def test_wrong_options_are_one_clear_line(arguments: dict[str, object], line: str) -> None:
    with pytest.raises(OptionError) as error:
        parse_options(**arguments)  # type: ignore[arg-type]
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("log", "parsed"), [(True, True), ("none", False), ("x.csv", Path("x.csv"))])
def test_log(log: str | bool, parsed: Path | bool) -> None:
    assert parse_options(scale=2, log=log).log == parsed
