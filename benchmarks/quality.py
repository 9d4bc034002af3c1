"""PSNR-Y and SSIM of every shipped network by the papers' protocol, beside bicubic and the published figures.

    python benchmarks/quality.py [--sets set5 set14] [--json PATH]

Sets are folders of sharp pictures in $VIDSR_DATA (default: shared/data beside the repository). LR pictures are made by
MATLAB's antialiased bicubic, scores are on BT.601 limited luma with the scale cropped at each border. The frame rate is
that of the network alone at 480x270 on this machine, in the precision that `auto` chooses.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from vidsr.device import choose
from vidsr.models import list_models, load_model
from vidsr.stages.runner import Runner
from vidsr.train.evaluate import evaluate

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
FRAMES = 24

# PSNR-Y on Set5 and Set14 as published: SRCNN 9-5-5 (Dong et al. 2016), ESPCN (RGB, as trained for the ETDS paper),
# ECBSR-M4C16 and M4C32 (RGB, ETDS paper's table): the sizes of our networks.
PUBLISHED: dict[tuple[str, int], dict[str, float]] = {
    ("srcnn", 2): {"set5": 36.66, "set14": 32.45},
    ("srcnn", 3): {"set5": 32.75, "set14": 29.30},
    ("srcnn", 4): {"set5": 30.48, "set14": 27.50},
    ("espcn", 2): {"set5": 36.87, "set14": 32.62},
    ("espcn", 3): {"set5": 32.85, "set14": 29.41},
    ("espcn", 4): {"set5": 30.66, "set14": 27.66},
    ("fast", 2): {"set5": 37.18, "set14": 32.79},
    ("fast", 3): {"set5": 33.07, "set14": 29.53},
    ("fast", 4): {"set5": 30.87, "set14": 27.80},
    ("balanced", 2): {"set5": 37.39, "set14": 33.03},
    ("balanced", 3): {"set5": 33.56, "set14": 29.78},
    ("balanced", 4): {"set5": 31.24, "set14": 28.04},
}


def rows(sets: list[str]) -> Iterator[dict[str, Any]]:
    """One row per network, scale and set."""
    for listed in list_models():
        name, scale, domain = listed["name"], listed["scale"], listed["domain"]
        speed = frames_per_second(name, scale, domain)
        for folder in sets:
            mean = evaluate(load_model(name, scale, domain=domain), scale, [DATA / folder])[-1]
            yield {
                "model": name,
                "domain": domain,
                "scale": scale,
                "set": folder,
                "psnr_y": round(mean.psnr_y, 3),
                "ssim": round(mean.ssim, 4),
                "bicubic_psnr_y": round(mean.bicubic_psnr_y, 3),
                "bicubic_ssim": round(mean.bicubic_ssim, 4),
                "published_psnr_y": PUBLISHED.get((name, scale), {}).get(folder) if domain == "clean" else None,
                "parameters": listed["parameters"],
                "kmac_per_pixel": listed["kmac_per_pixel"],
                "fps_480x270": round(speed, 1),
            }


def frames_per_second(name: str, scale: int, domain: str) -> float:
    """Of the network alone, on 480x270 luma, after a warm-up."""
    compute = choose("auto", "auto")
    runner = Runner(load_model(name, scale, compute.device, compute.dtype, domain), compute)
    frames = torch.randint(0, 256, (4, 1, 270, 480), dtype=torch.uint8)
    runner(frames, 255)
    started = perf_counter()
    for _ in range(FRAMES // len(frames)):
        runner(frames, 255).cpu()
    return FRAMES / (perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["set5", "set14"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no data folder at {DATA}: name one with VIDSR_DATA")
    table = []
    print("| model | scale | set | PSNR-Y | SSIM | bicubic | published | kMAC/px | fps |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows(arguments.sets):
        table.append(row)
        label = row["model"] if row["domain"] == "clean" else f"{row['model']} ({row['domain']})"
        print(
            f"| {label} | x{row['scale']} | {row['set']} | {row['psnr_y']:.2f} | {row['ssim']:.4f} | "
            f"{row['bicubic_psnr_y']:.2f} | {row['published_psnr_y'] or ''} | {row['kmac_per_pixel']:.1f} | "
            f"{row['fps_480x270']:.0f} |",
            flush=True,
        )
    if arguments.json:
        machine = f"{platform.machine()}, {os.cpu_count()} cores, {choose('auto', 'auto')}, torch {torch.__version__}"
        arguments.json.write_text(json.dumps({"machine": machine, "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
