"""Blind deconvolution: estimate from the whole image what blurred it, and undo that. Other networks start from it.

The estimate is a weight for each of a bank of point spread functions (`point_spreads.py`), and the noise at each
frequency. The inverse filter is the linear filter of least expected error under that estimate,

    sum p H / (sum p H**2 + noise / signal),

so that an uncertain blur is sharpened with caution, and an image taken for sharp stays as it is. With one H it is the
filter of Wiener ("Extrapolation, Interpolation, and Smoothing of Stationary Time Series", 1949), for images Hunt, "The
application of constrained least squares estimation to image restoration by digital computer", 1973. A network does
better when it refines a deconvolution: Dong et al., "Deep Wiener deconvolution", 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models import point_spreads
from vidsr.models.layers import GlobalFeaturesNetwork, crop_border, pad
from vidsr.models.reparameterised import without_autocast

SIDE = 128  # taps of the inverse filters each way: a row of peaks 15 pixels apart undoes a motion of 15 pixels
REACH = SIDE // 2  # radius of the inverse filters, pixels
FLAT_PART = 0.75  # of the radius; beyond it the filters fade out
BOLDNESS = 10.0  # the second filter assumes noise lower by this factor

RESPONSES = 2 * SIDE * (SIDE // 2 + 1)  # numbers in the responses of both filters

ANGLES = point_spreads.ANGLES
BLOCK = 64  # pixels: side of the squares whose spectra are averaged
MAX_SQUARES = 20  # squares along an axis; in larger images there are gaps between them
ROUNDING = 1 / 12 / 255**2  # noise of 8-bit codes
GREY = 0.5  # subtracted before a cast to bf16, which is most precise near zero
DETAIL_GAIN = (
    10.0  # gain of the sharpening differences: they are smaller than the image, and would be learnt more slowly
)
SHIFT_GAIN = 0.1  # gain of the shifts: at the learning rate of kernels they would close every ReLU in the first steps

RADII = 28  # at which the mean spectrum is sampled, in each of ANGLES directions
MIN_RADIUS, MAX_RADIUS = 0.02, 0.56  # cycles per pixel
HIDDEN = 96

# Frequencies (cycles per pixel) between which the logarithm of noise over signal is interpolated. It starts as 0.1 at
# the highest frequency along an axis, and is proportional to the square of the frequency, as the signal falls with it.
KNOTS = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.45, 0.58, 0.71)
INITIAL_NOISE = 0.1


class Deconvolution(nn.Module):
    """The estimator of blur and noise, and the inverse filters; in float32 even in a network of half precision.

    ``shifts``: number of further features for layers that follow; they start as 0. With layers that follow, the
    estimate itself is not trained any further.
    """

    bank: Tensor
    hats: Tensor
    initial_noise: Tensor
    window: Tensor
    fade: Tensor
    polar_indices: Tensor
    polar_weights: Tensor

    def __init__(self, shifts: int = 0) -> None:
        super().__init__()
        hats, initial_noise = _noise_curves()
        polar_indices, polar_weights = _polar()
        buffers = {"bank": _bank(), "hats": hats, "initial_noise": initial_noise, "window": _hann(), "fade": _fade()}
        buffers |= {"polar_indices": polar_indices, "polar_weights": polar_weights}
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)
        self.first = nn.Linear(2 * RADII * ANGLES, HIDDEN)
        self.second = nn.Linear(HIDDEN, HIDDEN)
        self.oriented = nn.Linear(HIDDEN, point_spreads.ORIENTED)
        self.round = nn.Linear(2 * HIDDEN, point_spreads.ROUND)
        self.noises = nn.Linear(2 * HIDDEN, len(KNOTS))
        self.shifts = nn.Linear(2 * HIDDEN, shifts) if shifts else None
        for layer in (self.noises, self.shifts):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Deconvolution:
        """Move to another device, but keep the type: in bf16 the filters would change the mean by one code value."""
        device = fn(torch.empty(0)).device
        result: Deconvolution = super()._apply(lambda tensor: tensor.to(device), recurse)  # type: ignore[no-untyped-call]
        return result

    def global_features(self, x: Tensor) -> Tensor:
        """Return the features of whole images ``x``, N x 1 x H x W: N x (RESPONSES + shifts).

        The responses of the two inverse filters to every frequency, and the shifts.
        """
        with without_autocast(x):
            return self.filters_and_shifts(self.direction_features(x))

    def direction_features(self, x: Tensor) -> Tensor:
        """Return N x ANGLES x HIDDEN: features of each direction, by the same weights for all."""
        polar = self.polar(self.spectrum(x.float()))
        # all rotations at once, as windows of the cyclic directions
        windows = torch.cat([polar, polar[..., :-1]], 3).unfold(3, ANGLES, 1)
        rotated = windows.permute(0, 3, 1, 2, 4).flatten(2)
        return torch.relu(self.second(torch.relu(self.first(rotated))))

    def filters_and_shifts(self, found: Tensor) -> Tensor:
        """Return the global features from the direction features. If there are shifts, only they are trained."""
        overall = torch.cat([found.mean(1), found.amax(1)], 1)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.shifts is None):
            responses = self.responses(self.bank_logits(found).softmax(1), self.noises(overall)).flatten(1)
        return responses if self.shifts is None else torch.cat([responses, SHIFT_GAIN * self.shifts(overall)], 1)

    def bank_logits(self, found: Tensor) -> Tensor:
        """Return N x K logits of the weights of the bank, from the direction features."""
        overall = torch.cat([found.mean(1), found.amax(1)], 1)
        return torch.cat([self.round(overall), self.oriented(found).flatten(1)], 1)

    def polar(self, spectrum: Tensor) -> Tensor:
        """Sample spectra (N x 2 x BLOCK * (BLOCK // 2 + 1)) in polar coordinates, linearly: N x 2 x RADII x ANGLES."""
        return (spectrum[:, :, self.polar_indices] * self.polar_weights).sum(2)

    def spectrum(self, x: Tensor) -> Tensor:
        """Return the power of each frequency over squares of the image, scaled to about 1: N x 2 x frequencies.

        First the logarithm of the mean power (Welch, "The use of fast Fourier transform for the estimation of power
        spectra", 1967), where edges and texture dominate; then the mean of the logarithms, which shows flat parts more.
        """
        squares = _squares(x)
        bins = torch.fft.rfft2((squares - squares.mean((-2, -1), keepdim=True)) * self.window)
        power = bins.real.square() + bins.imag.square() + ROUNDING
        both = torch.stack([power.mean(1).log(), power.log().mean(1)], 1)
        return (both.flatten(2) + 8) / 4

    def responses(self, weights: Tensor, noises: Tensor) -> Tensor:
        """Return the inverse filters for ``weights`` (N x K) of the bank and noises: N x 2 x SIDE x (SIDE // 2 + 1)."""
        # the kernel and its square need few samples; their inverse needs more
        small = (weights @ self.bank).view(2, -1, point_spreads.SIDE, point_spreads.SIDE // 2 + 1)
        spread = _wider(torch.fft.irfft2(small), (SIDE, SIDE))
        blur, power = torch.fft.rfft2(spread).real.flatten(2)
        noise = torch.exp(noises @ self.hats) * self.initial_noise
        filters = [blur / (power + noise), blur / (power + noise / BOLDNESS)]
        return torch.stack(filters, 1).view(-1, 2, SIDE, SIDE // 2 + 1)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Return both deconvolutions of ``x`` without its outermost ``REACH`` pixels, N x 2 x h x w float32."""
        with without_autocast(x):
            responses = features[:, :RESPONSES].view(-1, 2, SIDE, SIDE // 2 + 1)
            taps = torch.fft.irfft2(responses, s=(SIDE, SIDE)) * self.fade
            return _convolve(x.float(), taps / taps.sum((-2, -1), keepdim=True))  # a uniform image stays as it is

    def anchor_and_inputs(self, x: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the anchor, N x 1 x h x w float32; the inputs of layers that follow, N x 3 x h x w; and their shifts.

        The anchor is the first deconvolution. The inputs are the anchor, and the amplified differences of the second
        deconvolution and of the image from it.
        """
        usual, bold = self(x, features).split(1, 1)
        differences = torch.cat([bold, crop_border(x, REACH)], 1) - usual
        return usual, torch.cat([usual - GREY, DETAIL_GAIN * differences], 1), features[:, RESPONSES:]


@dataclass(frozen=True)
class Config:
    """Nothing to choose."""

    scale: int = 1


class BlindDeconvolution(GlobalFeaturesNetwork):
    """The deconvolution alone: training of the networks that refine it starts from its weights."""

    anchored = False
    edge = "reflect"
    halo = REACH

    def __init__(self, config: Config) -> None:
        super().__init__(config.scale)
        self.deconvolution = Deconvolution()

    def global_features(self, x: Tensor) -> Tensor:
        """Return the inverse filters for images ``x``."""
        return self.deconvolution.global_features(x)

    def interior_given(self, x: Tensor, features: Tensor | None) -> Tensor:
        """Restore ``x`` without its halo, given the global features of its image."""
        assert features is not None
        both: Tensor = self.deconvolution(x, features)
        return both[:, :1]


def _squares(x: Tensor) -> Tensor:
    """N x M x BLOCK x BLOCK: squares of images (N x 1 x H x W), overlapping by half unless there are too many."""
    height, width = x.shape[-2:]
    x = pad(x, 0, max(0, BLOCK - width), 0, max(0, BLOCK - height))[:, 0]
    tops, lefts = (_starts(length) for length in x.shape[-2:])
    return torch.stack([x[:, top : top + BLOCK, left : left + BLOCK] for top in tops for left in lefts], 1)


def _starts(length: int) -> list[int]:
    count = min(MAX_SQUARES, 1 + -(-(length - BLOCK) // (BLOCK // 2)))
    return [round(i * (length - BLOCK) / max(1, count - 1)) for i in range(count)]


def _convolve(x: Tensor, taps: Tensor) -> Tensor:
    """Convolve ``x`` (N x 1 x H x W) with each of ``taps`` (N x C x SIDE x SIDE, centre at 0, 0, periodic).

    The result lacks the outermost ``REACH`` pixels: N x C x H - SIDE x W - SIDE.
    """
    height, width = x.shape[-2:]
    size = (_smooth(height), _smooth(width))
    result = torch.fft.irfft2(torch.fft.rfft2(x, s=size) * torch.fft.rfft2(_wider(taps, size)), s=size)
    return crop_border(result[..., :height, :width], REACH)


def _wider(taps: Tensor, size: tuple[int, int]) -> Tensor:
    """Pad ``taps`` (... x H x W, centre at 0, 0, periodic) with zeros to planes of ``size``."""
    rows, columns = taps.shape[-2:]
    padded: Tensor = F.pad(torch.fft.fftshift(taps, (-2, -1)), (0, size[1] - columns, 0, size[0] - rows))
    return padded.roll((-(rows // 2), -(columns // 2)), (-2, -1))


def _smooth(length: int) -> int:
    """Return the next even number from ``length`` without a prime factor above 5: others transform half as fast."""
    length += length % 2
    while not _is_smooth(length):
        length += 2
    return length


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number == 1


def _bank() -> Tensor:
    """2 x K x frequencies: the transfer function of each point spread function, and its square."""
    spectra = point_spreads.spectra().flatten(1)
    return torch.stack([spectra, spectra.square()])


def _noise_curves() -> tuple[Tensor, Tensor]:
    """Hat functions over the frequencies (knots x frequencies), and the initial noise over signal."""
    rows, columns = torch.fft.fftfreq(SIDE), torch.fft.rfftfreq(SIDE)
    radius = torch.hypot(rows[:, None], columns[None]).flatten()
    knots = torch.tensor(KNOTS)
    place = (torch.searchsorted(knots, radius, right=True) - 1).clamp(0, len(knots) - 2)
    share = (radius - knots[place]) / (knots[place + 1] - knots[place])
    hats = torch.zeros(len(knots), len(radius))
    hats[place, torch.arange(len(radius))] = 1 - share
    hats[place + 1, torch.arange(len(radius))] = share
    return hats, INITIAL_NOISE * (2 * radius) ** 2


def _polar() -> tuple[Tensor, Tensor]:
    """The four neighbours of each polar sample in a flat spectrum, and their weights: 4 x RADII x ANGLES."""
    radii = torch.linspace(MIN_RADIUS, MAX_RADIUS, RADII)[:, None] * BLOCK
    angles = torch.arange(ANGLES) * torch.pi / ANGLES
    x, y = radii * torch.cos(angles), -radii * torch.sin(angles)
    places, parts = [], []
    for column in (x.floor(), x.floor() + 1):
        for row in (y.floor(), y.floor() + 1):
            u, v = column % BLOCK, row % BLOCK
            mirrored = u > BLOCK // 2  # the other half of the plane is symmetric
            u, v = torch.where(mirrored, BLOCK - u, u), torch.where(mirrored, -v % BLOCK, v)
            places.append((v * (BLOCK // 2 + 1) + u).long())
            parts.append((1 - (x - column).abs()) * (1 - (y - row).abs()))
    return torch.stack(places), torch.stack(parts)


def _hann() -> Tensor:
    """BLOCK x BLOCK, its squares summing to 1, so that white noise has its variance in every bin."""
    line = torch.hann_window(BLOCK)
    window: Tensor = line[:, None] * line
    return window / float(window.norm())


def _fade() -> Tensor:
    """SIDE x SIDE window: 1 in the middle of the filter (at 0, 0), 0 at its radius."""
    distance = torch.fft.fftfreq(SIDE, 1 / SIDE).abs() / REACH
    line = 0.5 + 0.5 * torch.cos(torch.pi * ((distance - FLAT_PART) / (1 - FLAT_PART)).clamp(0, 1))
    return line[:, None] * line
