"""Measure how stable a restored clip is: false motion, and flicker along the true motion.

Clips are sequences of H x W uint8 luma frames of one size, at least 32 pixels a side.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
Flow = NDArray[np.float32]  # H x W x 2, pixels: from a position in the later frame to its position in the earlier one

OCCLUDED = 20.0  # code values; where the true clip differs more from itself along its motion, the flow is ignored


def flows(clip: Sequence[Luma]) -> list[Flow]:
    """Return the flow from each frame but the first to the previous one, by dense inverse search."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return [np.asarray(search.calc(b, a, np.empty(0, np.float32)), np.float32) for a, b in pairwise(clip)]


def flow_difference(clip: Sequence[Luma], true_flows: Sequence[Flow]) -> float:
    """Return the mean distance in pixels between the flows of the clip and ``true_flows``.

    tOF of Chu et al., "Learning temporal coherence via self-supervision for GAN-based video generation", 2020.
    """
    distances = [np.linalg.norm(f - true, axis=2).mean() for f, true in zip(flows(clip), true_flows, strict=True)]
    return float(np.mean(distances))


def warped_difference(clip: Sequence[Luma], truth: Sequence[Luma], true_flows: Sequence[Flow]) -> float:
    """Return the change along the true motion in code values, root mean square, without occluded pixels.

    The warping error of Lai et al., "Learning blind video temporal consistency", 2018, before their square.
    """
    squares, count = 0.0, 0
    for (a, b), (true_a, true_b), flow in zip(pairwise(clip), pairwise(truth), true_flows, strict=True):
        visible = np.abs(_warped(true_a, flow) - true_b) < OCCLUDED
        squares += float(np.square((_warped(a, flow) - b)[visible]).sum())
        count += int(visible.sum())
    return float(np.sqrt(squares / max(1, count)))


def _warped(frame: Luma, flow: Flow) -> NDArray[np.float32]:
    """Warp ``frame`` by ``flow``."""
    height, width = frame.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    warped = cv2.remap(frame.astype(np.float32), x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC)
    return np.asarray(warped, np.float32)
