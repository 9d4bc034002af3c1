"""CIEDE2000 against the published test data."""

import numpy as np
import pytest

from benchmarks._ciede2000 import ciede2000, to_lab

# Sharma, Wu and Dalal 2005, table 1: two colours and their difference
PAIRS = [
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
    ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (61, -5, 29), 22.8977),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
]


@pytest.mark.parametrize(("first", "second", "difference"), PAIRS)
def test_published_pairs(first: tuple[float, ...], second: tuple[float, ...], difference: float) -> None:
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(difference, abs=5e-5)
    assert ciede2000(np.array(second), np.array(first)) == pytest.approx(difference, abs=5e-5)


def test_lab_of_srgb() -> None:
    np.testing.assert_allclose(to_lab(np.array([1.0, 1, 1])), [100, 0, 0], atol=1e-3)
    np.testing.assert_allclose(to_lab(np.array([0.0, 0, 0])), [0, 0, 0], atol=1e-3)
    np.testing.assert_allclose(to_lab(np.array([1.0, 0, 0])), [53.24, 80.09, 67.20], atol=0.01)
