"""How many channels of a plain network never wake: a ReLU that is zero on every picture has stopped learning.

python -m vidsr.train.asleep WEIGHTS... --pictures set14/
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from vidsr.errors import ModelError
from vidsr.evaluate.images import pictures, read_picture
from vidsr.evaluate.protocol import imresize, modcrop
from vidsr.metrics import rgb_to_y
from vidsr.models import weights as store
from vidsr.models.architectures.plain import Plain

AWAKE = 1e-4  # share of the pixels on which a channel that counts as awake is not zero


@torch.no_grad()
def asleep(network: nn.Module, lumas: Iterable[Tensor]) -> list[int]:
    """Of each ReLU of ``network``, the channels that sleep on ``lumas`` (each 1 x 1 x H x W in [0, 1]).

    Raises:
        ModelError: the network is not of the plain family.
    """
    if not isinstance(network, Plain):
        raise ModelError(f"{type(network).__name__}: only networks of the architecture 'plain' can be looked into")
    shares: list[list[Tensor]] = []
    for luma in lumas:
        y, awake = network.framed(luma), []
        for layer in network.body:
            y = layer(y)
            if isinstance(layer, nn.ReLU):
                awake.append((y > 0).float().mean((0, 2, 3)))
        shares.append(awake)
    return [int((torch.stack(layer).mean(0) < AWAKE).sum()) for layer in zip(*shares, strict=True)]


def small_lumas(folder: Path, scale: int) -> list[Tensor]:
    """The luma of the pictures of ``folder``, reduced by ``scale`` as the papers do."""
    lumas = []
    for path in pictures(folder):
        hr = modcrop(read_picture(path), scale)
        y = rgb_to_y(imresize(hr, hr.shape[0] // scale, hr.shape[1] // scale))
        lumas.append(torch.from_numpy(y)[None, None].float() / 255)
    return lumas


def main() -> None:
    """Print what the command line asks for."""
    parser = argparse.ArgumentParser(description="Count the channels of plain networks that no picture wakes.")
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of sharp pictures")
    arguments = parser.parse_args()
    for path in arguments.weights:
        network, _ = store.read(path)
        counts = asleep(network, small_lumas(arguments.pictures, network.scale))
        print(path.name, *counts)


if __name__ == "__main__":
    main()
