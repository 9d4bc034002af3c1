"""The published tables of restoration, from the figures that benchmarks/restoration.py wrote.

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

HEAD = """# Restoration: what each method gains, and where it loses

Written by `benchmarks/restoration_report.py` from `benchmarks/results/restoration.json`, which `python
benchmarks/restoration.py --json benchmarks/results/restoration.json` measures. On {machine}; networks in {compute}.

Pictures are the luma of Set14 and of a frame of each clip in the shared data folder, clips reduced by area to at most
480 columns, damaged by `vidsr/degrade/` and stored as 8-bit codes. PSNR-Y in dB over all pixels, mean over
pictures. Unsharp mask, Wiener filter and Richardson-Lucy are told the true sigma, and their strength, regularisation or
number of steps is the best of several for each row, which no user could know; the networks are told nothing. They were
trained on made damage alone: no clip here was blurred by a real lens or hand.
"""

AUTO = """`auto` looks at five frames before the run: blur as the width of the sharper edges (Zhuo and Sim 2011), all
together and in each direction by itself, as motion leaves the edges along it sharp; noise in the smoothest blocks
(Immerkaer 1996); compression by the quantizer that the decoder tells, else by bits per pixel.
"""

COMPRESSED = """*Steadied*: every picture averaged with the one before and the one after, along the motion, which is
what `enhance` does to whatever was restored, unless `--no-steady` is given.
"""

STABILITY = """Blur of sigma 1.6 and noise of 2/255, new in every frame. *tOF*: how far the motion found in the result
is from that of the true clip, pixels. *Flicker*: what changes along the true motion, code values, root mean square; the
true clip has some of its own, and whatever sharpens raises it. "Still" is one frame repeated.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rows = list(rows)
    if not rows:
        return "No network had weights to measure.\n"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def figures(rows: Rows, first: str, digits: int = 2) -> str:
    """One line per row, one column per method, the best of each line bold."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = []
    for label, row in rows.items():
        best = max(row.values())
        cells = [f"{row[name]:.{digits}f}" if name in row else "" for name in names]
        lines.append([label, *(f"**{c}**" if row.get(n) == best else c for n, c in zip(names, cells, strict=True))])
    return table([first, *names], lines)


def by_crf(rows: Rows) -> str:
    """Mean and worst gain of every network at each CRF, and where the worst is."""
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


def kept(rows: Rows) -> str:
    """The least and the mean of what a network leaves of a sharp clip."""
    names = next(iter(rows.values()), {})
    lines = []
    for name in names:
        values = {clip: row[name] for clip, row in rows.items()}
        worst = min(values, key=values.__getitem__)
        lines.append([name, f"{np.mean(list(values.values())):.1f}", f"{values[worst]:.1f} ({worst})"])
    return table(["network", "mean, dB", "worst clip"], lines)


def noticed(rows: Rows) -> str:
    sharp = [row for label, row in rows.items() if label.startswith("sharp ")]
    calm = sum(not (row["restore"] or row["denoise"] or row["deblur"]) for row in sharp)
    lines = [["sharp clips left alone", f"{calm} of {len(sharp)}"]]
    for label, row in rows.items():
        if label.startswith("noticed "):
            ((task, share),) = row.items()
            lines.append([f"{label.removeprefix('noticed ')}: {task}", f"{share:.0%} of pictures"])
    return table(["damage", "noticed"], lines)


def speeds(noise: Row, rates: Rows) -> str:
    slowest = noise.get("nlm", 0.0)
    lines = [
        [
            name,
            *(f"{rates[label][name]:.0f}" if name in rates[label] else "" for label in ("fps", "fps steady")),
            f"{seconds:.2f}",
            f"{slowest / seconds:.1f}",
        ]
        for name, seconds in noise.items()
    ]
    alone, steadied = "fps at 480x270", "with steadying"
    return table(["method", alone, steadied, "seconds for all pictures", "times as fast as non-local means"], lines)


def document(result: dict) -> str:
    tables: dict[str, Rows] = result["tables"]
    noise = {label: row for label, row in tables["noise"].items() if label != "seconds"}
    parts = [
        HEAD.format(machine=result["machine"], compute=result["compute"]),
        _networks(result["networks"]),
        "## What it is held to\n",
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
        "## Sharp clips through each network, PSNR-Y against themselves\n",
        kept(tables["sharp"]),
        "## What `auto` decides\n",
        AUTO,
        noticed(tables["auto"]),
        "## Speed\n",
        speeds(tables["noise"]["seconds"], tables["speed"]),
        "## Steadiness in time\n",
        STABILITY,
        steadiness(tables["stability"]),
    ]
    return "\n".join(parts)


def _networks(networks: dict[str, dict]) -> str:
    lines = [[n, f"{f['parameters']:,}", f"{f['kmac_per_pixel']:.1f}", f["sha256"][:12]] for n, f in networks.items()]
    return table(["network", "parameters", "kMAC per pixel", "sha256 of its weights"], lines)


def steadiness(rows: Rows) -> str:
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [[name, *(f"{row[name]:.2f}" for row in rows.values())] for name in names]
    return table(["method", *(label.replace("warped", "flicker") for label in rows)], lines)


if __name__ == "__main__":
    print(document(json.loads(Path(sys.argv[1]).read_text())), end="")
