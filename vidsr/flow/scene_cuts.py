"""Scene cuts and repeated frames, detected on luma thumbnails of two neighbouring frames.

Two frames belong to one scene if the second is the first shifted as a whole: a fast pan. They also do if most blocks of
one are found nearby in the other: moving objects. Both are measured by normalised correlation, which ignores brightness
and contrast, so a flash or a fade is no cut.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Thumbnail = NDArray[Any]  # float32, 36 x 64 luma, 8-bit code values

WIDTH, HEIGHT = 64, 36
SHIFT_X, SHIFT_Y = 13, 7  # largest shift of the whole frame, in thumbnail pixels: a fifth of the frame
BLOCK_W, BLOCK_H = 16, 12
REACH_X, REACH_Y = 10, 6  # largest displacement of a block, in thumbnail pixels
FLAT = 3.0  # standard deviation below which a block has too little texture to be found again
CUT_CHANGE = 8.0  # mean change in code values up to which there is no cut
# Limits of best F1 on pairs of the training clips; benchmarks/scene_cuts.py measures them on other clips.
CUT_SIMILARITY = 0.70  # similarity below which a pair is a cut, without a flow search
CUT_SIMILARITY_FLOW_FAILED, CUT_SIMILARITY_FLOW_FOUND = 0.80, 0.55  # the same, with one
FLOW_FAILED = 0.05  # flow confidence below which the flow search has failed
REPEAT_CHANGE = 1.0  # largest change of a thumbnail pixel that coding noise and rounding make


def thumbnail(y: Tensor, depth: int) -> Thumbnail:
    """Return the thumbnail of the luma of one frame.

    ``y``: 1 x 1 x H x W code values of ``depth`` bits.
    """
    small = cv2.resize(y[0, 0].numpy(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) * np.float32(255 / ((1 << depth) - 1))


def is_cut(a: Thumbnail, b: Thumbnail, flow_confidence: float | None = None) -> bool:
    """Return whether a new scene begins at ``b``, the frame after ``a``.

    ``flow_confidence``: share of the frame where forward and backward optical flow agree; None without a flow search.
    """
    if float(np.abs(a - b).mean()) <= CUT_CHANGE:
        return False
    limit = CUT_SIMILARITY
    if flow_confidence is not None:
        limit = CUT_SIMILARITY_FLOW_FAILED if flow_confidence < FLOW_FAILED else CUT_SIMILARITY_FLOW_FOUND
    return similarity(a, b) < limit


def is_repeat(a: Thumbnail, b: Thumbnail) -> bool:
    """Return whether ``b`` repeats ``a``, apart from coding noise."""
    return float(np.abs(a - b).max()) <= REPEAT_CHANGE


def similarity(a: Thumbnail, b: Thumbnail) -> float:
    """Return how well one frame is found in the other, at most 1.

    The frame is searched as a whole and block by block.
    """
    return max(_shifted(a, b), _shifted(b, a), _blockwise(a, b))


def _shifted(a: Thumbnail, b: Thumbnail) -> float:
    """Return the best correlation of the centre of ``a`` with a part of ``b``."""
    return _best_match(a[SHIFT_Y : HEIGHT - SHIFT_Y, SHIFT_X : WIDTH - SHIFT_X], b)


def _blockwise(a: Thumbnail, b: Thumbnail) -> float:
    """Return the mean best correlation of the blocks of ``a`` with ``b`` nearby.

    Flat blocks do not count.
    """
    padded = cv2.copyMakeBorder(b, REACH_Y, REACH_Y, REACH_X, REACH_X, cv2.BORDER_REPLICATE)
    matches = [
        _best_match(block, padded[top : top + BLOCK_H + 2 * REACH_Y, left : left + BLOCK_W + 2 * REACH_X])
        for top in range(0, HEIGHT, BLOCK_H)
        for left in range(0, WIDTH, BLOCK_W)
        if (block := a[top : top + BLOCK_H, left : left + BLOCK_W]).std() >= FLAT
    ]
    return float(np.mean(matches)) if matches else 1.0


def _best_match(part: Thumbnail, whole: Thumbnail) -> float:
    scores = cv2.matchTemplate(np.ascontiguousarray(whole), np.ascontiguousarray(part), cv2.TM_CCOEFF_NORMED)
    return float(scores.max())
