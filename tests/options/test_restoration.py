"""Restorations from the text of a command line, and from Python values."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import OptionError
from vidsr.models import load_model
from vidsr.options.enhance import parse_options
from vidsr.options.restoration import CLASSICAL, NETWORKS, TASKS, Restoration, parse_restoration


@given(st.decimals(0, 1, places=3))
def test_any_strength_from_0_to_1_is_accepted(strength: Decimal) -> None:
    parsed = parse_restoration("deblur", str(strength))
    assert parsed == (None if strength == 0 else Restoration("deblur", float(strength)))


def test_python_calls_may_pass_true_false_and_numbers() -> None:
    assert parse_restoration("denoise", True) == parse_restoration("denoise", 1) == Restoration("denoise", 1.0)
    assert parse_restoration("denoise", 0.25) == Restoration("denoise", 0.25)
    assert parse_restoration("denoise", False) is parse_restoration("denoise", None) is None


def test_a_classical_method_may_name_its_sigma() -> None:
    assert parse_restoration("deblur", "auto", "wiener:1.6") == Restoration("deblur", None, "wiener", 1.6)
    assert parse_restoration("deblur", "1", "deblur-fast") == Restoration("deblur", 1.0, "deblur-fast")


@pytest.mark.parametrize(
    ("strength", "model", "message"),
    [
        ("1.5", "auto", "--deblur '1.5' is not a strength: write a number from 0 to 1, or auto"),
        ("-1", "auto", "is not a strength"),
        ("strong", "auto", "is not a strength"),
        ("1", "sharpest", "--deblur-model 'sharpest' is unknown: choose auto, deblur-fast"),
        ("1", "deblur-fast:2", "is unknown"),
        ("1", "wiener:", "has no valid sigma: write a number above 0"),
        ("1", "wiener:0", "has no valid sigma: write a number above 0"),
        (None, "wiener", "--deblur-model wiener has no effect without --deblur: add --deblur"),
    ],
)
def test_a_wrong_strength_or_model_gives_a_one_line_error(strength: str | None, model: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_restoration("deblur", strength, model)


def test_restorations_run_in_a_fixed_order() -> None:
    options = parse_options(deblur="1", denoise="auto", restore=0.5)
    assert tuple(wanted.task for wanted in options.restorations) == TASKS == ("restore", "denoise", "deblur")


def test_strength_0_counts_as_a_request_and_restores_nothing() -> None:
    assert parse_options(deblur="0").restorations == ()


def test_the_default_network_of_every_task_has_weights() -> None:
    for task in TASKS:
        assert load_model(NETWORKS[task][0], 1, domain="any").scale == 1
        assert not set(NETWORKS[task]) & set(CLASSICAL)
