"""Reparameterised convolutions: a richer form for training that collapses to one plain convolution."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Return a context that computes in the types of the tensors; "meta", which computes nothing, has no autocast."""
    device = tensor.device.type
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)


class RepConv(nn.Module):
    """A 3x3 convolution without padding, as a sum of branches that collapse to one kernel. For training only.

    Branches: 3x3, 1x1 expansion to twice the channels followed by 3x3, 1x1, and identity where the channel counts
    allow; one bias, outside the branches. The kernel is collapsed at every step, so that a training step costs what
    the plain network costs. (ECBSR, Zhang et al. 2021; collapsing while training: SESR, Bhardwaj et al. 2022.)
    """

    def __init__(self, conv: nn.Conv2d, keep: bool) -> None:
        """Add branches to ``conv``. ``keep``: start from exactly its function instead of from a richer sum."""
        super().__init__()
        out_channels, in_channels = conv.weight.shape[:2]
        wide = 2 * max(in_channels, out_channels)
        fresh = nn.Conv2d(wide, out_channels, 3)
        self.weight = nn.Parameter(conv.weight.detach().clone())
        self.expand = nn.Parameter(nn.Conv2d(in_channels, wide, 1).weight.detach()[:, :, 0, 0].clone())
        self.reduce = nn.Parameter(fresh.weight.detach().clone())
        self.pointwise = nn.Parameter(nn.Conv2d(in_channels, out_channels, 1).weight.detach()[:, :, 0, 0].clone())
        bias = torch.zeros(out_channels) if conv.bias is None else conv.bias.detach().clone()
        self.bias = nn.Parameter(bias)
        self.has_identity = in_channels == out_channels
        if keep:
            with torch.no_grad():
                self.weight.add_(conv.weight - self.kernel())

    def kernel(self) -> Tensor:
        """Return the 3x3 kernel that equals the sum of the branches."""
        with without_autocast(self.weight):
            centre: Tensor = self.pointwise
            if self.has_identity:
                centre = centre + torch.eye(len(centre), device=centre.device)
            out_channels, wide = self.reduce.shape[:2]
            expanded = self.reduce.permute(0, 2, 3, 1).reshape(-1, wide) @ self.expand
            expanded = expanded.view(out_channels, 3, 3, -1).permute(0, 3, 1, 2)
            return self.weight + expanded + F.pad(centre[:, :, None, None], (1, 1, 1, 1))

    def branches(self, x: Tensor) -> Tensor:
        """Return the sum of the branches, run one by one. Tests compare `kernel` with it."""
        y = F.conv2d(x, self.weight, self.bias)
        y = y + F.conv2d(F.conv2d(x, self.expand[:, :, None, None]), self.reduce)
        y = y + F.conv2d(x[..., 1:-1, 1:-1], self.pointwise[:, :, None, None])
        return y + x[..., 1:-1, 1:-1] if self.has_identity else y

    def forward(self, x: Tensor) -> Tensor:
        """Convolve with the collapsed kernel."""
        return F.conv2d(x, self.kernel().clone(memory_format=torch.channels_last), self.bias)

    def collapse(self) -> nn.Conv2d:
        """Return the equivalent plain convolution."""
        return _plain_conv(self.kernel(), self.bias)


class NormConv(nn.Module):
    """A convolution without bias, followed by batch norm. For training only: it collapses to one convolution."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        assert isinstance(conv, nn.Conv2d)
        self.conv = _like(conv, bias=False)
        self.conv.weight.data = conv.weight.detach().clone()
        self.norm = nn.BatchNorm2d(conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and normalise, by the statistics of the batch in training, else by those of training."""
        y: Tensor = self.norm(self.conv(x))
        return y

    def collapse(self) -> nn.Conv2d:
        """Return the equivalent plain convolution."""
        mean, variance = self.norm.running_mean, self.norm.running_var
        assert mean is not None and variance is not None
        gain = self.norm.weight.detach() / torch.sqrt(variance + self.norm.eps)
        conv = _like(self.conv, bias=True)
        conv.weight.data = self.conv.weight.detach() * gain[:, None, None, None]
        conv.bias = nn.Parameter(self.norm.bias.detach() - mean * gain)
        return conv


def _plain_conv(kernel: Tensor, bias: Tensor) -> nn.Conv2d:
    """A plain 3x3 convolution with copies of ``kernel`` and ``bias``."""
    out_channels, in_channels = kernel.shape[:2]
    conv = nn.Conv2d(in_channels, out_channels, 3)
    conv.weight.data = kernel.detach().clone()
    conv.bias = nn.Parameter(bias.detach().clone())
    return conv


def _like(conv: nn.Conv2d, bias: bool) -> nn.Conv2d:
    """A new convolution of the shape of ``conv``."""
    twin = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size[0], bias=bias)
    twin.padding = conv.padding
    return twin


def reparameterise(network: nn.Module, keep: bool = False) -> None:
    """Replace every 3x3 convolution of ``network`` without padding, in place, by its training form."""
    for name, child in network.named_children():
        if isinstance(child, nn.Conv2d) and _is_plain(child):
            setattr(network, name, RepConv(child, keep))
        else:
            reparameterise(child, keep)


def _is_plain(conv: nn.Conv2d) -> bool:
    return (conv.kernel_size, conv.padding, conv.stride, conv.groups) == ((3, 3), (0, 0), (1, 1), 1)


def collapse(network: nn.Module) -> None:
    """Replace every training form in ``network``, in place, by its plain convolution."""
    for name, child in network.named_children():
        if isinstance(child, RepConv | NormConv):
            setattr(network, name, child.collapse())
        else:
            collapse(child)
