"""Parts that the networks share: the base classes, the edge of a picture, the sub-pixel head, first weights."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.errors import ModelError
from vidsr.models.reparameterised import reparameterise

# How a picture goes on beyond its edge: mirrored, its last pixel repeated (c b a | a b c) or not (c b | a b c). Reduced
# pictures were mirrored the first way when they were reduced: what lies beyond is then what the networks have learnt.
Edge = Literal["symmetric", "reflect"]


class LumaNetwork(nn.Module):
    """A luma network: N x 1 x H x W in [0, 1] (code / peak) -> N x 1 x scale*H x scale*W float32.

    The picture's edge is continued once, by the receptive field, and no convolution pads. (Zero padding inside costs
    0.6 dB on Set5 when training, rightly, leaves out of the loss what padding reached.)

    The weights of an anchored network may be cast to bf16 or fp16; the input is cast to them inside, and the anchor,
    which carries the picture's mean, stays in float32.
    """

    scale: int
    halo: int  # receptive-field radius in input pixels: how far an output pixel looks; a multiple of the alignment
    # Networks that work at a fraction of the size cut the picture into squares of this side, counted from its corner:
    # what they read must begin on one, and be padded to whole ones.
    alignment: int = 1
    # Whether the input's upscale is added to what the layers say. Without it they carry the picture's mean themselves:
    # they stay in float32, in use and in training, and training starts from exactly their first weights.
    anchored = True
    shuffles_last = False  # whether all layers work at the input's size, and the result is put together of their last
    edge: Edge = "symmetric"

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights, in which the body runs."""
        return next(self.parameters()).dtype

    def forward(self, x: Tensor, whole: Tensor | None = None) -> Tensor:
        """Upscaled luma, float32, not clipped. ``whole``: what `survey` says of the picture that ``x`` is a part of."""
        height, width = x.shape[-2:]
        result = self.informed(self.framed(x), self.survey(x) if whole is None else whole)
        return result[..., : height * self.scale, : width * self.scale]

    def framed(self, x: Tensor) -> Tensor:
        """``x`` with ``halo`` pixels around it, and more to the right and below up to the alignment."""
        right, bottom = (self.halo + -n % self.alignment for n in (x.shape[-1], x.shape[-2]))
        return padded(x, self.halo, right, self.halo, bottom, self.edge)

    def survey(self, x: Tensor) -> Tensor | None:
        """What the network must know of a whole picture to work on a part of it; most need nothing."""
        return None

    def informed(self, x: Tensor, whole: Tensor | None) -> Tensor:
        """`interior` with what `survey` said."""
        return self.interior(x)

    def interior(self, x: Tensor) -> Tensor:
        """The upscale of ``x`` without its outermost ``halo`` pixels, which are only looked at."""
        raise NotImplementedError

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Take on, in place, the form that trains better and that ``collapse`` takes off again.

        ``keep``: start from exactly the present function instead of from a richer one. ``branches``: with convolutions
        that are sums of branches, which an optimiser that looks into convolutions has no use for.
        """
        if branches:
            reparameterise(self, keep or not self.anchored)


class RestorationNetwork(LumaNetwork):
    """A luma network that keeps the size. ``ModelError`` for any scale but 1."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        if scale != 1:
            raise ModelError(f"scale {scale}: a restoration network keeps the size, its scale is 1")
        self.scale = scale


class SurveyingNetwork(RestorationNetwork):
    """One that looks at the whole picture first: what it does is said in `survey` and `informed`."""

    def interior(self, x: Tensor) -> Tensor:
        """The restoration of ``x``, taken for a whole picture, without its outermost ``halo`` pixels."""
        return self.informed(x, self.survey(x))


class SubpixelNetwork(LumaNetwork):
    """A network that ends in an anchor and one sub-pixel shuffle, which may then be done in whatever way is fastest."""

    shuffles_last = True

    def interior(self, x: Tensor) -> Tensor:
        """The upscale of ``x`` without its outermost ``halo`` pixels."""
        return add_anchor(self.residual(x), inside(x, self.halo), self.scale)

    def residual(self, x: Tensor) -> Tensor:
        """What is added to the anchor, before the shuffle: N x scale**2 x H - 2 halo x W - 2 halo, in its own type."""
        raise NotImplementedError


def inside(picture: Tensor, border: int) -> Tensor:
    """``picture`` (... x H x W) without ``border`` pixels on each side."""
    return picture[..., border : picture.shape[-2] - border, border : picture.shape[-1] - border]


def padded(x: Tensor, left: int, right: int, top: int, bottom: int, edge: Edge = "reflect") -> Tensor:
    """``x`` (N x C x H x W) with so many more pixels on each side, more than it has itself if need be."""
    height, width = x.shape[-2:]
    if edge == "reflect" and max(left, right) < width and max(top, bottom) < height:
        return F.pad(x, (left, right, top, bottom), mode="reflect")  # what PyTorch knows itself is faster
    return _longer(_longer(x, 2, top, bottom, edge), 3, left, right, edge)


def _longer(x: Tensor, dim: int, before: int, after: int, edge: Edge) -> Tensor:
    """``x`` with so many more samples at both ends of ``dim``; what it has is copied as it is, which is fast."""
    length = x.shape[dim]
    places = _mirrored(length, before, after, edge, x.device)
    ends = places[:before], places[before + length :]
    return torch.cat([x.index_select(dim, ends[0]), x, x.index_select(dim, ends[1])], dim)


def _mirrored(length: int, before: int, after: int, edge: Edge, device: torch.device) -> Tensor:
    """Where the samples of a line lie that is mirrored at both ends, again and again."""
    twice = int(edge == "symmetric")  # whether its last sample is met twice
    period = max(1, 2 * (length - 1 + twice))
    place = torch.arange(-before, length + after, device=device) % period
    return torch.minimum(place, period - twice - place)


def add_anchor(residual: Tensor, x: Tensor, scale: int) -> Tensor:
    """Nearest-neighbour upscale of ``x`` plus the sub-pixel shuffle of ``residual`` (N x scale**2 x H x W), float32."""
    if residual.requires_grad or torch.compiler.is_compiling():
        return F.pixel_shuffle(residual.float() + x.float(), scale)  # the anchor before the shuffle is a broadcast
    # One pass that converts, adds and shuffles: 2.5 to 4.5 times as fast as the line above on a CPU.
    return shuffled_onto(x.float()[:, 0, :, None, :, None], residual, scale)


def shuffled_onto(anchor: Tensor, residual: Tensor, scale: int) -> Tensor:
    """``anchor`` plus the sub-pixel shuffle of ``residual`` (N x scale**2 x H x W, any type), float32, in one pass.

    ``anchor``: float32 that broadcasts to N x H x scale x W x scale, a pixel's sub-pixels apart in rows and columns.
    """
    n, _, height, width = residual.shape
    result = torch.empty(n, 1, height * scale, width * scale, device=anchor.device)
    rows = residual.permute(0, 2, 3, 1).view(n, height, width, scale, scale).transpose(2, 3)
    torch.add(rows, anchor, out=result.view(n, height, scale, width, scale))
    return result


@torch.no_grad()
def carry_picture(
    head: nn.Conv2d, middle: nn.Conv2d, tail: nn.Conv2d, gain: float = 1.0, centre: float = 0.0, detail: float = 1.0
) -> None:
    """Start a three-layer network without anchor as the identity.

    Channel 0 of each layer carries ``gain`` times x, less ``centre``, which the last bias gives back. The other first
    kernels sum to zero, ``detail`` times larger than usual: they see detail alone, around the bend of the activation.
    Without that the mean of the picture holds every unit on one side of the bend, and the network stays as good as
    the best linear filter for thousands of steps.
    """
    head.weight -= head.weight.mean((2, 3), keepdim=True)
    head.weight *= detail
    middle.weight[:, 0] = 0
    for conv, value in ((head, gain), (middle, 1.0)):
        conv.weight[0] = 0
        conv.weight[0, 0, conv.kernel_size[0] // 2, conv.kernel_size[1] // 2] = value
    tail.weight *= 0.1
    tail.weight[:, 0] = 0
    tail.weight[:, 0, tail.kernel_size[0] // 2, tail.kernel_size[1] // 2] = 1 / gain
    for conv in (head, middle, tail):
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    if centre and head.bias is not None and tail.bias is not None:
        head.bias[0] = -gain * centre
        tail.bias += centre


def hold_picture(head: nn.Conv2d, middle: nn.Conv2d, tail: nn.Conv2d) -> None:
    """Train all of a network begun by `carry_picture` but the channel that carries the picture: an anchor inside it.

    A rate at which the others learn would shake that channel's gain, and with it the brightness of the result.
    """
    for conv in (head, middle):
        for parameter in (conv.weight, conv.bias):
            assert parameter is not None
            _hold(parameter, 0)
    _hold(tail.weight, 1)


def _hold(parameter: Tensor, dim: int) -> None:
    """Let no gradient reach what is first along ``dim``."""
    first = torch.zeros(1, dtype=torch.long)
    if parameter.requires_grad:
        parameter.register_hook(lambda g: g.index_fill(dim, first.to(g.device), 0))  # type: ignore[no-untyped-call]
