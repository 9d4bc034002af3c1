"""Training losses between an output and the truth.

Both are N x 1 x H x W float32 in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

CHARBONNIER_EPSILON = 1e-3
LEVELS = 3  # of the Laplacian pyramid


def charbonnier(output: Tensor, truth: Tensor) -> Tensor:
    """Return the mean of sqrt(error**2 + epsilon**2).

    It is L1, smooth at zero (Lai et al., LapSRN, 2017).
    """
    return torch.sqrt((output - truth) ** 2 + CHARBONNIER_EPSILON**2).mean()


def fft(output: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute error of the orthonormal 2-D spectrum.

    The mean is over real and imaginary parts.
    """
    error = torch.fft.rfft2(output - truth, norm="ortho")
    return torch.view_as_real(error).abs().mean()


def relative(output: Tensor, truth: Tensor) -> Tensor:
    """Return the mean logarithm of the images' squared error.

    It is the PSNR up to scale, with a floor of one code value.
    """
    return torch.log((output - truth).square().mean((1, 2, 3)) + 255.0**-2).mean()


def laplacian(output: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute error of a Laplacian pyramid.

    Coarse levels are weighted more (Bojanowski et al., 2018).
    """
    error, total = output - truth, torch.zeros((), device=output.device)
    for level in range(LEVELS):
        coarse = F.avg_pool2d(error, 2)
        total = total + 2.0**level * (error - F.interpolate(coarse, scale_factor=2.0)).abs().mean()
        error = coarse
    return total + 2.0**LEVELS * error.abs().mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "l2": F.mse_loss,
    "charbonnier": charbonnier,
    "fft": fft,
    "relative": relative,
    "laplacian": laplacian,
}
