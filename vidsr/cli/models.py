"""`vidsr models`: the networks with their weights, and the classical methods."""

from __future__ import annotations

import json as json_module
from itertools import groupby
from pathlib import Path
from typing import Any

from vidsr.cli.tables import print_json, print_rows
from vidsr.errors import VerifyError
from vidsr.options.commands import BY_NAME
from vidsr.options.community import COMMUNITY_MODELS
from vidsr.options.names import KERNELS, WEIGHTS
from vidsr.options.restoration import CLASSICAL
from vidsr.options.weights_index import read_index


def models(action: str | None, json: bool) -> None:
    """Print the networks and the classical methods, or verify the checksums of all weights.

    Raises:
        OptionError: there is no such ``action``.
    """
    if BY_NAME["models"].option("action").parsed(action) == "verify":
        verify_models(json)
    else:
        print_models(json)


def print_models(as_json: bool, folder: Path = WEIGHTS) -> None:
    """Print the networks with weights in ``folder``, the community networks, and the classical methods."""
    rows = read_index(folder)
    if rows is None:  # weights of the user's own: their networks are built
        from vidsr.models import list_models

        rows = list_models(folder)
    if as_json:
        print_json(rows + community_rows())
        return
    columns = ("model", "parameters", "kMAC/pixel", "PSNR-Y Set5", "kB", "sha256")
    print_rows(columns, [_model_cells(row) for row in rows])
    for row in rows:
        if row["note"]:
            print(f"\n{row['name']} x{row['scale']}: {row['note']}")
    quantised = dict.fromkeys(row["name"] for row in rows if row["int8"])
    if quantised:
        print(f"\nin int8 on a CPU with VNNI or AMX: {', '.join(quantised)}")
    print("\nCommunity networks, for the eye; pip installs their packages, and --model also takes files of your own:\n")
    print_rows(("model", "scales", "licence", "installed"), _community_cells())
    for origin in dict.fromkeys(model.origin for model in COMMUNITY_MODELS):
        print(f"{origin.package}: {origin.authors}")
    print(f"\nclassical kernels: {', '.join(KERNELS)}")
    print(f"classical restoration: {', '.join(CLASSICAL)}")


def community_rows() -> list[dict[str, Any]]:
    """Return a row per community network and scale, with the keys of `list_models` and those of its origin."""
    return [
        {
            "name": model.name,
            "domain": "",
            "scale": model.scale,
            "architecture": "ncnn_graph",
            "sha256": model.sha256,
            "licence": model.origin.licence,
            "origin": model.origin.authors,
            "package": model.origin.package,
            "installed": model.path is not None,
        }
        for model in COMMUNITY_MODELS
    ]


def verify_models(as_json: bool) -> None:
    """Print whether each installed weights file has the checksum that vidsr knows.

    Raises:
        VerifyError: one differs or is missing.
    """
    from vidsr.models.model_files import verify

    files = verify()
    if as_json:
        print_json([{"path": str(file.path), "ok": file.ok} for file in files])
    for file in files:
        if not file.ok and not as_json:
            print(f"{file.path}: differs or is missing")
    failed = sum(not file.ok for file in files)
    if failed:
        raise VerifyError(
            f"{failed} of {len(files)} weights files differ from those that vidsr knows: install them again"
        )
    if not as_json:
        print(f"{len(files)} weights files have the checksums that vidsr knows")


def _community_cells() -> list[tuple[object, ...]]:
    """Return the cells of a row for each community network, its scales together."""
    named = groupby(COMMUNITY_MODELS, key=lambda model: (model.name, model.origin))
    return [
        (
            name,
            ", ".join(f"x{model.scale}" for model in group),
            origin.licence,
            "no" if origin.folder is None else "yes",
        )
        for (name, origin), group in named
    ]


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
