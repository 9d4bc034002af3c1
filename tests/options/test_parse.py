"""Numbers from text: exact values, and one line for numbers that no run can use."""

from fractions import Fraction

import pytest

from tests.commands import run_vidsr
from vidsr.errors import ExitCode, OptionError
from vidsr.options.enhance import parse_options
from vidsr.options.parse import parse_bytes, parse_fraction, parse_int, parse_pixels, parse_time, shortened

MANY = "9" * 5000  # more digits than Python turns into an integer


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("scale", "99999999999"),
        ("scale", "1e99999999999"),
        ("scale", "1e-99999999999"),
        ("scale", MANY),
        ("height", 99999999999),
        ("height", MANY),
        ("size", f"{MANY}x2"),
        ("fps", MANY),
        ("fps", f"{MANY}x"),
        ("slow_motion", MANY),
        ("memory", "9" * 320),
        ("memory", MANY),
        ("start", "9" * 30),
        ("start", MANY),
        ("end", f"{MANY}:00"),
        ("frames", "9" * 30),
        ("tile", MANY),
        ("batch", 10**50),
        ("input_fps", MANY),
        ("raw", f"{MANY}x2:gray:25"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_huge_number_is_refused_in_one_short_line(option: str, value: str | int) -> None:
    given = {"scale": 2} | {option: value} if option not in ("height", "size") else {option: value}
    with pytest.raises(OptionError, match=f"--{option.replace('_', '-')}") as raised:
        parse_options(**given)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300


@pytest.mark.parametrize("command", [("degrade", "-o", "b.mkv"), ("compare", "--denoise", "1")])
@pytest.mark.parametrize(
    "noise", ["1" + "0" * 300, "0." + "0" * 300 + "1", "poisson:1" + "0" * 300], ids=["huge", "tiny", "poisson"]
)
def test_a_huge_or_tiny_noise_is_refused_in_one_line(
    command: tuple[str, ...], noise: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    clip = tmp_path_factory.mktemp("noise") / "a.mp4"
    clip.write_bytes(b"not a clip")
    result = run_vidsr(command[0], clip, *command[1:], "--noise", noise)
    assert result.returncode == ExitCode.BAD_REQUEST
    assert "with a number above 0 and up to 1000" in result.stderr and "Traceback" not in result.stderr


def test_numbers_within_the_limits_are_exact() -> None:
    assert parse_time("1:02.5", "--start") == Fraction(125, 2)
    assert parse_bytes("1.5K", "--memory") == 1536
    assert parse_fraction("1e-3", "--scale") == Fraction(1, 1000)
    assert parse_fraction(str(Fraction(0.1)), "--scale") == Fraction(0.1)
    assert parse_int("1000000000", "--frames") == 10**9
    assert parse_int(8.0, "--frames") == 8  # type: ignore[arg-type]
    for value in (8.5, float("inf"), float("nan"), None):
        with pytest.raises(OptionError, match="is not a whole number"):
            parse_int(value, "--frames")  # type: ignore[arg-type]


def test_long_values_are_shortened_in_messages() -> None:
    assert shortened("4") == "4" and shortened("x" * 99) == "x" * 40 + "..."
    assert shortened(10**5000) == "a number of many digits"


@pytest.mark.parametrize(
    ("text", "expected"), [("500M", 500_000_000), ("1.5k", 1500), ("20000", 20_000), ("1G", 10**9)]
)
def test_numbers_of_pixels(text: str, expected: int) -> None:
    assert parse_pixels(text, "--max-pixels") == expected


@pytest.mark.parametrize("text", ["", "many", "0", "-5", "5T", "2G", "9" * 320])
def test_a_wrong_number_of_pixels_is_one_clear_error(text: str) -> None:
    with pytest.raises(OptionError, match="is not a number of pixels up to 1073M: write 500M"):
        parse_pixels(text, "--max-pixels")
