"""`vidsr models`: the networks with their weights, and the classical methods."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Any

from vidsr.cli.tables import print_json, print_rows
from vidsr.options.names import KERNELS, WEIGHTS
from vidsr.options.restoration import CLASSICAL
from vidsr.options.weights_index import read_index


def models(json: bool) -> None:
    """Print the shipped networks and the classical methods."""
    print_models(json)


def print_models(as_json: bool, folder: Path = WEIGHTS) -> None:
    """Print the networks with weights in ``folder``, and the classical methods."""
    rows = read_index(folder)
    if rows is None:  # weights of the user's own: their networks are built
        from vidsr.models import list_models

        rows = list_models(folder)
    if as_json:
        print_json(rows)
        return
    columns = ("model", "parameters", "kMAC/pixel", "PSNR-Y Set5", "kB", "sha256")
    print_rows(columns, [_model_cells(row) for row in rows])
    for row in rows:
        if row["note"]:
            print(f"\n{row['name']} x{row['scale']}: {row['note']}")
    print(f"\nclassical kernels: {', '.join(KERNELS)}")
    print(f"classical restoration: {', '.join(CLASSICAL)}")


def _model_cells(row: dict[str, Any]) -> tuple[object, ...]:
    set5 = json_module.loads(row["scores"] or "{}").get("set5", {})
    return (
        f"{row['name']} x{row['scale']} {row['domain']}",
        row["parameters"],
        f"{row['kmac_per_pixel']:.1f}",
        set5["psnr_y"] if "bicubic_psnr_y" in set5 else "",  # restoration networks are measured on other images
        f"{row['bytes'] / 1000:.0f}",
        row["sha256"][:12],
    )
