"""vidsr: exact, streaming, verifiable video enhancement.

import vidsr
vidsr.enhance("clip.mp4", "larger.mp4", scale=4, fps="2x")
hr = vidsr.load_model("fast", scale=4)(rgb)  # uint8 H x W x 3 -> 4H x 4W x 3
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from vidsr.api import enhance
    from vidsr.errors import VidsrError
    from vidsr.evaluate.upscaling import compare_upscaling
    from vidsr.models import load_model
    from vidsr.options.enhance import EnhanceOptions

__all__ = ["EnhanceOptions", "VidsrError", "__version__", "compare_upscaling", "enhance", "load_model"]

# Imported when first asked for, so that `vidsr --help` does not pay for PyTorch.
_HOMES = {
    "EnhanceOptions": "vidsr.options.enhance",
    "VidsrError": "vidsr.errors",
    "compare_upscaling": "vidsr.evaluate.upscaling",
    "enhance": "vidsr.api",
    "load_model": "vidsr.models",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'vidsr' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
