"""Context: a stage that runs on a range and its context makes the frames of the whole run there."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidsr.frames import FrameBatch, Origin, VideoInfo, concat
from vidsr.options.enhance import parse_options
from vidsr.options.frame_rate import Times
from vidsr.pipeline.plan import make_plan
from vidsr.stages import PER_FRAME, Context
from vidsr.stages.build import Stages, build_stages, context_of
from vidsr.stages.classical import Classical
from vidsr.stages.frame_log import COLUMNS, FrameLog
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.specs import (
    ConvertSpec,
    InterpolateSpec,
    MeasureSpec,
    RestoreSpec,
    RoundSpec,
    StageSpec,
    TapSpec,
    TemporalDenoiseSpec,
    UpscaleSpec,
)

FPS = Fraction(25)
INFO = VideoInfo(64, 48, FPS, time_base=Fraction(1, 1000))
# Each number is one image: a run of 11 repeats, short runs, and a scene cut after 15
SHOWN = [0, 1, 2, *[3] * 11, 4, 5, 5, 6, 7, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15, 100, 101, 101, 102, 103, 104, 105]
# Film at 24 in 60: every image is shown for 3 frames, then 2
TELECINE = [number for number in range(22) for _ in range(3 - number % 2)]


def image(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Luma and chroma of one image: texture that moves by two pixels from number to number."""
    rng = np.random.default_rng(number // 100)
    texture = cv2.resize(rng.random((24, 60), np.float32), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    x = 2 * (number % 100)
    luma = np.clip(16 + 219 * texture[10:58, 20 + x : 84 + x], 0, 255).astype(np.uint8)
    chroma = np.stack([luma[::2, ::2], 255 - luma[::2, ::2]])
    return torch.from_numpy(luma)[None, None], torch.from_numpy(chroma)[None]


def frames(shown: list[int]) -> list[FrameBatch]:
    """Single frames of a clip that shows those images, with their repeats marked."""
    single = (FrameBatch(*image(number), (n / FPS,), (Origin(n),)) for n, number in enumerate(shown))
    return list(mark_repeats(iter(single)))


def output(stages: Stages, clip: list[FrameBatch]) -> FrameBatch:
    stream: Iterator[FrameBatch] = iter(clip)
    for stage in stages.in_order:
        stream = stage(stream)
    return concat(list(stream))


def assert_context_suffices(stages: list[StageSpec], shown: list[int], log: FrameLog | None = None) -> None:
    clip = frames(shown)
    repeats = [frame.repeats[0] for frame in clip]

    def built() -> Stages:
        return build_stages(stages, INFO, log)

    whole = output(built(), clip)
    context = context_of(*stages)
    for first in range(0, len(clip) - 3, 3):
        stop = min(first + 5, len(clip))
        begin, end = context.around(first, stop, repeats)
        part = output(built(), clip[begin:end])
        until = stop / FPS if stop < len(clip) else Fraction(1000)
        wanted, found = (
            [i for i, time in enumerate(batch.times) if first / FPS <= time < until] for batch in (whole, part)
        )
        assert [part.times[i] for i in found] == [whole.times[i] for i in wanted]
        assert [part.origins[i] for i in found] == [whole.origins[i] for i in wanted]
        assert torch.equal(part.y[found], whole.y[wanted]), f"frames {first} to {stop}"
        assert part.uv is not None and whole.uv is not None
        assert torch.equal(part.uv[found], whole.uv[wanted])


def network(scale: int, model: str = "fast") -> UpscaleSpec:
    plan = make_plan(parse_options(scale=scale, model=model, device="cpu", precision="fp32"), INFO)
    assert plan.upscale is not None
    return plan.upscale


@pytest.mark.parametrize(
    "spec",
    [
        RestoreSpec("deblur", Classical("unsharp", 1.0, 0.0), 0.5),
        UpscaleSpec(96, 72, "bicubic"),
        UpscaleSpec(32, 24, "lanczos"),
        network(2),
        ConvertSpec("444", 10),
        RoundSpec(8),
    ],
    ids=lambda spec: str(spec).partition("(")[0],
)
def test_stages_of_single_frames(spec: StageSpec) -> None:
    assert context_of(spec) == PER_FRAME
    assert_context_suffices([spec], SHOWN)


def test_the_log(tmp_path: Path) -> None:
    with FrameLog(tmp_path / "log.csv", COLUMNS) as log:
        assert_context_suffices([TapSpec(), RoundSpec(8), MeasureSpec(COLUMNS)], SHOWN, log)


@pytest.mark.parametrize("shown", [SHOWN, TELECINE[:30]], ids=["shown", "telecine"])
def test_temporal_denoising(shown: list[int]) -> None:
    assert_context_suffices([TemporalDenoiseSpec(0.8)], shown)


@pytest.mark.parametrize("engine", ["flow", "blend", "none"])
def test_interpolation(engine: str) -> None:
    spec = InterpolateSpec(Times(Fraction(2)), engine, None, "keep", Fraction(1))  # type: ignore[arg-type]
    assert_context_suffices([spec], SHOWN)


@pytest.mark.slow
def test_interpolation_of_repeats() -> None:
    spec = InterpolateSpec(Times(Fraction(2)), "flow", None, "interpolate", Fraction(1))
    assert_context_suffices([spec], TELECINE)


def test_a_scene_that_begins_at_the_end_of_a_range_looks_as_far_ahead_as_in_a_whole_run() -> None:
    spec = network(2, "balanced-t")
    clip, cut, stop = frames([*range(3), *range(100, 112)]), 3, 5
    whole = output(build_stages([spec], INFO), clip)
    part = output(build_stages([spec], INFO), clip[: stop + context_of(spec).after])
    assert torch.equal(part.y[cut:stop], whole.y[cut:stop])
    cut_off = output(build_stages([spec], INFO), clip[:stop])
    assert not torch.equal(cut_off.y[cut:stop], whole.y[cut:stop])


def test_several_stages_need_the_sum() -> None:
    denoise = TemporalDenoiseSpec(0.8)
    interpolate = InterpolateSpec(Times(Fraction(2)), "flow", None, "keep", Fraction(1))
    stages: list[StageSpec] = [denoise, interpolate, UpscaleSpec(96, 72, "bicubic"), RoundSpec(8)]
    assert context_of(*stages) == Context(3, 3)
    assert_context_suffices(stages, SHOWN)


def test_a_run_of_repeated_frames_counts_as_one() -> None:
    repeats = [False, False, True, True, False, False, True, False]
    assert Context(1, 1).around(3, 4, repeats) == (0, 5)
    assert Context(2, 2).around(5, 6, repeats) == (3, 8)
    assert Context(9, 9).around(3, 4, repeats) == (0, 8)
    assert Context().around(3, 4, repeats) == (3, 4)
