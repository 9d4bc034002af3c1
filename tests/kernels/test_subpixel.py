"""The one pass at the end of a network gives what its steps give."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vidsr.kernels.subpixel import shuffled_codes


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("peak", [255, 1023])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_one_pass_equals_the_steps(scale: int, peak: int, dtype: type) -> None:
    rng = np.random.default_rng(scale)
    anchor = rng.integers(0, min(peak, np.iinfo(np.uint8).max) + 1, (2, 37, 53)).astype(dtype)
    residual = torch.from_numpy(rng.normal(0, 0.2, (2, 37, 53, scale**2)).astype(np.float32)).bfloat16()
    codes = shuffled_codes(residual.view(torch.uint16).numpy(), anchor, scale, peak)
    exact = residual.double().permute(0, 3, 1, 2) * peak + torch.from_numpy(anchor.astype(np.float64))[:, None]
    shuffled = F.pixel_shuffle(exact, scale)[:, 0].clamp(0, peak).numpy()
    assert codes.dtype == (np.uint8 if peak == 255 else np.uint16)
    assert np.abs(codes - shuffled).max() <= 0.5 + 1e-4


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="for an anchor of"):
        shuffled_codes(np.zeros((1, 4, 4, 4), np.uint16), np.zeros((1, 4, 5), np.uint8), 2, 255)
