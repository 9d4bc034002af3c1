"""Write shards of sharp and degraded pairs for the restoration networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from vidsr.degrade.blur import Clip, DefocusBlur, GaussianBlur, MotionBlur, ShakeBlur
from vidsr.degrade.degradations import (
    Blurred,
    Chain,
    Degradation,
    GaussianNoise,
    OneOf,
    PoissonNoise,
    VideoCodec,
    maybe,
)
from vidsr.train.data.patches import Pair
from vidsr.train.prepare.dataset import Summary
from vidsr.train.prepare.drawings import drawing
from vidsr.train.prepare.video_pairs import Plane, video_pairs
from vidsr.train.prepare.video_shard import read_sources, write

CLEAN_SHARE = 0.15  # of the pairs are not degraded: a network must learn to leave a clean image unchanged
WITH_DRAWINGS = ("noise-drawings",)  # kinds that add drawings: the network must tell fine texture from noise
DRAWINGS_ONLY = ("noise-texture",)  # kinds that hold nothing else

ENCODERS = OneOf(
    (
        VideoCodec("libx264", (14, 34), ("veryfast", "medium")),
        VideoCodec("libx265", (16, 34)),
        VideoCodec("libvpx-vp9", (18, 48)),
        VideoCodec("mpeg4", (2, 10)),
        VideoCodec("mpeg2video", (2, 10)),
    ),
    (0.66, 0.12, 0.06, 0.10, 0.06),
)
BLURS = OneOf(
    (
        Blurred(GaussianBlur((0.3, 3.5))),
        Blurred(GaussianBlur((0.5, 3.5), aspect=(0.3, 1.0))),
        Blurred(MotionBlur((3, 25))),
        Blurred(ShakeBlur((3, 25))),
        Blurred(DefocusBlur((0.7, 4.0))),
    ),
    (0.5, 0.05, 0.2, 0.15, 0.1),
)


NOISES = OneOf((GaussianNoise((1.0, 20.0)), PoissonNoise((0.1, 3.0))), (0.8, 0.2))
# H.264 as most clips have it: mostly the medium preset and visible artefacts; finer quantizers less often
H264 = OneOf(
    (
        VideoCodec("libx264", (20, 36), ("veryfast", "medium", "medium")),
        VideoCodec("libx264", (14, 24), ("veryfast", "medium")),
    ),
    (0.85, 0.15),
)


def _or_clean(step: Degradation, clean: float = CLEAN_SHARE) -> Degradation:
    return OneOf((step, None), (1 - clean, clean))


# kind of shard -> degradation; the first word of a kind names the degradation that its networks undo
KINDS: dict[str, Degradation] = {
    "blur": _or_clean(
        Chain((BLURS, GaussianNoise((0.0, 4.0)), maybe(0.1, VideoCodec("libx264", (13, 28), ("veryfast",)))))
    ),
    "noise": _or_clean(NOISES),
    "noise-drawings": _or_clean(NOISES),
    # half of it clean: only the whole image shows how noisy its fine texture is
    "noise-texture": _or_clean(GaussianNoise((1.0, 20.0)), 0.5),
    "codec": _or_clean(
        # no blur: a network trained with it sharpens images that were soft before encoding, and loses by it
        Chain((maybe(0.2, GaussianNoise((0.5, 3.0))), ENCODERS))
    ),
    "codec-h264": _or_clean(Chain((maybe(0.1, GaussianNoise((0.5, 2.0))), H264)), 0.1),
}


def build(
    kind: str,
    photos: Sequence[Path],
    clips: Sequence[Path],
    out: Path,
    count: int = 4000,
    size: int = 160,
    seed: int = 0,
    *,
    frames: int = 9,
    clip_share: float = 0.3,
) -> Summary:
    """Write ``count`` pairs, degraded by KINDS[``kind``], as the shard ``out``.

    A pair is two squares of ``size`` pixels a side. ``photos``: shards made by `vidsr dataset`; their training split is
    used. ``clips``: files or folders, from which ``clip_share`` of the pairs come. Encoders get ``frames`` frames for
    each pair.
    """
    sources = read_sources(photos, clips)
    if kind in WITH_DRAWINGS + DRAWINGS_ONLY:
        added = fine_texture(sources, np.random.default_rng(seed))
        sources = added if kind in DRAWINGS_ONLY else [*sources, *added]
    made = video_pairs(
        sources, count, 1, seed, size=size, frames=frames, clip_share=clip_share, degradation=KINDS[kind]
    )
    pairs = [Pair(torch.from_numpy(p.lr), torch.from_numpy(p.hr)) for p in made]
    return write(pairs, out, 1)


def fine_texture(sources: Sequence[Plane | Clip], rng: np.random.Generator) -> list[Plane]:
    """Return each photo at half its size, then each as a drawing.

    Photos are the sources of shape H x W.
    """
    photos = [source for source in sources if source.ndim == 2]
    halves = [cv2.resize(p, (p.shape[1] // 2, p.shape[0] // 2), interpolation=cv2.INTER_AREA) for p in photos]
    return [np.asarray(half, np.uint8) for half in halves] + [drawing(photo, rng) for photo in photos]
