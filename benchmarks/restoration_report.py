"""Write docs/restoration.md from the figures that benchmarks/restoration.py measured.

python benchmarks/restoration_report.py benchmarks/results/restoration.json > docs/restoration.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

Row = dict[str, float]
Rows = dict[str, Row]

HEAD = """# Restoration: gains and losses of each method

Written by `benchmarks/restoration_report.py` from `benchmarks/results/restoration.json`, which `python
benchmarks/restoration.py --json benchmarks/results/restoration.json` measures.

Machine: {machine}. Networks in {compute}.

The test images are the luma of Set14 and one frame of each test clip. Clips are downscaled by area to at most 480
columns, damaged by `vidsr/degrade/` and stored as 8-bit codes. PSNR-Y is in dB over all pixels, as the mean over the
images. The best value of a row is bold.

Unsharp mask, Wiener filter and Richardson-Lucy get the true sigma. Their strength, regularisation or number of steps
is the best of several for each row, which no user could know. The networks get no such information. They were trained
on synthetic damage only: no test clip was blurred by a real lens or a moving hand.

Checksums are those of the measured files. Files that were stored in fp16 after the measurement have other checksums;
their outputs change by at most 0.2 code values.
"""

AUTO = """`auto` examines five frames before the run:

- **Blur** is the width of the sharper edges (Zhuo and Sim 2011), of all edges and of each direction, because motion
  blur leaves the edges along it sharp.
- **Noise** is measured in the smoothest blocks (Immerkaer 1996).
- **Compression** is the quantizer that the decoder reports, otherwise the bits per pixel.
"""

COMPRESSED = """*temporal*: with temporal denoising, which averages every frame with the previous and the next one
along the motion. `enhance` applies it to every restored clip unless `--no-temporal-denoise` is
given.
"""

STABILITY = """Blur of sigma 1.6 and noise of 2/255 that differs in every frame. "still" is one frame repeated.

- *tOF*: distance in pixels between the motion found in the output and the motion of the true clip.
- *flicker*: change along the true motion in code values, root mean square. The true clip has some of its own, and
  sharpening raises it.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    if not rows:
        return "No network has weights to measure.\n"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def figures(rows: Rows, first: str, digits: int = 2) -> str:
    """Return a table with a row per damage and a column per method, the best of each row bold."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = []
    for label, row in rows.items():
        best = max(row.values())
        cells = [f"{row[name]:.{digits}f}" if name in row else "" for name in names]
        lines.append([label, *(f"**{c}**" if row.get(n) == best else c for n, c in zip(names, cells, strict=True))])
    return table([first, *names], lines)


def by_crf(rows: Rows) -> str:
    """Return the mean and the worst gain of every network at each CRF, with the name of the worst clip."""
    lines = []
    for crf in sorted({label.split()[0] for label in rows}):
        chosen = {label.split(maxsplit=1)[1]: row for label, row in rows.items() if label.startswith(crf)}
        for name in next(iter(chosen.values())):
            if name != "input":
                gains = {clip: row[name] for clip, row in chosen.items()}
                worst = min(gains, key=gains.__getitem__)
                mean = float(np.mean(list(gains.values())))
                lines.append([crf, name, f"{mean:+.2f}", f"{gains[worst]:+.2f} ({worst})"])
    return table(["CRF", "network", "mean gain, dB", "worst clip"], lines)


def unharmed(rows: Rows) -> str:
    """Return the mean and the worst PSNR-Y of sharp clips after each network."""
    names = next(iter(rows.values()), {})
    lines = []
    for name in names:
        values = {clip: row[name] for clip, row in rows.items()}
        worst = min(values, key=values.__getitem__)
        lines.append([name, f"{np.mean(list(values.values())):.1f}", f"{values[worst]:.1f} ({worst})"])
    return table(["network", "mean, dB", "worst clip"], lines)


def detected(rows: Rows) -> str:
    sharp = [row for label, row in rows.items() if label.startswith("sharp ")]
    untouched = sum(not (row["restore"] or row["denoise"] or row["deblur"]) for row in sharp)
    lines = [["sharp clips left unchanged", f"{untouched} of {len(sharp)}"]]
    for label, row in rows.items():
        if label.startswith("detected "):
            ((task, share),) = row.items()
            lines.append([f"{label.removeprefix('noticed ')}: {task}", f"{share:.0%} of images"])
    return table(["damage", "detected"], lines)


def speeds(noise: Row, rates: Rows) -> str:
    slowest = noise.get("nlm", 0.0)
    lines = [
        [
            name,
            *(f"{rates[label][name]:.0f}" if name in rates[label] else "" for label in ("fps", "fps temporal")),
            f"{seconds:.2f}",
            f"{slowest / seconds:.1f}",
        ]
        for name, seconds in noise.items()
    ]
    head = ["fps at 480x270", "with temporal denoising", "seconds for all images", "speed relative to non-local means"]
    return table(["method", *head], lines)


def document(result: dict) -> str:
    tables: dict[str, Rows] = result["tables"]
    noise = {label: row for label, row in tables["noise"].items() if label != "seconds"}
    parts = [
        HEAD.format(machine=result["machine"], compute=result["compute"]),
        _networks(result["networks"]),
        "## Bars\n",
        "".join(f"- {line}\n" for line in result["bars"]),
        "## Gaussian blur and noise of 2/255\n",
        figures(tables["gaussian"], "sigma, pixels"),
        "## Motion blur at random angles and noise of 1/255\n",
        figures(tables["motion"], "length, pixels"),
        "## Noise\n",
        figures(noise, "sigma, of 255"),
        "## Compression by libx264, gain over the decoded clip\n",
        COMPRESSED,
        by_crf(tables["compressed"]),
        "## Sharp clips: PSNR-Y of the output against the input\n",
        unharmed(tables["sharp"]),
        "## Decisions of `auto`\n",
        AUTO,
        detected(tables["auto"]),
        "## Speed\n",
        speeds(tables["noise"]["seconds"], tables["speed"]),
        "## Stability over time\n",
        STABILITY,
        stability(tables["stability"]),
    ]
    return "\n".join(parts)


def _networks(networks: dict[str, dict]) -> str:
    lines = [[n, f"{f['parameters']:,}", f"{f['kmac_per_pixel']:.1f}", f["sha256"][:12]] for n, f in networks.items()]
    return table(["network", "parameters", "kMAC per pixel", "SHA-256 of the weights"], lines)


def stability(rows: Rows) -> str:
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [[name, *(f"{row[name]:.2f}" for row in rows.values())] for name in names]
    return table(["method", *(label.replace("warped", "flicker") for label in rows)], lines)


if __name__ == "__main__":
    print(document(json.loads(Path(sys.argv[1]).read_text())), end="")
