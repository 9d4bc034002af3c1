"""A few frames from all over a clip, looked at before the run begins."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from vidsr.errors import InputError, OptionError
from vidsr.frames import VideoInfo
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.restoration import CLASSICAL
from vidsr.stages.diagnosis import Survey
from vidsr.video import VideoReader, is_pipe, mean_quantizer

PLACES = 5


def survey(source: Path, options: EnhanceOptions, info: VideoInfo) -> Survey:
    """Up to five frames, evenly spread over the part of the clip that is asked for, and how coarsely it was encoded.

    A clip that does not know how long it is gives its first frames. Nothing is read where nothing is to be restored.

    Raises:
        OptionError: restoration is to find its own strength or sigma, on a pipe.
    """
    if not options.restorations:
        return Survey()
    if is_pipe(source):
        for wanted in options.restorations:
            if wanted.strength is None:
                raise OptionError(
                    "auto looks at the clip first, and a pipe is read only once: give a strength from 0 to 1"
                )
            if wanted.method in CLASSICAL and wanted.sigma is None:
                raise OptionError(
                    f"{wanted.method} looks at the clip first, and a pipe is read only once: give its sigma, for "
                    f"example {wanted.method}:1.6"
                )
        return Survey()
    told = [wanted.task for wanted in options.restorations if wanted.strength is not None]
    # what compression left is what `restore` takes out, and what a `deblur` that does not ask takes for blur
    asked = "deblur" in told or any(wanted.task == "restore" for wanted in options.restorations)
    quantizer = mean_quantizer(source, options.reading) if asked else None
    return Survey(_spread(source, options, info), quantizer)


def _spread(source: Path, options: EnhanceOptions, info: VideoInfo) -> tuple[Tensor, ...]:
    begin = options.start or Fraction(0)
    ends = [end for end in (options.end, info.duration) if end is not None]
    if options.frames is not None and info.fps:
        ends.append(begin + options.frames / info.fps)
    length = min(ends, default=begin) - begin
    if length <= 0:
        return _frames(source, options, options.start, PLACES)
    places = [begin + length * Fraction(2 * n + 1, 2 * PLACES) for n in range(PLACES)]
    found = [frame for place in places for frame in _frames(source, options, place, 1)]
    return tuple(found) or _frames(source, options, options.start, 1)


def _frames(source: Path, options: EnhanceOptions, start: Fraction | None, count: int) -> tuple[Tensor, ...]:
    """Luma of ``count`` frames from ``start`` on; fewer, or none, where the clip is damaged or ends."""
    with (
        suppress(InputError),
        VideoReader(source, start, None, count, deinterlace=options.deinterlace, reading=options.reading) as reader,
    ):
        return tuple(batch.y for batch in reader.batches(1))
    return ()
