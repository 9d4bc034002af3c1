"""Synthetic scenes of moving layers cut from photographs.

Their frame is known exactly at any time. Every layer moves by an affine motion, bends smoothly, and hides the layers
behind it. Some scenes have motion blur, some grow brighter or darker. The distribution of speeds has a heavy tail, as
in real clips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]  # h x w
Array = NDArray[Any]  # float32

WIDTH, HEIGHT = 352, 256
MAX_LAYERS = 5  # in front of the background
SPEED, MAX_SPEED = 4.0, 40.0  # pixels per interval: typical, and the limit
BLURRED, DRIFTING, ACCELERATED = 0.25, 0.15, 0.4  # shares of the scenes
EXPOSURES = 5  # moments whose mean is a frame with motion blur
WAVE_NODES = 4  # nodes a side of the grid that bends a layer


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer and its motion.

    It moves by ``speed``, turns and zooms about ``centre``, and bends by ``wave``.
    """

    luma: Array  # h x w code values
    alpha: Array  # h x w, 0 to 1
    speed: Array  # x and y, pixels per interval
    acceleration: Array  # x and y, pixels per squared interval
    turn: float  # radians per interval
    zoom: float  # logarithm of the factor per interval
    centre: Array  # x and y
    wave: Array  # HEIGHT x WIDTH x 2 pixels per interval

    def at(self, time: float) -> tuple[Array, Array]:
        """Return luma and alpha at ``time``, HEIGHT x WIDTH each."""
        moved = self.speed * time + self.acceleration * (time * time / 2)
        scale, angle = math.exp(-self.zoom * time), -self.turn * time
        x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
        x, y = x - (self.centre[0] + moved[0]), y - (self.centre[1] + moved[1])
        cos, sin = scale * math.cos(angle), scale * math.sin(angle)
        # from the frame's centre to the layer's own
        middle_x, middle_y = self.luma.shape[1] / 2, self.luma.shape[0] / 2
        across = cos * x - sin * y + middle_x - time * self.wave[..., 0]
        down = sin * x + cos * y + middle_y - time * self.wave[..., 1]
        across, down = across.astype(np.float32), down.astype(np.float32)
        luma = cv2.remap(self.luma, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        alpha = cv2.remap(self.alpha, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(luma), np.asarray(alpha)


@dataclass(frozen=True, eq=False)
class LayeredScene:
    """Layers from back to front, with shutter time, drift of brightness, and noise."""

    layers: tuple[Layer, ...]
    shutter: float  # intervals
    gain: float  # logarithm of the factor of brightness per interval
    noise: float  # standard deviation, code values
    seed: int  # of the noise

    def at(self, time: float) -> Luma:
        """Return the frame at ``time``, in intervals between frames."""
        moments = time + self.shutter * np.linspace(-0.5, 0.5, EXPOSURES) if self.shutter else np.array([time])
        luma = np.mean([self._instant(float(moment)) for moment in moments], axis=0)
        luma = 16 + (luma - 16) * math.exp(self.gain * time)
        rng = np.random.default_rng((self.seed, round((time + 8) * 1000)))
        grain = self.noise * rng.standard_normal(luma.shape)
        return np.asarray((luma + grain).round().clip(0, 255), np.uint8)

    def _instant(self, time: float) -> Array:
        result = np.zeros((HEIGHT, WIDTH), np.float32)
        for layer in self.layers:
            luma, alpha = layer.at(time)
            result += alpha * (luma - result)
        return result


def draw_scene(photos: Sequence[Luma], rng: np.random.Generator) -> LayeredScene:
    """Draw a random scene, its layers cut from ``photos``."""
    accelerated = rng.random() < ACCELERATED
    count = 1 + int(rng.integers(1, MAX_LAYERS + 1))
    layers = [_draw_layer(photos[int(rng.integers(len(photos)))], n == 0, accelerated, rng) for n in range(count)]
    return LayeredScene(
        tuple(layers),
        float(rng.uniform(0.2, 0.9)) if rng.random() < BLURRED else 0.0,
        float(rng.normal(0, 0.03)) if rng.random() < DRIFTING else 0.0,
        float(rng.exponential(1.0)),
        int(rng.integers(1 << 30)),
    )


def _draw_layer(photo: Luma, background: bool, accelerated: bool, rng: np.random.Generator) -> Layer:
    side = 1.0 if background else float(rng.uniform(0.15, 0.7))
    height, width = (min(photo.shape[n], int(side * size)) for n, size in ((0, HEIGHT), (1, WIDTH)))
    if background:  # larger than the frame, so that little of it is mirrored
        height, width = min(photo.shape[0], HEIGHT * 3 // 2), min(photo.shape[1], WIDTH * 3 // 2)
    top, left = (int(rng.integers(photo.shape[n] - size + 1)) for n, size in ((0, height), (1, width)))
    luma = photo[top : top + height, left : left + width].astype(np.float32)
    slowdown = 0.5 if background else 1.0
    speed = slowdown * np.clip(SPEED * rng.standard_t(2.5, 2), -MAX_SPEED, MAX_SPEED)
    centre = (WIDTH / 2, HEIGHT / 2) if background else (rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT))
    coarse = rng.normal(0, rng.exponential(0.7) * slowdown, (WAVE_NODES, WAVE_NODES, 2)).astype(np.float32)
    return Layer(
        luma,
        np.ones_like(luma) if background else _draw_alpha(height, width, rng),
        speed,
        speed * rng.normal(0, 0.15, 2) if accelerated else np.zeros(2),
        float(slowdown * rng.normal(0, 0.02)),
        float(slowdown * rng.normal(0, 0.015)),
        np.array(centre),
        np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)),
    )


def _draw_alpha(height: int, width: int, rng: np.random.Generator) -> Array:
    """Draw the alpha of a blob with an edge one pixel soft.

    The blob is a polygon around the middle, or thresholded noise.
    """
    if rng.random() < 0.6:
        corners = int(rng.integers(3, 10))
        angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
        radii = rng.uniform(0.4, 1.0, corners)
        x = (0.5 + 0.48 * radii * np.cos(angles)) * width
        y = (0.5 + 0.48 * radii * np.sin(angles)) * height
        alpha = np.zeros((height, width), np.uint8)
        cv2.fillPoly(alpha, [np.stack([x, y], -1).astype(np.int32)], 255)
    else:
        noise = cv2.resize(
            rng.standard_normal((6, 6)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        alpha = np.where(noise > 0, 255, 0).astype(np.uint8)
        alpha[:2], alpha[-2:], alpha[:, :2], alpha[:, -2:] = 0, 0, 0, 0
    return np.asarray(cv2.GaussianBlur(alpha, (3, 3), 0), np.float32) / 255
