"""What is asked of restoration, from the text of a command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.cli.options import with_strengths
from vidsr.errors import OptionError
from vidsr.models import load_model
from vidsr.options.enhance import parse_options
from vidsr.options.restoration import CLASSICAL, NETWORKS, TASKS, Restoration, parse_restoration


@given(st.decimals(0, 1, places=3))
def test_any_strength_from_0_to_1_is_taken(strength) -> None:
    parsed = parse_restoration("deblur", str(strength))
    assert parsed == (None if strength == 0 else Restoration("deblur", float(strength)))


def test_python_calls_may_say_true_and_numbers() -> None:
    assert parse_restoration("denoise", True) == parse_restoration("denoise", 1) == Restoration("denoise", 1.0)
    assert parse_restoration("denoise", 0.25) == Restoration("denoise", 0.25)
    assert parse_restoration("denoise", False) is parse_restoration("denoise", None) is None


def test_a_model_may_name_its_sigma() -> None:
    assert parse_restoration("deblur", "auto", "wiener:1.6") == Restoration("deblur", None, "wiener", 1.6)
    assert parse_restoration("deblur", "1", "deblur-fast") == Restoration("deblur", 1.0, "deblur-fast")


@pytest.mark.parametrize(
    ("strength", "model", "message"),
    [
        ("1.5", "auto", "--deblur '1.5' is no strength: write a number from 0 to 1, or auto"),
        ("-1", "auto", "is no strength"),
        ("strong", "auto", "is no strength"),
        ("1", "sharpest", "--deblur-model 'sharpest' is unknown: choose auto, deblur-fast"),
        ("1", "deblur-fast:2", "is unknown"),
        ("1", "wiener:", "write the sigma as a number above 0"),
        ("1", "wiener:0", "write the sigma as a number above 0"),
        (None, "wiener", "--deblur-model wiener without --deblur: add --deblur"),
    ],
)
def test_what_cannot_be_is_one_clear_line(strength: str | None, model: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_restoration("deblur", strength, model)


def test_restorations_run_in_one_order_whatever_the_order_of_the_options() -> None:
    options = parse_options(deblur="1", denoise="auto", restore=0.5)
    assert tuple(wanted.task for wanted in options.restorations) == TASKS == ("restore", "denoise", "deblur")


def test_strength_0_is_a_request_and_does_nothing() -> None:
    assert parse_options(deblur="0").restorations == ()


def test_the_default_of_every_task_has_weights() -> None:
    for task in TASKS:
        assert load_model(NETWORKS[task][0], 1, domain="any").scale == 1
        assert not set(NETWORKS[task]) & set(CLASSICAL)


@pytest.mark.parametrize(
    ("line", "spelled_out"),
    [
        ("enhance a.mp4 --deblur", "enhance a.mp4 --deblur 1"),
        ("enhance --deblur a.mp4", "enhance --deblur 1 a.mp4"),
        ("enhance a.mp4 --deblur --denoise auto --restore .5", "enhance a.mp4 --deblur 1 --denoise auto --restore .5"),
        ("enhance a.mp4 --deblur 0.5 --scale 2", "enhance a.mp4 --deblur 0.5 --scale 2"),
        ("enhance a.mp4 --deblur-model wiener", "enhance a.mp4 --deblur-model wiener"),
    ],
)
def test_a_dial_without_a_number_is_at_full_strength(line: str, spelled_out: str) -> None:
    assert with_strengths(line.split()) == spelled_out.split()
