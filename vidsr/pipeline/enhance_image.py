"""The run on a still image: read it, run the stages on it, write it, verify it."""

from __future__ import annotations

from time import perf_counter

from vidsr.errors import Notes, VerifyError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.fingerprint import Fingerprint
from vidsr.options.finished import request_digest
from vidsr.options.output_names import output_names
from vidsr.options.paths import Job, output_path
from vidsr.pipeline.choose_format import output_dimensions
from vidsr.pipeline.image_strips import enhanced_pixels, sample_luma
from vidsr.pipeline.outputs import store_report
from vidsr.pipeline.plan import Plan, make_plan
from vidsr.pipeline.report import OnFrames, RunReport
from vidsr.pipeline.verify_image import verify_image
from vidsr.runtime.output_file import OutputFile
from vidsr.stages.diagnosis import ClipSamples
from vidsr.video.alpha import resized_alpha
from vidsr.video.image import Pixels, encode_pixels, image_info, read_still, with_alpha


def enhance_image(job: Job, options: EnhanceOptions, on_frames: OnFrames, notes: Notes) -> RunReport:
    """Enhance the image of ``job`` and return the report.

    Raises:
        VidsrError: in one line; no partial output is left.
    """
    started, fingerprint = perf_counter(), Fingerprint.of_source(job.source)
    pixels, alpha = read_still(job.source, options.reading.alpha, options.reading.max_pixels)
    if options.interpolates:
        notes.info("still_not_interpolated", f"{job.source} is a still image: no frames are interpolated")
    plan = plan_image(job, options, pixels, alpha, notes)
    names = output_names(job, plan.options)
    target = names.result
    with OutputFile(target, options.overwrite, make_folders=True) as file:
        result = enhanced_pixels(pixels, plan.source, plan, target)
        if alpha is not None and plan.output.alpha:
            canvas = plan.output.width, plan.output.height
            result = with_alpha(result, resized_alpha(alpha, output_dimensions(plan.options, plan.source), canvas))
        with file.named_errors():
            file.part.write_bytes(encode_pixels(target, result))
        verification = verify_image(target, file.part, result) if options.verify else None
        try:
            if verification is not None:
                verification.raise_if_failed()
        except VerifyError as error:
            raise VerifyError(f"{error}; kept as {file.keep_as_failed().name}") from None
    report = RunReport(
        source=job.source,
        target=target,
        plan=plan,
        output=plan.output,
        frames=1,
        seconds=perf_counter() - started,
        notes=tuple(notes),
        verification=verification,
        fingerprint=fingerprint,
        request=request_digest(options),
        output_bytes=target.stat().st_size,
    )
    if names.report is not None:
        store_report(names.report, report.to_json())
    on_frames(1, 1)
    return report


def plan_image(job: Job, options: EnhanceOptions, pixels: Pixels, alpha: Pixels | None, notes: Notes) -> Plan:
    """Return the plan for the image of ``job``, which `read_still` gave ``pixels`` and ``alpha`` of.

    Raises:
        VidsrError: the options cannot be met.
    """
    info = image_info(job.source, pixels, alpha is not None)
    samples = ClipSamples((sample_luma(pixels),)) if options.restorations else ClipSamples()
    container = output_path(job, options, check=False).suffix.lower()
    return make_plan(options, info, samples, notes=notes, container=container)
