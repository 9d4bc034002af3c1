"""Names of networks, kernels, devices and encoders, checked without PyTorch: wrong ones are reported at once."""

from __future__ import annotations

import re
from pathlib import Path

from vidsr.errors import DeviceError, ModelError
from vidsr.options.codecs import CODECS, FORMATS, NULL_CODEC
from vidsr.options.community import find_models
from vidsr.options.model_names import check_installed, check_model_file, is_model_file, unknown_model

WEIGHTS = Path(__file__).parent.parent / "weights"
UPSCALER = re.compile(r"(?P<name>[a-z0-9_-]+)-clean-x\d\.safetensors")
DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d{1,4})?")
KERNELS = ("nearest", "bilinear", "bicubic", "bicubic_opencv", "lanczos")  # of vidsr.kernels.resample


def check_model(name: str) -> None:
    """Refuse a ``--model`` that no run knows; ``NAME+`` is a self-ensemble.

    Raises:
        ModelError: the message lists the networks and the kernels, or names the package to install.
    """
    if is_model_file(name):
        check_model_file(name)
        return
    if find_models(name):
        check_installed(name)
        return
    if name.endswith("+") and find_models(name[:-1]):
        raise ModelError(f"{name[:-1]} works on RGB, and + is for networks on luma: leave it out")
    matches = (UPSCALER.fullmatch(path.name) for path in WEIGHTS.glob("*.safetensors"))
    networks = sorted({match["name"] for match in matches if match})
    if name != "auto" and name not in KERNELS and name.removesuffix("+") not in networks:
        raise ModelError(unknown_model(name, ["auto", *networks, *KERNELS]))


def check_device(name: str) -> None:
    """Refuse a ``--device`` that is none on any machine; whether this one has it, PyTorch tells later.

    Raises:
        DeviceError: it is neither auto, cpu, xpu, mps nor a list of CUDA devices.
    """
    if not all(DEVICE.fullmatch(one.strip()) for one in name.split(",")):
        raise DeviceError(f"--device {name!r} is unknown: choose auto, cpu, cuda, cuda:N, cuda:0,cuda:1, xpu or mps")


def kinds_of(device: str) -> str:
    """Return the kinds of the devices of a ``--device``, without numbers: ``cuda`` for ``cuda:0,cuda:1``.

    The numbers do not matter for the output, and a worker process sees its own GPU only, as number 0.
    """
    return ",".join(dict.fromkeys(one.strip().partition(":")[0] for one in device.split(",")))


def check_codec(name: str) -> None:
    """Refuse a ``--codec`` that this FFmpeg does not have; those of the table are checked with their options.

    Raises:
        OptionError: it has no such video encoder.
    """
    name = FORMATS.get(name.lower(), name)
    if name not in CODECS and name != NULL_CODEC:
        from vidsr.runtime.encoders import find_encoder

        find_encoder(name)
