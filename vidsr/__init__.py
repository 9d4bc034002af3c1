"""vidsr: exact, streaming, verifiable video enhancement.

import vidsr
vidsr.enhance("clip.mp4", "larger.mp4", scale=4, fps="2x")
hr = vidsr.load_model("fast", scale=4)(rgb)  # uint8 H x W x 3 -> 4H x 4W x 3
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from vidsr.api import compare, enhance, enhance_all, load_model, verify
    from vidsr.errors import VidsrError

__all__ = ["VidsrError", "__version__", "compare", "enhance", "enhance_all", "frames", "load_model", "verify"]

# Imported at the first use, so that `vidsr --help` does not load PyTorch.
_MODULES = {
    "VidsrError": "vidsr.errors",
    "compare": "vidsr.api",
    "enhance": "vidsr.api",
    "enhance_all": "vidsr.api",
    "frames": "vidsr.api",
    "load_model": "vidsr.api",
    "verify": "vidsr.api",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _MODULES:
        raise AttributeError(f"module 'vidsr' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
