"""Conversion to the encoder's format with one rounding, against exact arithmetic."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import floor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.clips import make_clip
from vidsr import enhance
from vidsr.color import LOCATIONS
from vidsr.errors import Notes
from vidsr.frames import Chroma, ColorInfo, FrameBatch, Origin, VideoInfo
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan
from vidsr.stages.build import build_stages, build_upscale
from vidsr.stages.convert import Convert
from vidsr.stages.rounding import Finish
from vidsr.stages.stopwatch import Stopwatch
from vidsr.video import VideoReader


def one(y: torch.Tensor, uv: torch.Tensor | None) -> FrameBatch:
    return FrameBatch(y, uv, (Fraction(0),), (Origin(0),))


def converted(batch: FrameBatch, info: VideoInfo, chroma: Chroma, depth: int) -> FrameBatch:
    (result,) = Finish(depth)(Convert(info, chroma, depth)(iter([batch])))
    return result


def exact(code: int, given: int, wanted: int, full: bool, neutral: bool) -> int:
    """The code of ``wanted`` bits of what ``code`` of ``given`` bits means, halves up (H.273, 8.3)."""
    if not full:
        value = Fraction(code) * Fraction(2) ** (wanted - given)
    elif neutral:
        middle, peak = 1 << (given - 1), (1 << given) - 1
        value = Fraction(code - middle, peak) * ((1 << wanted) - 1) + (1 << (wanted - 1))
    else:
        value = Fraction(code, (1 << given) - 1) * ((1 << wanted) - 1)
    return min(max(floor(value + Fraction(1, 2)), 0), (1 << wanted) - 1)


@pytest.mark.parametrize(
    ("given", "wanted", "range_"),
    [(*pair, r) for pair, r in product([(12, 10), (12, 8), (8, 10), (16, 10)], ["limited", "full"])],
)
def test_every_code_is_rounded_once(given: int, wanted: int, range_: str) -> None:
    """12 bits into a 10-bit encoder: rounding at 12 and then at 10 would move halves."""
    codes = (
        torch.arange(0, 1 << given, max(1, (1 << given) // 4096))
        .view(1, 1, 16, -1)
        .to(torch.uint16 if given > 8 else torch.uint8)
    )
    info = VideoInfo(codes.shape[-1], 16, Fraction(25), "444", given, ColorInfo("bt709", range=range_))  # type: ignore[arg-type]
    result = converted(one(codes, torch.cat([codes, codes], 1)), info, "444", wanted)
    assert result.uv is not None
    full = range_ == "full"
    given_codes = [int(code) for code in codes.flatten()]
    assert result.y.flatten().tolist() == [exact(code, given, wanted, full, False) for code in given_codes]
    assert result.uv[0, 0].flatten().tolist() == [exact(code, given, wanted, full, True) for code in given_codes]


def test_floats_are_rounded_at_the_new_depth_only() -> None:
    """2.4 in 12 bits is 0.6 in 10: 1. Rounded first it would be 2, then 0.5, by chance."""
    info = VideoInfo(4, 1, Fraction(25), "gray", 12, ColorInfo(range="limited"))
    codes = torch.tensor([1.4, 1.6, 5.9, 6.1]).view(1, 1, 1, 4)
    assert converted(one(codes, None), info, "gray", 10).y.flatten().tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("location", [None, *LOCATIONS])
@pytest.mark.parametrize(("given", "wanted"), [("444", "420"), ("422", "420"), ("420", "422"), ("420", "444")])
def test_conversion_keeps_the_siting_of_chroma(given: Chroma, wanted: Chroma, location: str | None) -> None:
    """A plane that is linear in position has the same value at the same place in the other format."""
    info = VideoInfo(24, 16, Fraction(25), given, 10, ColorInfo(chroma_location=location, range="limited"))

    def plane(chroma: Chroma) -> torch.Tensor:
        at_x, at_y = LOCATIONS[location or "left"]
        width, height = VideoInfo(24, 16, None, chroma).chroma_size
        x = torch.arange(width) if width == 24 else torch.arange(width) * 2 + at_x
        y = torch.arange(height) if height == 16 else torch.arange(height) * 2 + at_y
        return (100 + 8 * x + 20 * y[:, None]).expand(1, 2, -1, -1).float()

    batch = one(torch.zeros(1, 1, 16, 24), plane(given))
    result = converted(batch, info, wanted, 10)
    assert result.uv is not None
    inside = (..., slice(2, -2), slice(2, -2))
    assert torch.equal(result.uv[inside].float(), plane(wanted)[inside])


def test_grey_gets_neutral_chroma() -> None:
    info = VideoInfo(5, 3, Fraction(25), "gray", 8)
    result = converted(one(torch.full((1, 1, 3, 5), 77, dtype=torch.uint8), None), info, "420", 10)
    assert result.y.unique().tolist() == [4 * 77]
    assert result.uv is not None
    assert result.uv.shape == (1, 2, 2, 3) and result.uv.unique().tolist() == [512]


def test_a_12_bit_clip_in_a_10_bit_file_is_rounded_once(tmp_path: Path) -> None:
    """Encoded without loss, each code is that of the source divided by four, halves up."""
    source = make_clip(tmp_path / "a.mkv", frames=3, codec="ffv1", pix_fmt="yuv420p12le")
    notes = Notes()
    report = enhance(
        source, tmp_path / "b.mkv", scale=1, encoder_options=("qp=0",), preset="ultrafast", on_note=notes.add
    )
    assert notes.texts[0] == "libx264 does not support yuv420p12le: written as yuv420p10le"
    assert report.output.depth == 10
    assert report.means["psnr_y_consistency"] > 60, "the log compares in the codes of the output"
    with VideoReader(source) as before, VideoReader(tmp_path / "b.mkv") as after:
        (old,), (new,) = before.batches(9), after.batches(9)
    assert np.array_equal((old.y.numpy().astype(int) + 2) // 4, new.y.numpy())
    assert old.uv is not None and new.uv is not None
    assert np.array_equal((old.uv.numpy().astype(int) + 2) // 4, new.uv.numpy())


@pytest.mark.parametrize(("codec", "factor"), [("libx264", 1), ("prores_ks", 4)])
def test_network_output_is_rounded_once_at_the_depth_of_the_encoder(codec: str, factor: int) -> None:
    info = VideoInfo(64, 48, Fraction(25), "420", 8)
    plan = make_plan(parse_options(scale=2, model="fast", codec=codec), info)
    noise = torch.randint(0, 256, (1, 3, 48, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    batch = one(noise[:, :1], noise[:, 1:, ::2, ::2])
    assert plan.upscale is not None
    (large,) = build_upscale(replace(plan.upscale, rounds=False), info)(iter([batch]))
    (result,) = build_stages(plan.stages, info)(iter([batch]), Stopwatch())
    peak = 256 * factor - 1
    assert torch.equal(result.y.int(), (large.y * factor + 0.5).floor().clamp(0, peak).int())
    assert (large.y % 1 != 0).float().mean() > 0.9, "what the network makes has a fraction"
    assert plan.output.depth == (8 if factor == 1 else 10)
