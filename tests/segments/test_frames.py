"""Frames before encoding are those of a run without segments, at every border: compared after a lossless encoder."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clips import make_clip
from tests.segments.runs import FPS, FRAMES, GOP, digests, run, source
from tests.tiers import SLOW
from tests.video.test_deinterlace import woven
from vidsr.video import VideoReader

DENOISE = {"denoise": 1, "denoise_model": "bilateral"}
OPTIONS: dict[str, dict[str, Any]] = {
    "bicubic": {"scale": 2, "model": "bicubic"},
    "network": {"scale": 2, "model": "fast"},
    "fps 2x": {"fps": "2x"},
    "fps 5/2x counts frames from the first of the run": {"fps": "5/2x"},
    "fps 60": {"fps": "60"},
    "fps 12 drops frames": {"fps": "12"},
    "slow motion": {"slow_motion": "3x", "fps": "30"},
    "temporal denoising": DENOISE,
    "temporal denoising and interpolation": DENOISE | {"fps": "2x", "scale": "0.5", "model": "bicubic"},
    "part of the clip": {"fps": "2x", "start": "0.5", "end": "3.3"},
    "part of the clip, in frames": {"fps": "5/2x", "start": "0.52", "frames": 70},
    "artefact removal": {"restore": 1},
    "all restorations by classical methods": DENOISE | {"deblur": 1, "deblur_model": "wiener"},
    "cleaning": {"clean": True, "scale": 2, "model": "fast"},
    "interpolation by flow": {"fps": "3x", "interpolation": "flow"},
    "interpolation by a network": {"fps": "2x", "interpolation": "net"},
    "interpolation by averages": {"fps": "2x", "interpolation": "blend"},
    "network in bf16": {"scale": 2, "model": "fast", "precision": "bf16"},
    "three frames per call": {"scale": 2, "model": "fast", "batch": 3},
    "tiles": {"scale": 2, "model": "fast", "tile": 32},
    "half of the network": {"scale": 2, "model": "fast", "strength": "0.5"},
    "two networks": {"scale": 6, "model": "fast"},
    "self-ensemble": {"scale": 2, "model": "fast+"},
    "another size, padded": {"scale": None, "size": "200x160", "fit": "pad"},
    "deinterlacing": {"deinterlace": "force", "scale": 2, "model": "bicubic"},
    "deinterlacing and interpolation": {"deinterlace": "force", "fps": "2x"},
}
QUICK = ("network", "fps 5/2x counts frames from the first of the run", "temporal denoising and interpolation",
         "part of the clip", "deinterlacing and interpolation")  # fmt: skip


def assert_same(clip: Path, folder: Path, segment: str = "1s", **options: Any) -> None:
    whole = run(clip, folder / "whole.mkv", "0", **options)
    cut = run(clip, folder / "cut.mkv", segment, **options)
    assert digests(folder / "cut.mkv") == digests(folder / "whole.mkv")
    logs = [(folder / ".vidsr" / f"{name}.mkv.frames.csv").read_bytes() for name in ("cut", "whole")]
    assert logs[0] == logs[1]
    assert (cut.counts, cut.frames, cut.output) == (whole.counts, whole.frames, whole.output)
    assert cut.means == pytest.approx(whole.means)
    assert "packets as encoded" in [check.name for check in cut.verification.checks]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [name for name in OPTIONS if SLOW or name in QUICK])
def test_frames_equal_those_of_a_whole_run(tmp_path: Path, name: str) -> None:
    assert_same(source(tmp_path), tmp_path, **OPTIONS[name])


@pytest.mark.slow
def test_interpolation_by_the_network_of_a_file(tmp_path: Path) -> None:
    import torch

    from vidsr.models.architectures import rife

    torch.manual_seed(1)
    torch.save(rife.Rife(rife.Config((8, 8))).state_dict(), tmp_path / "flownet.pkl")
    file = {"interpolation": "rife", "interpolation_model": str(tmp_path / "flownet.pkl")}
    assert_same(source(tmp_path), tmp_path, fps="2x", **file)


@pytest.mark.slow
def test_float32_networks_do_not_depend_on_the_batches_of_a_segment(tmp_path: Path) -> None:
    """oneDNN adds in another order for another number of frames."""
    assert_same(source(tmp_path), tmp_path, denoise=1, deblur=1, scale=2, model="fast", precision="fp32")


@pytest.mark.slow
def test_a_temporal_network_forgets_where_it_began(tmp_path: Path) -> None:
    """Its state has no end, so a segment begins `warm_up` frames early, and frames are nearly those of a whole run."""
    clip = source(tmp_path)
    for name, segment in (("whole", "0"), ("cut", "1s")):
        run(clip, tmp_path / f"{name}.mkv", segment, scale=4, model="balanced-t")
    differences = [np.abs(a - b) for a, b in zip(luma(tmp_path / "cut.mkv"), luma(tmp_path / "whole.mkv"), strict=True)]
    assert len(differences) == FRAMES
    assert not any(difference.any() for difference in differences[: 2 * GOP]), "before the first border"
    assert max(difference.max() for difference in differences) <= 2
    assert max(difference.mean() for difference in differences) < 0.01


def luma(clip: Path) -> list[Any]:
    """Return the luma of every frame as integers that can be subtracted."""
    with VideoReader(clip) as reader:
        return [batch.y.numpy().astype(int) for batch in reader.batches(1)]


def test_a_variable_rate_and_a_long_gap(tmp_path: Path) -> None:
    gaps = [Fraction(1 + number % 3, 50) for number in range(FRAMES)]
    gaps[GOP * 4 - 1] = Fraction(1)  # a frame that stands for a second, before a keyframe
    times = [sum(gaps[:number], Fraction(0)) for number in range(FRAMES)]
    clip = make_clip(tmp_path / "vfr.mkv", FRAMES, fps=FPS, gop=GOP, times=times)
    assert_same(clip, tmp_path, fps="2x")


def test_repeated_frames_and_a_scene_cut_at_borders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tests.clips

    shown = [*range(20), *[20] * 40, *range(21, 61)]  # stands still for longer than a segment
    frame = tests.clips.make_frame
    monkeypatch.setattr(tests.clips, "make_frame", lambda number, *more: frame(shown[number], *more))
    clip = make_clip(tmp_path / "still.mkv", FRAMES, fps=FPS, gop=GOP, codec="ffv1")
    assert_same(clip, tmp_path, **DENOISE, fps="2x")


FIELDS: dict[str, tuple[dict[str, Any], int]] = {
    "alone": ({}, 60),
    "half a frame": ({"end": "1.01"}, 51),
    "interpolated": ({"fps": "2x"}, 120),
}


@pytest.mark.parametrize("name", [name for name in FIELDS if SLOW or name != "interpolated"])
def test_a_frame_for_each_field(tmp_path: Path, name: str) -> None:
    options, frames = FIELDS[name]
    clip = woven(tmp_path / "fields.mkv", options={"g": "6", "flags": "+ildct+ilme", "field_order": "tt"})
    assert_same(clip, tmp_path, "0.4s", scale="0.25", model="bicubic", **options)
    assert len(digests(tmp_path / "cut.mkv")) == frames


def test_open_groups_of_frames(tmp_path: Path) -> None:
    options = {"x264-params": f"open-gop=1:keyint={GOP}:bframes=3:scenecut=0"}
    assert_same(source(tmp_path, "open.mp4", options=options), tmp_path, fps="2x")


def test_times_grow_across_borders(tmp_path: Path) -> None:
    run(source(tmp_path), tmp_path / "cut.mkv", fps="2x")
    times = [time for time, _ in digests(tmp_path / "cut.mkv")]
    assert all(before < after for before, after in pairwise(times))
