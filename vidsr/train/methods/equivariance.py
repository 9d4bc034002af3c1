"""Equivariance: train a network that commutes with flips and rotations.

The output for a flipped or rotated image is the flipped or rotated output. The channels between the layers form fields
of eight, one channel for each symmetry. Rotating the image rotates each channel and moves it to another place in its
field. A layer is equivariant if its kernel is tied: equal to the mean of itself under all symmetries, its channels
moved along. (Cohen, Welling, "Group equivariant convolutional networks", ICML 2016, for the group of quarter turns and
reflections. Here it is a constraint on usual convolutions, which cost and ship as before.)

Each patch trains the network in all eight orientations, so a step acts on eight times its batch. LOG.md has curves.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn

from vidsr.errors import OptionError
from vidsr.models.equivariant import SYMMETRIES, apply_symmetry, transform_kernel, use_orbit_convolutions


def make_equivariant(network: nn.Module, keep: bool) -> None:
    """Tie the kernels of ``network``.

    ``keep``: its kernels are tied already; else they are rescaled to their former size.

    Raises:
        OptionError: its channels are not a multiple of eight.
    """
    layers = _layers(network)
    odd = [conv.out_channels for conv, _, outer in layers if outer and conv.out_channels % SYMMETRIES]
    if odd:
        raise OptionError(f"channels = {odd[0]} must be a multiple of {SYMMETRIES} for equivariant = true")
    tie(network)
    if not keep:
        for conv, _, _ in layers:
            conv.weight.data *= math.sqrt(SYMMETRIES)
    use_orbit_convolutions(network)


@torch.no_grad()
def tie(network: nn.Module) -> None:
    """Replace the kernels and biases of ``network`` by the nearest tied ones."""
    for conv, inner, outer in _layers(network):
        for parameter in conv.parameters():
            parameter.copy_(_mean(parameter, inner, outer))


@torch.no_grad()
def tie_gradients(network: nn.Module) -> None:
    """Replace the gradients by those of the batch under all eight symmetries."""
    for conv, inner, outer in _layers(network):
        for parameter in conv.parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(_mean(parameter.grad, inner, outer))


def _layers(network: nn.Module) -> list[tuple[nn.Conv2d, bool, bool]]:
    """Return the convolutions, and whether their inputs and outputs are fields.

    The input of the first is the image, the output of the last its sub-pixels.
    """
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [(conv, n > 0, n < len(convs) - 1) for n, conv in enumerate(convs)]


def _mean(tensor: Tensor, inner: bool, outer: bool) -> Tensor:
    """Return `mean_kernel` of a kernel, or of a bias, which has no inputs."""
    if tensor.ndim == 4:
        return mean_kernel(tensor, inner, outer)
    return mean_kernel(tensor[:, None, None, None], False, outer)[:, 0, 0, 0]


def mean_kernel(kernel: Tensor, inner: bool, outer: bool) -> Tensor:
    """Return the mean of ``kernel`` over the symmetries.

    ``kernel`` is out x in x rows x columns. ``inner``, ``outer``: whether the channels in and out are fields. Otherwise
    the input is the image, the output its sub-pixels.
    """
    orbits = _orbits(kernel.shape, inner, outer, kernel.device)
    return kernel.flatten()[orbits].mean(0).view_as(kernel)


@cache
def _orbits(shape: torch.Size, inner: bool, outer: bool, device: torch.device) -> Tensor:
    """Return the indices of the orbit of each element of a kernel.

    8 x elements, sorted so that the sum over an orbit is the same for all its elements.
    """
    indices = torch.arange(shape.numel()).view(shape)
    transformed = []
    for symmetry in range(SYMMETRIES):
        moved = transform_kernel(indices, symmetry, inner, outer)
        transformed.append((moved if outer else _transform_subpixels(moved, symmetry)).flatten())
    return torch.stack(transformed).sort(0).values.to(device)


def _transform_subpixels(kernel: Tensor, symmetry: int) -> Tensor:
    """Apply a symmetry to the output channels of ``kernel``, the sub-pixels of a square."""
    last = kernel.movedim(0, -1)
    side = math.isqrt(len(kernel))
    square = last.reshape(*last.shape[:-1], side, side)
    return apply_symmetry(square, symmetry).reshape(last.shape).movedim(-1, 0)
