"""The job folder ``OUTPUT.vidsr`` next to an output: the plan and the finished segments. Its files are the journal.

- plan.json: the `SegmentedJob`
- 00042.packets: encoded packets of segment 42
- 00042.json: its `SegmentReport`, written last: a segment with this file is finished
- output.json: what the output is known by, written just before it gets its name
- lock: host and process of the run that works here
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidsr.errors import Notes, OutputError
from vidsr.options.fingerprint import Fingerprint
from vidsr.options.input_folder import JOB_FOLDER
from vidsr.options.serialize import from_json, to_json
from vidsr.runtime.output_file import OutputFile, write_file
from vidsr.segments.folder_lock import REMEDY, has_made, has_segments
from vidsr.segments.job import SegmentedJob
from vidsr.segments.segment_report import SegmentReport
from vidsr.video.packet_file import is_intact

UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, StopIteration)  # of damaged JSON


@dataclass(frozen=True)
class JobFolder:
    """The files of a job in segments."""

    path: Path

    @classmethod
    def of(cls, target: Path) -> JobFolder:
        """Return the job folder of an output."""
        return cls(target.with_name(target.name + JOB_FOLDER))

    def packets(self, index: int) -> Path:
        """Return the path of the packets of a segment."""
        return self.path / f"{index:05}.packets"

    def report(self, index: int) -> Path:
        """Return the path of the report of a segment."""
        return self.path / f"{index:05}.json"

    def begin(self, job: SegmentedJob, fresh: bool) -> SegmentedJob:
        """Return the job to do: that of an earlier run, which fits ``job``, or ``job`` itself in an empty folder.

        Raises:
            OutputError: the folder belongs to another job.
        """
        stored = None if fresh else self._stored()
        if stored is not None:
            difference = stored.difference(job)
            if difference is None:
                return stored
            if has_segments(self.path):
                raise OutputError(
                    f"{self.path} holds segments made {difference}: give the same command, or --fresh to begin again"
                )
        self._clear()
        self.store_job(job)
        return job

    def store_job(self, job: SegmentedJob) -> None:
        """Store the plan, before the first segment."""
        write_file(self.path / "plan.json", _encoded(job.to_json()), overwrite=True, remedy=REMEDY)

    def read_job(self) -> SegmentedJob:
        """Return the job of this folder.

        Raises:
            OutputError: there is none, or it is damaged.
        """
        job = self._stored()
        if job is None:
            raise OutputError(f"{self.path} has no plan.json: give the same command again")
        return job

    def _stored(self) -> SegmentedJob | None:
        path = self.path / "plan.json"
        if not path.exists():
            if has_segments(self.path):
                raise OutputError(f"{self.path} has segments and no plan.json: give --fresh to begin again")
            return None
        try:
            return SegmentedJob.from_json(json.loads(path.read_bytes()))
        except UNREADABLE:
            raise OutputError(f"{path} is damaged: give --fresh to begin again") from None

    def new_packets(self, index: int) -> OutputFile:
        """Return the file for the packets of a segment."""
        return OutputFile(self.packets(index), overwrite=True, remedy=REMEDY)

    def store(self, report: SegmentReport) -> None:
        """Store the report of a segment, whose packets are in place."""
        write_file(self.report(report.index), _encoded(to_json(report)), overwrite=True, remedy=REMEDY)

    def finished(self, job: SegmentedJob, notes: Notes) -> dict[int, SegmentReport]:
        """Return the reports of the finished segments by number; those that are damaged are noted and left out."""
        found = {}
        for index in range(len(job.cut.segments)):
            if not self.report(index).exists():
                continue
            report = self._read(index, job)
            if report is not None and is_intact(self.packets(index), report.encoded.digest):
                found[index] = report
            else:
                notes.info("segment_damaged", f"segment {index} in {self.path} is damaged: it is made again")
        return found

    def count_finished(self) -> int:
        """Return how many segments are finished, whether or not they are intact."""
        return len(list(self.path.glob("[0-9]*.json")))

    def reports(self, job: SegmentedJob) -> list[SegmentReport]:
        """Return the reports of all segments of ``job`` in order; their packets are not read.

        Raises:
            OutputError: one is missing or damaged.
        """
        found = [self._read(index, job) for index in range(len(job.cut.segments))]
        reports = [report for report in found if report is not None]
        if len(reports) < len(found):
            raise OutputError(f"{self.path} lacks segment {found.index(None)}: give the same command again")
        return reports

    def _read(self, index: int, job: SegmentedJob) -> SegmentReport | None:
        """Return the report of a segment; None if it is missing, damaged or of another job."""
        try:
            report = from_json(SegmentReport, json.loads(self.report(index).read_bytes()))
        except UNREADABLE:
            return None
        return report if (report.index, report.job) == (index, job.digest) else None

    def note_output(self, part: Path) -> None:
        """Store what tells the finished output, still at ``part``, from every other file."""
        write_file(self.path / "output.json", _encoded(to_json(Fingerprint.of(part))), overwrite=True, remedy=REMEDY)

    def has_made(self, target: Path) -> bool:
        """Whether ``target`` is the output of this job, whose run ended before it could remove the folder."""
        return has_made(self.path, target)

    def remove(self) -> None:
        """Remove the folder and everything in it; last what tells a later run that nothing else is needed."""
        self._clear()
        shutil.rmtree(self.path, ignore_errors=True)

    def _clear(self) -> None:
        for path in self.path.glob("[0-9]*.*"):
            with suppress(OSError):
                path.unlink()


def _encoded(data: Any) -> bytes:
    return (json.dumps(data, separators=(",", ":")) + "\n").encode()
