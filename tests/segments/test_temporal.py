"""A temporal network in segments: nearly the frames of a run without, and the same bytes for any number of workers."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import tests.clips
from tests.segments.runs import FPS, GOP, run
from tests.temporal_model import panned
from vidsr.metrics import psnr
from vidsr.video import VideoReader

pytestmark = pytest.mark.slow
FRAMES, SCALE, SIZE = 72, 4, (96, 64)


def hr(number: int) -> Any:
    """Return the original of a frame, 0 to 255: a texture that moves by fractions of a pixel of the clip."""
    return cv2.GaussianBlur(panned(1.3 * number, (SIZE[0] * SCALE, SIZE[1] * SCALE)) * 255, None, 2.5)


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import av

    def frame(number: int, size: tuple[int, int], pix_fmt: str) -> av.VideoFrame:
        lr = cv2.resize(hr(number), size, interpolation=cv2.INTER_AREA).round().astype(np.uint8)
        return av.VideoFrame.from_ndarray(lr, "gray").reformat(format=pix_fmt)

    monkeypatch.setattr(tests.clips, "make_frame", frame)
    path = tmp_path / "clip.mkv"
    return tests.clips.make_clip(path, FRAMES, SIZE, fps=FPS, gop=GOP, codec="ffv1", pix_fmt="gray")


def frames(path: Path) -> Any:
    with VideoReader(path) as reader:
        return torch.cat([batch.y[:, 0] for batch in reader.batches(8)]).numpy()


def test_segments_equal_the_whole_run_and_workers_one_another(clip: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"scale": SCALE, "model": "balanced-t", "domain": "clean", "device": "cpu"}
    run(clip, tmp_path / "whole.mkv", "0", **options)
    run(clip, tmp_path / "cut.mkv", "1s", **options)
    run(clip, tmp_path / "two.mkv", "1s", jobs=2, **options)
    whole, cut = (frames(tmp_path / name) for name in ("whole.mkv", "cut.mkv"))
    assert len(whole) == len(cut) == FRAMES
    assert (np.abs(whole.astype(int) - cut) > 2).mean() < 1e-3
    originals = [hr(number).round() for number in range(FRAMES)]
    scores = [np.array([psnr(a, b.astype(np.float64), 255) for a, b in zip(run_, originals, strict=True)])
              for run_ in (whole, cut)]  # fmt: skip
    assert abs(scores[0].mean() - scores[1].mean()) < 0.02  # in segments as short as the context
    assert (tmp_path / "cut.mkv").read_bytes() == (tmp_path / "two.mkv").read_bytes()
