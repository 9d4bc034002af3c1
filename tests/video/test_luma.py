"""The luma of clips as 8-bit limited range."""

from pathlib import Path

import numpy as np
import pytest

from tests.clips import make_clip, numbered_luma
from vidsr.video.luma import read_luma


@pytest.mark.parametrize(
    ("pix_fmt", "tag", "black", "white"),
    [("yuv420p", 1, 0, 255), ("yuvj420p", 2, 16, 235), ("yuv420p10le", 1, 0, 255), ("yuv420p10le", 2, 16, 235)],
)
def test_full_range_and_ten_bit_clips_are_read_as_limited_8_bit(
    tmp_path: Path, pix_fmt: str, tag: int, black: int, white: int
) -> None:
    clip = make_clip(tmp_path / "clip.mkv", 1, (128, 96), pix_fmt=pix_fmt, codec="ffv1", tags={"color_range": tag})
    depth = 10 if "10" in pix_fmt else 8
    largest = (1 << depth) - 1 if tag == 2 else 255 << (depth - 8)
    expected = black + numbered_luma(0, (128, 96), depth) / largest * (white - black)
    assert np.abs(next(read_luma(clip)).numpy() - expected).max() <= 0.5 + 1e-6
