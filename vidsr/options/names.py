"""Names of networks and kernels that upscale, known without PyTorch: wrong ones are reported at once."""

from __future__ import annotations

import re
from pathlib import Path

from vidsr.errors import ModelError

WEIGHTS = Path(__file__).parent.parent / "weights"
UPSCALER = re.compile(r"(?P<name>[a-z0-9_-]+)-clean-x\d\.safetensors")
KERNELS = ("nearest", "bilinear", "bicubic", "bicubic_opencv", "lanczos")  # of vidsr.kernels.resample


def check_model(name: str) -> None:
    """Refuse a ``--model`` that no run knows; ``NAME+`` is a self-ensemble.

    Raises:
        ModelError: the message lists the networks and the kernels.
    """
    matches = (UPSCALER.fullmatch(path.name) for path in WEIGHTS.glob("*.safetensors"))
    networks = sorted({match["name"] for match in matches if match})
    if name != "auto" and name not in KERNELS and name.removesuffix("+") not in networks:
        raise ModelError(f"no model is called {name!r}: choose auto, {', '.join([*networks, *KERNELS])}")
