"""Write the model cards, weights/README.md, and the index that `vidsr models` prints, from the weights files."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from vidsr.evaluate.restoration_sets import PROBES, degradation_kind
from vidsr.models import Model, list_models, load_model, weight_files
from vidsr.models.frame_network import FramePair, MotionField
from vidsr.options.weights_index import INDEX
from vidsr.runtime.output_file import write_file

HEAD = """# Model cards

Written by `python -m vidsr.evaluate.model_cards` from the metadata of the weights files in this folder; do not edit by
hand.

Every network reads and writes luma alone. Scores are PSNR-Y / SSIM by the protocol of the papers (`vidsr evaluate`): LR
by MATLAB's bicubic, 8-bit output, BT.601 limited luma, without `scale` pixels at each side. `video` weights are trained
on compressed clips, not on clean images; train/LOG.md has their gain on compressed clips.

**Data.** `vidsr/train/prepare/training_sets.py` writes all sets.

- `photos2`, `photos3`, `photos4`: 192 photographs under CC0, CC-BY, CC-BY-SA, GPL and the Unsplash licence, downscaled
  by 2, 3 or 4.
- `bsds_t91`: the train and test parts of BSDS500 (research and education) and the 91 images of Yang et al. (academic).
  The val part of BSDS500 is the BSD100 benchmark and is left out.
- `video_x4`: panning windows over photos2 and pieces of 20 camera clips (CC0, Pexels licence, demo clips of SAM 2),
  downscaled by 4 and encoded by x264, x265, VP9, MPEG-4 and MPEG-2 (video_pairs.py). `video_x2`, `video_x3`: likewise.
- `blur`, `codec`, `noise`: 4,000 squares of 160 pixels of the same images and camera clips, 15 % of them unchanged
  (restoration_pairs.py).
- `codec-h264`: 3,000 more, of x264 alone, 60 % of them from clips, sign language and a street among them.
- `noise-drawings`: noise on these images, on their downscaled halves and on drawings made from them (drawings.py).
  `noise-texture`: 2,000 squares of halves and drawings alone, half of them unchanged.
- `windows`: triples of frames of 24 clips, downscaled to 480 columns, and of 800 layered scenes made from photos2
  (windows.py, moving_layers.py). `scenes`: 2,000 more such scenes.
- `sequences-x2`, `-x3`, `-x4`: 500 windows of twelve frames of 44 clips, halved, and 1,000 layered scenes, with
  optical flow (sequences.py). `compressed-x4`: the same, encoded by x264 at CRF 18 to 30.

Training of `deblur` and `deblur-fast` blurs the sharp patches of the named sets, 85 % of them
(train/data/patch_degradation.py). 4 % of each set of images is for validation, and every eighth clip and scene of the
triples. Set5 and Set14 are for measuring only, never for training.

**Licence.** MIT, as the code. The images above belong to their owners under the named terms; no image is part of the
weights.

**Training.** On two CPU cores, by the recipe shown; `scripts/train_all` trains all of them again. The optimiser is Adam
or `whitened` (train/methods/optimizer.py), with a cosine schedule after a warm-up. The weights are a moving average.
The 3x3 kernels of `plain` train as a sum of branches that collapses, except with `whitened`. Recipes that start from
weights of the same name continue earlier training.

"""


EXAMPLE = (  # an input of interpolation networks, to count operations
    FramePair(torch.zeros(1, 1, 256, 256), torch.zeros(1, 1, 256, 256), torch.full((1, 1, 1, 1), 0.5)),
    MotionField.from_planes(torch.zeros(1, 6, 128, 128)),
)


def card(model: Model) -> str:
    """Return the section of a model that upscales or restores."""
    meta = model.metadata
    lines = [
        f"## {model.path.name}",
        "",
        f"{meta['architecture']} {_settings(meta['config'])}: {model.parameters_count:,} parameters, "
        f"{model.kmac_per_pixel:.1f} kMAC per input pixel, {model.path.stat().st_size / 1024:.0f} KiB, "
        f"sha256 `{model.sha256[:16]}…`",
        "",
        *([f"**{meta['note'][0].upper()}{meta['note'][1:]}.**", ""] if meta.get("note") else []),
        f"Trained {meta['steps']} steps ({meta['minutes']} minutes of a shared machine) on {meta['data']}"
        f"{_beginning(meta['recipe'])}.",
        "",
        *_score_table(json.loads(meta["scores"]), meta),
        "",
        "```toml",
        meta["recipe"].strip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def frames_card(path: Path) -> str:
    """Return the section of an interpolation network."""
    network, meta = weight_files.read_frame_network(path)
    with FlopCounterMode(display=False) as counter:
        network(*EXAMPLE)
    pixels = EXAMPLE[0].size[0] * EXAMPLE[0].size[1]
    cost = counter.get_total_flops() / 2 / pixels / 1000
    return "\n".join(
        [
            f"## {path.name}",
            "",
            f"{meta['architecture']} {_settings(meta['config'])}: interpolates frames, from luma; "
            f"{weight_files.count_parameters(network):,} parameters, {cost:.1f} kMAC per pixel, "
            f"{path.stat().st_size / 1024:.0f} KiB.",
            "",
            *([f"**{meta['note'][0].upper()}{meta['note'][1:]}.**", ""] if meta.get("note") else []),
            f"Trained {meta['steps']} steps ({meta['minutes']} minutes of a shared machine) on {meta['data']}. "
            "Scores against optical flow and blending: benchmarks/results/interpolation.json.",
            "",
            "```toml",
            meta["recipe"].strip(),
            "```",
            "",
        ]
    )


def _beginning(recipe: str) -> str:
    """Return the end of a sentence: what the run of the TOML text ``recipe`` started from."""
    table = tomllib.loads(recipe)
    if "phase" in table:
        return f", in the last of the {len(table['phase'])} phases below"
    return f", starting from {Path(table['init']).name}" if table.get("init") else ""


def _score_table(scores: dict[str, dict[str, float]], metadata: dict[str, str]) -> list[str]:
    """Scores of the network, and those of bicubic or of the degraded input."""
    baseline = "bicubic_psnr_y" if all("bicubic_psnr_y" in s for s in scores.values()) else "input_psnr_y"
    title = "bicubic" if baseline == "bicubic_psnr_y" else f"degraded: {PROBES[degradation_kind(metadata)][0]}"
    rows = (f"| {name} | {s['psnr_y']:.2f} / {s['ssim']:.4f} | {s[baseline]:.2f} |" for name, s in scores.items())
    return [f"| set | PSNR-Y / SSIM | {title} |", "|---|---|---|", *rows]


def _settings(config: str) -> str:
    return ", ".join(f"{key} {value}" for key, value in json.loads(config).items())


def write(folder: Path = weight_files.WEIGHTS) -> Path:
    """Write the cards, index and checksums of all weights files in ``folder``; return the path of the README."""
    models = [load_model(e.name, e.scale, domain=e.domain, folder=folder) for e in weight_files.list_weights(folder)]
    cards = [card(model) for model in models]
    cards += [frames_card(path) for path in sorted(folder.glob(f"*{weight_files.FRAME_NETWORK_END}"))]
    path = folder / "README.md"
    write_file(folder / INDEX, (json.dumps(list_models(folder), indent=1) + "\n").encode(), overwrite=True)
    write_file(path, (HEAD + "\n".join(cards)).encode(), overwrite=True)
    write_file(folder / weight_files.CHECKSUMS, checksums(folder).encode(), overwrite=True)
    return path


def checksums(folder: Path = weight_files.WEIGHTS) -> str:
    """Return the checksums of all weights files in ``folder``, as the program sha256sum reads them."""
    return "".join(f"{weight_files.sha256(path)}  {path.name}\n" for path in sorted(folder.glob("*.safetensors")))


if __name__ == "__main__":
    write()
