"""A bank of point spread functions for blind deconvolution, by formulas.

All are symmetric about their centre, so that their spectra are real. The path of a shaking hand is not, but some line
or ellipse is close to it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SIDE = 54  # pixels, twice the largest function; its centre is at 0, 0, periodic

GAUSSIANS = (
    *(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.75, 1.9, 2.1, 2.3, 2.5, 2.8, 3.1, 3.5),
)  # standard deviations, pixels
DISKS = (0.7, 1.0, 1.3, 1.6, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0)  # radii
ANGLES = 24  # of the functions below, over half a turn
ELLIPSES = ((1.2, 0.5), (2.0, 0.5), (3.0, 0.45))  # Gaussians: standard deviation along the angle, and its ratio across
LINES = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 21, 23, 25)  # lengths
SUBSTEPS = 16  # points of a line per pixel
ROUND = 1 + len(GAUSSIANS) + len(DISKS)  # number of functions without direction
ORIENTED = len(ELLIPSES) + len(LINES)  # number of functions for each angle


def spectra() -> Tensor:
    """Return the transfer function (rfft2) of each: K x SIDE x (SIDE // 2 + 1).

    First no blur and the round functions, then the others, angle by angle, counter-clockwise from the x axis.
    """
    kernels = [torch.zeros(SIDE, SIDE, dtype=torch.float64)]
    kernels[0][0, 0] = 1
    kernels += [_gaussian(sigma) for sigma in GAUSSIANS]
    kernels += [_disk(radius) for radius in DISKS]
    for angle in (math.pi * number / ANGLES for number in range(ANGLES)):
        kernels += [_gaussian(along, aspect, angle) for along, aspect in ELLIPSES]
        kernels += [_line(length, angle) for length in LINES]
    bank = torch.stack(kernels)
    transformed: Tensor = torch.fft.rfft2(bank / bank.sum((1, 2), keepdim=True))
    return transformed.real.float()


def _grid() -> tuple[Tensor, Tensor]:
    """x and y of every pixel of the square; y points down."""
    steps = torch.fft.fftfreq(SIDE, 1 / SIDE, dtype=torch.float64)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return x, y


def _gaussian(along: float, aspect: float = 1.0, angle: float = 0.0) -> Tensor:
    x, y = _grid()
    u, v = x * math.cos(angle) - y * math.sin(angle), y * math.cos(angle) + x * math.sin(angle)
    return torch.exp(-0.5 * ((u / along) ** 2 + (v / (aspect * along)) ** 2))


def _disk(radius: float) -> Tensor:
    x, y = _grid()
    return (radius + 0.5 - torch.hypot(x, y)).clamp(0, 1)


def _line(length: float, angle: float) -> Tensor:
    """Each point of the line is spread over the four pixels around it."""
    along = torch.linspace(-0.5, 0.5, math.ceil(length) * SUBSTEPS, dtype=torch.float64) * (length - 1)
    x, y = along * math.cos(angle), -along * math.sin(angle)
    kernel = torch.zeros(SIDE, SIDE, dtype=torch.float64)
    for column in (x.floor(), x.floor() + 1):
        for row in (y.floor(), y.floor() + 1):
            share = (1 - (x - column).abs()) * (1 - (y - row).abs())
            kernel.index_put_(((row % SIDE).long(), (column % SIDE).long()), share, accumulate=True)
    return kernel
