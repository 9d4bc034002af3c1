"""Training pairs for compressed video: a sharp picture, and what reducing and encoding a clip of it leaves.

A codec's damage depends on motion and on the frames around, so a still is first turned into a short clip by panning,
zooming and turning a window over it; that clip is reduced and encoded by a real encoder, and one of its predicted
frames is kept. Frames of real clips enter the same way, with their own motion. The idea of coding crops of images as
video is VCISR's (Wang et al. 2023, arXiv:2311.00996).
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

# An encoder that sees nine frames of a small square makes each worse, by about two steps of CRF, than in the whole of a
# long clip: these ranges stand for 17 to 35 and so on.
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
    """What happens to a clip on its way to small and compressed: soft lens, reduction, grain, encoder."""
    smaller = Fraction(1, scale)
    return Chain(
        (
            maybe(0.15, Blurred(GaussianBlur((0.2, 0.3 * scale)))),
            OneOf(tuple(Resize(smaller, kernel) for kernel in ("bicubic", "lanczos", "bilinear")), (0.8, 0.1, 0.1)),
            maybe(0.2, GaussianNoise((0.3, 2.0))),
            CODECS,
        )
    )


@dataclass(frozen=True)
class Motion:
    """How a window moves over a still; the extremes, in pixels of the reduced picture and per frame."""

    speed: float = 6.0
    shake: float = 0.3  # standard deviation of the position
    zoom: float = 0.01  # relative change of size
    turn: float = 0.006  # radians


class Pair(NamedTuple):
    """A sharp square and its degraded reduction."""

    hr: Plane  # size x scale pixels each way
    lr: Plane  # size pixels each way


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
) -> Iterator[Pair]:
    """``count`` pairs of luma squares, LR ``size`` pixels wide, made one by one.

    ``sources`` are sharp photos (H x W) and clips (T x H x W), uint8 luma in the range the network will see. A photo is
    drawn as often as the square root of its area says, and so is a clip; ``clip_share`` of the pairs come from clips
    when there are both. Pair i depends on ``seed`` and i alone. Sources too small for a square are left out;
    InputError when none is left.
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
        yield Pair(clip[target].copy(), degrade(clip, rng)[target])


def _weights(sources: Sequence[npt.NDArray[np.uint8]], clip_share: float) -> npt.NDArray[np.float64]:
    """How often each source is drawn; they sum to 1."""
    weights: npt.NDArray[np.float64] = np.sqrt([float(np.prod(s.shape[-2:])) for s in sources])
    is_clip = np.array([s.ndim == 3 for s in sources])
    if is_clip.any() and not is_clip.all():
        weights[is_clip] *= clip_share / weights[is_clip].sum()
        weights[~is_clip] *= (1 - clip_share) / weights[~is_clip].sum()
    weights /= weights.sum()
    return weights


def _window(clip: Clip, edge: int, frames: int, rng: np.random.Generator) -> Clip:
    """``frames`` consecutive frames of a real clip, cropped at a random place."""
    start, top, left = (int(rng.integers(n + 1)) for n in np.subtract(clip.shape, (frames, edge, edge)))
    return clip[start : start + frames, top : top + edge, left : left + edge]


def _pan(photo: Plane, edge: int, frames: int, target: int, scale: int, rng: np.random.Generator) -> Clip:
    """A clip of a window that moves over ``photo``; frame ``target`` is an unfiltered crop, so that HR stays sharp."""
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
    """Position (x, y in HR pixels), log zoom and angle of the window at each frame, relative to frame ``target``."""
    direction = rng.uniform(0, 2 * np.pi)
    speed = motion.speed * rng.uniform() ** 2  # most clips move slowly
    steady = np.array([np.cos(direction) * speed, np.sin(direction) * speed, 0, 0])
    if rng.uniform() < 0.5:
        steady[2:] = rng.uniform(-1, 1, 2) * (motion.zoom, motion.turn)
    path: npt.NDArray[np.float64] = np.arange(frames)[:, None] * steady
    path[:, :2] += rng.uniform() * motion.shake * rng.standard_normal((frames, 2))
    path = path - path[target]
    path[:, :2] *= scale
    return path


def _similarity(left: float, top: float, zoom: float, angle: float, edge: int) -> npt.NDArray[np.float64]:
    """The 2 x 3 matrix from a window's pixels to the photo's: turned and zoomed about the window's centre."""
    cos, sin, middle = np.cos(angle) * zoom, np.sin(angle) * zoom, (edge - 1) / 2
    turn = np.array([[cos, -sin], [sin, cos]])
    offset = np.array([left, top]) + middle - turn @ (middle, middle)
    return np.hstack([turn, offset[:, None]])
