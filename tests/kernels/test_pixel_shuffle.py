"""Fused pixel shuffle: equal to separate steps in double precision."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vidsr.kernels.pixel_shuffle import pixel_shuffle_codes


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("peak", [255, 1023])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_fused_pass_equals_separate_steps(scale: int, peak: int, dtype: type) -> None:
    rng = np.random.default_rng(scale)
    anchor = rng.integers(0, min(peak, np.iinfo(np.uint8).max) + 1, (2, 37, 53)).astype(dtype)
    residual = torch.from_numpy(rng.normal(0, 0.2, (2, 37, 53, scale**2)).astype(np.float32)).bfloat16()
    codes = pixel_shuffle_codes(residual.view(torch.uint16).numpy(), anchor, scale, peak)
    exact = residual.double().permute(0, 3, 1, 2) * peak + torch.from_numpy(anchor.astype(np.float64))[:, None]
    shuffled = F.pixel_shuffle(exact, scale)[:, 0].clamp(0, peak).numpy()
    assert codes.dtype == (np.uint8 if peak == 255 else np.uint16)
    assert np.abs(codes - shuffled).max() <= 0.5 + 1e-4


def test_residual_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit an anchor of"):
        pixel_shuffle_codes(np.zeros((1, 4, 4, 4), np.uint16), np.zeros((1, 4, 5), np.uint8), 2, 255)
