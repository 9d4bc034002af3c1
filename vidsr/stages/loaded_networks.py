"""Networks ready to run, each loaded once in a process. So a worker loads none again for its next segment or clip.

A network has no state, so those who use it share it. What a clip leaves behind (the state of a temporal network, copied
tiles, CUDA graphs) belongs to the stage, which is made for each segment.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from vidsr.device import Compute
from vidsr.errors import ModelError
from vidsr.models import Model, checkpoints, from_file, model_files
from vidsr.models.frame_network import FrameNetwork
from vidsr.models.self_ensemble import MARK
from vidsr.models.weight_files import WEIGHTS, sha256
from vidsr.stages.specs import NetworkSpec

KEPT = 4  # networks of each kind: those that restore and those of two scales, on one device


def loaded_model(spec: NetworkSpec, folder: Path = WEIGHTS) -> Model:
    """Return the network of ``spec`` on its device, its layers fused or compiled.

    Raises:
        ModelError: the weights file is absent or differs from the one in ``spec``.
    """
    path = model_files.located(spec.file, folder)
    check_weights(path, spec)
    return _model(path, replace(spec, memory=None, batch=None, tile=None, is_checked=False))


def loaded_frame_network(path: Path, compute: Compute) -> FrameNetwork:
    """Return the interpolation network in a weights file, on a device, in its number format.

    Raises:
        ModelError: the file is absent, damaged, or holds none.
    """
    return _frame_network(path, _checksum(path), compute.device, compute.dtype)


def check_weights(path: Path, spec: NetworkSpec) -> None:
    """Compare a weights file with the one that was planned.

    Raises:
        ModelError: it is another one, or absent.
    """
    if _checksum(path) != spec.sha256:
        raise ModelError(f"{path} is not the weights file of the plan, sha256 {spec.sha256[:12]}...: plan again")


def _checksum(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise ModelError(f"{path} is not a readable weights file: {error.strerror}") from None


@lru_cache(maxsize=KEPT)
def _model(path: Path, spec: NetworkSpec) -> Model:
    """Return the network in the file ``path``; everything that decides its form is in ``spec``."""
    name, compute = spec.name.removesuffix(MARK), spec.compute
    model = from_file(path, compute.device, compute.dtype, name, spec.domain, compute.int8)
    model = model if name == spec.name else model.self_ensemble()
    return model.compiled() if spec.compiled else model.fused()


@lru_cache(maxsize=KEPT)
def _frame_network(path: Path, checksum: str, device: torch.device, dtype: torch.dtype) -> FrameNetwork:
    """Return the network in the file ``path``, whose content has that ``checksum``."""
    network: FrameNetwork = checkpoints.read_frame_network(path).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
