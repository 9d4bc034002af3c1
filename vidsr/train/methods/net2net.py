"""Net2Net: initialise a larger network with exactly the function of a smaller one.

Chen, Goodfellow, Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR 2016. Added layers are the
identity, which a ReLU after a ReLU keeps. Added channels have zero weights into the next layer. A plain network also
expands into an SRResNet of twice its channels: each block replaces its input by the output of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from vidsr.models.architectures.plain import Plain
from vidsr.models.architectures.srresnet import Block, Srresnet
from vidsr.models.architectures.unshuffled import ShiftEstimator, Unshuffled


@torch.no_grad()
def expand(network: nn.Module, source: nn.Module) -> bool:
    """Give ``network`` the function of the smaller ``source``, if it can contain it.

    Returns whether it can; otherwise ``network`` is unchanged. If the scales differ, the last layer keeps its random
    weights, except in plain networks (`resample_tail`).
    """
    if isinstance(network, Srresnet) and isinstance(source, Plain):
        return _expand_to_srresnet(network, source)
    if type(network) is not type(source) or not _is_larger(_convolutions(network), _convolutions(source)):
        return False
    (*body, tail), (*source_body, source_tail) = _convolutions(network), _convolutions(source)
    for conv, known in zip(body, source_body, strict=False):
        _embed(conv, known)
    for conv in body[len(source_body) :]:
        _embed(conv, _identity(source_tail.in_channels))
    if tail.out_channels == source_tail.out_channels:  # of the same scale
        _embed(tail, source_tail)
    else:
        resample_tail(network, source)
    if isinstance(network, Unshuffled) and isinstance(source, Unshuffled):
        _embed_shift_estimator(network.shift_estimator, source.shift_estimator, (len(body), len(source_body)))
    return True


@torch.no_grad()
def resample_tail(network: nn.Module, source: nn.Module) -> None:
    """Initialise the last layer from that of a network of another scale.

    The kernels of all sub-pixels form an image, and its resized version is a good start. Does nothing unless both are
    plain networks with the same number of channels.
    """
    if not (isinstance(network, Plain) and isinstance(source, Plain)):
        return
    tail, known = _convolutions(network)[-1], _convolutions(source)[-1]
    if tail.in_channels != known.in_channels:
        return
    assert tail.bias is not None and known.bias is not None
    for ours, theirs in ((tail.weight, known.weight), (tail.bias, known.bias)):
        image = theirs.view(source.scale, source.scale, 1, -1).permute(2, 3, 0, 1)
        size = (network.scale, network.scale)
        resized = F.interpolate(image, size, mode="bilinear", antialias=True)
        ours.copy_(resized.permute(2, 3, 0, 1).reshape(ours.shape))


def _expand_to_srresnet(network: Srresnet, source: Plain) -> bool:
    """Let each block of ``network`` compute a layer of ``source``.

    The first channels hold the outputs of the layers.
    """
    head, *body, tail = _convolutions(source)
    width = tail.in_channels
    if network.scale != source.scale or len(network.blocks) < len(body) or network.head.out_channels < 2 * width:
        return False
    _embed(network.head, head)
    for index, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        _embed_block(block, body[index] if index < len(body) else None, width)
    merge = network.merge
    assert isinstance(merge, nn.Conv2d)
    _zero(merge, slice(None))
    for channel in range(width):  # the skip adds the first features: their copy is subtracted from the upper channels
        merge.weight[width + channel, channel, 1, 1] = 1
        merge.weight[width + channel, width + channel, 1, 1] = -1
    _embed_tail(network, tail, width)
    return True


def _embed_block(block: Block, known: nn.Conv2d | None, width: int) -> None:
    """Replace the first ``width`` channels by the output of ``known``.

    A ReLU follows. None: the channels stay as they are.
    """
    first, second = block.first, block.second
    assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
    _zero(second, slice(None))
    if known is None:
        return
    _embed(first, known)
    _zero(first, slice(width, 2 * width))
    for channel in range(width):
        first.weight[width + channel, channel, 1, 1] = 1  # not negative after a ReLU, so the next ReLU keeps it
        second.weight[channel, channel, 1, 1] = 1
        second.weight[channel, width + channel, 1, 1] = -1


def _embed_tail(network: Srresnet, known: nn.Conv2d, width: int) -> None:
    """Let the sub-pixel steps compute those of ``known``.

    Positive and negative parts are in separate channels.
    """
    step, scale, (rise, *later) = network.steps[0], network.scale, network.rises
    inner = scale // step  # sub-pixels a side that the later step makes of each sub-pixel of the first
    assert isinstance(rise, nn.Conv2d) and rise.bias is not None and known.bias is not None
    for row, column in product(range(scale), repeat=2):
        place, part = row // inner * step + column // inner, row % inner * inner + column % inner
        for side, sign in enumerate((1, -1)):
            output = (2 * part + side) * step**2 + place
            _zero(rise, slice(output, output + 1))
            rise.weight[output, width : 2 * width] = sign * known.weight[row * scale + column]
            rise.bias[output] = sign * known.bias[row * scale + column]
    for second in later:
        assert isinstance(second, nn.Conv2d)
        _zero(second, slice(2 * inner**2))
        for part, side in product(range(inner**2), range(2)):
            second.weight[side * inner**2 + part, 2 * part + side, 1, 1] = 1
    _zero(network.tail, slice(None))
    middle = network.tail.kernel_size[0] // 2
    for side, sign in enumerate((1, -1)):
        network.tail.weight[0, side, middle, middle] = sign


def _zero(conv: nn.Conv2d, outputs: slice) -> None:
    """Set the weights and biases of these outputs of ``conv`` to zero."""
    assert conv.bias is not None
    conv.weight[outputs] = 0
    conv.bias[outputs] = 0


def _embed_shift_estimator(estimator: ShiftEstimator, known: ShiftEstimator, layers: tuple[int, int]) -> None:
    """Copy the shifts of ``known`` to the first channels of each layer.

    The other channels get zero.
    """
    estimator.load_state_dict({k: v for k, v in known.state_dict().items() if not k.startswith("last")}, strict=False)
    for ours, theirs in ((estimator.last.weight, known.last.weight), (estimator.last.bias, known.last.bias)):
        ours.zero_()
        there = theirs.view(layers[1], -1, *theirs.shape[1:])
        ours.view(layers[0], -1, *ours.shape[1:])[: layers[1], : there.shape[1]] = there


def _embed(conv: nn.Conv2d, known: nn.Conv2d) -> None:
    """Let the first channels of ``conv`` compute ``known``.

    Its kernels are no larger. The first channels do not depend on the others.
    """
    outputs, inputs = known.weight.shape[:2]
    border = (conv.kernel_size[0] - known.kernel_size[0]) // 2
    conv.weight[:outputs] = 0
    conv.weight[:outputs, :inputs] = F.pad(known.weight, [border] * 4)
    assert conv.bias is not None and known.bias is not None
    conv.bias[:outputs] = known.bias


def _identity(channels: int) -> nn.Conv2d:
    conv = nn.Conv2d(channels, channels, 3)
    nn.init.dirac_(conv.weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv


def _is_larger(convolutions: Sequence[nn.Conv2d], known: Sequence[nn.Conv2d]) -> bool:
    """Whether the first network has all layers and channels of the second, and more."""
    if not known:
        return False
    ours, theirs = ((len(all_), all_[-1].in_channels) for all_ in (convolutions, known))
    same_input = convolutions[0].in_channels == known[0].in_channels
    return same_input and ours != theirs and all(n >= m for n, m in zip(ours, theirs, strict=True))


def _convolutions(network: nn.Module) -> list[nn.Conv2d]:
    """Return the convolutions of a network that can be expanded; else none."""
    if isinstance(network, Plain):
        return [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
    if isinstance(network, Unshuffled) and network.deconvolution is None:
        return [layer for layer in (*network.body, network.tail) if isinstance(layer, nn.Conv2d)]
    return []
