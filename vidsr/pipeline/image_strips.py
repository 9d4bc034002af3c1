"""Images in strips of rows, where the whole image would need more memory than the run may take.

Only the pixels of the input and of the output are held whole. Restorations run on the whole luma plane, because some
use features of the whole image, and networks cut it into tiles themselves. Everything behind them runs on strips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, lcm
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.kernels.guided_chroma import confirmation, confirmed_share
from vidsr.options.output_size import offset
from vidsr.pipeline.plan import Plan
from vidsr.stages.build import Stages, build_stages, output_of
from vidsr.stages.memory_budget import row_ratio
from vidsr.stages.rounding import rounded
from vidsr.stages.specs import FitSpec, RestoreSpec, StageSpec, UpscaleSpec
from vidsr.stages.stopwatch import Stopwatch
from vidsr.video.image import Pixels, frame_of, pixels_of

KERNEL_RADIUS = 3  # samples of the widest resampling kernel, Lanczos
SAMPLE_PIXELS = 1 << 25  # of a larger image, the middle is measured
CHROMA_HALO = 16  # source rows around a row that tell how far its chroma follows luma; even
LUMA_ROWS = 256  # of an image whose luma is computed at a time


@dataclass(frozen=True)
class Strip:
    """Source rows to read, and the output rows that come of them."""

    read: slice  # source rows
    kept: slice  # rows of what these become
    target: slice  # their place in the output


def enhanced_pixels(pixels: Pixels, info: VideoInfo, plan: Plan, target: Path) -> Pixels:
    """Return the pixels of the output file ``target`` for the ``pixels`` of an image of ``info``."""
    if plan.rows_per_strip is None:
        return pixels_of(target, _through(build_stages(plan.stages, info), frame_of(pixels)), plan.output)
    restores = [spec for spec in plan.stages if isinstance(spec, RestoreSpec)]
    others = [spec for spec in plan.stages if not isinstance(spec, RestoreSpec)]
    restored = _restored(pixels, info, restores) if restores else None
    resized = output_of([spec for spec in others if not isinstance(spec, FitSpec)], info)
    ratio = row_ratio(info.height, resized.height)
    top = offset(resized.height, plan.output.height)  # rows of black above, or if negative rows to leave out
    halo, alignment = _reach(build_stages(others, info))
    shares = _chroma_shares(pixels, restored, info) if info.chroma != "gray" else None
    result: Pixels | None = None
    for strip in strips(info.height, ratio, plan.rows_per_strip, halo, alignment):
        frame = frame_of(pixels[strip.read])
        if restored is not None:
            frame = replace(frame, y=restored[:, :, strip.read])
        stages = build_stages(*_for_rows(others, info, len(frame.y[0, 0]), ratio), chroma_shares=shares)
        done = _through(stages, frame)
        kept = done.planes(done.y[:, :, strip.kept], None if done.uv is None else done.uv[:, :, strip.kept])
        part = pixels_of(target, kept, plan.output)
        if result is None:
            result = np.zeros((plan.output.height, *part.shape[1:]), part.dtype)
        first, last = max(0, strip.target.start + top), max(0, strip.target.stop + top)
        into = result[first:last]
        into[:] = part[first - top - strip.target.start :][: len(into)]
    assert result is not None
    return result


def _chroma_shares(pixels: Pixels, restored: Tensor | None, info: VideoInfo) -> NDArray[np.float32]:
    """Return how far chroma of the whole image follows its luma, measured strip by strip."""
    sums = np.zeros((2, 3))
    for first in range(0, info.height, LUMA_ROWS):
        start, stop = max(0, first - CHROMA_HALO), min(info.height, first + LUMA_ROWS + CHROMA_HALO)
        frame = frame_of(pixels[start:stop])
        assert frame.uv is not None
        luma = rounded(frame.y if restored is None else restored[:, :, start:stop], info.depth)[0, 0].numpy()
        rows = slice(first - start, first - start + LUMA_ROWS)
        sums += confirmation(frame.uv[0].numpy(), luma.astype(np.float32), info.depth, rows)
    return confirmed_share(sums)


def sample_luma(pixels: Pixels) -> Tensor:
    """Return the luma to measure blur and noise in, 1 x 1 x H x W; of a large image, that of its middle."""
    height, width = pixels.shape[:2]
    share = min(1.0, (SAMPLE_PIXELS / (height * width)) ** 0.5)
    rows, columns = int(height * share), int(width * share)
    top, left = (height - rows) // 2, (width - columns) // 2
    return frame_of(pixels[top : top + rows, left : left + columns]).y


def strips(height: int, ratio: tuple[int, int], most: int, halo: int, alignment: int) -> Iterator[Strip]:
    """Yield the strips of an image of ``height`` source rows, of about ``most`` rows each.

    ``ratio``: source rows and output rows of equal height. ``halo``: source rows that a stage reads around a row;
    strips begin at multiples of ``alignment``.
    """
    source_rows, output_rows = ratio
    step = lcm(source_rows, alignment)
    # twice the halo: near the border networks read the rows that are mirrored there
    around = -(-2 * halo // step) * step
    length = max(1, (most - 2 * around) // step) * step
    for first in range(0, height, length):
        last = min(height, first + length)
        start, stop = max(0, first - around), min(height, last + around)
        target = slice(first * output_rows // source_rows, last * output_rows // source_rows)
        offset = start * output_rows // source_rows
        yield Strip(slice(start, stop), slice(target.start - offset, target.stop - offset), target)


def _restored(pixels: Pixels, info: VideoInfo, specs: Sequence[RestoreSpec]) -> Tensor:
    """Return the whole luma plane, restored; it is computed from the pixels strip by strip."""
    rows = range(0, info.height, LUMA_ROWS)
    luma = torch.cat([frame_of(pixels[first : first + LUMA_ROWS]).y for first in rows], dim=2)
    plane = FrameBatch(luma, None, (Fraction(0),), (Origin(0),))
    return _through(build_stages(specs, replace(info, chroma="gray")), plane).y


def _reach(stages: Stages) -> tuple[int, int]:
    """Return the source rows that the resizing stage reads around a row, and the multiple at which strips begin."""
    upscale = stages.upscale
    if upscale is None:
        return 0, 1
    height = upscale.source[1]
    halo, scale, alignment = ceil(KERNEL_RADIUS * max(1.0, height / upscale.height)) + 1, 1, 1
    for reuse in upscale.devices[0]:
        network = reuse.runner.network
        halo += -(-network.halo // scale)
        alignment = lcm(alignment, network.alignment)
        scale *= network.scale
    return halo, alignment


def _for_rows(
    specs: Sequence[StageSpec], info: VideoInfo, rows: int, ratio: tuple[int, int]
) -> tuple[list[StageSpec], VideoInfo]:
    """Return the stages for a strip of ``rows`` source rows, and the properties of that strip."""
    output_rows = rows * ratio[1] // ratio[0]
    resized = [replace(spec, height=output_rows) if isinstance(spec, UpscaleSpec | FitSpec) else spec for spec in specs]
    return resized, replace(info, height=rows)


def _through(stages: Stages, frame: FrameBatch) -> FrameBatch:
    (result,) = stages(iter([frame]), Stopwatch())
    return result
