"""Networks of architectures that vidsr does not know, by the library spandrel of the extra `models`.

The tensors are read by vidsr, without running code of the file. spandrel recognises the architecture, and says the
scale and the sizes of images that it takes.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from vidsr.errors import ModelError
from vidsr.models.rgb_network import LARGEST_SCALE, RgbNetwork, Statistics

PACKAGE = "spandrel"
TILE_ALIGNMENT = 32  # multiple of the usual windows of transformers, which begin at the corner of a tile
HALO = 64  # the receptive field is unknown, and often the whole image


class SpandrelNetwork(RgbNetwork):
    """The RGB network of a spandrel ``descriptor``, which pads images to the sizes that its layers take."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network = descriptor.model
        self._descriptor = descriptor  # holds the same module
        self.scale = descriptor.scale
        multiple = descriptor.size_requirements.multiple_of
        self.alignment = -(-TILE_ALIGNMENT // multiple) * multiple
        self.halo = -(-HALO // self.alignment) * self.alignment

    @property
    def half_precisions(self) -> tuple[torch.dtype, ...]:
        """fp16 if spandrel supports it."""
        return (torch.float16,) if self._descriptor.supports_half else ()

    def layers(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return ``x`` upscaled and clipped; spandrel takes one image a call."""
        return torch.cat([self._descriptor(image[None].to(self.dtype)) for image in x])


def load(path: Path, state: Mapping[str, Tensor], known: str) -> tuple[SpandrelNetwork, str]:
    """Return the network with the tensors of the file ``path``, and the name of its architecture.

    ``known``: names of the architectures of vidsr, for the message.

    Raises:
        ModelError: spandrel is missing, does not know the tensors, or the network does not upscale RGB images.
    """
    spandrel = _library(path, known)
    try:
        with warnings.catch_warnings(action="ignore"):  # of its architectures, about PyTorch
            descriptor = spandrel.MAIN_REGISTRY.load(dict(state))
    except spandrel.UnsupportedModelError:
        raise ModelError(
            f"{path} holds weights of an unknown architecture: neither vidsr nor {PACKAGE} knows it"
        ) from None
    except Exception as error:  # an architecture that misjudges the tensors raises anything
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
        raise ModelError(f"{path} does not fit the architecture that {PACKAGE} recognises: {reason}") from None
    name = str(descriptor.architecture.id)
    channels = (descriptor.input_channels, descriptor.output_channels)
    if not isinstance(descriptor, spandrel.ImageModelDescriptor) or channels != (3, 3):
        raise ModelError(
            f"{path} ({name}) maps {channels[0]} planes to {channels[1]}: vidsr runs networks from RGB to RGB"
        )
    if descriptor.size_requirements.square or not 1 <= descriptor.scale <= LARGEST_SCALE:
        raise ModelError(
            f"{path} ({name}) is for square images or a scale above {LARGEST_SCALE}: give a network for whole frames"
        )
    network = SpandrelNetwork(descriptor)
    network.eval().requires_grad_(False)
    return network, f"{PACKAGE}:{name}"


def _library(path: Path, known: str) -> ModuleType:
    try:
        with warnings.catch_warnings(action="ignore"):
            return importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        if error.name != PACKAGE:
            raise ModelError(f"{PACKAGE} needs the package {error.name}: pip install {error.name}") from None
        raise ModelError(
            f"{path} holds weights of an unknown architecture: vidsr knows {known}; the package {PACKAGE} knows more: "
            f"pip install {PACKAGE}"
        ) from None
    except Exception as error:  # torchvision of another PyTorch raises RuntimeError
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{PACKAGE} cannot be imported ({reason}): install the torchvision that belongs to PyTorch "
            f"{torch.__version__}"
        ) from None
