"""Blur kernels of a lens out of focus, a moving camera and a shaking hand.

NumPy draws them alone, so that training on a machine without OpenCV can blur its patches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Clip = npt.NDArray[np.uint8]  # T x H x W code values
Kernel = npt.NDArray[np.float32]  # odd x odd, sums to 1
Range = tuple[float, float]  # drawn from uniformly

GAUSSIAN_REACH = 3.0  # standard deviations kept on each side
SUBSTEPS = 16  # points per pixel when a path is drawn into a kernel


class Blur(ABC):
    """A kind of blur, from which one kernel is drawn for a whole clip."""

    @abstractmethod
    def kernel(self, rng: np.random.Generator) -> Kernel:
        """Draw a point spread function."""


@dataclass(frozen=True)
class GaussianBlur(Blur):
    """Gaussian of standard deviation ``sigma`` pixels.

    ``aspect`` below 1 squeezes it across a random direction.
    """

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
    """A straight line of ``length`` pixels, as in a constant pan.

    ``angle`` is in degrees, counter-clockwise from the x axis.
    """

    length: Range
    angle: Range = (0.0, 180.0)

    def kernel(self, rng: np.random.Generator) -> Kernel:
        """A line through the centre."""
        length, angle = rng.uniform(*self.length), np.deg2rad(rng.uniform(*self.angle))
        along = np.linspace(-0.5, 0.5, max(2, int(length * SUBSTEPS))) * max(length - 1, 0)
        return _path_kernel(along * np.cos(angle), -along * np.sin(angle))


@dataclass(frozen=True)
class ShakeBlur(Blur):
    """The path of a shaking hand, ``length`` pixels long.

    The direction of motion is a random walk.
    """

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
    """Return the time that a moving point spends in each pixel.

    ``x``, ``y`` are its positions in pixels; 0 is the centre.
    """
    reach = int(np.ceil(max(np.abs(x).max(), np.abs(y).max()))) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx, wx in ((0, 1 - (x - left)), (1, x - left)):
        for dy, wy in ((0, 1 - (y - top)), (1, y - top)):
            np.add.at(kernel, (top + dy + reach, left + dx + reach), wx * wy)
    return _normal(kernel)
