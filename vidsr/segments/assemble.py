"""Assemble the finished segments: concatenate their packets, copy the other streams once, compare packets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from vidsr.errors import Notes, OutputError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.finished import request_digest
from vidsr.options.output_names import OutputNames
from vidsr.options.paths import Job
from vidsr.pipeline.outputs import RunOutputs
from vidsr.pipeline.report import RunReport
from vidsr.pipeline.run import copy_problems, finish, open_clip_writer
from vidsr.segments.job import SegmentedJob
from vidsr.segments.job_folder import JobFolder
from vidsr.segments.segment_report import SegmentReport
from vidsr.stages.frame_log import named_log_errors
from vidsr.video.packet_file import EncodedPacket, read_packets
from vidsr.video.payload import payload_digest
from vidsr.video.writer import VideoWriter

Number = TypeVar("Number", int, float)


def assemble(
    job: SegmentedJob,
    folder: JobFolder,
    files: Job,
    names: OutputNames,
    options: EnhanceOptions,
    reports: Sequence[SegmentReport],
    seconds: float,
    notes: Notes,
) -> RunReport:
    """Write the output of ``job`` from its segments, whose ``reports`` are in order, and return the report of the run.

    Frames were decoded and checked in each segment, so the output's packets are compared and not decoded again.

    Raises:
        InputError: the source has changed.
        OutputError: segments do not fit each other, or a file cannot be written.
        VerifyError: the output differs from the plan.
    """
    plan, digests = job.plan, list[bytes]()
    with RunOutputs(names, options) as outputs:
        with open_clip_writer(files, names.result, plan, notes, outputs.result) as writer:
            assert isinstance(writer, VideoWriter)
            for report in reports:
                if report.encoded.parameters != writer.parameters:
                    fault = f"segment {report.index} has other encoder parameters"
                    raise OutputError(f"{folder.path}: {fault}: give --fresh to begin again")
            writer.write_encoded(_packets(folder, reports, writer.codec, digests))
        if names.log is not None and outputs.log is not None:
            with named_log_errors(names.log):
                outputs.log.part.write_text(_log(plan.log_columns, reports), newline="")
        job.fingerprint.check(files.source)  # its other streams were copied just now
        for note in dict.fromkeys(note for report in reports for note in report.notes):
            if note not in notes and note not in plan.notes:
                notes.add(note)
        truncated = next((report.truncated for report in reports if report.truncated is not None), None)
        if truncated is not None:
            notes.warn("source_truncated", truncated)
        done = RunReport(
            source=files.source,
            target=names.result,
            plan=plan,
            output=writer.expected.info,
            frames=sum(report.frames for report in reports),
            seconds=seconds,
            notes=tuple(notes),
            threads=_threads(reports),
            means=_means(reports),
            counts=_summed([*(report.counts for report in reports), job.fallbacks or {}]) | copy_problems(writer),
            truncated=truncated is not None,
            log=names.log,
            fingerprint=job.fingerprint,
            request=request_digest(options),
        )
        assert outputs.result is not None
        folder.note_output(outputs.result.part)
        return finish(done, replace(writer.expected, packets=tuple(digests)), outputs)


def _packets(
    folder: JobFolder, reports: Sequence[SegmentReport], codec: str, digests: list[bytes]
) -> Iterator[EncodedPacket]:
    """Yield the packets of all segments, and append the digest of each to ``digests``."""
    last: int | None = None
    for report in reports:
        encoded = report.encoded
        first = min(entry.pts for entry in encoded.entries)
        if last is not None and first <= last:
            raise OutputError(f"{folder.path}: segment {report.index} begins too early: give --segment 0 --fresh")
        for packet in read_packets(folder.packets(report.index), encoded.entries, encoded.digest):
            digests.append(payload_digest(packet.data, codec, in_container=False))
            yield packet
        last = max(entry.pts for entry in encoded.entries)


def _log(columns: Sequence[str], reports: Sequence[SegmentReport]) -> str:
    """Return the frame log of the whole clip: the rows of all segments, their frames numbered throughout."""
    lines, offset = [",".join(columns)], 0
    for report in reports:
        for row in report.log.splitlines():
            number, rest = row.split(",", 1)
            lines.append(f"{int(number) + offset},{rest}")
        offset += report.frames
    return "".join(f"{line}\r\n" for line in lines)


def _threads(reports: Sequence[SegmentReport]) -> dict[str, dict[str, float]]:
    """Return the seconds of every step, summed over the segments."""
    threads = dict.fromkeys(thread for report in reports for thread in report.threads)
    return {thread: _summed(report.threads.get(thread, {}) for report in reports) for thread in threads}


def _means(reports: Sequence[SegmentReport]) -> dict[str, float]:
    sums, counts = _summed(report.log_sums for report in reports), _summed(report.log_counts for report in reports)
    return {column: sums[column] / count for column, count in counts.items() if count}


def _summed(parts: Iterable[Mapping[str, Number]]) -> dict[str, Number]:
    """Return the sum of each key over ``parts``."""
    sums: dict[str, Number] = {}
    for part in parts:
        for name, value in part.items():
            sums[name] = sums[name] + value if name in sums else value
    return sums
