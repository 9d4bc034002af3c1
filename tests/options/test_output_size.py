"""Output sizes: how they are written, and how a clip of another aspect ratio fills them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import OptionError
from vidsr.options.enhance import parse_options
from vidsr.options.output_size import Factor, Height, Size


@pytest.mark.parametrize(
    ("option", "value", "size"),
    [
        ("scale", "2x", Factor(Fraction(2))),
        ("scale", "1.5X", Factor(Fraction(3, 2))),
        ("height", "1080p", Height(1080)),
        ("height", "4K", Height(2160)),
        ("height", 720, Height(720)),
        ("size", (640, 480), Size(640, 480)),
    ],
)
def test_sizes_are_understood_as_people_write_them(option: str, value: object, size: object) -> None:
    assert parse_options(**{option: value}).output_size == size


@pytest.mark.parametrize("value", ["4kk", "p", "-2", "1080i"])
def test_a_wrong_height_is_refused(value: str) -> None:
    with pytest.raises(OptionError, match="--height"):
        parse_options(height=value)


SIDES = st.integers(2, 4000)


@given(SIDES, SIDES, SIDES.map(lambda side: 2 * side), SIDES.map(lambda side: 2 * side))
def test_a_padded_clip_lies_within_and_a_cropped_one_covers_the_output(w: int, h: int, width: int, height: int) -> None:
    inner = Size(width, height, "pad").size(w, h)
    outer = Size(width, height, "crop").size(w, h)
    assert inner[0] <= width and inner[1] <= height and (inner[0] == width or inner[1] == height)
    assert outer[0] >= width and outer[1] >= height and (outer[0] == width or outer[1] == height)
    for got in (inner, outer):
        if min(got) > 100:  # the shape is kept to within two pixels
            assert abs(got[0] / got[1] - w / h) <= 2.5 * (w / h) / min(got)


def test_fit_without_a_size_is_refused() -> None:
    with pytest.raises(OptionError, match="--fit pad has no effect without --size"):
        parse_options(scale=2, fit="pad")
    with pytest.raises(OptionError, match="leave out --fit"):
        parse_options(size="64x64", fit="crop", reference="a.mp4")
