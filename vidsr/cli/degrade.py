"""`vidsr degrade`: a worse clip, for tests and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidsr.degrade.clip import degrade_clip, parse_degrade


def degrade(source: Path, output: Path, overwrite: bool, **options: Any) -> None:
    """Write the clip degraded by the ``options`` of `parse_degrade`, and print its number of frames."""
    print(f"{output}: {degrade_clip(source, output, parse_degrade(**options), overwrite=overwrite)} frames")
