"""Measure PSNR-Y and SSIM of every shipped network by the papers' protocol, with bicubic and published figures.

    python benchmarks/quality.py [--sets set5 set14] [--models fast balanced+] [--json PATH]

Sets are folders of sharp images in $VIDSR_DATA (default: ../shared/data); missing ones of SETS are left out. LR images
come from MATLAB's antialiased bicubic. Scores are on BT.601 limited luma, with a border of the scale cropped on each
side. The frame rate is that of the network alone at 480x270 on this machine, in the precision that `auto` chooses. With
--json, rows of networks that were not measured stay, and each row names its machine.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from _timer import interleaved, machine

from vidsr.device import choose
from vidsr.evaluate.image_sets import evaluate
from vidsr.models import list_models, load_model
from vidsr.models.self_ensemble import MARK
from vidsr.runtime import process
from vidsr.stages.network_runner import Runner

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
CALLS, WARM_UP = 8, 8  # the first seconds are slower, whichever network comes first
SLOW = 4.0  # seconds; longer calls need no warm-up

SETS = ("set5", "set14", "bsd100", "urban100")
# Published PSNR-Y on SETS of networks of similar size: SRCNN 9-5-5 (Dong et al. 2016); ESPCN, ECBSR-M4C16 and
# M4C32 (RGB, ETDS paper's table); IMDN (its repository), 0.7 M parameters; SRResNet x4 (MSRResNet, 1.5 M).
PUBLISHED: dict[tuple[str, int], tuple[float, float, float, float]] = {
    ("srcnn", 2): (36.66, 32.45, 31.36, 29.50),
    ("srcnn", 3): (32.75, 29.30, 28.41, 26.24),
    ("srcnn", 4): (30.48, 27.50, 26.90, 24.52),
    ("espcn", 2): (36.87, 32.62, 31.40, 29.61),
    ("espcn", 3): (32.85, 29.41, 28.40, 26.22),
    ("espcn", 4): (30.66, 27.66, 26.94, 24.56),
    ("fast", 2): (37.18, 32.79, 31.61, 30.18),
    ("fast", 3): (33.07, 29.53, 28.57, 26.61),
    ("fast", 4): (30.87, 27.80, 27.06, 24.75),
    ("balanced", 2): (37.39, 33.03, 31.79, 30.69),
    ("balanced", 3): (33.56, 29.78, 28.73, 26.98),
    ("balanced", 4): (31.24, 28.04, 27.21, 25.07),
    ("best", 2): (38.00, 33.63, 32.19, 32.17),
    ("best", 3): (34.36, 30.32, 29.09, 28.17),
    ("best", 4): (32.21, 28.58, 27.56, 26.04),
    ("srresnet", 4): (32.05, 28.49, 27.58, 26.07),
}


def rows(sets: list[str], models: list[str] | None) -> Iterator[dict[str, Any]]:
    """Yield one row per upscaling network, scale and set."""
    for listed, mark in product(list_models(), ("", MARK)):
        name, scale, domain = listed["name"] + mark, listed["scale"], listed["domain"]
        if scale == 1 or (name not in models if models else mark):
            continue
        model = load_model(name, scale, domain=domain)
        speed = frames_per_second(name, scale, domain)
        for folder in sets:
            mean = evaluate(model, scale, [DATA / folder])[-1]
            yield {
                "model": name,
                "domain": domain,
                "scale": scale,
                "set": folder,
                "psnr_y": round(mean.psnr_y, 3),
                "ssim": round(mean.ssim, 4),
                "bicubic_psnr_y": round(mean.bicubic_psnr_y, 3),
                "bicubic_ssim": round(mean.bicubic_ssim, 4),
                "published_psnr_y": published(name, scale, folder) if domain == "clean" else None,
                "parameters": listed["parameters"],
                "kmac_per_pixel": round(model.kmac_per_pixel, 2),
                "fps_480x270": round(speed, 1),
            }


def published(name: str, scale: int, folder: str) -> float | None:
    """Return the published PSNR-Y of a network of that size; None if there is none."""
    figures = dict(zip(SETS, PUBLISHED.get((name, scale), ()), strict=False))
    return figures.get(folder)


def frames_per_second(name: str, scale: int, domain: str) -> float:
    """Return the rate of the network alone on 480x270 luma: the median of its calls after a warm-up."""
    compute = choose("auto", "auto")
    runner = Runner(load_model(name, scale, compute.device, compute.dtype, domain).fused(), compute)
    frames = torch.randint(0, 256, (4, 1, 270, 480), dtype=torch.uint8)
    began = time.perf_counter()
    runner(frames, 255).cpu()
    calls, warm_up = (CALLS, WARM_UP) if time.perf_counter() - began < SLOW else (2, 0)
    seconds = interleaved({"network": lambda: runner(frames, 255).cpu()}, calls, warm_up)["network"]
    return len(frames) / median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", help="folders; default: all that exist")
    parser.add_argument("--models", nargs="+", help="names; default: all upscaling networks")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data folder at {DATA}: name one with VIDSR_DATA")
    process.configure_process()  # networks run as in the command
    table = []
    print("| model | scale | set | PSNR-Y | SSIM | bicubic | published | parameters | kMAC/px | fps |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    sets = arguments.sets or [name for name in SETS if (DATA / name).is_dir()]
    for row in rows(sets, arguments.models):
        table.append(row)
        label = row["model"] if row["domain"] == "clean" else f"{row['model']} ({row['domain']})"
        print(
            f"| {label} | x{row['scale']} | {row['set']} | {row['psnr_y']:.2f} | {row['ssim']:.4f} | "
            f"{row['bicubic_psnr_y']:.2f} | {row['published_psnr_y'] or ''} | {row['parameters']:,} | "
            f"{row['kmac_per_pixel']:.1f} | {row['fps_480x270']:.0f} |",
            flush=True,
        )
    if arguments.json:
        write(arguments.json, table)


def write(path: Path, table: list[dict[str, Any]]) -> None:
    """Write the rows of ``table`` to ``path``; rows of other networks stay, with their machine."""
    known = json.loads(path.read_text())["rows"] if path.exists() else []
    measured = {row["model"] for row in table}
    where = f"{machine()}, {choose('auto', 'auto')}, torch {torch.__version__}"
    kept = [row for row in known if row["model"] not in measured]
    merged = kept + [{**row, "machine": where} for row in table]
    merged.sort(key=lambda row: (row["model"], row["domain"], row["scale"]))
    path.write_text(json.dumps({"rows": merged}, indent=1) + "\n")


if __name__ == "__main__":
    main()
