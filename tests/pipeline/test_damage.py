"""`vidsr verify` names every kind of damage to good outputs, and nothing in undamaged ones."""

from functools import cache
from pathlib import Path

import pytest

from tests import damage
from tests.tiers import few_or_many

EVERY = few_or_many(12, 1)  # of how many combinations one is tested


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> damage.Outputs:
    return cache(damage.good_outputs(tmp_path_factory.mktemp("good")))


@pytest.mark.parametrize("suffix", damage.FORMATS)
def test_a_good_output_and_a_copy_of_it_have_no_difference(
    tmp_path: Path, outputs: damage.Outputs, suffix: str
) -> None:
    source, good = outputs(suffix, False)
    assert damage.found_differences(source, good) == []
    damage.written_again(good, tmp_path / f"again{suffix}", lambda parts: None)
    assert damage.found_differences(source, tmp_path / f"again{suffix}") == []
    damage.encoded_again(source, good, tmp_path / f"encoded{suffix}", lambda info: info)
    assert damage.found_differences(source, tmp_path / f"encoded{suffix}") == []


@pytest.mark.more
@pytest.mark.parametrize(("kind", "suffix"), list(damage.combinations())[::EVERY])
def test_damage_is_detected_and_named(tmp_path: Path, outputs: damage.Outputs, kind: str, suffix: str) -> None:
    source, good = outputs(suffix, kind in damage.HDR)
    pattern = damage.damaged(kind, source, good, tmp_path / f"damaged{suffix}")
    found = damage.found_differences(source, tmp_path / f"damaged{suffix}")
    assert damage.names(pattern, found), f"{kind}: {pattern} not among {found}"


def test_at_least_25_kinds_of_damage_are_made() -> None:
    assert len(damage.KINDS) >= 25
    assert {suffix for _, suffix in damage.combinations()} == set(damage.FORMATS)
