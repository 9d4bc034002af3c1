"""round_codes against NumPy."""

import numpy as np
import pytest

from vidsr.kernels.rounding import round_codes


@pytest.mark.parametrize(("peak", "dtype"), [(255, np.uint8), (1023, np.uint16), (65535, np.uint16)])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 2, 37, 53), (700, 500)])
def test_rounding_equals_numpy(peak: int, dtype: type, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(peak).uniform(-0.2 * peak, 1.2 * peak, shape).astype(np.float32)
    result = round_codes(values, peak)
    assert result.dtype == dtype
    assert np.array_equal(result, np.floor(np.clip(values, 0, peak) + np.float32(0.5)).astype(dtype))


def test_whole_values_stay_and_strided_input_is_supported() -> None:
    values = np.arange(256, dtype=np.float32).reshape(16, 16)
    assert np.array_equal(round_codes(values.T[::2], 255), values.T[::2].astype(np.uint8))
