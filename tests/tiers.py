"""The tiers of the tests: `make test` runs few examples of each property, `make test-slow` many.

Tests marked `slow` run in the slow tier only. Hypothesis tests and those marked `more` run in both tiers and cover
more in the slow one.
"""

import os
from typing import Any, TypeVar

import pytest
from hypothesis import settings

T = TypeVar("T")
SLOW = os.environ.get("VIDSR_TIER") == "slow"
TIMES_MORE = 10  # examples in the slow tier


def examples(few: int) -> settings:
    """Hypothesis settings: ``few`` examples at every commit, ten times as many in the slow tier."""
    return settings(max_examples=few * TIMES_MORE if SLOW else few)


def slow(*values: Any) -> Any:
    """The values of one parametrised case that runs in the slow tier only."""
    return pytest.param(*values, marks=pytest.mark.slow)


def few_or_many(few: T, many: T) -> T:
    """``few`` at every commit, ``many`` in the slow tier."""
    return many if SLOW else few
