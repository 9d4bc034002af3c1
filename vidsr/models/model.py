"""A network with weights, ready to upscale or restore luma planes and RGB images."""

from __future__ import annotations

import copy
import os
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vidsr.device import DTYPES, has_int8
from vidsr.errors import DeviceError, ModelError
from vidsr.models import checkpoints, int8_compact, model_files, weight_files
from vidsr.models.equivariant import is_equivariant
from vidsr.models.fused import fuse_layers
from vidsr.models.int8 import QuantisedConv, quantised
from vidsr.models.layers import ImageNetwork, LumaNetwork, SubpixelNetwork
from vidsr.models.self_ensemble import MARK, SelfEnsemble
from vidsr.models.temporal import TemporalNetwork
from vidsr.runtime import process

Image = npt.NDArray[np.uint8]  # H x W x 3 RGB, or H x W grey

# RGB codes (0 to 255) -> BT.601 limited Y'CbCr codes, the conversion of the papers
TO_YCBCR = torch.tensor([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
YCBCR_OFFSET = torch.tensor([16.0, 128.0, 128.0])
TO_RGB = torch.linalg.inv(TO_YCBCR)


@dataclass(frozen=True, eq=False)
class Model:
    """Trained weights in their network, on a device, in a precision.

    ``model(y)`` maps luma N x 1 x H x W in [0, 1] to float32 at ``scale`` times the size; an RGB network maps N x 3 x H
    x W. ``model(image)`` maps a uint8 NumPy image (H x W x 3 RGB, or H x W grey) to the upscaled uint8 image.
    """

    name: str
    domain: str
    path: Path
    network: ImageNetwork
    metadata: dict[str, str]

    @property
    def scale(self) -> int:
        """Upscaling factor; 1 of a restoration network."""
        return self.network.scale

    @property
    def channels(self) -> int:
        """Planes that the network maps: 1 for luma, 3 for RGB."""
        return self.network.channels

    @property
    def halo(self) -> int:
        """Radius of the receptive field, input pixels."""
        return self.network.halo

    @property
    def alignment(self) -> int:
        """Tiles begin at multiples of this, input pixels."""
        return self.network.alignment

    @property
    def parameters_count(self) -> int:
        """Number of parameters."""
        return weight_files.count_parameters(self.network)

    @cached_property
    def kmac_per_pixel(self) -> float:
        """Thousands of multiply-accumulates of the convolutions per input pixel."""
        # For an n x n image the work is a sum of c (n + k)**2; its second difference does not depend on the halo. Sides
        # are multiples of 8, which networks that downscale divide without remainder.
        shapes = copy.deepcopy(self.network).to("meta")  # tensors of shapes only: nothing is computed
        smaller, middle, larger = (_flops(shapes, side) for side in (32, 40, 48))
        return (smaller - 2 * middle + larger) / 8**2 / 2 / 2 / 1000

    @cached_property
    def bytes_per_pixel(self) -> int:
        """Estimated peak memory of a call per input pixel: input and output of the widest layer, and the result."""
        kernels = [p for p in self.network.parameters() if p.ndim == 4]
        widest = max(sum(kernel.shape[:2]) * kernel.element_size() for kernel in kernels)
        upscaled = self.scale**2
        return widest * (1 if self.network.shuffles_last else upscaled) + 8 * upscaled

    def self_ensemble(self) -> Model:
        """Return the self-ensemble: the mean over the eight flips and rotations of the input.

        Raises:
            ModelError: the model does not upscale, is equivariant or temporal, or is an RGB network.
        """
        if isinstance(self.network, TemporalNetwork):
            raise ModelError(f"{self.name} has a state, and {MARK} has none: leave it out")
        if not isinstance(self.network, LumaNetwork):
            raise ModelError(f"{self.name} works on RGB, and {MARK} is for networks on luma: leave it out")
        model = replace(self, name=self.name + MARK, network=SelfEnsemble(self.network))
        floats = self.in_float32().network if self.is_int8 else copy.deepcopy(self.network).float()
        if is_equivariant(floats):
            raise ModelError(f"{self.name} x{self.scale} is equivariant already: leave out the {MARK} after its name")
        return model

    def fused(self) -> Model:
        """Return the model for inference, with layers fused if the device computes several in one pass."""
        if self.is_int8:  # fused already
            return self
        return replace(self, network=fuse_layers(self.network))

    def in_float32(self) -> Model:
        """Return the model in float32; of an int8 model, with the weights that its file holds."""
        if self.is_int8:
            floats = from_file(self.path, name=self.name.removesuffix(MARK), domain=self.domain)
            return floats if floats.name == self.name else floats.self_ensemble()
        return replace(self, network=copy.deepcopy(self.network).float())

    def compiled(self) -> Model:
        """Return the model compiled by PyTorch, at the first call of each size; kernels are tuned on a GPU.

        Raises:
            DeviceError: the C++ compiler that PyTorch needs is missing.
        """
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None:
            raise DeviceError(
                f"--compile needs a C++ compiler, and {compiler} is missing: install one, or leave the option out"
            )
        process.load_torch_compiler()
        network = copy.deepcopy(self.network)
        on_gpu = next(network.parameters()).device.type == "cuda"
        # CUDA graphs of the compiler overwrite a result with the next one; those of `vidsr.stages.gpu` do not
        network.compile(mode="max-autotune-no-cudagraphs" if on_gpu else None)
        return replace(self, network=network)

    @property
    def is_compiled(self) -> bool:
        """Whether the model comes from `compiled`."""
        return self.network._compiled_call_impl is not None

    @property
    def is_int8(self) -> bool:
        """Whether layers compute in int8."""
        return any(isinstance(layer, QuantisedConv) for layer in self.network.modules())

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weights file."""
        return weight_files.sha256(self.path)

    @overload
    def __call__(self, source: Tensor, features: Tensor | None = None) -> Tensor: ...
    @overload
    def __call__(self, source: Image) -> Image: ...
    def __call__(self, source: Tensor | Image, features: Tensor | None = None) -> Tensor | Image:
        """Return ``source`` upscaled or restored; ``features``: `global_features` of the image if it is a tile."""
        if isinstance(source, Tensor) and source.dtype == torch.uint8:
            return self._image_tensor(source)
        if isinstance(source, Tensor):
            if source.ndim != 4 or source.shape[1] != self.channels or not source.is_floating_point():
                kind = "luma" if self.channels == 1 else "RGB"
                raise ModelError(
                    f"tensor has shape {tuple(source.shape)} and type {source.dtype}: give {kind} N x {self.channels} "
                    "x H x W as floats from 0 to 1, or an image as a NumPy array"
                )
            return self._planes(source, features)
        if not isinstance(source, np.ndarray):  # a PIL image, or a list
            convert = getattr(source, "convert", None)  # a palette, transparency or CMYK of a PIL image
            is_grey = getattr(source, "mode", "") in ("L", "1")
            source = np.array(source if convert is None else convert("L" if is_grey else "RGB"))  # PyTorch wants a copy
        if source.dtype != np.uint8 or not (source.ndim == 2 or (source.ndim == 3 and source.shape[2] == 3)):
            raise ModelError(
                f"image has shape {source.shape} and type {source.dtype}: give uint8 H x W x 3 (RGB) or H x W"
            )
        upscale = self._grey if source.ndim == 2 else self._rgb
        return upscale(torch.from_numpy(np.ascontiguousarray(source))).numpy()

    def _image_tensor(self, image: Tensor) -> Tensor:
        """Return a uint8 tensor C x H x W or N x C x H x W, RGB or grey, upscaled or restored, in the same layout."""
        if image.ndim not in (3, 4) or image.shape[-3] not in (1, 3):
            raise ModelError(f"tensor has shape {tuple(image.shape)}: give uint8 C x H x W or N x C x H x W, C 3 or 1")
        if image.ndim == 4:
            return torch.stack([self._image_tensor(one) for one in image])
        array = image.cpu().permute(1, 2, 0).numpy()
        result = torch.from_numpy(self(array[..., 0] if image.shape[0] == 1 else array))
        return (result[None] if image.shape[0] == 1 else result.permute(2, 0, 1)).to(image.device)

    @torch.inference_mode()
    def global_features(self, y: Tensor) -> Tensor | None:
        """Return the features of a whole image (planes as for a call) that its tiles need; None if they need none."""
        return self.network.global_features(y.to(next(self.network.parameters()).device))

    @torch.inference_mode()
    def _planes(self, y: Tensor, features: Tensor | None = None) -> Tensor:
        device = next(self.network.parameters()).device
        result: Tensor = self.network(y.to(device), features)
        return result

    @torch.inference_mode()
    def residual(self, y: Tensor) -> Tensor | None:
        """Return what the network adds to the nearest-neighbour upscale: N x scale**2 x H x W before the shuffle.

        In bf16, 1 for the peak, on a CPU, for networks in bf16 and int8. None on other devices, in other precisions, of
        compiled models, and of networks that do not end in an anchor and one shuffle.
        """
        network = self.network
        if self.is_compiled or not isinstance(network, SubpixelNetwork) or y.device.type != "cpu":
            return None
        if network.dtype != torch.bfloat16 and not self.is_int8:
            return None
        return network.residual(network.with_halo(y)).to(torch.bfloat16)

    def _grey(self, image: Tensor) -> Tensor:
        if self.channels == 3:
            return self._rgb(image[:, :, None].expand(-1, -1, 3)).float().mean(2).round().to(torch.uint8)
        y = self._planes(image[None, None].float() / 255)
        return codes(y[0, 0].cpu() * 255)

    def _rgb(self, image: Tensor) -> Tensor:
        if self.channels == 3:
            rgb = self._planes(image.permute(2, 0, 1)[None].float() / 255)
            return codes(rgb[0].permute(1, 2, 0).cpu() * 255)
        ycbcr = (image.float() @ TO_YCBCR.T + YCBCR_OFFSET).permute(2, 0, 1)[None]
        y = self._planes(ycbcr[:, :1] / 255).cpu() * 255
        chroma = F.interpolate(ycbcr[:, 1:], size=y.shape[-2:], mode="bicubic", antialias=True)  # a = -0.5
        large = torch.cat([y, chroma], 1)[0].permute(1, 2, 0)
        return codes((large - YCBCR_OFFSET) @ TO_RGB.T)


@torch.inference_mode()
def _flops(network: ImageNetwork, side: int) -> int:
    """Return the floating-point operations for a square image; the ``network`` is on the device "meta"."""
    process.load_torch_compiler()  # the counter belongs to the compiler
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, network.channels, side, side, device="meta"), None)
    return int(counter.get_total_flops())


def codes(values: Tensor) -> Tensor:
    """Return code values as uint8, rounded and clipped to 0 to 255."""
    return values.round().clamp(0, 255).to(torch.uint8)


def from_file(
    path: Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    name: str = "",
    domain: str = "",
    int8: bool = False,
) -> Model:
    """Return the model in a weights file: one of vidsr's, or a checkpoint of another architecture.

    It is in ``dtype``, unless that is a half precision in which the network is not exact enough: then in float32. With
    ``int8`` its calibrated layers, if the file has any, compute in int8 and the others in float32, on a CPU; those of a
    Compact network of other people are calibrated here.

    Raises:
        ModelError: the file is absent, damaged, or does not fit the architecture that it names.
        DeviceError: this processor cannot compute in int8.
    """
    network, metadata = checkpoints.read_network(path)
    supported = [DTYPES[half] for half in metadata.get("halves", "bf16, fp16").split(", ") if half]
    if int8 and network.calibration:
        if not has_int8(torch.device("cpu")):
            raise DeviceError("int8 needs VNNI or AMX, which this processor lacks: choose --precision fp32")
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        end = torch.bfloat16 if network.shuffles_last else torch.float32
        return Model(name or path.stem, domain, path, quantised(network, network.calibration, end), metadata)
    compact = int8_compact.in_int8(network) if int8 else None
    if compact is not None:
        return Model(name or path.stem, domain, path, compact, metadata)
    kept = dtype if dtype in supported and dtype in network.half_precisions else torch.float32
    network = network.to(device, kept, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Model(name or path.stem, domain, path, network, metadata)


def load_model(
    name: str,
    scale: int,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    domain: str = "clean",
    folder: Path = weight_files.WEIGHTS,
    int8: bool = False,
) -> Model:
    """Return the model ``name`` for ``scale``, on ``device`` in ``dtype``; ``name+``: its self-ensemble.

    ``name``: a shipped model, a community network, or a model file. ``domain`` of shipped models: ``clean`` (trained on
    bicubic downscaling), ``video`` (on compressed clips), ``any`` (restoration, x1).

    Raises:
        ModelError: the model, scale or domain does not exist, a package is missing, or a file has another checksum.
    """
    if name.endswith(MARK):
        return load_model(name.removesuffix(MARK), scale, device, dtype, domain, folder, int8).self_ensemble()
    named = model_files.find(name, folder)
    for entry in named:
        if entry.scale == scale and entry.domain in (domain, model_files.ANY_DOMAIN):
            model_files.check_sum(entry)
            return from_file(entry.path, device, dtype, entry.name, entry.domain, int8)
    have = ", ".join(f"x{e.scale} {e.domain}".strip() for e in named)
    raise ModelError(f"model {name!r} has no weights for x{scale} {domain}: choose {have}")


def available_scales(name: str, domain: str = "clean", folder: Path = weight_files.WEIGHTS) -> tuple[int, ...]:
    """Return the scales above 1 of the model ``name`` (or ``name+``), smallest first.

    Raises:
        ModelError: the model does not exist or does not upscale, or a package is missing.
    """
    entries = model_files.find(name.removesuffix(MARK), folder)
    scales = tuple(e.scale for e in entries if e.domain in (domain, model_files.ANY_DOMAIN) and e.scale > 1)
    if not scales:
        names = sorted({e.name for e in weight_files.list_weights(folder) if e.domain == domain})
        raise ModelError(f"model {name!r} does not upscale: choose {', '.join(names) or 'another folder'}")
    return scales


def list_models(folder: Path = weight_files.WEIGHTS) -> list[dict[str, Any]]:
    """Return a row per weights file: name, domain, scale, architecture, parameters, cost, bytes, scores and so on."""
    rows = []
    for entry in weight_files.list_weights(folder):
        model = from_file(entry.path, name=entry.name, domain=entry.domain)
        rows.append(
            {
                "name": entry.name,
                "domain": entry.domain,
                "scale": entry.scale,
                "architecture": model.metadata["architecture"],
                "parameters": model.parameters_count,
                "kmac_per_pixel": round(model.kmac_per_pixel, 2),
                "bytes": entry.path.stat().st_size,
                "sha256": model.sha256,
                "int8": bool(model.network.calibration),
                "scores": model.metadata.get("scores", ""),
                "note": model.metadata.get("note", ""),
            }
        )
    return rows
