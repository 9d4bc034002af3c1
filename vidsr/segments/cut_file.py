"""Whether a file is made in segments, and which: by its container, its packet index, the options and the plan."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from vidsr.errors import Note, Notes
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.paths import Job, output_path
from vidsr.pipeline.choose_format import can_keep_alpha
from vidsr.pipeline.plan import Plan
from vidsr.pipeline.run import open_reader
from vidsr.segments.cut import Cut, counted_in_fields, cut_clip, joined
from vidsr.stages.build import context_of
from vidsr.video import file_clock
from vidsr.video.packet_index import packet_index

DEFAULT_LENGTH = Fraction(10)  # seconds of a segment whose stages read little context


def cut_file(job: Job, options: EnhanceOptions) -> Cut | None:
    """Return the segments in which a file is made, before `planned_cut`; None for a file that is made at once.

    Raises:
        VidsrError: the file cannot be read.
    """
    return _cut(job, options) if _may_be_cut(job, options) else None


def planned_cut(cut: Cut, plan: Plan) -> Cut:
    """Return the segments of a plan: longer ones where its stages read much context and the user named no length."""
    if plan.options.segment is not None:
        return cut
    context = context_of(*plan.stages)
    return joined(cut, context.before + context.after)


def notes_on_segments(cut: Cut, plan: Plan) -> Iterator[Note]:
    """Yield what to know about the segments of `planned_cut` and the frames at their borders."""
    if (planned := planned_cut(cut, plan)) != cut:
        first, second = planned.segments[:2]
        length = f"segments of about {float(second.first.time - first.first.time):.0f} s"
        frames = context_of(*plan.stages).before
        yield Note("segments_longer", f"{length} instead of {DEFAULT_LENGTH} s, as each begins {frames} frames early")
    for network in plan.networks:
        if network.temporal:
            text = f"frames of {network.name} behind the borders of segments may differ from those of --segment 0"
            yield Note("segments_differ", f"{text} by one or two code values")
            return


def _may_be_cut(job: Job, options: EnhanceOptions) -> bool:
    """Whether the output can be made from segments; a clip may still be too short."""
    reasons_against = (
        options.segment == 0,
        job.is_image,
        job.output_kind != "clip",
        options.encoding.is_null,
        options.reference is not None,  # its frames are read in one go
        options.repeats == "interpolate",  # depends on frames at any distance where repeats are unclear
    )
    return not any(reasons_against)


def _cut(job: Job, options: EnhanceOptions) -> Cut | None:
    length = DEFAULT_LENGTH if options.segment is None else options.segment
    index = packet_index(job.source, options.reading, 2 * length)
    if index is None:
        return None
    start, end = file_clock(job.source, options.start, options.end, options.reading)
    cut = cut_clip(index, length, start, end, options.frames)
    if cut is None:
        return None
    with open_reader(job.source, options, Notes()) as reader:
        rate_change = reader.rate_change
        suffix = output_path(job, options, check=False).suffix.lower()
        if can_keep_alpha(options, reader.info, suffix):
            return None
    if rate_change == 1:
        return cut
    # film in 3:2 pulldown: the frame that is dropped depends on where reading begins
    is_part = options.start is not None or options.frames is not None  # may begin or end between two fields
    return counted_in_fields(cut) if rate_change == 2 and not is_part else None
