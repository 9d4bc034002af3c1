"""Convolution and ReLU in one pass, for inference on a CPU: the same numbers, a tenth of the time less.

With tied kernels, computed by orbits, less than half of the time: benchmarks/group_convolution.py.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from vidsr.models.architectures.unshuffled import Unshuffled
from vidsr.models.equivariant import use_orbit_convolutions
from vidsr.models.layers import ImageNetwork


class ConvReLU(nn.Module):
    """A convolution without padding followed by ReLU, by the fused kernel of oneDNN."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        """N x C x H x W -> N x D x H-k+1 x W-k+1, not negative. ``shift`` (D): added before the ReLU."""
        bias = self.bias
        if shift is not None:
            assert bias is not None
            bias = (bias.float() + shift.float()).to(bias.dtype)
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(  # as the compiler of PyTorch calls it
            x, self.weight, bias, (0, 0), (1, 1), (1, 1), 1, "relu", [], ""
        )
        return result

    def joined(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the result for the channels of ``a`` followed by those of ``b``, which are not copied together."""
        own, others = self.weight[:, : a.shape[1]], self.weight[:, a.shape[1] :]
        how = ((0, 0), (1, 1), (1, 1), 1)
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(a, own, None, *how, "none", [], "")
        torch.ops.mkldnn._convolution_pointwise_.binary(result, b, others, self.bias, *how, "add", 1.0, "relu", [], "")
        return result


def fuse_layers(network: ImageNetwork) -> ImageNetwork:
    """Return a copy of ``network`` with convolutions and ReLUs fused, or ``network`` if PyTorch cannot do that."""
    if next(network.parameters()).device.type != "cpu" or not _has_kernel(network.dtype):
        return network
    network = copy.deepcopy(network)
    if network.dtype == torch.float32 and use_orbit_convolutions(network, frozen=True):
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # the orbit kernels read plane by plane
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            _fuse(module)
        if isinstance(module, Unshuffled):
            module.body = nn.ModuleList(ConvReLU(layer) for layer in module.body if isinstance(layer, nn.Conv2d))
            module.is_fused = True
    return network


def _fuse(layers: nn.Sequential) -> None:
    for name, next_name in zip(list(layers._modules), list(layers._modules)[1:], strict=False):
        conv, after = layers._modules[name], layers._modules[next_name]
        if isinstance(conv, nn.Conv2d) and isinstance(after, nn.ReLU) and _is_plain(conv):
            layers._modules[name], layers._modules[next_name] = ConvReLU(conv), nn.Identity()


def _is_plain(conv: nn.Conv2d) -> bool:
    return (conv.padding, conv.stride, conv.dilation, conv.groups) == ((0, 0), (1, 1), (1, 1), 1)


def _has_kernel(dtype: torch.dtype) -> bool:
    """Whether this PyTorch has the kernel (it is not public), and the processor computes in ``dtype``."""
    if not (torch._C._has_mkldnn and hasattr(torch.ops.mkldnn, "_convolution_pointwise")):
        return False
    return dtype == torch.float32 or bool(HALVES[dtype]())


# half precision -> whether oneDNN computes in it on this processor; otherwise PyTorch emulates it, slowly
HALVES = {
    torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
    torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
}
