"""Hard cuts and repeated frames, found on reduced luma pictures of two neighbouring frames.

A pair is one scene as long as anything explains it: the whole picture shifted (a fast pan), or most of its blocks found
again nearby (things that move). Both are measured by normalised correlation, which sees neither brightness nor
contrast, so that a flash or a fade is no cut.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Small = NDArray[Any]  # float32, 36 x 64: a reduced luma picture, 8-bit code values

WIDTH, HEIGHT = 64, 36
SHIFT_X, SHIFT_Y = 13, 7  # how far the whole picture may have moved, in reduced pixels: a fifth of it
BLOCK_W, BLOCK_H = 16, 12
REACH_X, REACH_Y = 10, 6  # how far a block may have moved
FLAT = 3.0  # standard deviation below which a block looks like any other
CUT_CHANGE = 8.0  # mean change in code values below which nothing is a cut
# Limits of best F1 on pairs of the training clips; benchmarks/scene_cuts.py measures them on other clips.
CUT_LIKENESS = 0.70  # when no flow was looked for
CUT_LIKENESS_LOST, CUT_LIKENESS_FOLLOWED = 0.80, 0.55  # when flow lost the picture, and when it did not
LOST = 0.05  # flow confidence below which the flow search has failed
SAME_CHANGE = 1.0  # largest change of a reduced pixel, rounded as the planes are, that coding noise makes


def reduce(y: Tensor, depth: int) -> Small:
    """The reduced picture of one frame's luma (1 x 1 x H x W code values of ``depth`` bits)."""
    small = cv2.resize(y[0, 0].numpy(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) * np.float32(255 / ((1 << depth) - 1))


def is_cut(a: Small, b: Small, flow_confidence: float | None = None) -> bool:
    """Whether a new scene begins at ``b``, the frame after ``a``.

    ``flow_confidence``: share of the frame where forward and backward optical flow agree; None without a flow search.
    """
    if float(np.abs(a - b).mean()) <= CUT_CHANGE:
        return False
    limit = CUT_LIKENESS
    if flow_confidence is not None:
        limit = CUT_LIKENESS_LOST if flow_confidence < LOST else CUT_LIKENESS_FOLLOWED
    return likeness(a, b) < limit


def is_duplicate(a: Small, b: Small) -> bool:
    """Whether ``b`` shows what ``a`` shows, but for coding noise."""
    return float(np.abs(a - b).max()) <= SAME_CHANGE


def likeness(a: Small, b: Small) -> float:
    """How well one picture is found again in the other, 1 for perfectly: shifted as a whole, or block by block."""
    return max(_shifted(a, b), _shifted(b, a), _blockwise(a, b))


def _shifted(a: Small, b: Small) -> float:
    """Best correlation of the middle of ``a`` with a part of ``b``."""
    return _best_match(a[SHIFT_Y : HEIGHT - SHIFT_Y, SHIFT_X : WIDTH - SHIFT_X], b)


def _blockwise(a: Small, b: Small) -> float:
    """Mean of the best correlations of the blocks of ``a`` with parts of ``b`` nearby; flat blocks do not count."""
    around = cv2.copyMakeBorder(b, REACH_Y, REACH_Y, REACH_X, REACH_X, cv2.BORDER_REPLICATE)
    matches = [
        _best_match(block, around[top : top + BLOCK_H + 2 * REACH_Y, left : left + BLOCK_W + 2 * REACH_X])
        for top in range(0, HEIGHT, BLOCK_H)
        for left in range(0, WIDTH, BLOCK_W)
        if (block := a[top : top + BLOCK_H, left : left + BLOCK_W]).std() >= FLAT
    ]
    return float(np.mean(matches)) if matches else 1.0


def _best_match(part: Small, picture: Small) -> float:
    scores = cv2.matchTemplate(np.ascontiguousarray(picture), np.ascontiguousarray(part), cv2.TM_CCOEFF_NORMED)
    return float(scores.max())
