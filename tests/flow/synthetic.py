"""Synthetic frames and slow twins for the tests of optical flow."""

from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidsr.frames import FrameBatch, Origin

Plane = npt.NDArray[np.float32]


def texture(height: int, width: int, seed: int = 0, finest: int = 4) -> Plane:
    """Return luma with structure of several sizes, 8-bit code values."""
    rng = np.random.default_rng(seed)
    luma = np.zeros((height, width), np.float32)
    for cell, weight in ((32, 0.5), (12, 0.3), (finest, 0.2)):
        noise = rng.random((height // cell + 2, width // cell + 2), np.float32)
        luma += weight * cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(16 + 219 * luma, 0, 255).astype(np.float32)


def as_frame(y: Plane, chroma: str | None = None, dtype: torch.dtype = torch.uint8, peak: int = 255) -> FrameBatch:
    """Return a batch of one frame with luma ``y`` (8-bit code values) and, if asked, chroma made from it."""

    def plane(values: Plane) -> torch.Tensor:
        scaled = torch.from_numpy(np.ascontiguousarray(values)) * (peak / 255)
        return scaled if dtype == torch.float32 else scaled.round().to(dtype)

    h, w = y.shape
    size = {None: None, "420": (-(-w // 2), -(-h // 2)), "422": (-(-w // 2), h), "444": (w, h)}[chroma]
    uv = None
    if size is not None:
        u = cv2.resize(y, size, interpolation=cv2.INTER_AREA)
        uv = plane(np.stack([u, 255 - u]))[None]
    return FrameBatch(plane(y)[None, None], uv, (Fraction(0),), (Origin(0),))


def psnr(a: Plane, b: Plane) -> float:
    """Return the PSNR in dB of 8-bit code values."""
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


def bilinear(plane: Plane, x: float, y: float) -> Plane:
    """Return the value of ``plane`` (h x w, or h x w x n) at (x, y), bilinear, clamped to the frame: a slow twin."""
    h, w = plane.shape[:2]
    x, y = min(max(x, 0), w - 1), min(max(y, 0), h - 1)
    x0, y0 = int(x), int(y)
    x1, y1, fx, fy = min(x0 + 1, w - 1), min(y0 + 1, h - 1), x - x0, y - y0
    upper, lower = (plane[row, x0] * (1 - fx) + plane[row, x1] * fx for row in (y0, y1))
    return np.asarray(upper * (1 - fy) + lower * fy)
