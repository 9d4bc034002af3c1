"""Task `deblur`: train networks that deconvolve, on sharp patches blurred while training.

Their blur estimator also learns from the blur that was applied. From the error of the output alone it learns Gaussians
in minutes and motion blur hardly at all: every path from one motion to another first makes the output worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.errors import OptionError
from vidsr.models import point_spreads
from vidsr.models.layers import LumaNetwork, crop_border
from vidsr.train.checkpoint import State
from vidsr.train.data.patch_degradation import MARGIN, PatchDegradation, degrade, draw_degradation, transfer_functions
from vidsr.train.data.patches import Pair, Patches, centre_crops
from vidsr.train.data.shards import read_shard
from vidsr.train.recipe import Recipe
from vidsr.train.step import Interior, Losses, autocast, descend, weighted_loss
from vidsr.train.tasks.upscale import sample_rows, validation_psnr

CROP = 320  # pixels a side, of a validation image
SHARPNESS = 20.0  # of the soft labels: a filter whose error is 5 % larger gets a share e times smaller
SIGNAL = 10.0  # power of images at 1 cycle per pixel, code values squared; it falls with the square of the frequency
ROUNDING_NOISE = 1 / 12  # variance, code values squared
ESTIMATOR_WEIGHT = 0.3  # of the estimator's loss


class DeblurringData:
    """Degraded patches of the recipe's shards, and validation crops.

    Patch, kernel and noise depend on the seed and the step alone.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if not recipe.data or recipe.scale != 1:
            raise OptionError(f"recipe {recipe.name}: task = 'deblur' needs scale = 1 and at least one shard of images")
        planes = {s: [p for name in recipe.data for p in read_shard(Path(name), s)] for s in ("train", "validation")}
        pairs = {split: [Pair(p.to(device), p.to(device)) for p in planes[split]] for split in planes}
        self.patches = Patches(pairs["train"], 1, recipe.batch, recipe.patch + 2 * MARGIN, recipe.seed)
        crops = centre_crops(pairs["validation"], 1, CROP)
        self.validation = [_degraded_crop(crop, number) for number, crop in enumerate(crops)]
        self.baseline = validation_psnr(None, self.validation)
        self.seed = recipe.seed
        self._compile = recipe.compile and device.type == "cuda"

    def forward(self, network: LumaNetwork) -> Interior:
        """Return the callable of a training step.

        It takes patches and the global features of the blur estimator.
        """
        if getattr(network, "deconvolution", None) is None:
            raise OptionError('task = "deblur" is for networks that deconvolve: set deconvolve = true in config')
        return torch.compile(network.interior_given) if self._compile else network.interior_given

    def batch_at(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the degraded patches of ``step``, and the patches to restore."""
        return self.degraded_at(step)[:2]

    def degraded_at(self, step: int) -> tuple[Tensor, Tensor, list[PatchDegradation]]:
        """Return the same, and the degradation of each patch."""
        sharp = self.patches.batch_at(step)[1]
        rng = np.random.default_rng((self.seed, step, 1))
        degradations = [draw_degradation(rng) for _ in sharp]
        return *degrade(sharp, degradations, rng), degradations

    def psnr(self, network: LumaNetwork) -> float:
        """Return the mean PSNR of ``network`` on the validation crops, dB."""
        return validation_psnr(network, self.validation)

    def sample_image(self, network: LumaNetwork) -> npt.NDArray[np.uint8]:
        """Return an image with rows of degraded | output | sharp."""
        return sample_rows(network, self.validation[:4])


def _degraded_crop(pair: Pair, number: int) -> Pair:
    """Return a validation crop with its degraded version, always the same for its ``number``."""
    sharp = pair.hr[None, None].float() / 255
    rng = np.random.default_rng((number, 2))
    degraded, target = degrade(sharp, [draw_degradation(rng)], rng)
    return Pair(*((image[0, 0] * 255).round().to(torch.uint8) for image in (degraded, target)))


def train_step(recipe: Recipe, state: State, interior: Interior, data: DeblurringData) -> Losses:
    """Do one step of the optimiser.

    The blur estimator of a network with layers behind the deconvolution is not trained: trained together, the two
    disturbed each other.
    """
    degraded, sharp, degradations = data.degraded_at(state.step)
    deconvolution = state.network.deconvolution
    trains_estimator = deconvolution.shifts is None
    if not trains_estimator and not recipe.init:
        raise OptionError(f"recipe {recipe.name}: layers behind a deconvolution need its weights: name init")
    with torch.set_grad_enabled(trains_estimator):
        features = deconvolution.direction_features(degraded)
    with autocast(recipe, state, degraded.device):
        output = interior(degraded, deconvolution.filters_and_shifts(features))
    loss = weighted_loss(recipe, state.step, output.float(), crop_border(sharp, state.network.halo))
    total = loss
    if trains_estimator:
        labels = bank_labels(degradations, deconvolution.bank[0].cpu()).to(degraded.device)
        total = loss + ESTIMATOR_WEIGHT * F.cross_entropy(deconvolution.bank_logits(features), labels)
    descend(recipe, state, total)
    return {"loss": loss.detach()}


def bank_labels(degradations: Sequence[PatchDegradation], bank: Tensor) -> Tensor:
    """Return soft labels: how well each spectrum of the ``bank`` explains each blur.

    ``bank``: K x frequencies; the labels are N x K shares. They follow from the expected error of the spectrum's
    inverse filter, in images whose power falls with the square of the frequency.
    """
    side = point_spreads.SIDE
    radius = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side)[None]).flatten()
    signal = SIGNAL / radius.clamp(min=1 / side).square()
    true = transfer_functions([each.kernel for each in degradations], (side, side)).flatten(1)
    errors, power = [], bank.square()
    for blur, each in zip(true, degradations, strict=True):
        noise = ROUNDING_NOISE + each.noise**2 + each.quantizer_step**2 / 12
        filters = bank / (power + noise / signal)
        # the sum over all frequencies of signal |1 - filter blur|^2 + noise filter^2
        rest = signal.sum() - 2 * filters @ (signal * blur.real)
        errors.append(rest + filters.square_() @ (signal * blur.abs().square() + noise))
    return torch.softmax(-SHARPNESS * torch.stack(errors).log(), 1)
