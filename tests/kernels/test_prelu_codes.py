"""PReLU and codes in one pass against plain NumPy."""

import numpy as np
import pytest

from vidsr.kernels.prelu_codes import prelu_codes


def slow(values: np.ndarray, rises: np.ndarray, falls: np.ndarray, zeros: np.ndarray) -> np.ndarray:
    """The definition, value by value."""
    out = np.empty(values.shape, np.uint8)
    for place in np.ndindex(values.shape):
        value, c = float(values[place]), place[-1]
        code = zeros[c] + value * (rises[c] if value > 0 else falls[c])
        out[place] = min(max(np.floor(code + 0.5), 0), 255)
    return out


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 7, 3), (1, 40, 3, 19)])
def test_codes_are_those_of_the_definition(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    bits = (rng.standard_normal(shape).astype(np.float32) * 3).view(np.uint32) >> 16
    values = (bits << 16).view(np.float32)  # as bf16 holds them
    rises, falls, zeros = (rng.uniform(low, 40, shape[-1]).astype(np.float32) for low in (1, -20, 0))
    n, height, width, channels = shape
    out = np.full((n, height + 2, width + 2, channels), 77, np.uint8)
    prelu_codes(bits.astype(np.uint16), rises, falls, np.round(zeros), out)
    expected = slow(values, rises, falls, np.round(zeros))
    assert np.abs(out[:, 1:-1, 1:-1].astype(int) - expected).max() <= 1  # sums may be reordered
    assert (out[:, 1:-1, 1:-1] != expected).mean() < 0.01
    out[:, 1:-1, 1:-1] = 77
    assert (out == 77).all()  # the border stays


def test_shapes_that_do_not_fit_are_refused() -> None:
    one = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        prelu_codes(np.zeros((1, 4, 4, 3), np.uint16), one, one, one, np.zeros((1, 4, 4, 3), np.uint8))
