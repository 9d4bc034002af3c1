"""Parts that networks share: base classes, padding, the anchor with its pixel shuffle, and initial weights."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.errors import ModelError
from vidsr.models.int8 import Calibration
from vidsr.models.reparameterised import reparameterise

# How an image is mirrored at its edge: with the edge pixel repeated (c b a | a b c) or without (c b | a b c). The
# downscaling of training images mirrors the first way, so upscaling networks have learnt that.
Edge = Literal["symmetric", "reflect"]


class ImageNetwork(nn.Module):
    """A network that maps an image to a larger one: N x channels x H x W in [0, 1] -> N x channels x scale*H x scale*W.

    The result is float32 and not clipped. `LumaNetwork` works on luma, `vidsr.models.rgb_network.RgbNetwork` on RGB.
    """

    channels: int  # 1: luma, 3: RGB
    scale: int
    halo: int  # radius of the receptive field, input pixels; a multiple of the alignment
    # Networks that work at a fraction of the size divide the image into squares of this side. Tiles must begin at the
    # corner of a square and hold whole squares.
    alignment: int = 1
    # Whether the upscaled input is added to the output of the layers. Otherwise the layers carry the mean of the image,
    # for which bf16 has too few digits.
    anchored = True
    calibration: Calibration = MappingProxyType({})  # the int8 form of convolutions; empty if there is none
    shuffles_last = False  # whether all layers work at the input size, and a pixel shuffle ends the network

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights, in which the body runs."""
        return next(self.parameters()).dtype

    @property
    def half_precisions(self) -> tuple[torch.dtype, ...]:
        """Half precisions that are exact enough for this kind of network."""
        raise NotImplementedError

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Return the larger image. ``features``: the `global_features` of the image of which ``x`` is a tile."""
        raise NotImplementedError

    def global_features(self, x: Tensor) -> Tensor | None:
        """Return features of the whole image that its tiles need; most networks need none."""
        return None


class LumaNetwork(ImageNetwork):
    """A luma network: N x 1 x H x W in [0, 1] (code / peak) -> N x 1 x scale*H x scale*W float32.

    The image is padded once, by the receptive field, and no convolution pads. (Zero padding inside costs 0.6 dB on Set5
    when training, rightly, leaves out of the loss what padding reached.)

    The weights of an anchored network may be cast to bf16 or fp16. The input is cast to them inside; the anchor, which
    carries the mean of the image, stays in float32. Without an anchor the layers stay in float32, in inference and in
    training, and training starts from exactly their first weights.
    """

    channels = 1
    edge: Edge = "symmetric"

    @property
    def half_precisions(self) -> tuple[torch.dtype, ...]:
        """Both, if the network has an anchor."""
        return (torch.bfloat16, torch.float16) if self.anchored else ()

    def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
        """Return upscaled luma, float32, not clipped.

        ``features``: the `global_features` of the image of which ``x`` is a tile.
        """
        height, width = x.shape[-2:]
        result = self.interior_given(self.with_halo(x), self.global_features(x) if features is None else features)
        return result[..., : height * self.scale, : width * self.scale]

    def with_halo(self, x: Tensor) -> Tensor:
        """Pad ``x`` by ``halo`` pixels, and further to the right and below up to the alignment."""
        right, bottom = (self.halo + -n % self.alignment for n in (x.shape[-1], x.shape[-2]))
        return pad(x, self.halo, right, self.halo, bottom, self.edge)

    def interior_given(self, x: Tensor, features: Tensor | None) -> Tensor:
        """Return the `interior`, given the global features."""
        return self.interior(x)

    def interior(self, x: Tensor) -> Tensor:
        """Upscale ``x`` without its outermost ``halo`` pixels, which are only read."""
        raise NotImplementedError

    def for_training(self, keep: bool, branches: bool = True) -> None:
        """Change, in place, to the form that trains better; ``collapse`` changes back.

        ``keep``: start from exactly the present function instead of from a richer one. ``branches``: make convolutions
        sums of branches. Optimisers that precondition whole kernels do better without.
        """
        if branches:
            reparameterise(self, keep or not self.anchored)


class RestorationNetwork(LumaNetwork):
    """A luma network that keeps the size.

    Raises:
        ModelError: the scale is not 1.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        if scale != 1:
            raise ModelError(f"scale {scale}: a restoration network keeps the size, give scale 1")
        self.scale = scale


class GlobalFeaturesNetwork(RestorationNetwork):
    """A restoration network that uses features of the whole image: `global_features` and `interior_given` define it."""

    def interior(self, x: Tensor) -> Tensor:
        """Restore ``x``, a whole image, without its outermost ``halo`` pixels."""
        return self.interior_given(x, self.global_features(x))


class SubpixelNetwork(LumaNetwork):
    """A network that ends in one pixel shuffle and the anchor, which the fastest kernel may then compute."""

    shuffles_last = True

    def interior(self, x: Tensor) -> Tensor:
        """Upscale ``x`` without its outermost ``halo`` pixels."""
        return add_anchor(self.residual(x), crop_border(x, self.halo), self.scale)

    def residual(self, x: Tensor) -> Tensor:
        """Return the residual before the shuffle: N x scale**2 x H - 2 halo x W - 2 halo, in the weights' type."""
        raise NotImplementedError


def crop_border(planes: Tensor, border: int) -> Tensor:
    """Return ``planes`` (... x H x W) without ``border`` pixels on each side."""
    return planes[..., border : planes.shape[-2] - border, border : planes.shape[-1] - border]


def pad(x: Tensor, left: int, right: int, top: int, bottom: int, edge: Edge = "reflect") -> Tensor:
    """Pad ``x`` (N x C x H x W) by mirroring, even by more pixels than it has."""
    height, width = x.shape[-2:]
    if edge == "reflect" and max(left, right) < width and max(top, bottom) < height:
        return F.pad(x, (left, right, top, bottom), mode="reflect")  # the function of PyTorch is faster
    return _extend(_extend(x, 2, top, bottom, edge), 3, left, right, edge)


def _extend(x: Tensor, dim: int, before: int, after: int, edge: Edge) -> Tensor:
    """Mirror ``x`` at both ends of ``dim``. Only the ends are gathered; the middle is copied, which is fast."""
    length = x.shape[dim]
    places = _mirror_indices(length, before, after, edge, x.device)
    ends = places[:before], places[before + length :]
    return torch.cat([x.index_select(dim, ends[0]), x, x.index_select(dim, ends[1])], dim)


def _mirror_indices(length: int, before: int, after: int, edge: Edge, device: torch.device) -> Tensor:
    """Indices of the samples of a line that is mirrored at both ends, repeatedly."""
    twice = int(edge == "symmetric")  # whether the last sample is repeated
    period = max(1, 2 * (length - 1 + twice))
    place = torch.arange(-before, length + after, device=device) % period
    return torch.minimum(place, period - twice - place)


def add_anchor(residual: Tensor, x: Tensor, scale: int) -> Tensor:
    """Return the nearest-neighbour upscale of ``x`` plus the pixel shuffle of ``residual`` (N x scale**2 x H x W)."""
    if residual.requires_grad or torch.compiler.is_compiling():
        return F.pixel_shuffle(residual.float() + x.float(), scale)  # before the shuffle the anchor is a broadcast
    # One pass that converts, adds and shuffles: 2.5 to 4.5 times as fast as the line above on a CPU.
    return add_pixel_shuffle(x.float()[:, 0, :, None, :, None], residual, scale)


def add_pixel_shuffle(anchor: Tensor, residual: Tensor, scale: int) -> Tensor:
    """Return ``anchor`` plus the pixel shuffle of ``residual`` (N x scale**2 x H x W, any type), float32, in one pass.

    ``anchor``: float32 that broadcasts to N x H x scale x W x scale: rows, sub-rows, columns, sub-columns.
    """
    n, _, height, width = residual.shape
    result = torch.empty(n, 1, height * scale, width * scale, device=anchor.device)
    rows = residual.permute(0, 2, 3, 1).view(n, height, width, scale, scale).transpose(2, 3)
    torch.add(rows, anchor, out=result.view(n, height, scale, width, scale))
    return result


@torch.no_grad()
def init_identity_channel(
    head: nn.Conv2d, middle: nn.Conv2d, tail: nn.Conv2d, gain: float = 1.0, centre: float = 0.0, detail: float = 1.0
) -> None:
    """Initialise a three-layer network without anchor as the identity.

    Channel 0 of each layer carries ``gain`` times (x - ``centre``); the last bias adds ``centre`` again. The other
    kernels of the first layer sum to zero and are ``detail`` times larger than usual: they react to detail alone,
    around the bend of the activation. Otherwise the mean of the image keeps every unit on one side of the bend, and
    the network stays as good as the best linear filter for thousands of steps.
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


def freeze_identity_channel(head: nn.Conv2d, middle: nn.Conv2d, tail: nn.Conv2d) -> None:
    """Freeze the channel that `init_identity_channel` made, so that it works as an anchor; train the others.

    At the learning rate of the others its gain, and so the brightness of the output, would fluctuate.
    """
    for conv in (head, middle):
        for parameter in (conv.weight, conv.bias):
            assert parameter is not None
            _freeze_first(parameter, 0)
    _freeze_first(tail.weight, 1)


def _freeze_first(parameter: Tensor, dim: int) -> None:
    """Block the gradient of the first slice along ``dim``."""
    first = torch.zeros(1, dtype=torch.long)
    if parameter.requires_grad:
        parameter.register_hook(lambda g: g.index_fill(dim, first.to(g.device), 0))  # type: ignore[no-untyped-call]
