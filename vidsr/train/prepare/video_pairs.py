"""Training pairs for compressed video: a sharp and an encoded square.

The artefacts of a codec depend on motion and on neighbouring frames. So a still image first becomes a short clip: a
window pans, zooms and turns over it. That clip is downscaled and encoded by a real encoder, and one of its predicted
frames is kept. Frames of real clips enter the same way, with their own motion. Coding crops of images as video was
proposed for VCISR (Wang et al. 2023, arXiv:2311.00996).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vidsr.degrade.blur import Clip, GaussianBlur
from vidsr.degrade.degradations import Blurred, Chain, Degradation, GaussianNoise, OneOf, Resize, VideoCodec, maybe
from vidsr.errors import InputError

Plane = npt.NDArray[np.uint8]  # H x W luma

# An encoder given nine frames of a small square degrades them more than the same frames in a long clip, by about two
# steps of CRF: these ranges stand for 17 to 35 and so on.
CODECS = OneOf(
    (
        VideoCodec("libx264", (15, 33), ("veryfast", "medium")),
        VideoCodec("libx265", (16, 32)),
        VideoCodec("libvpx-vp9", (18, 48)),
        VideoCodec("mpeg4", (2, 10)),
        VideoCodec("mpeg2video", (2, 10)),
        None,  # so that a clean clip stays clean
    ),
    (0.68, 0.09, 0.05, 0.06, 0.04, 0.08),
)


def compressed_video(scale: int) -> Chain:
    """Return the degradation of a compressed clip: soft lens, downscale by ``scale``, grain, encoder."""
    factor = Fraction(1, scale)
    return Chain(
        (
            maybe(0.15, Blurred(GaussianBlur((0.2, 0.3 * scale)))),
            OneOf(tuple(Resize(factor, kernel) for kernel in ("bicubic", "lanczos", "bilinear")), (0.8, 0.1, 0.1)),
            maybe(0.2, GaussianNoise((0.3, 2.0))),
            CODECS,
        )
    )


@dataclass(frozen=True)
class Motion:
    """Limits of the motion of a window over a still image.

    Lengths are in LR pixels per frame.
    """

    speed: float = 6.0
    shake: float = 0.3  # standard deviation of the position
    zoom: float = 0.01  # relative change of size per frame
    turn: float = 0.006  # radians per frame


class SquarePair(NamedTuple):
    """A sharp square, and the same square downscaled and degraded."""

    hr: Plane  # size x scale pixels a side
    lr: Plane  # size pixels a side


def video_pairs(
    sources: Sequence[Plane | Clip],
    count: int,
    scale: int,
    seed: int,
    *,
    size: int = 80,
    frames: int = 9,
    clip_share: float = 0.3,
    degradation: Degradation | None = None,
) -> Iterator[SquarePair]:
    """Yield ``count`` pairs of luma squares, LR ``size`` pixels a side.

    ``sources``: sharp photos (H x W) and clips (T x H x W), uint8 luma in the range of the network's input. Photos and
    clips are drawn with weights in proportion to the square root of their area; ``clip_share`` of the pairs come from
    clips if there are both. Pair i depends on ``seed`` and i alone. Sources too small for a square are skipped.

    Raises:
        InputError: all sources are too small.
    """
    edge = size * scale
    usable = [s for s in sources if min(s.shape[-2:]) >= edge and (s.ndim == 2 or len(s) >= frames)]
    if not usable:
        raise InputError(
            f"no source is large enough for pairs: they need {edge} x {edge} pixels, clips {frames} frames"
        )
    weights = _weights(usable, clip_share)
    degrade = compressed_video(scale) if degradation is None else degradation
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        source = usable[rng.choice(len(usable), p=weights)]
        target = int(rng.integers(1, frames))  # never the first: an encoder spends more on it than on the rest
        clip = (
            _window(source, edge, frames, rng) if source.ndim == 3 else _pan(source, edge, frames, target, scale, rng)
        )
        yield SquarePair(clip[target].copy(), degrade(clip, rng)[target])


def _weights(sources: Sequence[npt.NDArray[np.uint8]], clip_share: float) -> npt.NDArray[np.float64]:
    """Return the probability of each source; they sum to 1."""
    weights: npt.NDArray[np.float64] = np.sqrt([float(np.prod(s.shape[-2:])) for s in sources])
    is_clip = np.array([s.ndim == 3 for s in sources])
    if is_clip.any() and not is_clip.all():
        weights[is_clip] *= clip_share / weights[is_clip].sum()
        weights[~is_clip] *= (1 - clip_share) / weights[~is_clip].sum()
    weights /= weights.sum()
    return weights


def _window(clip: Clip, edge: int, frames: int, rng: np.random.Generator) -> Clip:
    """Return ``frames`` consecutive frames of a real clip, cropped at a random position."""
    start, top, left = (int(rng.integers(n + 1)) for n in np.subtract(clip.shape, (frames, edge, edge)))
    return clip[start : start + frames, top : top + edge, left : left + edge]


def _pan(photo: Plane, edge: int, frames: int, target: int, scale: int, rng: np.random.Generator) -> Clip:
    """Return a clip of a window that moves over ``photo``.

    Frame ``target`` is a crop without interpolation, so that HR stays sharp.
    """
    top, left = (int(rng.integers(n - edge + 1)) for n in photo.shape)
    steps = _path(frames, target, scale, Motion(), rng)
    clip = np.empty((frames, edge, edge), np.uint8)
    for index, (dx, dy, log_zoom, angle) in enumerate(steps):
        if index == target:
            clip[index] = photo[top : top + edge, left : left + edge]
        else:
            to_photo = _similarity(left + dx, top + dy, np.exp(log_zoom), angle, edge)
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            cv2.warpAffine(photo, to_photo, (edge, edge), clip[index], flags, cv2.BORDER_REFLECT_101)
    return clip


def _path(frames: int, target: int, scale: int, motion: Motion, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw the path of the window, relative to frame ``target``.

    Each frame has x and y in HR pixels, log zoom and angle.
    """
    direction = rng.uniform(0, 2 * np.pi)
    speed = motion.speed * rng.uniform() ** 2  # slow motion is more frequent
    per_frame = np.array([np.cos(direction) * speed, np.sin(direction) * speed, 0, 0])
    if rng.uniform() < 0.5:
        per_frame[2:] = rng.uniform(-1, 1, 2) * (motion.zoom, motion.turn)
    path: npt.NDArray[np.float64] = np.arange(frames)[:, None] * per_frame
    path[:, :2] += rng.uniform() * motion.shake * rng.standard_normal((frames, 2))
    path = path - path[target]
    path[:, :2] *= scale
    return path


def _similarity(left: float, top: float, zoom: float, angle: float, edge: int) -> npt.NDArray[np.float64]:
    """Return the 2 x 3 matrix from window pixels to photo pixels.

    The window is turned and zoomed about its centre.
    """
    cos, sin, middle = np.cos(angle) * zoom, np.sin(angle) * zoom, (edge - 1) / 2
    turn = np.array([[cos, -sin], [sin, cos]])
    offset = np.array([left, top]) + middle - turn @ (middle, middle)
    return np.hstack([turn, offset[:, None]])
