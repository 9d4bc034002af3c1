"""Kernels tied under the eight symmetries: how symmetries act on them, what is tied, and how files store them.

Channels form fields of eight, one channel for each symmetry. Flipping or rotating the image flips or rotates each
channel and permutes the channels of a field. (Cohen, Welling, "Group equivariant convolutional networks", ICML 2016.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from vidsr.models.equivariant.symmetries import (
    FIRST_FLIP,
    SYMMETRIES,
    TAPS,
    apply_symmetry,
    characters,
    composition,
    matrices,
    tap_permutations,
    undo_symmetry,
)

SAME_KERNEL = 1e-3  # of the largest weight: rounding to fp16 may differ between symmetries
SAME_OUTPUT = 1e-4  # of full range
GENERATORS = (1, FIRST_FLIP)  # a quarter turn and a flip: all symmetries are products of these


@torch.inference_mode()
def is_equivariant(network: nn.Module | Callable[[Tensor], Tensor]) -> bool:
    """Whether the network (in float32) is equivariant under rotations and flips."""
    device = next(network.parameters()).device if isinstance(network, nn.Module) else None
    image = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(device)
    output = network(image)
    others = (undo_symmetry(network(apply_symmetry(image, symmetry)), symmetry) for symmetry in GENERATORS)
    return all(torch.allclose(other, output, rtol=0, atol=SAME_OUTPUT) for other in others)


def is_tied(kernel: Tensor) -> bool:
    """Whether ``kernel``, from fields to fields, is the same under all symmetries."""
    if kernel.ndim != 4 or kernel.shape[2:] != (3, 3) or any(n % (2 * SYMMETRIES) for n in kernel.shape[:2]):
        return False
    differences = [(transform_kernel(kernel, symmetry) - kernel).abs().max() for symmetry in GENERATORS]
    return bool(max(differences) <= SAME_KERNEL * kernel.abs().max())


def transform_kernel(kernel: Tensor, symmetry: int, inner: bool = True, outer: bool = True) -> Tensor:
    """Return ``kernel`` as it acts on the transformed image: its taps moved, and the channels of its fields.

    ``inner``, ``outer``: whether input and output channels are fields.
    """
    moved = kernel[:, channel_order(symmetry, kernel.shape[1])] if inner else kernel
    moved = moved[channel_order(symmetry, kernel.shape[0])] if outer else moved
    return apply_symmetry(moved, symmetry)


@cache
def channel_order(symmetry: int, channels: int) -> Tensor:
    """The channel that a symmetry of the image moves to each place, field by field."""
    within_field = torch.from_numpy(composition()[symmetry]).argsort()
    return (torch.arange(0, channels, SYMMETRIES)[:, None] + within_field).flatten()


def first_of_fields(kernel: Tensor) -> Tensor:
    """Return the part of a tied ``kernel`` that determines it: the first output channel of each field."""
    return kernel[::SYMMETRIES]


def all_of_fields(part: Tensor) -> Tensor:
    """Return the tied kernel that ``part`` (`first_of_fields`) determines."""
    channels = [transform_kernel(part, symmetry, outer=False) for symmetry in range(SYMMETRIES)]
    return torch.stack(channels, 1).flatten(0, 1)


def compress_tied(tensor: Tensor) -> Tensor:
    """Return what a weights file stores of ``tensor``: an eighth of a tied kernel, else all of it."""
    return first_of_fields(tensor) if is_tied(tensor) else tensor


def expand_tied(stored: Tensor, wanted: Tensor) -> Tensor:
    """Return ``stored`` in the shape of ``wanted``: a tied kernel is completed from its stored eighth."""
    is_part = stored.ndim == 4 and len(stored) * SYMMETRIES == len(wanted)
    return all_of_fields(stored) if is_part else stored


@cache
def isotypic_bases(channels: int) -> list[Tensor]:
    """Bases of the isotypic parts of a patch under a tied kernel: copies x m x 9 channels for each representation.

    Second moments over all symmetries are block-diagonal in them: one block for each part, equal for all its copies.
    """
    fields = channels // SYMMETRIES
    unit = torch.eye(channels * TAPS).view(fields, SYMMETRIES, TAPS, -1)  # field, channel, tap
    taps = torch.from_numpy(tap_permutations())
    orbits = torch.stack([unit[:, number][:, taps[number]] for number in range(SYMMETRIES)])  # symmetry, field, orbit
    singles = torch.einsum("ih,hfsn->ifsn", torch.from_numpy(characters()), orbits) / SYMMETRIES**0.5
    pair = torch.einsum("hjk,hfsn->jkfsn", torch.from_numpy(matrices()), orbits) / 2
    return [*singles.flatten(1, 2)[:, None], pair.flatten(1, 3)]
