"""Equivariance: kernels tied so that what a network says of a turned picture is the turned of what it says.

The channels between the layers are fields of eight, one for each pose: to turn the picture turns what each channel
holds and moves it to another place of its field. A layer keeps to that if its kernel is the mean of itself in all
poses, its channels moved along. (Cohen, Welling, "Group equivariant convolutional networks", ICML 2016, for the group
of quarter turns and mirrorings; here a constraint on usual convolutions, which cost and ship as they are.)

What a patch teaches in one pose it teaches in all: a step sees eight times its batch. LOG.md has curves.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn

from vidsr.errors import OptionError
from vidsr.models.equivariant import SYMMETRIES, apply_symmetry, transform_kernel, use_orbit_convolutions


def begin(network: nn.Module, keep: bool) -> None:
    """Tie the kernels of ``network``; unless it is to ``keep`` what it does, at the size that they had.

    Raises:
        OptionError: its channels are no whole fields.
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
    """Move the kernels and biases of ``network`` to the nearest that are equivariant."""
    for conv, inner, outer in _layers(network):
        for parameter in conv.parameters():
            parameter.copy_(_mean(parameter, inner, outer))


@torch.no_grad()
def tie_gradients(network: nn.Module) -> None:
    """Make of their gradients those of the batch in all eight poses."""
    for conv, inner, outer in _layers(network):
        for parameter in conv.parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(_mean(parameter.grad, inner, outer))


def _layers(network: nn.Module) -> list[tuple[nn.Conv2d, bool, bool]]:
    """The convolutions of a chain, and whether what goes in and what comes out are fields: not the picture itself."""
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [(conv, n > 0, n < len(convs) - 1) for n, conv in enumerate(convs)]


def _mean(tensor: Tensor, inner: bool, outer: bool) -> Tensor:
    """`mean_kernel` of a kernel or of a bias, which hears nothing."""
    if tensor.ndim == 4:
        return mean_kernel(tensor, inner, outer)
    return mean_kernel(tensor[:, None, None, None], False, outer)[:, 0, 0, 0]


def mean_kernel(kernel: Tensor, inner: bool, outer: bool) -> Tensor:
    """The mean of ``kernel`` (out x in x rows x columns) over the poses.

    ``inner``, ``outer``: whether channels in and out are fields; otherwise in is the picture, out its sub-pixels.
    """
    places = _same_in_poses(kernel.shape, inner, outer, kernel.device)
    return kernel.flatten()[places].mean(0).view_as(kernel)


@cache
def _same_in_poses(shape: torch.Size, inner: bool, outer: bool, device: torch.device) -> Tensor:
    """8 x numbers of a kernel: which come to be where each is, in one order for all that are the same."""
    numbers = torch.arange(shape.numel()).view(shape)
    poses = []
    for pose in range(SYMMETRIES):
        taken = transform_kernel(numbers, pose, inner, outer)
        poses.append((taken if outer else _turned_subpixels(taken, pose)).flatten())
    return torch.stack(poses).sort(0).values.to(device)


def _turned_subpixels(kernel: Tensor, pose: int) -> Tensor:
    """``kernel`` with its channels out, sub-pixels of a square, in another pose."""
    last = kernel.movedim(0, -1)
    side = math.isqrt(len(kernel))
    square = last.reshape(*last.shape[:-1], side, side)
    return apply_symmetry(square, pose).reshape(last.shape).movedim(-1, 0)
