"""Verification of a finished image: the file is read again and decoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidsr.errors import InputError
from vidsr.options.parse import MOST_PIXELS
from vidsr.pipeline.verify import Verification
from vidsr.pipeline.video_checks import Check, equal
from vidsr.video.image import Pixels, read_still

LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
LARGEST_ERROR = 32.0  # 8-bit codes, mean over the image: JPEG and WebP store half of the chroma samples


def verify_image(path: Path, written: Path, pixels: Pixels) -> Verification:
    """Compare the file ``written``, which becomes ``path``, with the pixels that were encoded.

    Lossless formats must hold each pixel; JPEG and WebP the same size, and pixels that are near. Alpha is always equal.
    """
    try:
        found, alpha = read_still(written, "auto", MOST_PIXELS)
    except InputError:
        return Verification(path, (Check("the image decodes", "yes", "no", False),))
    checks = [Check("the image decodes", "yes", "yes", True), equal("size", _size(pixels), _size(found))]
    if _size(pixels) == _size(found):
        if pixels.shape[2:] == (4,):
            pixels, wanted = pixels[..., :3], pixels[..., 3]
            kept = wanted.min() == np.iinfo(wanted.dtype).max if alpha is None else np.array_equal(alpha, wanted)
            checks.append(equal("transparency", "kept", "kept" if kept else "lost"))
            if path.suffix.lower() not in LOSSLESS:  # which give transparent pixels any colour
                pixels, found = (np.where(wanted[..., None] > 0, one, 0) for one in (pixels, found))
        if path.suffix.lower() in LOSSLESS:
            checks.append(equal("equal pixels", "all", "all" if np.array_equal(pixels, found) else "not all"))
        else:
            error = _mean_error(pixels, found)
            checks.append(Check("mean error", f"at most {LARGEST_ERROR:g}", f"{error:.2f}", error <= LARGEST_ERROR))
    return Verification(path, tuple(checks))


def _size(pixels: Pixels) -> str:
    height, width = pixels.shape[:2]
    return f"{width}x{height}"


def _mean_error(pixels: Pixels, found: Pixels) -> float:
    """Return the mean absolute difference of rows spread over the image; grey becomes colour in WebP."""
    rows = slice(None, None, max(1, len(pixels) // 256))
    grey = [
        one[rows].astype(np.float32).reshape(-1, one.shape[1], one.size // (len(one) * one.shape[1])).mean(axis=2)
        for one in (pixels, found)
    ]
    return float(np.abs(grey[0] - grey[1]).mean())
