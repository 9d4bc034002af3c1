"""The files that one run writes: result, frame log and reports. They get their names together, after verification."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from vidsr.errors import OutputError
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.output_names import OutputNames, report_path
from vidsr.options.paths import PIPE
from vidsr.runtime.output_file import OutputFile, write_file
from vidsr.stages.frame_log import LOG_REMEDY
from vidsr.video import open_output


class RunOutputs(AbstractContextManager["RunOutputs"]):
    """The unfinished files of one run. The end of the block removes those that are not committed.

    ``result`` is None for a pipe and for the null encoder, ``log`` where there is none. ``reports`` has the hidden
    report, and the one that was asked for. Hidden files replace those of an output that is no longer there.

    Raises:
        OutputError: a file exists and ``options.overwrite`` is not set, or it cannot be written.
    """

    def __init__(self, names: OutputNames, options: EnhanceOptions) -> None:
        self.result: OutputFile | None = None
        self.log: OutputFile | None = None
        self.reports: list[OutputFile] = []
        with ExitStack() as files:
            if names.result != PIPE and not options.encoding.is_null:
                self.result = open_output(names.result, options.overwrite)
                files.callback(self.result.discard)
            if names.log is not None:
                is_hidden, is_path = options.log is None, isinstance(options.log, Path)
                self.log = OutputFile(
                    names.log, options.overwrite or is_hidden, make_folders=not is_path, remedy=LOG_REMEDY
                )
                files.callback(self.log.discard)
            for path in (names.report, names.asked_report):
                if path is not None:
                    is_hidden = path is names.report
                    report = OutputFile(path, options.overwrite or is_hidden, make_folders=is_hidden)
                    files.callback(report.discard)
                    self.reports.append(report)
            self._files = files.pop_all()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    def write_report(self, data: dict[str, Any]) -> None:
        """Write the report: options, plan, weights, counts, times and the result of the verification.

        Raises:
            OutputError: the file cannot be written.
        """
        for report in self.reports:
            with report.named_errors():
                report.part.write_bytes(_encoded(data))

    def commit(self) -> None:
        """Give all files their names.

        Raises:
            OutputError: a name is taken by now.
        """
        for file in (self.result, self.log, *self.reports):
            if file is not None:
                file.commit()

    def keep_as_failed(self) -> Path:
        """Keep the result under the name of a failed one, and return that path."""
        assert self.result is not None
        return self.result.keep_as_failed()

    def write_failed_report(self, data: dict[str, Any], kept: Path) -> None:
        """Write the report of a failed result, which names the reason, if the disk has room."""
        with suppress(OutputError):
            store_report(report_path(kept), data)


def store_report(path: Path, data: dict[str, Any]) -> None:
    """Write a hidden report; one of an output that is no longer there is replaced.

    Raises:
        OutputError: the file cannot be written.
    """
    write_file(path, _encoded(data), overwrite=True, make_folders=True)


def _encoded(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()
