"""A larger network that starts out as exactly the smaller one it was grown from.

Chen, Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR 2016: layers are added as the
identity, which ReLU passes on after a ReLU, and channels as ones that nothing listens to yet.
"""

from __future__ import annotations

import torch
from torch import nn

from vidsr.models.plain import Plain


@torch.no_grad()
def grow(network: nn.Module, source: nn.Module) -> bool:
    """Let ``network`` do what the smaller ``source`` does; False, and nothing done, where it can not contain it.

    Of another scale all but the last layer is grown, which stays fresh.
    """
    if not (isinstance(network, Plain) and isinstance(source, Plain) and _is_larger(network, source)):
        return False
    (*body, tail), (*source_body, source_tail) = _convolutions(network), _convolutions(source)
    for conv, known in zip(body, source_body, strict=False):
        _embed(conv, known)
    for conv in body[len(source_body) :]:
        _embed(conv, _identity(source_tail.in_channels))
    if network.scale == source.scale:
        _embed(tail, source_tail)
    return True


def _embed(conv: nn.Conv2d, known: nn.Conv2d) -> None:
    """The first channels of ``conv`` do what ``known`` does, and hear nothing of the others."""
    outputs, inputs = known.weight.shape[:2]
    conv.weight[:outputs] = 0
    conv.weight[:outputs, :inputs] = known.weight
    assert conv.bias is not None and known.bias is not None
    conv.bias[:outputs] = known.bias


def _identity(channels: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, channels, 3)
    nn.init.dirac_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def _is_larger(network: Plain, source: Plain) -> bool:
    """Whether ``network`` has all layers and channels of ``source``, and more."""
    ours, theirs = _size(network), _size(source)
    return ours != theirs and all(n >= m for n, m in zip(ours, theirs, strict=True))


def _size(network: Plain) -> tuple[int, int]:
    """Layers and channels."""
    convolutions = _convolutions(network)
    return len(convolutions), convolutions[-1].in_channels


def _convolutions(network: Plain) -> list[nn.Conv2d]:
    return [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
