"""Degrading sharp patches while training.

Every patch gets its own blur, noise, quantization and graphics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidsr.degrade.blur import Blur, DefocusBlur, GaussianBlur, Kernel, MotionBlur, ShakeBlur
from vidsr.models.layers import crop_border, pad

CLEAN_SHARE = 0.15  # of the patches are not degraded: a network must learn to leave a clean image unchanged
BLURS: tuple[tuple[float, Blur | None], ...] = (  # with the probability of each
    (0.45, GaussianBlur((0.3, 3.5))),
    (0.08, GaussianBlur((0.5, 3.5), aspect=(0.3, 1.0))),
    (0.2, MotionBlur((3, 25))),
    (0.1, ShakeBlur((3, 25))),
    (0.1, DefocusBlur((0.7, 4.0))),
    (0.07, None),
)
MAX_NOISE = 4.0  # standard deviation, code values
QUANTIZED_SHARE = 0.12  # of the degraded patches
QUANTIZER_STEPS = (4.0, 24.0)  # smallest and largest, code values
GRAPHICS_SHARE = 0.25  # of all patches have bars or letters on top
BLACK, WHITE = 16 / 255, 235 / 255
BLOCK = 8  # pixels, side of a transform block
MARGIN = 16  # pixels around a patch that its blur reads; longer kernels wrap around


class Rectangle(NamedTuple):
    """A uniform rectangle.

    Edges are fractions of the sides of the patch; the value lies in [0, 1].
    """

    top: float
    left: float
    bottom: float
    right: float
    value: float


class PatchDegradation(NamedTuple):
    """The degradation of one patch, in the order in which it is applied."""

    kernel: Kernel | None = None
    noise: float = 0.0  # standard deviation, code values
    quantizer_step: float = 0.0  # code values; 0: no quantization
    graphics: tuple[Rectangle, ...] = ()  # bars, logos, letters: sharp, above the blurred image


def draw_degradation(rng: np.random.Generator) -> PatchDegradation:
    """Draw the degradation of a patch."""
    graphics = _draw_graphics(rng) if rng.random() < GRAPHICS_SHARE else ()
    if rng.random() < CLEAN_SHARE:
        return PatchDegradation(graphics=graphics)
    probabilities, blurs = zip(*BLURS, strict=True)
    blur = blurs[rng.choice(len(blurs), p=probabilities)]
    kernel = None if blur is None else blur.kernel(rng)
    step = rng.uniform(*QUANTIZER_STEPS) if rng.random() < QUANTIZED_SHARE else 0.0
    return PatchDegradation(kernel, rng.uniform(0, MAX_NOISE), step, graphics)


def _draw_graphics(rng: np.random.Generator) -> tuple[Rectangle, ...]:
    """Draw black bars along the sides, or a band of rectangles like letters."""
    if rng.random() < 0.5:
        first, second = rng.uniform(0.02, 0.3, 2) * (rng.random(2) < 0.7)
        if rng.random() < 0.7:
            return Rectangle(0, 0, first, 1, BLACK), Rectangle(1 - second, 0, 1, 1, BLACK)
        return Rectangle(0, 0, 1, first, BLACK), Rectangle(0, 1 - second, 1, 1, BLACK)
    top, height, value = rng.uniform(0, 0.9), rng.uniform(0.03, 0.15), rng.choice((BLACK, WHITE, rng.random()))
    count = int(rng.integers(3, 40))
    tops, lefts = top + height * rng.random(count), rng.random(count)
    sizes = height * rng.uniform(0.1, 1, (count, 2))
    return tuple(Rectangle(t, x, t + h, x + w, value) for t, x, (h, w) in zip(tops, lefts, sizes, strict=True))


def degrade(sharp: Tensor, degradations: Sequence[PatchDegradation], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return the degraded patches, rounded to 8 bits, and the patches to restore.

    ``sharp``: N x 1 x H x W in [0, 1]. The patches to restore are sharp, with the same graphics.
    """
    size = tuple(sharp.shape[-2:])
    blur = transfer_functions([each.kernel for each in degradations], size).to(sharp.device)
    degraded = crop_border(torch.fft.irfft2(torch.fft.rfft2(sharp) * blur[:, None], s=size), MARGIN)
    noise = torch.from_numpy(rng.standard_normal(degraded.shape, np.float32))
    target = crop_border(sharp, MARGIN).clone()
    noise = noise.to(degraded.device)
    for plane, grain, truth, each in zip(degraded[:, 0], noise[:, 0], target[:, 0], degradations, strict=True):
        plane += grain * (each.noise / 255)
        for rectangle in each.graphics:
            for image in (plane, truth):
                _area(image, rectangle).fill_(rectangle.value)
        if each.quantizer_step:
            plane.copy_(quantize_blocks(plane, each.quantizer_step / 255))
    codes: Tensor = (degraded * 255).round().clamp(0, 255)
    return codes / 255, target


def _area(plane: Tensor, rectangle: Rectangle) -> Tensor:
    """Return the part of ``plane`` (H x W) that ``rectangle`` covers."""
    height, width = plane.shape
    rows = slice(round(rectangle.top * height), round(rectangle.bottom * height))
    return plane[rows, round(rectangle.left * width) : round(rectangle.right * width)]


def transfer_functions(kernels: Sequence[Kernel | None], size: tuple[int, ...]) -> Tensor:
    """Return the spectrum (rfft2) of each kernel in a periodic image of ``size``.

    Returns N x H x W // 2 + 1 complex numbers.
    """
    planes = torch.zeros(len(kernels), *size)
    for plane, kernel in zip(planes, kernels, strict=True):
        if kernel is None:
            plane[0, 0] = 1
        else:
            rows, columns = (torch.arange(n) - n // 2 for n in kernel.shape)
            plane[rows[:, None], columns] = torch.from_numpy(kernel)
    spectra: Tensor = torch.fft.rfft2(planes)
    return spectra


def quantize_blocks(plane: Tensor, step: float) -> Tensor:
    """Quantize the cosine transform of every block of ``plane`` by ``step``.

    It imitates an intra-only codec. ``plane``: H x W.
    """
    height, width = plane.shape
    whole = pad(plane[None, None], 0, -width % BLOCK, 0, -height % BLOCK)[0, 0]
    blocks = whole.view(len(whole) // BLOCK, BLOCK, -1, BLOCK).transpose(1, 2)
    dct = _dct_matrix().to(plane)
    coefficients = dct @ blocks @ dct.T
    levels = (coefficients / step).abs().add(1 / 3).floor()  # encoders add a third, so that small coefficients vanish
    quantized = levels * coefficients.sign() * step
    result: Tensor = (dct.T @ quantized @ dct).transpose(1, 2).reshape(whole.shape)
    return result[:height, :width]


def _dct_matrix() -> Tensor:
    """Return the orthonormal discrete cosine transform of BLOCK samples as a matrix."""
    n = torch.arange(BLOCK).double()
    matrix: Tensor = torch.cos(torch.pi * n[:, None] * (2 * n + 1) / (2 * BLOCK)) * (2 / BLOCK) ** 0.5
    matrix[0] /= 2**0.5
    return matrix.float()
