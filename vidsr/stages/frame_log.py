"""The per-frame log.

Every output frame measured against the input, a bicubic resize and the true frame.
"""

from __future__ import annotations

import csv
import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TextIO

import numpy as np
from torch import Tensor

from vidsr.errors import OutputError
from vidsr.frames import FrameBatch, VideoInfo
from vidsr.kernels.resample import resize
from vidsr.kernels.squared_error import sse, sse_resized
from vidsr.kernels.ssim import ssim
from vidsr.metrics import psnr_from_mse
from vidsr.runtime.output_file import OutputFile
from vidsr.stages.convert import Convert

COLUMNS = (
    "frame",
    "time",
    "source_frame",
    "phase",
    "scene_cut",
    "flow_confidence",
    "psnr_y_consistency",
    "psnr_y_vs_bicubic",
)
MILLISECOND = Fraction(1, 1000)
LOG_REMEDY = "name another --log, or none"
REFERENCE_COLUMNS = ("psnr_y", "ssim_y", "mse_y", "bicubic_psnr_y", "bicubic_ssim_y", "bicubic_mse_y")


def change_column(stage: str) -> str:
    """Return the log column for what ``stage`` changed."""
    return f"psnr_y_{stage}"


class Changes:
    """What a stage changed of each source frame.

    PSNR in dB of its luma against its input. Empty unless ``logged``.
    """

    def __init__(self, stage: str, peak: int, logged: bool = False) -> None:
        self.column = change_column(stage)
        self._logged = logged
        self._peak = peak
        self._psnr: dict[int, float] = {}

    def add(self, before: FrameBatch, y: Tensor) -> None:
        """The stage made luma ``y`` (float32) of the frames ``before``."""
        if self._logged:
            errors = (y - before.y.float()).square().mean((1, 2, 3)).tolist()
            for origin, error in zip(before.origins, errors, strict=True):
                self._psnr[origin.index] = psnr_from_mse(error, self._peak)

    def take(self, index: int) -> float:
        """Return the PSNR of source frame ``index`` and forget the frames before it."""
        for old in [known for known in self._psnr if known < index]:
            del self._psnr[old]
        return self._psnr[index]


class LogRows:
    """Rows of the per-frame log, and the sums of its columns."""

    def __init__(self, columns: tuple[str, ...], file: TextIO) -> None:
        self.sums: dict[str, float] = dict.fromkeys(columns, 0.0)
        self.counts: dict[str, int] = dict.fromkeys(columns, 0)
        self.writer = csv.DictWriter(file, columns)

    def add(self, row: dict[str, str | int | float]) -> None:
        """Write the row of one frame.

        Infinite values (of identical frames) do not count towards the means.
        """
        self.writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})
        for key, value in row.items():
            if isinstance(value, float) and math.isfinite(value):
                self.sums[key] += value
                self.counts[key] += 1

    @property
    def means(self) -> dict[str, float]:
        """Mean of every measured column that has a finite value."""
        return {k: self.sums[k] / n for k, n in self.counts.items() if n}


class FrameLog(AbstractContextManager["FrameLog"]):
    """The CSV file of a run and the means of its columns.

    The file appears when the block ends without an exception, which removes it. With ``output``, its owner commits it.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], output: OutputFile | None = None) -> None:
        self.path = path
        self.columns = columns
        self._is_own = output is None
        self._output = output
        self._file: TextIO

    def __enter__(self) -> FrameLog:
        if self._output is None:
            self._output = OutputFile(self.path, remedy=LOG_REMEDY)
        with named_log_errors(self.path):
            self._file = self._output.part.open("w", newline="")
        self._rows = LogRows(self.columns, self._file)
        self._rows.writer.writeheader()
        return self

    def add(self, row: dict[str, str | int | float]) -> None:
        """Write the row of one frame.

        Raises:
            OutputError: the file cannot be written.
        """
        with named_log_errors(self.path):
            self._rows.add(row)

    @property
    def means(self) -> dict[str, float]:
        """Mean of every measured column that has a finite value."""
        return self._rows.means

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._output is not None
        try:
            with named_log_errors(self.path):
                self._file.close()
            if kind is None and self._is_own:
                self._output.commit()
        except BaseException:
            self._output.discard()
            raise
        if kind is not None:
            self._output.discard()


@contextmanager
def named_log_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` into an `OutputError` that names the log."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror}): {LOG_REMEDY}") from None


class Tap:
    """Holds the luma that passes, in code values of the output, until `Measure` compares the output with it."""

    name = "tap"

    def __init__(self, convert: Convert | None = None) -> None:
        self.seen: deque[Tensor] = deque()
        self._convert = convert

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info``: the format does not change."""
        return info

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the same batches."""
        for batch in batches:
            self.seen.append(batch.y if self._convert is None else self._convert.luma(batch.y))
            yield batch


class Measure:
    """Logs every frame against the input before resizing (``tap``) and, if given, against the true frame.

    The stages between the tap and this one keep every frame. Only luma is measured, PSNR in dB for the output's peak.
    ``references`` are true frames at the output's size.
    """

    name = "measure"

    def __init__(
        self,
        tap: Tap,
        log: FrameLog | LogRows,
        peak: int,
        references: ReferenceFrames | None = None,
        changes: Sequence[Changes] = (),
    ) -> None:
        self.tap = tap
        self.changes = changes  # of the stages before the tap
        self.log = log
        self.peak = peak
        self.references = references
        self.measured = 0  # frames compared with a true one
        self._frame = 0

    def output(self, info: VideoInfo) -> VideoInfo:
        """Return ``info``: the format does not change."""
        return info

    def __call__(self, batches: Iterator[FrameBatch]) -> Iterator[FrameBatch]:
        """Yield the same batches."""
        for batch in batches:
            inputs = self.tap.seen.popleft()
            for i in range(len(batch)):
                self._measure(batch[i : i + 1], inputs[i, 0].cpu().numpy())
            yield batch

    def _measure(self, frame: FrameBatch, low: np.ndarray) -> None:
        output, origin = frame.y[0, 0].numpy(), frame.origins[0]
        row: dict[str, str | int | float] = {
            "frame": self._frame,
            "time": f"{float(frame.times[0]):.6f}",
            "source_frame": origin.index,
            "phase": str(origin.phase),
            "scene_cut": int(origin.scene_cut),
            "flow_confidence": "" if origin.flow_confidence is None else f"{origin.flow_confidence:.4f}",
            "psnr_y_consistency": psnr_from_mse(sse_resized(output, low, peak=self.peak) / low.size, self.peak),
            "psnr_y_vs_bicubic": psnr_from_mse(sse_resized(low, output, peak=self.peak) / output.size, self.peak),
        }
        row |= {changes.column: changes.take(origin.index) for changes in self.changes}
        truth = None if self.references is None else self.references.at(frame.times[0])
        if truth is not None and truth.shape == output.shape:
            row |= self._against(truth, output, low)
            self.measured += 1
        self.log.add(row)
        self._frame += 1

    def _against(self, truth: np.ndarray, output: np.ndarray, low: np.ndarray) -> dict[str, float]:
        bicubic = resize(low, output.shape[1], output.shape[0], "bicubic", dtype=output.dtype, peak=self.peak)
        scores: dict[str, float] = {}
        for prefix, image in (("", output), ("bicubic_", bicubic)):
            error = sse(image, truth) / truth.size
            scores[f"{prefix}psnr_y"] = psnr_from_mse(error, self.peak)
            scores[f"{prefix}ssim_y"] = ssim(image, truth, self.peak)
            scores[f"{prefix}mse_y"] = error
        return scores


class ReferenceFrames:
    """The true frames of ``batches`` in order, found by time since their first one.

    A container may round times, and the reference may begin at another time than the output. So both count from their
    own first frame, and times a quarter of ``interval`` (seconds from one output frame to the next) apart still match.
    """

    def __init__(self, batches: Iterator[FrameBatch], interval: Fraction) -> None:
        self._frames = ((time, y[0]) for batch in batches for time, y in zip(batch.times, batch.y.numpy(), strict=True))
        self._current = next(self._frames, None)
        self._following = next(self._frames, None)
        self._allowed = max(interval / 4, MILLISECOND)
        self._begin = None if self._current is None else self._current[0]
        self._output_begin: Fraction | None = None

    def at(self, time: Fraction) -> np.ndarray | None:
        """Return the true frame for the output frame at ``time``, which never decreases; None where there is none."""
        if self._current is None or self._begin is None:
            return None
        if self._output_begin is None:
            self._output_begin = time
        wanted = time - self._output_begin + self._begin
        while self._following is not None and abs(self._following[0] - wanted) < abs(self._current[0] - wanted):
            self._current, self._following = self._following, next(self._frames, None)
        return self._current[1] if abs(self._current[0] - wanted) <= self._allowed else None
