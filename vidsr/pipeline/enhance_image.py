"""The run on a still image: read it, run the stages on it, write it, verify it."""

from __future__ import annotations

from time import perf_counter

from vidsr.errors import Notes, VerifyError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.output_names import output_names
from vidsr.options.paths import Job
from vidsr.pipeline.image_strips import enhanced_pixels, sample_luma
from vidsr.pipeline.plan import make_plan
from vidsr.pipeline.report import OnFrames, RunReport
from vidsr.pipeline.verify_image import verify_image
from vidsr.runtime.output_file import OutputFile
from vidsr.stages.diagnosis import ClipSamples
from vidsr.video.image import encode_pixels, image_info, read_pixels


def enhance_image(job: Job, options: EnhanceOptions, on_frames: OnFrames, notes: Notes) -> RunReport:
    """Enhance the image of ``job`` and return the report.

    Raises:
        VidsrError: in one line; no partial output is left.
    """
    started = perf_counter()
    pixels = read_pixels(job.source, options.reading.alpha, options.reading.max_pixels)
    info = image_info(job.source, pixels)
    if options.interpolates:
        notes.info("still_not_interpolated", f"{job.source} is a still image: no frames are interpolated")
    samples = ClipSamples((sample_luma(pixels),)) if options.restorations else ClipSamples()
    plan = make_plan(options, info, samples, notes=notes)
    target = output_names(job, plan.options).result
    with OutputFile(target, options.overwrite, make_folders=True) as file:
        result = enhanced_pixels(pixels, info, plan, target)
        with file.named_errors():
            file.part.write_bytes(encode_pixels(target, result))
        verification = verify_image(target, file.part, result) if options.verify else None
        try:
            if verification is not None:
                verification.raise_if_failed()
        except VerifyError as error:
            raise VerifyError(f"{error}; kept as {file.keep_as_failed().name}") from None
    on_frames(1, 1)
    seconds = perf_counter() - started
    return RunReport(job.source, target, plan, plan.output, 1, seconds, tuple(notes), verification=verification)
