"""Measurements of colour and bit depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from tests.clips import make_clip
from tests.exactness.table import SAMPLES, Finding, ffprobe, folder, row, run, stream_fields
from tests.test_color import from_rgb
from vidsr.color import LOCATIONS, to_rgb
from vidsr.errors import Notes
from vidsr.frames import Chroma, ColorInfo, FrameBatch, HdrInfo, Origin, VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan
from vidsr.stages.build import build_stages
from vidsr.stages.stopwatch import Stopwatch
from vidsr.video import VideoReader, VideoWriter
from vidsr.video.formats import MATRICES, PRIMARIES, RANGES, TRANSFERS, number, pix_fmt

TAGS = "color_range,color_space,color_transfer,color_primaries"
STANDARDS = {"smpte170m": ("smpte170m", "smpte170m"), "bt709": ("bt709", "bt709"), "bt2020nc": ("bt2020", "smpte2084")}
CHROMAS: tuple[Chroma, ...] = ("420", "422", "444", "gray")


class Case(NamedTuple):
    """One combination of matrix, range, chroma format and depth."""

    matrix: str
    range: Any
    chroma: Chroma
    depth: int

    @property
    def color(self) -> ColorInfo:
        return ColorInfo(self.matrix, *STANDARDS[self.matrix], self.range)

    @property
    def tags(self) -> dict[str, int | None]:
        """Return the tags for the encoder of the clip."""
        primaries, transfer = STANDARDS[self.matrix]
        return {
            "colorspace": number(MATRICES, self.matrix),
            "color_primaries": number(PRIMARIES, primaries),
            "color_trc": number(TRANSFERS, transfer),
            "color_range": number(RANGES, self.range),
        }


CASES = [Case(*case) for case in product(STANDARDS, ("limited", "full"), CHROMAS, (8, 10, 12))]


def planes(path: Path) -> FrameBatch:
    with VideoReader(path) as reader:
        (batch,) = reader.batches(1000)
    return batch


def difference(a: FrameBatch, b: FrameBatch, depth: int) -> int:
    """Return the largest difference of all planes in code values."""
    errors = [(a.y.int() - b.y.int()).abs().max()]
    if b.uv is not None:  # FFmpeg decodes grey H.264 as 4:2:0
        neutral = torch.full_like(b.uv, 1 << (depth - 1))
        errors.append((b.uv.int() - (neutral if a.uv is None else a.uv).int()).abs().max())
    return int(max(errors))


@row("2 Colour")
def identity_of_all_colour_formats(tmp_path: Path) -> Finding:
    """--scale 1 without other stages: identical planes, equal tags by ffprobe; 601/709/2020 x limited/full x
    420/422/444/gray x 8/10/12 bits, ffv1.
    """
    expected: dict[object, dict[str, str]] = {}
    worst, equal = 0, 0
    for index, case in enumerate(CASES):
        source = make_clip(
            tmp_path / f"{index}.mkv",
            2,
            (32, 16),
            pix_fmt=pix_fmt(case.chroma, case.depth),
            codec="ffv1",
            tags=case.tags,  # type: ignore[arg-type]
        )
        target = tmp_path / f"{index}-out.mkv"
        run(source, target, codec="ffv1", preset=None, verify=False)
        worst = max(worst, difference(planes(source), planes(target), case.depth))
        key = case[:3]  # the source's tags by ffprobe do not depend on its depth
        expected[key] = expected.get(key) or stream_fields(source, TAGS)
        equal += stream_fields(target, TAGS) == expected[key] and expected[key]["color_space"] == case.matrix
    return Finding(
        f"{len(CASES)} cases: largest difference {worst} code values, tags equal in {equal}",
        worst == 0 and equal == len(CASES),
    )


@row("2 Colour")
def identity_with_lossless_x264(tmp_path: Path) -> Finding:
    """The same with lossless libx264 (--crf 0 at 8 bits, qp 0 at 10 bits)."""
    worst, equal, count = 0, 0, 0
    for chroma, depth, full in product(CHROMAS, (8, 10), ("limited", "full")):
        case = Case("bt709", full, chroma, depth)
        source = make_clip(
            tmp_path / f"{count}.mkv",
            3,
            (32, 16),
            pix_fmt=pix_fmt(chroma, depth),
            codec="ffv1",
            tags=case.tags,  # type: ignore[arg-type]
        )
        lossless: dict[str, Any] = {"crf": 0} if depth == 8 else {"encoder_options": ("qp=0",)}
        target = tmp_path / f"{count}-out.mp4"
        run(source, target, **lossless)
        worst = max(worst, difference(planes(source), planes(target), case.depth))
        tags = TAGS.replace("color_space,", "") if chroma == "gray" else TAGS  # x264 writes no matrix for grey
        equal += stream_fields(target, tags) == stream_fields(source, tags)
        count += 1
    return Finding(
        f"{count} cases: largest difference {worst} code values, tags equal in {equal}", worst == 0 and equal == count
    )


@row("2 Colour")
def chroma_location_is_kept(tmp_path: Path) -> Finding:
    """Chroma location (all six) kept by libx264 and libx265, by ffprobe."""
    equal, count = 0, 0
    for location, codec in product(LOCATIONS, ("libx264", "libx265")):
        source = make_clip(tmp_path / f"{location}.mp4", 2, options={"chroma_sample_location": location})
        target = tmp_path / f"{location}-{codec}.mp4"
        run(source, target, codec=codec, scale=2)
        location_after = stream_fields(target, "chroma_location")
        equal += location_after == stream_fields(source, "chroma_location") == {"chroma_location": location}
        count += 1
    return Finding(f"{equal} of {count} equal", equal == count)


@row("2 Colour")
def chroma_stays_in_place(tmp_path: Path) -> Finding:
    """Chroma resized by its location: a plane that is linear in position keeps its values, x2, all six locations."""
    worst = 0.0
    for location, (at_x, at_y) in LOCATIONS.items():
        info = VideoInfo(32, 24, Fraction(25), color=ColorInfo(chroma_location=location))

        def plane(width: int, height: int, factor: int, at_x: float = at_x, at_y: float = at_y) -> torch.Tensor:
            # the centre of a source luma sample lies at factor * (position + 1/2) - 1/2 of the upscaled plane
            x = (torch.arange(width) * 2 + at_x + 0.5) / factor - 0.5
            y = (torch.arange(height)[:, None] * 2 + at_y + 0.5) / factor - 0.5
            return (60 + 2 * x + 3 * y).expand(1, 2, -1, -1)

        batch = FrameBatch(torch.zeros(1, 1, 24, 32), plane(16, 12, 1), (Fraction(0),), (Origin(0),))
        plan = make_plan(parse_options(scale=2, model="bicubic"), info)
        assert plan.upscale is not None
        upscale = build_stages((replace(plan.upscale, rounds=False),), info).upscale
        assert upscale is not None
        (large,) = upscale(iter([batch]))
        assert large.uv is not None
        inside = (..., slice(6, -6), slice(6, -6))
        worst = max(worst, float((large.uv - plane(32, 24, 2))[inside].abs().max()))
    return Finding(f"largest error {worst:.3f} code values on a slope of 2 to 3 per sample", worst < 0.01)


def smooth(depth: int, width: int, height: int, phase: int) -> torch.Tensor:
    """Return a ``width`` x ``height`` part of a smooth plane 16 times as large.

    The plane uses most code values.
    """
    x, y = torch.arange(width) / (16 * width), torch.arange(height)[:, None] / (16 * height)
    return ((0.5 + 0.4 * torch.sin(3 * (x + phase) + 2 * y)) * ((1 << depth) - 1)).round()


@row("2 Colour")
def rgb_round_trip_of_all_colour_formats(tmp_path: Path) -> Finding:
    """Round trip through RGB of a 120x68 part, edges included, of a smooth 1920x1080 frame in all formats: mean error
    at most 0.5 code values, largest at most 2.
    """
    means, worst = [], 0.0
    for case in CASES:
        info = VideoInfo(120, 68, None, case.chroma, case.depth, case.color)
        width, height = info.chroma_size
        uv = None
        if case.chroma != "gray":
            uv = torch.stack([smooth(case.depth, width, height, phase) for phase in (1, 2)])[None]
        batch = FrameBatch(smooth(case.depth, 120, 68, 0)[None, None], uv, (Fraction(0),), (Origin(0),))
        for error in round_trip(batch, info):
            means.append(float(error.mean()))
            worst = max(worst, float(error.max()))
    return Finding(
        f"{len(CASES)} cases: mean at most {max(means):.3f}, largest {worst:.0f}", max(means) <= 0.5 and worst <= 2
    )


@row("2 Colour")
def rgb_round_trip_of_noise(tmp_path: Path) -> Finding:
    """The same for noise without subsampled chroma (444 and gray): every code value is restored."""
    worst, count = 0.0, 0
    for case in CASES:
        if case.chroma in ("444", "gray"):
            info = VideoInfo(64, 48, None, case.chroma, case.depth, case.color)
            noise = torch.randint(
                0, 1 << case.depth, (1, 3, 48, 64), generator=torch.Generator().manual_seed(0)
            ).float()
            uv = None if case.chroma == "gray" else noise[:, 1:]
            errors = round_trip(FrameBatch(noise[:, :1], uv, (Fraction(0),), (Origin(0),)), info)
            worst, count = max([worst, *(float(error.max()) for error in errors)]), count + 1
    return Finding(f"{count} cases: largest difference {worst:.0f} code values", worst == 0)


@row("2 Colour")
def rgb_round_trip_of_a_real_clip(tmp_path: Path) -> Finding:
    """The same for frames of samples/phone_dog.mp4 (4:2:0): luma exact, chroma mean error at most 0.5."""
    with VideoReader(SAMPLES / "phone_dog.mp4", frames=8) as reader:
        (batch,) = reader.batches(8)
        luma, chroma = round_trip(batch, reader.info)
    return Finding(
        f"luma {luma.max():.0f}; chroma mean {chroma.mean():.3f}, largest {chroma.max():.0f}",
        bool(luma.max() == 0 and chroma.mean() <= 0.5),
    )


def round_trip(batch: FrameBatch, info: VideoInfo) -> Iterator[torch.Tensor]:
    """Differences of luma, and of chroma if present, in code values."""
    y, uv = from_rgb(to_rgb(batch, info), info)
    yield (y.round().clamp(0, info.peak) - batch.y.float()).abs()
    if uv is not None and batch.uv is not None:
        yield (uv.round().clamp(0, info.peak) - batch.uv.float()).abs()


@row("2 Colour")
def untagged(tmp_path: Path) -> Finding:
    """Untagged clips: BT.601 assumed for SD, BT.709 for HD, noted once; SD upscaled to HD is tagged BT.601."""
    found = []
    for size, scale in (((64, 48), 2), ((1280, 16), 1), ((640, 368), 2)):
        source, target = make_clip(tmp_path / f"{size[0]}.mp4", 2, size), tmp_path / f"{size[0]}-out.mp4"
        notes = Notes()
        run(source, target, scale=scale, on_note=notes.add)
        colour_notes = [note for note in notes.texts if "colour" in note]
        assert len(colour_notes) == 1
        found.append(
            ("601" if "BT.601" in colour_notes[0] else "709", stream_fields(target, "color_space")["color_space"])
        )
    words = "; ".join(f"assumed {assumed}, tagged {'nothing' if tag == 'None' else tag}" for assumed, tag in found)
    return Finding(words, found == [("601", "None"), ("709", "None"), ("601", "smpte170m")])


@row("3 Depth", varies=True)  # depends on the weights
def ten_bit_ramp(tmp_path: Path) -> Finding:
    """10 bits in, 10 bits out: distinct luma codes of a ramp of 877 codes after x2 by a network and lossless x265."""
    info = VideoInfo(896, 16, Fraction(25), "420", 10, time_base=Fraction(1, 25))
    ramp = torch.arange(896).clamp(0, 876).add(64).expand(1, 1, 16, 896).to(torch.uint16)
    flat = torch.full((1, 2, 8, 448), 512, dtype=torch.uint16)
    with VideoWriter(tmp_path / "a.mkv", info, Encoding("ffv1")) as writer:
        writer.write(FrameBatch(ramp, flat, (Fraction(0),), (Origin(0),)))
    run(
        tmp_path / "a.mkv",
        tmp_path / "b.mp4",
        scale=2,
        model="fast",
        codec="libx265",
        encoder_options=("x265-params=lossless=1",),
    )
    found = planes(tmp_path / "b.mp4")
    codes = len(found.y.int().unique())
    pix_fmt_after = stream_fields(tmp_path / "b.mp4", "pix_fmt")["pix_fmt"]
    return Finding(f"{codes} codes, {pix_fmt_after}", codes > 256 and pix_fmt_after == "yuv420p10le")


@row("3 Depth")
def twelve_bits_to_ten(tmp_path: Path) -> Finding:
    """12 bits into a 10-bit encoder: rounded once; difference from the exact values, lossless x264."""
    source = make_clip(tmp_path / "a.mkv", 3, (64, 48), codec="ffv1", pix_fmt="yuv420p12le")
    run(source, tmp_path / "b.mkv", encoder_options=("qp=0",))
    before, after = planes(source), planes(tmp_path / "b.mkv")
    assert before.uv is not None and after.uv is not None
    pairs = ((before.y, after.y), (before.uv, after.uv))
    worst = max(int(np.abs((a.numpy().astype(int) + 2) // 4 - b.numpy()).max()) for a, b in pairs)
    return Finding(f"largest {worst} code values", worst == 0)


@row("3 Depth")
def eight_bit_networks(tmp_path: Path) -> Finding:
    """Network output for 8-bit clips: rounded once from floats to nearest, at 8 bits and at the 10 bits of ProRes."""
    wrong, count = 0, 0
    for codec, factor in (("libx264", 1), ("prores_ks", 4)):
        plan = make_plan(parse_options(scale=2, model="fast", codec=codec), VideoInfo(64, 48, Fraction(25)))
        noise = torch.randint(0, 256, (1, 3, 48, 64), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
        batch = FrameBatch(noise[:, :1], noise[:, 1:, ::2, ::2], (Fraction(0),), (Origin(0),))
        stages = build_stages(plan.stages, plan.source)
        assert plan.upscale is not None
        exactly = build_stages((replace(plan.upscale, rounds=False),), plan.source)
        (large,) = exactly(iter([batch]), Stopwatch())
        (result,) = stages(iter([batch]), Stopwatch())
        exact = (large.y * factor + 0.5).floor().clamp(0, 256 * factor - 1)
        wrong, count = wrong + int((result.y.int() != exact.int()).sum()), count + exact.numel()
    return Finding(f"{wrong} of {count} samples wrong", wrong == 0)


BT2020 = (
    (Fraction("0.708"), Fraction("0.292")),
    (Fraction("0.17"), Fraction("0.797")),
    (Fraction("0.131"), Fraction("0.046")),
)
HDR = HdrInfo(BT2020, (Fraction("0.3127"), Fraction("0.329")), (Fraction("0.005"), Fraction(1000)), 1000, 400)


@row("3 Depth")
def hdr10(tmp_path: Path) -> Finding:
    """HDR10 after x2: tags, mastering display and light level by ffprobe, libx265 and libsvtav1."""
    color = ColorInfo("bt2020nc", "bt2020", "smpte2084", "limited", "topleft")
    info = VideoInfo(64, 64, Fraction(25), "420", 10, color, hdr=HDR)
    grey = FrameBatch(
        torch.full((1, 1, 64, 64), 400, dtype=torch.uint16),
        torch.full((1, 2, 32, 32), 512, dtype=torch.uint16),
        (Fraction(0),),
        (Origin(0),),
    )
    with VideoWriter(tmp_path / "a.mp4", info, Encoding("libx265", preset="ultrafast")) as writer:
        writer.write(grey)
    before = hdr_values(tmp_path / "a.mp4")
    assert len(before) == 12, before
    kept = {}
    for codec, preset in (("libx265", "ultrafast"), ("libsvtav1", "12")):
        run(tmp_path / "a.mp4", tmp_path / f"{codec}.mp4", scale=2, codec=codec, preset=preset)
        after = hdr_values(tmp_path / f"{codec}.mp4")
        same_tags = stream_fields(tmp_path / "a.mp4", TAGS) == stream_fields(tmp_path / f"{codec}.mp4", TAGS)
        kept[codec] = same_tags and all(
            abs(after.get(key, -1.0) - value) <= 0.03 * value for key, value in before.items()
        )
    return Finding(
        f"12 values and 4 tags kept by {', '.join(c for c, same in kept.items() if same) or 'none'}", all(kept.values())
    )


def hdr_values(path: Path) -> dict[str, float]:
    """Return the values of mastering display and light level of the first frame."""
    output = ffprobe(path, "-read_intervals", "%+#1", "-show_frames")
    values = {}
    for data in output["frames"][0].get("side_data_list", []):
        for key, value in data.items():
            if (
                data["side_data_type"] in ("Mastering display metadata", "Content light level metadata")
                and key != "side_data_type"
            ):
                values[key] = float(Fraction(value))
    return values


@row("3 Depth")
def hlg(tmp_path: Path) -> Finding:
    """HLG and HDR10 tags of 10-bit clips after x2, by ffprobe."""
    equal = []
    for transfer, name in ((18, "arib-std-b67"), (16, "smpte2084")):
        tags = {"colorspace": 9, "color_primaries": 9, "color_trc": transfer, "color_range": 1}
        source = make_clip(folder(tmp_path, name) / "a.mp4", 3, pix_fmt="yuv420p10le", codec="libx265", tags=tags)
        run(source, source.with_name("b.mp4"), scale=2, codec="libx265")
        after = stream_fields(source.with_name("b.mp4"), f"{TAGS},pix_fmt")
        equal.append(after == stream_fields(source, f"{TAGS},pix_fmt") and after["color_transfer"] == name)
    return Finding(f"{sum(equal)} of {len(equal)} equal", all(equal))
