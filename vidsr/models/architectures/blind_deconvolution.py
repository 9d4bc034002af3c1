"""Blind deconvolution: look at the whole picture, guess what blurred it, undo that. For networks to start from.

The guess is a share for each of a bank of point spread functions (`point_spreads.py`), and how much noise there is for
every size of detail. The inverse filter is the linear one of least expected error under that guess,

    sum p H / (sum p H**2 + noise / signal),

so that what is uncertain is sharpened with caution, and a picture that is taken for sharp is left as it is. With one H
it is the filter of Wiener ("Extrapolation, Interpolation, and Smoothing of Stationary Time Series", 1949), for images
Hunt, "The application of constrained least squares estimation to image restoration by digital computer", 1973. That a
network does better when it refines a deconvolution: Dong et al., "Deep Wiener deconvolution", 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models import point_spreads
from vidsr.models.layers import inside, padded

SIDE = 128  # taps of the inverse filters each way: a motion of 15 pixels is undone by a row of peaks 15 pixels apart
REACH = SIDE // 2  # pixels: how far they look
FLAT_PART = 0.75  # of the reach, behind which they fade out
BOLD = 10.0  # times less noise is assumed by the second filter

RESPONSES = 2 * SIDE * (SIDE // 2 + 1)  # numbers

ANGLES = point_spreads.ANGLES
BLOCK = 64  # pixels: side of the squares whose spectra are averaged
MOST = 20  # squares along an axis; on larger pictures they lie apart
ROUNDING = 1 / 12 / 255**2  # noise of 8-bit codes
GREY = 0.5  # taken off before a cast to bf16, which keeps differences of small values best
DETAIL = 10.0  # what sharpens is so much smaller than the picture, and would be learnt so much more slowly
CAUTION = 0.1  # a shift that moves as fast as the kernels do closes every ReLU in the first steps

RADII = 28  # at which an averaged spectrum is sampled, in as many directions as the bank has angles
LEAST, MOST_RADIUS = 0.02, 0.56  # cycles per pixel
HIDDEN = 96

# Cycles per pixel between which the logarithm of noise over signal is interpolated. It starts as 0.1 at the highest
# frequency along an axis, and falls with the square of the frequency as pictures rise.
KNOTS = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.27, 0.35, 0.45, 0.58, 0.71)
NOISE = 0.1


class Deconvolution(nn.Module):
    """The look and the inverse filters, in float32 whatever the network around is cast to.

    ``shifts``: how many further numbers it tells of a picture to layers behind, starting as 0. With layers behind it is
    not trained any further itself.
    """

    bank: Tensor
    slopes: Tensor
    usual: Tensor
    window: Tensor
    fade: Tensor
    places: Tensor
    parts: Tensor

    def __init__(self, shifts: int = 0) -> None:
        super().__init__()
        slopes, usual = _noise_curves()
        places, parts = _polar()
        buffers = {"bank": _bank(), "slopes": slopes, "usual": usual, "window": _hann(), "fade": _fade()}
        buffers |= {"places": places, "parts": parts}
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
        """Moves to another device, and never to another type: in bf16 the filters would change the mean by a code."""
        device = fn(torch.empty(0)).device
        result: Deconvolution = super()._apply(lambda tensor: tensor.to(device), recurse)  # type: ignore[no-untyped-call]
        return result

    def survey(self, x: Tensor) -> Tensor:
        """What there is to know of pictures ``x``, N x 1 x H x W: N x (2 * SIDE * (SIDE // 2 + 1) + shifts).

        The responses of the two inverse filters to every frequency, and the shifts.
        """
        with torch.autocast(x.device.type, enabled=False):
            return self.told(self.seen(x))

    def seen(self, x: Tensor) -> Tensor:
        """N x ANGLES x HIDDEN: what the look finds in each direction, by the same weights in all."""
        polar = self.polar(self.spectrum(x.float()))
        # all turns at once: windows of the directions, which go round
        windows = torch.cat([polar, polar[..., :-1]], 3).unfold(3, ANGLES, 1)
        turned = windows.permute(0, 3, 1, 2, 4).flatten(2)
        return torch.relu(self.second(torch.relu(self.first(turned))))

    def told(self, seen: Tensor) -> Tensor:
        """The survey, from what was found. Only the shifts are trained by it where there are such."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.shifts is None):
            responses = self.responses(self.opinion(seen).softmax(1), self.noises(_overall(seen))).flatten(1)
        return responses if self.shifts is None else torch.cat([responses, CAUTION * self.shifts(_overall(seen))], 1)

    def opinion(self, seen: Tensor) -> Tensor:
        """N x K: the logarithms of the shares of the bank, but for a constant."""
        return torch.cat([self.round(_overall(seen)), self.oriented(seen).flatten(1)], 1)

    def polar(self, spectrum: Tensor) -> Tensor:
        """N x 2 x RADII x ANGLES samples, by linear interpolation, of spectra (N x 2 x BLOCK * (BLOCK // 2 + 1))."""
        return (spectrum[:, :, self.places] * self.parts).sum(2)

    def spectrum(self, x: Tensor) -> Tensor:
        """N x 2 x BLOCK * (BLOCK // 2 + 1): how strong each frequency is in the squares of pictures, of about size 1.

        The logarithm of the mean power (Welch, "The use of fast Fourier transform for the estimation of power
        spectra", 1967), which edges and texture rule, and the mean of the logarithms, which tells more of the rest.
        """
        squares = _squares(x)
        bins = torch.fft.rfft2((squares - squares.mean((-2, -1), keepdim=True)) * self.window)
        power = bins.real.square() + bins.imag.square() + ROUNDING
        known = torch.stack([power.mean(1).log(), power.log().mean(1)], 1)
        return (known.flatten(2) + 8) / 4

    def responses(self, shares: Tensor, noises: Tensor) -> Tensor:
        """N x 2 x SIDE x (SIDE // 2 + 1): the inverse filters for ``shares`` (N x K) of the bank, and for noises."""
        # the kernel and its square are small enough for so few samples; there are more of their inverse
        small = (shares @ self.bank).view(2, -1, point_spreads.SIDE, point_spreads.SIDE // 2 + 1)
        spread = _wider(torch.fft.irfft2(small), (SIDE, SIDE))
        blur, power = torch.fft.rfft2(spread).real.flatten(2)
        noise = torch.exp(noises @ self.slopes) * self.usual
        filters = [blur / (power + noise), blur / (power + noise / BOLD)]
        return torch.stack(filters, 1).view(-1, 2, SIDE, SIDE // 2 + 1)

    def forward(self, x: Tensor, whole: Tensor) -> Tensor:
        """Both deconvolutions of ``x`` without its outermost ``REACH`` pixels, N x 2 x h x w float32."""
        with torch.autocast(x.device.type, enabled=False):
            responses = whole[:, :RESPONSES].view(-1, 2, SIDE, SIDE // 2 + 1)
            taps = torch.fft.irfft2(responses, s=(SIDE, SIDE)) * self.fade
            return _convolved(x.float(), taps / taps.sum((-2, -1), keepdim=True))  # what is even stays as it is

    def planes(self, x: Tensor, whole: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The anchor, N x 1 x h x w float32; what layers behind start from, N x 3 x h x w; and the shifts for them.

        The first deconvolution is the anchor. Layers are given it and, enlarged, how the second and the picture itself
        differ from it.
        """
        usual, bold = self(x, whole).split(1, 1)
        differences = torch.cat([bold, inside(x, REACH)], 1) - usual
        return usual, torch.cat([usual - GREY, DETAIL * differences], 1), whole[:, RESPONSES:]


def _overall(seen: Tensor) -> Tensor:
    """N x 2 HIDDEN: what was found in all directions together."""
    return torch.cat([seen.mean(1), seen.amax(1)], 1)


def _squares(x: Tensor) -> Tensor:
    """N x M x BLOCK x BLOCK: squares of pictures (N x 1 x H x W), half over each other where there are not too many."""
    height, width = x.shape[-2:]
    x = padded(x, 0, max(0, BLOCK - width), 0, max(0, BLOCK - height))[:, 0]
    tops, lefts = (_starts(length) for length in x.shape[-2:])
    return torch.stack([x[:, top : top + BLOCK, left : left + BLOCK] for top in tops for left in lefts], 1)


def _starts(length: int) -> list[int]:
    count = min(MOST, 1 + -(-(length - BLOCK) // (BLOCK // 2)))
    return [round(i * (length - BLOCK) / max(1, count - 1)) for i in range(count)]


def _convolved(x: Tensor, taps: Tensor) -> Tensor:
    """``x`` (N x 1 x H x W) convolved with each of ``taps`` (N x C x SIDE x SIDE, centre at 0, 0, periodic).

    Without its outermost ``REACH`` pixels: N x C x H - SIDE x W - SIDE.
    """
    height, width = x.shape[-2:]
    size = (_smooth(height), _smooth(width))
    result = torch.fft.irfft2(torch.fft.rfft2(x, s=size) * torch.fft.rfft2(_wider(taps, size)), s=size)
    return inside(result[..., :height, :width], REACH)


def _wider(taps: Tensor, size: tuple[int, int]) -> Tensor:
    """``taps`` (... x H x W, centre at 0, 0, periodic) with zeros around, in planes of ``size``."""
    rows, columns = taps.shape[-2:]
    framed: Tensor = F.pad(torch.fft.fftshift(taps, (-2, -1)), (0, size[1] - columns, 0, size[0] - rows))
    return framed.roll((-(rows // 2), -(columns // 2)), (-2, -1))


def _smooth(length: int) -> int:
    """The least even number from ``length`` on without a prime factor above 5: others transform half as fast."""
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
    """2 x K x frequencies: what each point spread function leaves of each, and its square."""
    spectra = point_spreads.spectra().flatten(1)
    return torch.stack([spectra, spectra.square()])


def _noise_curves() -> tuple[Tensor, Tensor]:
    """Hat functions over the frequencies (knots x frequencies), and noise over signal as it is to begin with."""
    rows, columns = torch.fft.fftfreq(SIDE), torch.fft.rfftfreq(SIDE)
    radius = torch.hypot(rows[:, None], columns[None]).flatten()
    knots = torch.tensor(KNOTS)
    place = (torch.searchsorted(knots, radius, right=True) - 1).clamp(0, len(knots) - 2)
    share = (radius - knots[place]) / (knots[place + 1] - knots[place])
    slopes = torch.zeros(len(knots), len(radius))
    slopes[place, torch.arange(len(radius))] = 1 - share
    slopes[place + 1, torch.arange(len(radius))] = share
    return slopes, NOISE * (2 * radius) ** 2


def _polar() -> tuple[Tensor, Tensor]:
    """The four neighbours of each sample in a flat spectrum, and the part of each: 4 x RADII x ANGLES."""
    radii = torch.linspace(LEAST, MOST_RADIUS, RADII)[:, None] * BLOCK
    angles = torch.arange(ANGLES) * torch.pi / ANGLES
    x, y = radii * torch.cos(angles), -radii * torch.sin(angles)
    places, parts = [], []
    for column in (x.floor(), x.floor() + 1):
        for row in (y.floor(), y.floor() + 1):
            u, v = column % BLOCK, row % BLOCK
            mirrored = u > BLOCK // 2  # the other half of the plane holds the same
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
    """SIDE x SIDE: 1 near 0, 0 and nothing at the reach."""
    away = torch.fft.fftfreq(SIDE, 1 / SIDE).abs() / REACH
    line = 0.5 + 0.5 * torch.cos(torch.pi * ((away - FLAT_PART) / (1 - FLAT_PART)).clamp(0, 1))
    return line[:, None] * line
