"""Layers that compute convolutions with tied kernels by orbits (orbit_kernels.py), in inference and in training.

The orbit kernels serve float32 on a CPU with Numba. Everywhere else the layers are usual convolutions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vidsr.models.equivariant.symmetries import SYMMETRIES, TAPS, characters, matrices, tap_permutations
from vidsr.models.equivariant.tied import first_of_fields, is_tied

try:
    from vidsr.models.equivariant.orbit_kernels import Spectrum, convolve, correlate, rectified_gradient
except ImportError:  # Numba is missing, as on a machine that only trains on a GPU
    HAS_NUMBA = False
else:
    HAS_NUMBA = True


class OrbitConvReLU(nn.Conv2d):
    """A valid 3x3 convolution with a tied kernel, followed by ReLU. Only the first channel of each field is read.

    So the gradient is that of the first channels: eight times the mean over the symmetries of the usual gradient.
    """

    frozen: Spectrum | None = None  # the transform of a kernel that does not change any more

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x D x H-2 x W-2, not negative."""
        if not _has_orbit_kernels(x):
            return super().forward(x).relu()
        if self.frozen is not None:
            return _convolve(x, self.frozen, self.bias)
        result: Tensor = _OrbitConvolution.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return result


class _OrbitConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = x.detach().contiguous()
        result = _convolve(x, _as_arrays(weight.detach()), bias.detach())
        ctx.save_for_backward(x, weight, result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight, result = ctx.saved_tensors
        before_relu = rectified_gradient(gradient.numpy(), result.numpy())
        to_input = None
        if ctx.needs_input_grad[0]:
            transposed = _as_arrays(weight.transpose(0, 1).flip(2, 3))
            no_bias = torch.zeros(weight.shape[1]).numpy()
            to_input = torch.from_numpy(convolve(before_relu, transposed, no_bias, rectify=False))
        with torch.enable_grad():
            kernel = weight.detach().requires_grad_()
            of_spectrum = [torch.from_numpy(part) for part in correlate(x.numpy(), before_relu)]
            (to_weight,) = torch.autograd.grad(spectrum(kernel), kernel, of_spectrum)
        return to_input, to_weight, torch.from_numpy(before_relu).sum((0, 2, 3))


def _convolve(x: Tensor, kernel: Spectrum, bias: Tensor | None) -> Tensor:
    assert bias is not None
    return torch.from_numpy(convolve(x.contiguous().numpy(), kernel, bias.numpy(), rectify=True))


def _as_arrays(kernel: Tensor) -> Spectrum:
    return Spectrum(*(part.contiguous().numpy() for part in spectrum(kernel)))


def spectrum(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Fourier transform on the group of a tied ``kernel`` (D x C x 3 x 3): `orbit_kernels.Spectrum`."""
    outer, inner = kernel.shape[0] // SYMMETRIES, kernel.shape[1] // SYMMETRIES
    taps = torch.from_numpy(tap_permutations()).expand(outer, inner, SYMMETRIES, TAPS)
    orbits = first_of_fields(kernel).reshape(outer, inner, SYMMETRIES, TAPS).gather(3, taps)
    singles = torch.einsum("ih,ofhs->iofs", torch.from_numpy(characters()), orbits) / SYMMETRIES
    pair = torch.einsum("hjk,ofhs->jokfs", torch.from_numpy(matrices()), orbits) * (2 / SYMMETRIES)
    return singles.reshape(-1, outer, TAPS * inner), pair.reshape(2 * outer, 2 * TAPS * inner)


def use_orbit_convolutions(network: nn.Module, frozen: bool = False) -> int:
    """Replace, in place, each tied convolution followed by ReLU in a sequence by an `OrbitConvReLU`.

    ``frozen``: the weights do not change any more, so that their transforms are computed once.

    Returns:
        The number of replaced layers.
    """
    count = 0
    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for n in range(len(layers) - 1):
            conv, after = layers[n], layers[n + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(after, nn.ReLU) and is_tied(conv.weight.detach().float()):
                layers[n], layers[n + 1] = _orbit_layer(conv, frozen), nn.Identity()
                count += 1
    return count


def _orbit_layer(conv: nn.Conv2d, frozen: bool) -> OrbitConvReLU:
    layer = OrbitConvReLU(conv.in_channels, conv.out_channels, 3, device="meta")
    layer.weight, layer.bias = conv.weight, conv.bias
    layer.frozen = _as_arrays(conv.weight.detach()) if frozen and HAS_NUMBA else None
    return layer


def saved_multiplications(network: nn.Module) -> float:
    """Return the multiplications per pixel that the orbit convolutions of ``network`` save: 52 of each 64."""
    layers = [layer for layer in network.modules() if isinstance(layer, OrbitConvReLU)]
    return sum(layer.weight.numel() for layer in layers) * (1 - 12 / SYMMETRIES**2)


def _has_orbit_kernels(x: Tensor) -> bool:
    return HAS_NUMBA and x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
