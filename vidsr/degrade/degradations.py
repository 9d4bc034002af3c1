"""Degradations of lens, sensor and encoder: small, seeded, composable.

Each maps a grey clip to a grey clip and draws its parameters once per clip; only noise differs in every frame. The same
seed gives the same output.

This file needs OpenCV, Numba and PyAV. It prepares data sets; the training loop never imports it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from vidsr.degrade.blur import Blur, Clip, Kernel, Range
from vidsr.kernels.resample import resize
from vidsr.video.encode_decode import Encoder, encode_and_decode

Values = npt.NDArray[np.float32]
T = TypeVar("T", bound=np.generic)


class Degradation(Protocol):
    """One step that degrades a clip."""

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """Return the degraded clip (T x H x W); the input is not changed."""
        ...


# --- composition


@dataclass(frozen=True)
class Chain:
    """All ``steps`` in order."""

    steps: tuple[Degradation, ...]

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        for step in self.steps:
            clip = step(clip, rng)
        return clip


@dataclass(frozen=True)
class OneOf:
    """One of ``steps``, drawn by weight; None leaves the clip unchanged."""

    steps: tuple[Degradation | None, ...]
    weights: tuple[float, ...]

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        weights = np.array(self.weights)
        step = self.steps[rng.choice(len(self.steps), p=weights / weights.sum())]
        return clip if step is None else step(clip, rng)


def maybe(probability: float, step: Degradation) -> OneOf:
    """Return ``step`` with the given probability, else no change."""
    return OneOf((step, None), (probability, 1 - probability))


# --- blur


def convolve(clip: npt.NDArray[T], kernel: Kernel) -> npt.NDArray[T]:
    """Convolve each frame with ``kernel``, mirrored at the border.

    Frames are T x H x W of any type; integers are rounded.
    """
    flipped = kernel[::-1, ::-1].copy()  # OpenCV correlates
    return np.stack([cv2.filter2D(frame, -1, flipped, borderType=cv2.BORDER_REFLECT_101) for frame in clip])


@dataclass(frozen=True)
class Blurred:
    """Convolution with one kernel of ``blur``."""

    blur: Blur

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        return convolve(clip, self.blur.kernel(rng))


# --- size


@dataclass(frozen=True)
class Resize:
    """Resize by ``factor`` (1/4 is four times smaller) with an antialiased kernel."""

    factor: Fraction
    kernel: str = "bicubic"

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        height, width = (max(1, round(size * self.factor)) for size in clip.shape[1:])
        small = np.empty((len(clip), height, width), np.uint8)
        resize(clip, width, height, self.kernel, out=small)
        return small


# --- noise


class Noise(ABC):
    """Noise that differs in every frame."""

    @abstractmethod
    def add(self, values: Values, rng: np.random.Generator) -> Values:
        """Return ``values`` with noise, neither rounded nor clipped.

        ``values`` are T x H x W, 8-bit code values or fractions of them.
        """

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """Return the noisy clip."""
        return np.clip(np.rint(self.add(clip.astype(np.float32), rng)), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class GaussianNoise(Noise):
    """Independent noise of standard deviation ``sigma`` code values."""

    sigma: Range

    def add(self, values: Values, rng: np.random.Generator) -> Values:
        sigma = np.float32(rng.uniform(*self.sigma))
        return values + sigma * rng.standard_normal(values.shape, np.float32)


@dataclass(frozen=True)
class PoissonNoise(Noise):
    """Shot noise of ``gain`` code values per photon.

    A pixel of value v has the variance gain x v.
    """

    gain: Range

    def add(self, values: Values, rng: np.random.Generator) -> Values:
        gain = rng.uniform(*self.gain)
        return (gain * rng.poisson(np.maximum(values, 0) / gain)).astype(np.float32)


# --- compression


@dataclass(frozen=True)
class VideoCodec:
    """A real encoder at one ``quality`` (see `vidsr.video.encode_decode`) and one of ``presets``."""

    encoder: Encoder
    quality: tuple[int, int]
    presets: tuple[str | None, ...] = (None,)

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        quality = int(rng.integers(self.quality[0], self.quality[1], endpoint=True))
        preset = self.presets[rng.integers(len(self.presets))]
        return encode_and_decode(clip, self.encoder, quality, preset)
