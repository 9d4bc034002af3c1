"""A larger network that starts out as exactly the smaller one it was grown from.

Chen, Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR 2016: layers are added as the
identity, which ReLU passes on after a ReLU, and channels as ones that nothing listens to yet.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from vidsr.models.plain import Plain
from vidsr.models.unshuffled import Glance, Unshuffled


@torch.no_grad()
def grow(network: nn.Module, source: nn.Module) -> bool:
    """Let ``network`` do what the smaller ``source`` does; False, and nothing done, where it can not contain it.

    Of another scale all but the last layer is grown, which stays fresh.
    """
    if type(network) is not type(source) or not _is_larger(_convolutions(network), _convolutions(source)):
        return False
    (*body, tail), (*source_body, source_tail) = _convolutions(network), _convolutions(source)
    for conv, known in zip(body, source_body, strict=False):
        _embed(conv, known)
    for conv in body[len(source_body) :]:
        _embed(conv, _identity(source_tail.in_channels))
    if tail.out_channels == source_tail.out_channels:  # of the same scale
        _embed(tail, source_tail)
    if isinstance(network, Unshuffled) and isinstance(source, Unshuffled):
        _embed_glance(network.glance, source.glance, (len(body), len(source_body)))
    return True


def _embed_glance(glance: Glance, known: Glance, layers: tuple[int, int]) -> None:
    """Of each layer's shifts, all layers' in a row, the first are those of ``known``, the others zero."""
    glance.load_state_dict({k: v for k, v in known.state_dict().items() if not k.startswith("last")}, strict=False)
    for ours, theirs in ((glance.last.weight, known.last.weight), (glance.last.bias, known.last.bias)):
        ours.zero_()
        there = theirs.view(layers[1], -1, *theirs.shape[1:])
        ours.view(layers[0], -1, *ours.shape[1:])[: layers[1], : there.shape[1]] = there


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


def _is_larger(convolutions: Sequence[nn.Conv2d], known: Sequence[nn.Conv2d]) -> bool:
    """Whether the one network has all layers and channels of the other, and more."""
    if not known:
        return False
    ours, theirs = ((len(all_), all_[-1].in_channels) for all_ in (convolutions, known))
    same_input = convolutions[0].in_channels == known[0].in_channels
    return same_input and ours != theirs and all(n >= m for n, m in zip(ours, theirs, strict=True))


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    """The layers of a network of a family that grows, first to last; of others none."""
    if isinstance(network, Plain):
        return [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
    if isinstance(network, Unshuffled) and network.look is None:
        return [layer for layer in (*network.body, network.tail) if isinstance(layer, nn.Conv2d)]
    return []
