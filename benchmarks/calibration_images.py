"""Make the images on which networks of other people are calibrated for int8: vidsr/weights/calibration.npz.

    python benchmarks/calibration_images.py

Eight parts of the sample clip of a city (CC0), and four images that are drawn here: a gradient, noise of natural
spectrum in grey and in colour, and discs with outlines.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.frames import VideoInfo
from vidsr.stages.rgb_conversion import RgbConversion, full_chroma_planes
from vidsr.video import VideoReader

FOLDER = Path(__file__).parent.parent
SIDE, CANVAS = 64, 96
FRAMES = (0, 50)
CORNERS = ((0, 0), (60, 100), (110, 200), (30, 250))  # rows and columns of the parts of a frame
OCTAVES = (1, 2, 4, 8, 16, 32)


def main() -> None:
    images = torch.cat([city(), drawn()])
    codes = (images * 255).round().to(torch.uint8).numpy()
    np.savez_compressed(FOLDER / "vidsr" / "weights" / "calibration.npz", images=codes)


def city() -> Tensor:
    with VideoReader(FOLDER / "samples" / "city_cut.mp4") as reader:
        batches = [batch for n, batch in enumerate(reader.batches(1)) if n in FRAMES]
        info: VideoInfo = reader.info
    conversion = RgbConversion.of(info, luma_only=False)
    frames = [conversion.to_rgb(full_chroma_planes(batch, info) / 255) for batch in batches]
    return torch.cat([frame[..., y : y + SIDE, x : x + SIDE] for frame in frames for y, x in CORNERS])


def drawn() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    line = torch.linspace(0, 1, CANVAS)
    y, x = torch.meshgrid(line, line, indexing="ij")
    images = [torch.stack([x, y, 1 - x])]
    for planes in (1, 3):
        noise = torch.zeros(1, planes, CANVAS, CANVAS)
        for octave in OCTAVES:
            side = max(2, CANVAS // octave)
            coarse = torch.randn(1, planes, side, side, generator=generator)
            noise += F.interpolate(coarse, size=(CANVAS, CANVAS), mode="bicubic") * octave**0.7
        images.append(((noise - noise.mean()) / noise.std() * 0.22 + 0.5)[0].expand(3, -1, -1))
    discs = torch.rand(3, 1, 1, generator=generator).expand(3, CANVAS, CANVAS)
    for _ in range(30):
        colour, (radius, cx, cy) = torch.rand(3, 1, 1, generator=generator), torch.rand(3, generator=generator)
        edge = (0.03 + 0.2 * radius - torch.hypot(x - cx, y - cy)) * CANVAS  # pixels within the disc
        inside, outline = (edge * 0.7 + 0.5).clamp(0, 1), (2 - edge.abs()).clamp(0, 1)
        discs = (discs * (1 - inside) + colour * inside) * (1 - 0.9 * outline)
    images.append(discs)
    return torch.stack(images).clamp(0, 1)[..., :SIDE, :SIDE]


if __name__ == "__main__":
    main()
