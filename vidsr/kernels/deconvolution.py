"""Three ways back from a Gaussian blur whose width is known: unsharp mask, Wiener filter, Richardson-Lucy.

Planes are H x W float32 code values of 8 bits; results are float32, neither rounded nor clipped. ``sigma`` is the
standard deviation of the blur in pixels; 0 leaves the plane as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsr.kernels.gaussian import gaussian_blur, gaussian_kernel

Plane = NDArray[np.float32]
Spectrum = NDArray[Any]

REACH = 4.0  # standard deviations of a kernel on each side
LEAST = 0.5  # code values: Richardson-Lucy divides by the picture


def unsharp(plane: Plane, sigma: float, amount: float = 1.0) -> Plane:
    """``plane`` plus ``amount`` times what a Gaussian of ``sigma`` takes from it: the photographer's unsharp mask."""
    return plane + np.float32(amount) * (plane - blurred(plane, sigma))


def wiener(plane: Plane, sigma: float, regularisation: float) -> Plane:
    """The x of least |blurred x - plane|^2 + ``regularisation`` |Laplacian of x|^2.

    Hunt, "The application of constrained least squares estimation to image restoration by digital computer", 1973.
    Solved exactly, by Fourier transform of the picture mirrored about its border pixels.
    """
    if sigma <= 0:
        return plane
    height, width = plane.shape
    mirrored = np.pad(plane, [(0, max(0, n - 2)) for n in plane.shape], mode="reflect")
    rows, columns = mirrored.shape
    blur = _response(rows, sigma)[:, None] * _response(columns, sigma)[None, : columns // 2 + 1]
    laplace = _laplace(rows)[:, None] + _laplace(columns)[None, : columns // 2 + 1]
    inverse = blur / (blur * blur + regularisation * laplace * laplace)
    sharp = np.fft.irfft2(np.fft.rfft2(mirrored) * inverse.astype(np.float32), mirrored.shape)
    return np.asarray(sharp[:height, :width], np.float32)


def richardson_lucy(plane: Plane, sigma: float, iterations: int) -> Plane:
    """After each step a likelier picture for ``plane`` to be the blur of, if light were counted; noise grows with them.

    Richardson, "Bayesian-based iterative method of image restoration", 1972; Lucy, "An iterative technique for the
    rectification of observed distributions", 1974.
    """
    seen = np.maximum(plane, np.float32(LEAST))
    guess = seen
    for _ in range(iterations):
        ratio = np.asarray(seen / np.maximum(blurred(guess, sigma), np.float32(LEAST)), np.float32)
        guess = guess * blurred(ratio, sigma)
    return guess


def blurred(plane: Plane, sigma: float) -> Plane:
    """``plane`` convolved with a Gaussian of ``sigma``, mirrored about its border pixels."""
    if sigma <= 0:
        return plane
    return np.asarray(gaussian_blur(np.ascontiguousarray(plane, np.float32), _size(sigma), sigma))


def _size(sigma: float) -> int:
    return 2 * max(1, int(np.ceil(REACH * sigma))) + 1


def _response(length: int, sigma: float) -> Spectrum:
    """What a Gaussian of ``sigma`` leaves of each frequency of a periodic line of ``length`` samples; real."""
    weights = gaussian_kernel(_size(sigma), sigma)
    phases = 2 * np.pi * np.fft.fftfreq(length)[:, None] * np.arange(1, len(weights) // 2 + 1)
    return np.asarray(weights[len(weights) // 2] + 2 * np.cos(phases) @ weights[len(weights) // 2 + 1 :])


def _laplace(length: int) -> Spectrum:
    """The response of the second difference along one axis, times -1."""
    return np.asarray(2 - 2 * np.cos(2 * np.pi * np.fft.fftfreq(length)))
