"""Classical deconvolution of a known Gaussian blur: unsharp mask, Wiener filter, Richardson-Lucy.

Planes are H x W float32 code values of 8 bits; results are float32, neither rounded nor clipped. ``sigma`` is the
standard deviation of the blur in pixels; 0 leaves the plane unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsr.kernels.gaussian import gaussian_blur, gaussian_kernel

Plane = NDArray[np.float32]
Spectrum = NDArray[Any]

REACH = 4.0  # extent of a kernel on each side, in standard deviations
MIN_VALUE = 0.5  # code values; Richardson-Lucy divides by the plane


def unsharp(plane: Plane, sigma: float, amount: float = 1.0) -> Plane:
    """Return ``plane`` plus ``amount`` times its difference from its Gaussian blur: the unsharp mask."""
    return plane + np.float32(amount) * (plane - blur(plane, sigma))


def wiener(plane: Plane, sigma: float, regularisation: float) -> Plane:
    """Return the constrained least squares estimate, a Wiener filter.

    It minimises |blur of x - plane|^2 + ``regularisation`` |Laplacian of x|^2: Hunt, "The application of constrained
    least squares estimation to image restoration by digital computer", 1973. The solution is exact, by Fourier
    transform of the plane mirrored about its border pixels.
    """
    if sigma <= 0:
        return plane
    height, width = plane.shape
    mirrored = np.pad(plane, [(0, max(0, n - 2)) for n in plane.shape], mode="reflect")
    rows, columns = mirrored.shape
    gauss = _response(rows, sigma)[:, None] * _response(columns, sigma)[None, : columns // 2 + 1]
    laplace = _laplace(rows)[:, None] + _laplace(columns)[None, : columns // 2 + 1]
    inverse = gauss / (gauss * gauss + regularisation * laplace * laplace)
    sharp = np.fft.irfft2(np.fft.rfft2(mirrored) * inverse.astype(np.float32), mirrored.shape)
    return np.asarray(sharp[:height, :width], np.float32)


def richardson_lucy(plane: Plane, sigma: float, iterations: int) -> Plane:
    """Return the estimate after ``iterations`` of Richardson-Lucy, which assumes Poisson noise.

    Each iteration sharpens more, and noise grows with it.
    Richardson, "Bayesian-based iterative method of image restoration", 1972; Lucy, "An iterative technique for the
    rectification of observed distributions", 1974.
    """
    observed = np.maximum(plane, np.float32(MIN_VALUE))
    guess = observed
    for _ in range(iterations):
        ratio = np.asarray(observed / np.maximum(blur(guess, sigma), np.float32(MIN_VALUE)), np.float32)
        guess = guess * blur(ratio, sigma)
    return guess


def blur(plane: Plane, sigma: float) -> Plane:
    """Return ``plane`` convolved with a Gaussian of ``sigma``, mirrored about its border pixels."""
    if sigma <= 0:
        return plane
    return np.asarray(gaussian_blur(np.ascontiguousarray(plane, np.float32), _size(sigma), sigma))


def _size(sigma: float) -> int:
    return 2 * max(1, int(np.ceil(REACH * sigma))) + 1


def _response(length: int, sigma: float) -> Spectrum:
    """Return the frequency response (real) of a Gaussian.

    ``length``: samples of the periodic line.
    """
    weights = gaussian_kernel(_size(sigma), sigma)
    phases = 2 * np.pi * np.fft.fftfreq(length)[:, None] * np.arange(1, len(weights) // 2 + 1)
    return np.asarray(weights[len(weights) // 2] + 2 * np.cos(phases) @ weights[len(weights) // 2 + 1 :])


def _laplace(length: int) -> Spectrum:
    """Return the frequency response of the second difference along one axis, times -1."""
    return np.asarray(2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(length)))
