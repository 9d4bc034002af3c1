"""Degradations: what stands between the world and a clip. Small, seeded, composable.

Each maps a grey clip to a grey clip and draws its parameters once per clip, as a lens, a sensor and an encoder keep
theirs; only noise is new in every frame. The same seed gives the same result.

Preparation of data, not training: this file needs OpenCV, Numba and PyAV, and the training loop never imports it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from vidsr.kernels.resample import resize
from vidsr.video.roundtrip import Encoder, roundtrip

Clip = npt.NDArray[np.uint8]  # T x H x W code values
T = TypeVar("T", bound=np.generic)
Values = npt.NDArray[np.float32]
Kernel = npt.NDArray[np.float32]  # odd x odd, sums to 1
Range = tuple[float, float]  # drawn from uniformly

GAUSSIAN_REACH = 3.0  # standard deviations kept on each side
SUBSTEPS = 16  # points per pixel when a path is drawn into a kernel


class Degradation(Protocol):
    """One thing that makes a clip worse."""

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """The clip (T x H x W) after it; the input is not changed."""
        ...


# --- composition


@dataclass(frozen=True)
class Chain:
    """All ``steps``, in order."""

    steps: tuple[Degradation, ...]

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        for step in self.steps:
            clip = step(clip, rng)
        return clip


@dataclass(frozen=True)
class OneOf:
    """One of ``steps``, each as likely as its weight says; None stands for leaving the clip as it is."""

    steps: tuple[Degradation | None, ...]
    weights: tuple[float, ...]

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        weights = np.array(self.weights)
        step = self.steps[rng.choice(len(self.steps), p=weights / weights.sum())]
        return clip if step is None else step(clip, rng)


def maybe(probability: float, step: Degradation) -> OneOf:
    """``step`` with the given probability, else nothing."""
    return OneOf((step, None), (probability, 1 - probability))


# --- size


@dataclass(frozen=True)
class Resize:
    """The clip at ``factor`` of its size (1/4 is four times smaller), by an antialiased kernel."""

    factor: Fraction
    kernel: str = "bicubic"

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        height, width = (max(1, round(size * self.factor)) for size in clip.shape[1:])
        small = np.empty((len(clip), height, width), np.uint8)
        resize(clip, width, height, self.kernel, out=small)
        return small


# --- blur


class Blur(ABC):
    """Convolution with one kernel for the whole clip; the border is mirrored."""

    @abstractmethod
    def kernel(self, rng: np.random.Generator) -> Kernel:
        """The point spread function drawn for a clip."""

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """The blurred clip."""
        return convolve(clip, self.kernel(rng))


def convolve(clip: npt.NDArray[T], kernel: Kernel) -> npt.NDArray[T]:
    """Each frame (T x H x W, any type) convolved with ``kernel``, mirrored at the border; integers are rounded."""
    flipped = kernel[::-1, ::-1].copy()  # OpenCV correlates
    return np.stack([cv2.filter2D(frame, -1, flipped, borderType=cv2.BORDER_REFLECT_101) for frame in clip])


@dataclass(frozen=True)
class GaussianBlur(Blur):
    """Gaussian of standard deviation ``sigma`` pixels; ``aspect`` below 1 squeezes it across a random direction."""

    sigma: Range
    aspect: Range = (1.0, 1.0)

    def kernel(self, rng: np.random.Generator) -> Kernel:
        """A Gaussian, cut at three standard deviations."""
        along = rng.uniform(*self.sigma)
        across = along * rng.uniform(*self.aspect)
        angle = rng.uniform(0, np.pi)
        x, y = _grid(max(1, int(np.ceil(GAUSSIAN_REACH * along))))
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        return _normal(np.exp(-0.5 * ((u / along) ** 2 + (v / max(across, 1e-3)) ** 2)))


@dataclass(frozen=True)
class DefocusBlur(Blur):
    """A uniform disk of ``radius`` pixels with an antialiased edge."""

    radius: Range

    def kernel(self, rng: np.random.Generator) -> Kernel:
        """A disk."""
        radius = rng.uniform(*self.radius)
        x, y = _grid(int(np.ceil(radius)))
        return _normal(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


@dataclass(frozen=True)
class MotionBlur(Blur):
    """A straight line of ``length`` pixels: a steady pan. ``angle`` in degrees, counter-clockwise from the x axis."""

    length: Range
    angle: Range = (0.0, 180.0)

    def kernel(self, rng: np.random.Generator) -> Kernel:
        """A line through the centre."""
        length, angle = rng.uniform(*self.length), np.deg2rad(rng.uniform(*self.angle))
        along = np.linspace(-0.5, 0.5, max(2, int(length * SUBSTEPS))) * max(length - 1, 0)
        return _path_kernel(along * np.cos(angle), -along * np.sin(angle))


@dataclass(frozen=True)
class ShakeBlur(Blur):
    """The path of an unsteady hand, ``length`` pixels long: a random walk of the direction of motion."""

    length: Range
    turn: float = 0.35  # standard deviation of the change of direction per pixel travelled, radians

    def kernel(self, rng: np.random.Generator) -> Kernel:
        """A curved line, its centre of mass in the middle."""
        length = max(rng.uniform(*self.length) - 1, 0)
        count = max(2, int(length * SUBSTEPS))
        turns = rng.normal(0, self.turn / np.sqrt(SUBSTEPS), count)
        direction = rng.uniform(0, 2 * np.pi) + np.cumsum(turns)
        x, y = np.cumsum(np.cos(direction)), np.cumsum(np.sin(direction))
        return _path_kernel((x - x.mean()) * length / count, (y - y.mean()) * length / count)


def _grid(reach: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """x and y of a square grid from -reach to reach."""
    steps = np.arange(-reach, reach + 1, dtype=np.float64)
    x, y = np.meshgrid(steps, steps)
    return x, y


def _normal(weights: npt.NDArray[np.float64]) -> Kernel:
    kernel: Kernel = (weights / weights.sum()).astype(np.float32)
    return kernel


def _path_kernel(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Kernel:
    """The time a point spends in each pixel as it moves along x, y (pixels, 0 is the centre)."""
    reach = int(np.ceil(max(np.abs(x).max(), np.abs(y).max()))) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx, wx in ((0, 1 - (x - left)), (1, x - left)):
        for dy, wy in ((0, 1 - (y - top)), (1, y - top)):
            np.add.at(kernel, (top + dy + reach, left + dx + reach), wx * wy)
    return _normal(kernel)


# --- noise


class Noise(ABC):
    """Noise, new in every frame."""

    @abstractmethod
    def add(self, values: Values, rng: np.random.Generator) -> Values:
        """``values`` (T x H x W, code values of 8 bits, fractions allowed) with noise; neither rounded nor clipped."""

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """The noisy clip."""
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
    """Shot noise: ``gain`` code values per photon, so a pixel of value v has the variance gain x v."""

    gain: Range

    def add(self, values: Values, rng: np.random.Generator) -> Values:
        gain = rng.uniform(*self.gain)
        return (gain * rng.poisson(np.maximum(values, 0) / gain)).astype(np.float32)


# --- compression


@dataclass(frozen=True)
class Jpeg:
    """Every frame through JPEG at one ``quality`` (1 to 100, both ends drawn)."""

    quality: tuple[int, int]

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        quality = int(rng.integers(self.quality[0], self.quality[1], endpoint=True))
        coded = [cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for frame in clip]
        return np.stack([_decoded(data) for data in coded])


def _decoded(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert picture is not None  # OpenCV has just encoded it
    return picture.astype(np.uint8, copy=False)


@dataclass(frozen=True)
class VideoCodec:
    """The clip through a real encoder at one ``quality`` (see ``vidsr.video.roundtrip``) and one of ``presets``."""

    encoder: Encoder
    quality: tuple[int, int]
    presets: tuple[str | None, ...] = (None,)

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        quality = int(rng.integers(self.quality[0], self.quality[1], endpoint=True))
        preset = self.presets[rng.integers(len(self.presets))]
        return roundtrip(clip, self.encoder, quality, preset)
