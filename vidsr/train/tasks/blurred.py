"""The data of a recipe that removes blur: sharp patches, blurred as it goes, by kernels that are never the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.degrade.blur import Blur, DefocusBlur, GaussianBlur, Kernel, MotionBlur, ShakeBlur
from vidsr.errors import OptionError
from vidsr.models.layers import LumaNetwork, inside, padded
from vidsr.train.data import shards as shard_files
from vidsr.train.data.patches import Pair, Patches, centre_crops
from vidsr.train.recipe import Recipe
from vidsr.train.step import Interior
from vidsr.train.tasks.validation import sample_image, validation_psnr

UNTOUCHED = 0.15  # of the patches: a network must learn to leave a good picture alone
BLURS: tuple[tuple[float, Blur | None], ...] = (  # and how often each is drawn
    (0.45, GaussianBlur((0.3, 3.5))),
    (0.08, GaussianBlur((0.5, 3.5), aspect=(0.3, 1.0))),
    (0.2, MotionBlur((3, 25))),
    (0.1, ShakeBlur((3, 25))),
    (0.1, DefocusBlur((0.7, 4.0))),
    (0.07, None),
)
NOISE = 4.0  # code values, at most
COMPRESSED = 0.12  # of the touched patches
DECORATED = 0.25  # of all patches: under bars or letters
BLACK, WHITE = 16 / 255, 235 / 255
STEPS = (4.0, 24.0)  # of their quantizer, code values
SIDE = 8  # of a transform's block
CROP = 320  # pixels, of a validation picture
SPLITS = ("train", "validation")
MARGIN = 16  # pixels around a patch that a kernel looks at, as far as it is not longer


class Box(NamedTuple):
    """An even rectangle: its edges as shares of the picture's sides, its value in [0, 1]."""

    top: float
    left: float
    bottom: float
    right: float
    value: float


class Damage(NamedTuple):
    """What is done to one patch."""

    kernel: Kernel | None = None
    noise: float = 0.0  # standard deviation, code values
    step: float = 0.0  # of the quantizer, code values; 0: none
    graphics: tuple[Box, ...] = ()  # bars, logos, letters: put over the picture after its blur, and sharp


class Blurred:
    """Patches of the recipe's shards made worse; which patch, kernel and noise depends on the seed and the step."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if not recipe.data or recipe.scale != 1:
            raise OptionError(f"recipe {recipe.name}: blur is removed at scale 1, from at least one shard of pictures")
        shards = [Path(name) for name in recipe.data]
        planes = {split: [p for shard in shards for p in shard_files.read_shard(shard, split)] for split in SPLITS}
        pairs = {split: [Pair(p.to(device), p.to(device)) for p in planes[split]] for split in SPLITS}
        self.patches = Patches(pairs["train"], 1, recipe.batch, recipe.patch + 2 * MARGIN, recipe.seed)
        crops = centre_crops(pairs["validation"], 1, CROP)
        self.validation = [_damaged(crop, number) for number, crop in enumerate(crops)]
        self.baseline = validation_psnr(None, self.validation)
        self.seed = recipe.seed
        self._compile = recipe.compile and device.type == "cuda"

    def forward(self, network: LumaNetwork) -> Interior:
        """What a step calls, with what the network's look says."""
        if getattr(network, "look", None) is None:
            raise OptionError('task = "deblur" trains networks that deconvolve: say so in config, deconvolve = true')
        return torch.compile(network.informed) if self._compile else network.informed

    def batch_at(self, step: int) -> tuple[Tensor, Tensor]:
        """Bad and sharp patches of ``step``."""
        return self.damaged_at(step)[:2]

    def damaged_at(self, step: int) -> tuple[Tensor, Tensor, list[Damage]]:
        """The same, and what was done to each."""
        sharp = self.patches.batch_at(step)[1]
        rng = np.random.default_rng((self.seed, step, 1))
        damages = [drawn(rng) for _ in sharp]
        return *made_worse(sharp, damages, rng), damages

    def psnr(self, network: LumaNetwork) -> float:
        """Of ``network`` on the validation crops, dB."""
        return validation_psnr(network, self.validation)

    def sample_image(self, network: LumaNetwork) -> npt.NDArray[np.uint8]:
        """Rows of bad | output | sharp."""
        return sample_image(network, self.validation[:4])


def drawn(rng: np.random.Generator) -> Damage:
    """What is done to a patch."""
    graphics = _graphics(rng) if rng.random() < DECORATED else ()
    if rng.random() < UNTOUCHED:
        return Damage(graphics=graphics)
    chances, blurs = zip(*BLURS, strict=True)
    blur = blurs[rng.choice(len(blurs), p=chances)]
    kernel = None if blur is None else blur.kernel(rng)
    step = rng.uniform(*STEPS) if rng.random() < COMPRESSED else 0.0
    return Damage(kernel, rng.uniform(0, NOISE), step, graphics)


def _graphics(rng: np.random.Generator) -> tuple[Box, ...]:
    """Black bars along two sides or one, or a band of letters."""
    if rng.random() < 0.5:
        first, second = rng.uniform(0.02, 0.3, 2) * (rng.random(2) < 0.7)
        if rng.random() < 0.7:
            return Box(0, 0, first, 1, BLACK), Box(1 - second, 0, 1, 1, BLACK)
        return Box(0, 0, 1, first, BLACK), Box(0, 1 - second, 1, 1, BLACK)
    top, height, value = rng.uniform(0, 0.9), rng.uniform(0.03, 0.15), rng.choice((BLACK, WHITE, rng.random()))
    count = int(rng.integers(3, 40))
    tops, lefts = top + height * rng.random(count), rng.random(count)
    sizes = height * rng.uniform(0.1, 1, (count, 2))
    return tuple(Box(t, x, t + h, x + w, value) for t, x, (h, w) in zip(tops, lefts, sizes, strict=True))


def made_worse(sharp: Tensor, damages: Sequence[Damage], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """``sharp`` (N x 1 x H x W in [0, 1]) less ``MARGIN`` on each side: blurred, noisy, some compressed, in 8 bits.

    And what it should have been: sharp, but with the same graphics over it.
    """
    size = tuple(sharp.shape[-2:])
    blur = responses([damage.kernel for damage in damages], size).to(sharp.device)
    bad = inside(torch.fft.irfft2(torch.fft.rfft2(sharp) * blur[:, None], s=size), MARGIN)
    noise, good = torch.from_numpy(rng.standard_normal(bad.shape, np.float32)), inside(sharp, MARGIN).clone()
    for plane, grain, truth, damage in zip(bad[:, 0], noise[:, 0].to(bad.device), good[:, 0], damages, strict=True):
        plane += grain * (damage.noise / 255)
        for box in damage.graphics:
            for picture in (plane, truth):
                _area(picture, box).fill_(box.value)
        if damage.step:
            plane.copy_(quantised(plane, damage.step / 255))
    codes: Tensor = (bad * 255).round().clamp(0, 255)
    return codes / 255, good


def _area(plane: Tensor, box: Box) -> Tensor:
    """The part of ``plane`` (H x W) that ``box`` covers."""
    height, width = plane.shape
    rows = slice(round(box.top * height), round(box.bottom * height))
    return plane[rows, round(box.left * width) : round(box.right * width)]


def responses(kernels: Sequence[Kernel | None], size: tuple[int, ...]) -> Tensor:
    """N x H x W // 2 + 1: what each kernel does to the spectrum (rfft2) of a picture of ``size`` that goes round."""
    planes = torch.zeros(len(kernels), *size)
    for plane, kernel in zip(planes, kernels, strict=True):
        if kernel is None:
            plane[0, 0] = 1
        else:
            rows, columns = (torch.arange(n) - n // 2 for n in kernel.shape)
            plane[rows[:, None], columns] = torch.from_numpy(kernel)
    spectra: Tensor = torch.fft.rfft2(planes)
    return spectra


def quantised(plane: Tensor, step: float) -> Tensor:
    """``plane`` (H x W) with every block's cosine transform in multiples of ``step``: a codec without frames."""
    height, width = plane.shape
    whole = padded(plane[None, None], 0, -width % SIDE, 0, -height % SIDE)[0, 0]
    blocks = whole.view(len(whole) // SIDE, SIDE, -1, SIDE).transpose(1, 2)
    cosines = _cosines().to(plane)
    found = cosines @ blocks @ cosines.T
    found = (found / step).abs().add(1 / 3).floor() * found.sign() * step  # a third, as encoders do: less is nothing
    result: Tensor = (cosines.T @ found @ cosines).transpose(1, 2).reshape(whole.shape)
    return result[:height, :width]


def _cosines() -> Tensor:
    """The orthonormal discrete cosine transform of SIDE samples, as a matrix."""
    n = torch.arange(SIDE).double()
    matrix: Tensor = torch.cos(torch.pi * n[:, None] * (2 * n + 1) / (2 * SIDE)) * (2 / SIDE) ** 0.5
    matrix[0] /= 2**0.5
    return matrix.float()


def _damaged(pair: Pair, number: int) -> Pair:
    """A validation crop and what became of it, always the same."""
    sharp = pair.hr[None, None].float() / 255
    rng = np.random.default_rng((number, 2))
    bad, good = made_worse(sharp, [drawn(rng)], rng)
    return Pair(*((picture[0, 0] * 255).round().to(torch.uint8) for picture in (bad, good)))
