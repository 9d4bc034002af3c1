"""Calibrate the int8 form of weights, and store it in their files: `python -m vidsr.evaluate.calibrate FILE ...`.

Training images, at the size of the network's input, show the range of every activation. Each layer gets the step of its
input with the least squared error, steps of the weights likewise, and levels that are rounded one column after the
other, so that later ones make up for the errors of earlier ones (Frantar et al., "GPTQ", 2022). Then the mean error of
each channel is taken out of its bias. Nothing is trained.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.errors import ModelError
from vidsr.evaluate import model_cards
from vidsr.evaluate.image_sets import MEAN, evaluate, find_images, read_image
from vidsr.evaluate.protocol import imresize
from vidsr.metrics import rgb_to_y
from vidsr.models import Model, from_file, weight_files
from vidsr.models.int8 import MAX_CODE, MAX_LEVEL, LayerSteps, chain, packed
from vidsr.models.layers import LumaNetwork
from vidsr.models.weight_rounding import levels_in_turn

SIDE = 96  # of the crops, pixels of the network's input
FOLDERS = ("train/photos", "train/bsds")  # of training images
IMAGES = 20  # of each folder
SHARES = np.linspace(0.3, 1, 36)  # of the largest activation: candidates for the code 255
WEIGHT_SHARES = np.linspace(0.6, 1, 21)  # of the largest weight: candidates for the level 127
EVERY = 23  # of the activations, those that the search for a step looks at
COLUMNS = 16000  # of the neighbourhoods that the rounding of weights looks at
DAMPING = 0.01  # share of the mean second moment that is added to all
BIAS_ROUNDS = 3


def crops(folders: Sequence[Path], scale: int) -> list[Tensor]:
    """Return luma crops (1 x 1 x SIDE x SIDE in [0, 1]) of images, evenly spread over each folder, downscaled."""
    found = []
    for folder in folders:
        paths = find_images(folder)
        for path in paths[:: max(1, len(paths) // IMAGES)][:IMAGES]:
            image = read_image(path)[: SIDE * scale, : SIDE * scale]
            small = imresize(image, *(n // scale for n in image.shape[:2]))
            found.append(torch.from_numpy((rgb_to_y(small).round() / 255).astype(np.float32))[None, None])
    return found


@torch.inference_mode()
def calibration(network: LumaNetwork, images: Sequence[Tensor]) -> dict[str, LayerSteps]:
    """Return the int8 form of the chains of ``network``, but of their first layers; empty if it has no chain."""
    found: dict[str, LayerSteps] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Sequential) and chain(module):
            inputs: list[Tensor] = []
            hook = module.register_forward_pre_hook(lambda _, given, kept=inputs: kept.append(given[0]))
            for image in images:
                network(image)
            hook.remove()
            found |= {f"{name}.{layer}": steps for layer, steps in _chain_steps(module, inputs).items()}
    return found


def _chain_steps(layers: nn.Sequential, inputs: list[Tensor]) -> dict[str, LayerSteps]:
    """Return the steps of all convolutions of a chain but the first."""
    found = {}
    exact = coded = inputs  # what the float layers and the int8 layers give
    for number, (name, (conv, has_relu)) in enumerate(chain(layers).items()):
        weight = conv.weight
        assert conv.bias is not None
        bias = conv.bias
        if number:
            step = input_step(exact)
            coded = [(x / step).round_().clamp_(0, MAX_CODE).mul_(step) for x in coded]
            scale, levels = rounded_weights(weight, _second_moments(coded, conv))
            weight = levels * scale[:, None, None, None]
            targets = [F.conv2d(x, conv.weight, bias) for x in exact]
            sums = [F.conv2d(x, weight) for x in coded]
            bias = corrected_bias(bias, targets, sums, has_relu)
            unit = torch.full((weight.shape[1],), step)
            steps = LayerSteps(unit, scale * step, bias, packed(torch.zeros_like(weight)))
            differences = levels - steps.levels(conv.weight)
            found[name] = replace(steps, rounding=packed(differences))
            coded = [x + bias[:, None, None] for x in sums]
        else:
            targets = coded = [F.conv2d(x, weight, bias) for x in exact]
        exact = targets
        if has_relu:
            exact, coded = [x.relu() for x in exact], [x.relu() for x in coded]
    return found


def input_step(activations: Sequence[Tensor]) -> float:
    """Return the step of uint8 codes with the least squared error."""
    values = torch.cat([x.flatten()[::EVERY] for x in activations])
    steps = [float(share) * values.max().item() / MAX_CODE for share in SHARES]
    return min(steps, key=lambda s: (values - (values / s).round().clamp(0, MAX_CODE) * s).square().mean().item())


def _second_moments(inputs: Sequence[Tensor], conv: nn.Conv2d) -> Tensor:
    """Return the mean products of all pairs of samples under the kernel, D k k x D k k."""
    per_image = max(1, COLUMNS // len(inputs))
    total = torch.zeros(conv.weight[0].numel(), conv.weight[0].numel())
    for x in inputs:
        columns = F.unfold(x, conv.kernel_size)[0]
        some = columns[:, :: max(1, columns.shape[1] // per_image)]
        total += some @ some.t() / some.shape[1]
    return total / len(inputs)


def rounded_weights(weight: Tensor, moments: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scale of each channel (C), and the levels of the weights (as ``weight``, in float32)."""
    rows = weight.flatten(1)
    largest = rows.abs().amax(1)
    scale, least = largest / MAX_LEVEL, torch.full_like(largest, torch.inf)
    for share in WEIGHT_SHARES:
        tried = largest * float(share) / MAX_LEVEL
        error = rows - (rows / tried[:, None]).round().clamp(-MAX_LEVEL, MAX_LEVEL) * tried[:, None]
        squared = ((error @ moments) * error).sum(1)
        scale, least = torch.where(squared < least, tried, scale), torch.minimum(squared, least)
    return scale, _levels(rows.double(), moments.double(), scale.double()).view(weight.shape).float()


def _levels(rows: Tensor, moments: Tensor, scale: Tensor) -> Tensor:
    """Round ``rows`` / ``scale``, the column of the largest moment first; later columns make up for the errors."""
    damped = moments + DAMPING * moments.diag().mean() * torch.eye(len(moments))
    order = damped.diag().argsort(descending=True)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped[order][:, order]))
    spread, ordered = torch.linalg.cholesky(inverse, upper=True), rows[:, order]
    nearest = (ordered / scale[:, None]).round()
    least, most = ((nearest + change).clamp(-MAX_LEVEL, MAX_LEVEL) for change in (-1, 1))
    levels = torch.empty_like(rows)
    levels[:, order] = levels_in_turn(ordered, scale, spread, least, most)
    return levels


def corrected_bias(bias: Tensor, targets: Sequence[Tensor], sums: Sequence[Tensor], has_relu: bool) -> Tensor:
    """Return ``bias`` such that ``sums`` plus it have the mean of ``targets`` in each channel, after a ReLU if any."""
    for _ in range(BIAS_ROUNDS if has_relu else 1):
        errors = []
        for target, plain in zip(targets, sums, strict=True):
            output = plain + bias[:, None, None]
            error = target.relu() - output.relu() if has_relu else target - output
            errors.append(error.mean((0, 2, 3)))
        bias = bias + torch.stack(errors).mean(0)
    return bias


def calibrate(path: Path, images: Sequence[Tensor]) -> Model:
    """Write the int8 form of a weights file into it, and return the model in int8.

    Raises:
        ModelError: the network has no chain of convolutions and ReLUs.
    """
    model = from_file(path)
    network = model.network
    steps = calibration(network, images) if isinstance(network, LumaNetwork) else {}
    if not steps:
        raise ModelError(f"{path} has no chain of convolutions and ReLUs: int8 is for the architecture plain")
    network.calibration = steps
    weight_files.write(path, network, model.metadata)  # type: ignore[arg-type]
    return from_file(path, int8=True)


def main() -> None:
    """Calibrate the files named on the command line, print what int8 costs on a folder, and write the model cards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+")
    data = Path(os.environ.get("VIDSR_DATA", "../shared/data"))
    parser.add_argument("--images", type=Path, nargs="+", default=[data / name for name in FOLDERS])
    parser.add_argument("--measure", type=Path, default=data / "set5", help="folder of sharp images to measure on")
    arguments = parser.parse_args()
    for path in arguments.weights:
        floats = from_file(path)
        model = calibrate(path, crops(arguments.images, floats.scale))
        scores = [evaluate(one, one.scale, [arguments.measure])[-1] for one in (floats, model)]
        assert all(score.image == MEAN for score in scores)
        before, after = (score.psnr_y for score in scores)
        print(f"{path.name}: {before:.3f} dB in fp32, {after:.3f} dB in int8, {after - before:+.3f}", flush=True)
    for folder in {path.parent for path in arguments.weights if (path.parent / weight_files.CHECKSUMS).exists()}:
        print(model_cards.write(folder))


if __name__ == "__main__":
    main()
