"""Weights files: safetensors whose metadata names the architecture and its configuration."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidsr.errors import ModelError
from vidsr.models import int8
from vidsr.models.equivariant import compress_tied, expand_tied
from vidsr.models.frame_network import FrameNetwork
from vidsr.models.layers import LumaNetwork
from vidsr.runtime.output_file import OutputFile

Network = LumaNetwork | FrameNetwork

FRAME_NETWORK_END = "-frames.safetensors"  # end of the file names of interpolation networks
WEIGHTS = Path(__file__).parent.parent / "weights"
CHECKSUMS = "SHA256SUMS"  # of the shipped weights
NCNN = (".param", ".bin")  # the two files of a network of ncnn
LARGE = 60_000  # parameters; files of larger networks are in fp16
FILE_NAME = re.compile(r"(?P<name>[a-z0-9_-]+)-(?P<domain>clean|video|any)-x(?P<scale>\d)\.safetensors")

# Prefixes of tensors in files written before version 0.2, and their present names
RENAMED = {"look.": "deconvolution.", "glance.": "shift_estimator."}

# architecture -> (module, class); each module has the network and its frozen Config
ARCHITECTURES: dict[str, tuple[str, str]] = {
    "plain": ("vidsr.models.architectures.plain", "Plain"),
    "recurrent": ("vidsr.models.architectures.recurrent", "Recurrent"),
    "espcn": ("vidsr.models.architectures.espcn", "Espcn"),
    "refine": ("vidsr.models.architectures.refine", "Refine"),
    "superslomo": ("vidsr.models.architectures.superslomo", "SuperSloMo"),
    "srcnn": ("vidsr.models.architectures.srcnn", "Srcnn"),
    "residual": ("vidsr.models.architectures.residual", "Residual"),
    "srresnet": ("vidsr.models.architectures.srresnet", "Srresnet"),
    "deconvolved": ("vidsr.models.architectures.blind_deconvolution", "BlindDeconvolution"),
    "unshuffled": ("vidsr.models.architectures.unshuffled", "Unshuffled"),
    "gated_unet": ("vidsr.models.architectures.gated_unet", "GatedUnet"),
    "autoencoder": ("vidsr.models.architectures.autoencoder", "Autoencoder"),
}


@dataclass(frozen=True)
class WeightsFile:
    """A weights file of a network that upscales or restores."""

    name: str
    domain: str
    scale: int
    path: Path


def list_weights(folder: Path = WEIGHTS) -> list[WeightsFile]:
    """Return the weights files in ``folder`` but those of interpolation networks, sorted by name, domain, scale."""
    matches = ((FILE_NAME.fullmatch(p.name), p) for p in folder.glob("*.safetensors"))
    entries = [WeightsFile(m["name"], m["domain"], int(m["scale"]), p) for m, p in matches if m]
    return sorted(entries, key=lambda e: (e.name, e.domain, e.scale))


def frame_network_path(name: str, folder: Path = WEIGHTS) -> Path:
    """Return the weights file of the interpolation network ``name``.

    Raises:
        ModelError: there is none.
    """
    path = folder / f"{name}{FRAME_NETWORK_END}"
    if not path.exists():
        names = sorted(p.name.removesuffix(FRAME_NETWORK_END) for p in folder.glob(f"*{FRAME_NETWORK_END}"))
        raise ModelError(f"no interpolation network is called {name!r}: choose {', '.join(names) or 'another folder'}")
    return path


def has_frame_network(name: str, folder: Path = WEIGHTS) -> bool:
    """Whether the interpolation network ``name`` has a weights file."""
    return (folder / f"{name}{FRAME_NETWORK_END}").exists()


def build_network(architecture: str, config: dict[str, Any]) -> Network:
    """Return a fresh network. ``config``: settings that differ from the defaults, and the scale of an upscaler.

    Raises:
        ModelError: the architecture or a setting is unknown.
    """
    if architecture not in ARCHITECTURES:
        raise ModelError(f"unknown architecture {architecture!r}: choose {', '.join(ARCHITECTURES)}")
    module_name, class_name = ARCHITECTURES[architecture]
    module = importlib.import_module(module_name)
    known = {f.name for f in fields(module.Config)}
    unknown = [key for key in config if key not in known]
    if unknown:
        raise ModelError(f"{architecture} has no setting {unknown[0]!r}: choose {', '.join(sorted(known))}")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    network: Network = getattr(module, class_name)(module.Config(**settings))
    return network


def write(path: Path, network: Network, metadata: dict[str, str]) -> None:
    """Write collapsed weights, atomically. ``metadata`` holds at least architecture and config (JSON).

    The calibrated int8 form of the network is written with them.

    Large anchored networks are stored in fp16, in which they run as well, and of tied kernels only an eighth is stored:
    all shipped files together stay below 16 MB.
    """
    dtype = torch.float16 if network.anchored and count_parameters(network) > LARGE else torch.float32
    tensors = ((key, tensor.detach().cpu()) for key, tensor in network.state_dict().items())
    state = {key: compress_tied(tensor).to(dtype).contiguous() for key, tensor in tensors}
    if isinstance(network, LumaNetwork):
        state |= int8.to_tensors(network.calibration)
    with OutputFile(path, overwrite=True, make_folders=True) as file:
        save_file(state, file.part, metadata)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a weights file; of ncnn, that of the .param and the .bin file, one after the other."""
    parts = [path.with_suffix(end) for end in NCNN] if path.suffix.lower() in NCNN else [path]
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()


def read_state(path: Path, tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and metadata of a weights file; without ``tensors`` the metadata only."""
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys() if tensors else ()
            return {key: file.get_tensor(key) for key in names}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a readable weights file: {error}") from None


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of a weights file: empty if it has none, as in files of other programs."""
    return read_state(path, tensors=False)[1]


def read(path: Path) -> tuple[LumaNetwork, dict[str, str]]:
    """Return the network that upscales or restores in a weights file, on the CPU in float32, and the metadata."""
    network, metadata = load(path)
    if not isinstance(network, LumaNetwork):
        raise ModelError(
            f"{path} holds an interpolation network ({metadata['architecture']}): give one that upscales or restores"
        )
    return network, metadata


def read_frame_network(path: Path) -> tuple[FrameNetwork, dict[str, str]]:
    """Return the interpolation network in a weights file, on the CPU in float32, and the metadata."""
    network, metadata = load(path)
    if not isinstance(network, FrameNetwork):
        raise ModelError(
            f"{path} holds no interpolation network but {metadata['architecture']}: give one that interpolates"
        )
    return network, metadata


def load(path: Path) -> tuple[Network, dict[str, str]]:
    """Return the network in a weights file, of either kind, on the CPU in float32, and the metadata.

    Raises:
        ModelError: the file is absent, damaged, or does not fit its architecture.
    """
    state, metadata = read_state(path)
    steps = {name: tensor for name, tensor in state.items() if name.startswith(int8.PREFIX)}
    state = {_present_name(name): tensor for name, tensor in state.items() if name not in steps}
    try:
        network = build_network(metadata["architecture"], json.loads(metadata["config"]))
        whole = network.state_dict()
        network.load_state_dict({k: expand_tied(v, whole[k]) if k in whole else v for k, v in state.items()})
        if steps and isinstance(network, LumaNetwork):
            network.calibration = int8.from_tensors(steps, network)
    except (KeyError, ValueError, TypeError, RuntimeError, AttributeError, IndexError) as error:
        first_line = str(error).splitlines()[0]
        raise ModelError(f"{path} does not fit the architecture that it names: {first_line}") from None
    network.eval().requires_grad_(False)
    return network, metadata


def _present_name(tensor: str) -> str:
    for old, new in RENAMED.items():
        if tensor.startswith(old):
            return new + tensor.removeprefix(old)
    return tensor


def count_parameters(network: torch.nn.Module) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in network.parameters())
