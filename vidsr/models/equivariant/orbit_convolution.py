"""Convolutions whose kernels are tied in all poses, computed by orbits on a CPU: kernels/group_convolution.py.

Channels are fields of eight, one for each pose: to turn the picture turns what each channel holds and moves it to
another place of its field. On a GPU, in half precision and where Numba is missing they are usual convolutions.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from vidsr.models.equivariant.symmetries import POSES, TAPS, characters, matrices, product, tap_after
from vidsr.models.self_ensemble import turned

if TYPE_CHECKING:
    from vidsr.models.equivariant.orbit_kernels import Spectrum

SAME = 1e-3  # of the largest number of a kernel: poses may have been rounded to fp16 on different sides


class GroupConvReLU(nn.Conv2d):
    """A valid 3x3 convolution and the ReLU behind it. The kernel is tied, and read at each field's first channel.

    So the gradient is that of what is read, eight times the mean over the poses of the usual one.
    """

    settled: Spectrum | None = None  # of a kernel that changes no more

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x D x H-2 x W-2, not negative."""
        if not _suits(x):
            return super().forward(x).relu()
        if self.settled is not None:
            return _convolved(x, self.settled, self.bias)
        result: Tensor = _Convolution.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = x.detach().contiguous()
        result = _convolved(x, _as_arrays(weight.detach()), bias.detach())
        ctx.save_for_backward(x, weight, result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        from vidsr.models.equivariant.orbit_kernels import convolve, correlate, rectified_gradient

        x, weight, result = ctx.saved_tensors
        asked = rectified_gradient(gradient.numpy(), result.numpy())
        to_input = None
        if ctx.needs_input_grad[0]:
            parts = _as_arrays(weight.transpose(0, 1).flip(2, 3))
            silent = torch.zeros(weight.shape[1]).numpy()
            to_input = torch.from_numpy(convolve(asked, parts, silent, rectify=False))
        with torch.enable_grad():
            kernel = weight.detach().requires_grad_()
            of_spectrum = [torch.from_numpy(part) for part in correlate(x.numpy(), asked)]
            (to_weight,) = torch.autograd.grad(spectrum(kernel), kernel, of_spectrum)
        return to_input, to_weight, torch.from_numpy(asked).sum((0, 2, 3))


def _convolved(x: Tensor, parts: Spectrum, bias: Tensor | None) -> Tensor:
    from vidsr.models.equivariant.orbit_kernels import convolve

    assert bias is not None
    return torch.from_numpy(convolve(x.contiguous().numpy(), parts, bias.numpy(), rectify=True))


def _as_arrays(kernel: Tensor) -> Spectrum:
    from vidsr.models.equivariant.orbit_kernels import Spectrum

    return Spectrum(*(part.contiguous().numpy() for part in spectrum(kernel)))


def spectrum(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """The transform on the group of a tied ``kernel`` (D x C x 3 x 3): `orbit_kernels.Spectrum`."""
    outer, inner = kernel.shape[0] // POSES, kernel.shape[1] // POSES
    taps = torch.from_numpy(tap_after()).expand(outer, inner, POSES, TAPS)
    orbits = read_part(kernel).reshape(outer, inner, POSES, TAPS).gather(3, taps)
    singles = torch.einsum("ih,ofhs->iofs", torch.from_numpy(characters()), orbits) / POSES
    pair = torch.einsum("hjk,ofhs->jokfs", torch.from_numpy(matrices()), orbits) * (2 / POSES)
    return singles.reshape(-1, outer, TAPS * inner), pair.reshape(2 * outer, 2 * TAPS * inner)


def read_part(kernel: Tensor) -> Tensor:
    """What tells all of a tied ``kernel``: of each field out the first channel."""
    return kernel[::POSES]


def in_all_poses(part: Tensor) -> Tensor:
    """The tied kernel whose `read_part` is ``part``."""
    poses = [in_pose(part, pose, outer=False) for pose in range(POSES)]
    return torch.stack(poses, 1).flatten(0, 1)


def is_tied(kernel: Tensor) -> bool:
    """Whether ``kernel``, from fields to fields, is the same in all poses."""
    if kernel.ndim != 4 or kernel.shape[2:] != (3, 3) or any(n % (2 * POSES) for n in kernel.shape[:2]):
        return False
    off = [(in_pose(kernel, pose) - kernel).abs().max() for pose in (1, POSES // 2)]  # the rest are made of these
    return bool(max(off) <= SAME * kernel.abs().max())


def in_pose(kernel: Tensor, pose: int, inner: bool = True, outer: bool = True) -> Tensor:
    """``kernel`` as it is where the picture has taken ``pose``: its taps, and the channels that are fields, moved.

    ``inner``, ``outer``: whether channels in and out are fields.
    """
    taken = kernel[:, moved(pose, kernel.shape[1])] if inner else kernel
    taken = taken[moved(pose, kernel.shape[0])] if outer else taken
    return turned(taken, pose)


@cache
def moved(pose: int, channels: int) -> Tensor:
    """Which channel comes to be at each place of its field when the picture takes ``pose``."""
    from_where = torch.from_numpy(product()[pose]).argsort()
    return (torch.arange(0, channels, POSES)[:, None] + from_where).flatten()


@cache
def isotypic(channels: int) -> list[Tensor]:
    """The parts that what a tied kernel lies on falls into: copies x m x 9 channels for each representation.

    Second moments over all poses have a block for each part, the same one for all its copies, and no more.
    """
    fields = channels // POSES
    unit = torch.eye(channels * TAPS).view(fields, POSES, TAPS, -1)  # field, place, tap
    taps = torch.from_numpy(tap_after())
    orbits = torch.stack([unit[:, pose][:, taps[pose]] for pose in range(POSES)])  # pose, field, orbit
    singles = torch.einsum("ih,hfsn->ifsn", torch.from_numpy(characters()), orbits) / POSES**0.5
    pair = torch.einsum("hjk,hfsn->jkfsn", torch.from_numpy(matrices()), orbits) / 2
    return [*singles.flatten(1, 2)[:, None], pair.flatten(1, 3)]


def by_orbits(network: nn.Module, settled: bool = False) -> int:
    """Let the tied convolutions of ``network`` that a ReLU follows, in sequences, be `GroupConvReLU`: how many.

    ``settled``: their weights change no more, so that what is made of them can be kept.
    """
    count = 0
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for n in range(len(layers) - 1):
            conv, after = layers[n], layers[n + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(after, nn.ReLU) and is_tied(conv.weight.detach().float()):
                layers[n], layers[n + 1] = _grouped(conv, settled), nn.Identity()
                count += 1
    return count


def _grouped(conv: nn.Conv2d, settled: bool) -> GroupConvReLU:
    grouped = GroupConvReLU(conv.in_channels, conv.out_channels, 3, device="meta")
    grouped.weight, grouped.bias = conv.weight, conv.bias
    grouped.settled = _as_arrays(conv.weight.detach()) if settled and _has_numba() else None
    return grouped


def spared(network: nn.Module) -> float:
    """Multiplications per pixel that the convolutions by orbits of ``network`` save: 52 of each 64."""
    layers = [layer for layer in network.modules() if isinstance(layer, GroupConvReLU)]
    return sum(layer.weight.numel() for layer in layers) * (1 - 12 / POSES**2)


@cache
def _has_numba() -> bool:
    return find_spec("numba") is not None


def _suits(x: Tensor) -> bool:
    usual = x.device.type != "cpu" or x.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
    return not usual and _has_numba()
