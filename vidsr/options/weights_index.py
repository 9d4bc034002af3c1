"""The index of the shipped weights: what `vidsr models` prints, without importing PyTorch."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from vidsr.options.names import WEIGHTS

INDEX = "index.json"  # written by `python -m vidsr.evaluate.model_cards`


def read_index(folder: Path = WEIGHTS) -> list[dict[str, Any]] | None:
    """Return the rows of `vidsr.models.list_models` for ``folder``; None if its index does not fit its files."""
    try:
        rows: list[dict[str, Any]] = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError):
        return None
    indexed = {f"{row['name']}-{row['domain']}-x{row['scale']}.safetensors": row["sha256"] for row in rows}
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.glob("*-x[0-9].safetensors")}
    return rows if indexed == found else None
