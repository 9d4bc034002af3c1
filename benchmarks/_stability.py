"""How steady a restored clip is, against the true one: motion that should not be there, and flicker along the motion.

Clips are sequences of H x W uint8 luma pictures of one size, at least 32 pixels a side.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
Flow = NDArray[np.float32]  # H x W x 2, pixels: where a pixel of the later picture was in the earlier

OCCLUDED = 20.0  # code values by which the true picture may miss itself along its motion and still be followed


def flows(clip: Sequence[Luma]) -> list[Flow]:
    """The motion from each picture but the first back to the one before it, by dense inverse search."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return [np.asarray(search.calc(b, a, np.empty(0, np.float32)), np.float32) for a, b in pairwise(clip)]


def flow_difference(clip: Sequence[Luma], true_flows: Sequence[Flow]) -> float:
    """Mean distance in pixels between the clip's motion and the true clip's (`flows`).

    tOF of Chu et al., "Learning temporal coherence via self-supervision for GAN-based video generation", 2020.
    """
    distances = [np.linalg.norm(f - true, axis=2).mean() for f, true in zip(flows(clip), true_flows, strict=True)]
    return float(np.mean(distances))


def warped_difference(clip: Sequence[Luma], truth: Sequence[Luma], true_flows: Sequence[Flow]) -> float:
    """Root mean square, in code values, of what changes along the true motion where that can be followed.

    The warping error of Lai et al., "Learning blind video temporal consistency", 2018, before their square.
    """
    squares, count = 0.0, 0
    for (a, b), (true_a, true_b), flow in zip(pairwise(clip), pairwise(truth), true_flows, strict=True):
        followed = np.abs(_moved(true_a, flow) - true_b) < OCCLUDED
        squares += float(np.square((_moved(a, flow) - b)[followed]).sum())
        count += int(followed.sum())
    return float(np.sqrt(squares / max(1, count)))


def _moved(picture: Luma, flow: Flow) -> NDArray[np.float32]:
    """``picture`` sampled where ``flow`` says."""
    height, width = picture.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(picture.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)
    return np.asarray(moved, np.float32)
