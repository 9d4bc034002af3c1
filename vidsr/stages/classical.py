"""Classical restoration methods by name, each as one call on a batch of planes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidsr.kernels.deconvolution import Plane, richardson_lucy, unsharp, wiener
from vidsr.kernels.denoise import bilateral, non_local_means
from vidsr.options.restoration import CLASSICAL

UNSHARP_AMOUNT = 1.5
# Each near the best on images of the training folder, with noise of 0 to 4 code values and blur of sigma 0.8 to 2.5.
REGULARISATION = 0.0006  # of the Wiener filter, for noise of one code value
MIN_NOISE = 0.5  # code values: what rounding and the encoder add at least
ITERATIONS = 20  # of Richardson-Lucy

# name -> (plane, sigma of the blur or noise that the user gave, noise of the frame) -> plane
Function = Callable[[Plane, float, float], Plane]
FUNCTIONS: dict[str, Function] = {
    "unsharp": lambda plane, sigma, noise: unsharp(plane, sigma, UNSHARP_AMOUNT),
    "wiener": lambda plane, sigma, noise: wiener(plane, sigma, REGULARISATION * max(noise, MIN_NOISE) ** 2),
    "richardson-lucy": lambda plane, sigma, noise: richardson_lucy(plane, sigma, ITERATIONS),
    "bilateral": lambda plane, sigma, noise: bilateral(plane, sigma),
    "nlm": lambda plane, sigma, noise: non_local_means(plane, sigma),
}
assert tuple(FUNCTIONS) == CLASSICAL


@dataclass(frozen=True)
class Classical:
    """The method ``name`` for a known ``sigma`` (of the blur in pixels, or of the noise in 8-bit codes)."""

    name: str
    sigma: float
    noise: float  # of the frame, 8-bit codes

    def __call__(self, planes: Tensor, peak: int) -> Tensor:
        """N x 1 x H x W code values up to ``peak`` -> the same size, float32, on the CPU."""
        unit = np.float32(peak / 255)
        frames = planes[:, 0].cpu().numpy().astype(np.float32) / unit
        results = [FUNCTIONS[self.name](frame, self.sigma, self.noise) * unit for frame in frames]
        return torch.from_numpy(np.stack(results))[:, None]

    def __str__(self) -> str:
        return f"{self.name}, sigma {self.sigma:.2f}"
