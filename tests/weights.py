"""Metadata of weights files that tests write."""

import json
from dataclasses import asdict
from typing import Any


def metadata(architecture: str, config: Any) -> dict[str, str]:
    """The least that `vidsr.models.weight_files` needs to rebuild a network of ``config`` (a frozen Config)."""
    return {"architecture": architecture, "config": json.dumps(asdict(config))}
