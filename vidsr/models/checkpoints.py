"""Checkpoints of other people's networks: read without running code, and recognised by their tensors.

A checkpoint is a dictionary of tensors in a .safetensors file or in a pickle (.pth, .pt). Its names and shapes tell the
architecture and its size.
"""

from __future__ import annotations

import copy
import importlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidsr.errors import ModelError
from vidsr.models import spandrel_network, weight_files
from vidsr.models.architectures import rife_ncnn
from vidsr.models.architectures.ncnn_graph import NcnnGraph
from vidsr.models.frame_network import FrameNetwork
from vidsr.models.layers import ImageNetwork
from vidsr.models.ncnn_files import read_ncnn
from vidsr.models.rgb_network import RgbNetwork

OWN = ".safetensors"  # of vidsr, and of other programs
PICKLES = (".pth", ".pt", ".pkl", ".ckpt")
WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")  # around the tensors, the best first
PREFIXES = ("module.", "generator.", "netG.")  # of every name, from wrappers in training
MOST_TENSORS = 10_000

# Architectures, each with `recognise(state) -> Config | None` and perhaps `translate(state)`: (module, function that
# makes the network)
UPSCALERS: tuple[tuple[str, str], ...] = (
    ("compact", "Compact"),
    ("rrdbnet", "RRDBNet"),
    ("span", "make"),
    ("smfanet", "SmfaNet"),
)
INTERPOLATORS: tuple[tuple[str, str], ...] = (("rife", "Rife"),)


def read_network(path: Path) -> tuple[ImageNetwork, dict[str, str]]:
    """Return the network that upscales or restores in a file, on the CPU in float32, and its metadata.

    Files of vidsr name their architecture; others are recognised by their tensors, by vidsr or else by spandrel.

    Raises:
        ModelError: the file is absent, damaged, or of an unknown architecture.
    """
    try:
        facts = path.stat()
    except OSError:
        return _read_network(path)  # it names the problem
    network, metadata = _kept_network(path, facts.st_size, facts.st_mtime_ns)
    return copy.deepcopy(network), dict(metadata)


@lru_cache(maxsize=1)
def _kept_network(path: Path, size: int, changed: int) -> tuple[ImageNetwork, dict[str, str]]:
    """Return the network of a file. It is kept, because plan and run need the same one; a change of the file shows."""
    return _read_network(path)


def _read_network(path: Path) -> tuple[ImageNetwork, dict[str, str]]:
    if path.suffix.lower() == OWN and "architecture" in weight_files.read_metadata(path):
        return weight_files.read(path)
    if path.suffix.lower() in weight_files.NCNN:
        return _read_ncnn(path), {"architecture": "ncnn_graph"}
    state = read_checkpoint(path)
    network, architecture = _recognised(path, state, UPSCALERS) or spandrel_network.load(path, state, _names(UPSCALERS))
    assert isinstance(network, ImageNetwork)
    return network, {"architecture": architecture}


def read_frame_network(path: Path) -> FrameNetwork:
    """Return the interpolation network in a file of vidsr or in a checkpoint, on the CPU in float32.

    Raises:
        ModelError: the file is absent, damaged, or holds no interpolation network.
    """
    suffix = path.suffix.lower()
    if suffix == OWN and "architecture" in weight_files.read_metadata(path):
        return weight_files.read_frame_network(path)[0]
    state = _ncnn_tensors(path) if suffix in weight_files.NCNN else read_checkpoint(path)
    network, _ = build(path, state, INTERPOLATORS)
    assert isinstance(network, FrameNetwork)
    return network


def _read_ncnn(path: Path) -> RgbNetwork:
    layers = read_ncnn(path)
    try:
        network = NcnnGraph(layers)
    except (ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{path} is no ncnn network that upscales RGB: {_first_line(error)}") from None
    network.eval().requires_grad_(False)
    return network


def _ncnn_tensors(path: Path) -> dict[str, Tensor]:
    layers = read_ncnn(path)
    try:
        return rife_ncnn.tensors(layers)
    except (ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"{path} is no ncnn network that interpolates: {_first_line(error)}") from None


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, in float32, without the wrappers of training.

    Raises:
        ModelError: the file is unreadable, holds anything but tensors, or its tensors are not finite.
    """
    data = _unpickled(path) if path.suffix.lower() in PICKLES else _safetensors(path)
    for wrapper in WRAPPERS:
        if isinstance(data, Mapping) and isinstance(data.get(wrapper), Mapping):
            data = data[wrapper]
            break
    state = {name: value for name, value in data.items() if isinstance(value, Tensor)} if _is_named(data) else {}
    if not state or len(state) > MOST_TENSORS:
        raise ModelError(f"{path} holds no weights of a network: give a file of named tensors")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return {name: _plain(tensor, path) for name, tensor in state.items()}


def build(
    path: Path, state: Mapping[str, Tensor], architectures: tuple[tuple[str, str], ...] = UPSCALERS
) -> tuple[nn.Module, str]:
    """Return the network with the tensors of the file ``path``, and the name of its architecture.

    Raises:
        ModelError: the tensors are of no known architecture, or do not fit it.
    """
    found = _recognised(path, state, architectures)
    if found is None:
        raise ModelError(f"{path} holds weights of an unknown architecture: vidsr knows {_names(architectures)}")
    return found


def _names(architectures: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(name for name, _ in architectures)


def _recognised(
    path: Path, state: Mapping[str, Tensor], architectures: tuple[tuple[str, str], ...]
) -> tuple[nn.Module, str] | None:
    """Return what `build` does; None for an unknown architecture."""
    for name, maker in architectures:
        module = importlib.import_module(f"vidsr.models.architectures.{name}")
        translate = getattr(module, "translate", dict)
        try:
            tensors = translate(state)
            config = module.recognise(tensors)
            if config is None:
                continue
            with torch.device("meta"):  # the tensors of the file become the parameters, so a hostile size costs nothing
                network: nn.Module = getattr(module, maker)(config)
            known = network.state_dict().keys()
            network.load_state_dict({name: tensors[name] for name in known}, assign=True)
        except (ValueError, KeyError, IndexError, RuntimeError, AttributeError) as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise ModelError(f"{path} does not fit the architecture {name}: {reason}") from None
        return network.eval().requires_grad_(False), name
    return None


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path} is not a readable weights file: {str(error).splitlines()[0]}") from None


def _unpickled(path: Path) -> Any:
    """Return the data of a pickle that holds nothing but tensors and containers; no code of the file runs."""
    try:
        _refuse_compressed(path)
        with warnings.catch_warnings(action="ignore"):  # of an old pickle, which then loads or raises
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error) or "Unsupported" in str(error):
            raise ModelError(
                f"{path} holds code, not only weights: give a file of tensors, such as .safetensors"
            ) from None
        raise ModelError(f"{path} is not a readable weights file: {_first_line(error)}") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not a readable weights file: {_first_line(error)}") from None
    except Exception:  # a hostile pickle raises anything
        raise ModelError(
            f"{path} is not a readable weights file: its data is damaged, or no pickle of tensors"
        ) from None


def _refuse_compressed(path: Path) -> None:
    """PyTorch compresses nothing; a compressed file could unpack to more than the memory."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise ValueError("it unpacks to more bytes than it has")


def _is_named(data: Any) -> bool:
    return isinstance(data, Mapping) and all(isinstance(name, str) for name in data)


def _plain(tensor: Tensor, path: Path) -> Tensor:
    """Return ``tensor`` in memory of its own.

    Raises:
        ModelError: it declares more values than it holds, or one is not finite.
    """
    if (
        tensor.is_sparse
        or tensor.is_quantized
        or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
    ):
        raise ModelError(
            f"{path} declares a tensor of shape {tuple(tensor.shape)} that it does not hold: it is damaged"
        )
    tensor = tensor.detach().float().clone(memory_format=torch.contiguous_format)
    if not torch.isfinite(tensor).all():
        raise ModelError(f"{path} holds values that are not finite: the network was not trained to the end")
    return tensor


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
