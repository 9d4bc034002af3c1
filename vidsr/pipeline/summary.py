"""The summary of a finished file, as text that can leave the process; importing it loads neither PyTorch nor rich."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vidsr.options.image_sequence import file_bytes
from vidsr.options.parse import decimal

if TYPE_CHECKING:
    from vidsr.frames import VideoInfo
    from vidsr.pipeline.report import RunReport


@dataclass(frozen=True)
class FileSummary:
    """What is shown of a finished file."""

    line: str  # clip.mp4 -> clip.x2.mp4  1920x1080  82 frames  12 s  verified
    record: dict[str, Any]  # the object of `--json`, see docs/json.md
    incomplete: bool  # the source is truncated or damaged; everything readable was processed
    rows: tuple[tuple[str, str], ...]  # name and value
    details: tuple[tuple[str, str], ...]  # the rows below them with --verbose


def summarize(report: RunReport) -> FileSummary:
    """Return the summary of a run."""
    rows = [
        ("output", f"{report.target} ({file_bytes(report.target) / 1e6:.2f} MB)"),
        ("video", f"{video_text(report.input)} -> {video_text(report.output)}"),
        ("stages", ", ".join(report.plan.words)),
        ("frames", f"{report.frames} in {report.seconds:.1f} s, {report.fps:.1f} fps"),
    ]
    rows += [(name.replace("_", " "), _count(name, count, report)) for name, count in report.counts.items() if count]
    rows += [(name, _measure(name, mean)) for name, mean in report.means.items()]
    if report.threads:
        busy = ", ".join(f"{name} {report.busy(name):.1f} s" for name in report.threads)
        rows.append(("busy", f"{busy}; bottleneck: {report.bottleneck}"))
    if report.log is not None:
        rows.append(("per-frame log", str(report.log)))
    details = [
        (f"{name} thread", ", ".join(f"{step} {seconds:.2f} s" for step, seconds in steps.items()))
        for name, steps in report.threads.items()
    ]
    return FileSummary(_line(report), _record(report), report.truncated or report.damaged, tuple(rows), tuple(details))


def _line(report: RunReport) -> str:
    """Return the line of a finished file: clip.mp4 -> clip.x2.mp4  1920x1080  82 frames  12 s  verified."""
    target, output = report.target, report.output
    same_folder = target.parent.resolve() == report.source.parent.resolve()
    words = [f"{report.source.name} -> {target.name if same_folder else target}", f"{output.width}x{output.height}"]
    if output.fps:
        words.append(f"{report.frames} frames")
    words.append(duration_text(report.seconds))
    words += ["truncated"] if report.truncated else ["damaged"] if report.damaged else []
    words += ["verified"] if report.verification is not None and report.verification.ok else []
    return "  ".join(words)


def _record(report: RunReport) -> dict[str, Any]:
    """Return the object of a finished file for JSON lines; docs/json.md describes it."""
    output = report.output
    return {
        "source": str(report.source),
        "ok": True,
        "output": str(report.target),
        "width": output.width,
        "height": output.height,
        "fps": None if output.fps is None else str(output.fps),
        "frames": report.frames,
        "seconds": round(report.seconds, 3),
        "verified": report.verification is not None and report.verification.ok,
        "truncated": report.truncated,
        "damaged": report.damaged,
        "notes": [{"code": note.code, "text": note.text, "level": note.level} for note in report.notes],
        "log": None if report.log is None else str(report.log),
    }


def video_text(info: VideoInfo) -> str:
    """Return size and frame rate: 480x270 25 fps."""
    rate = f" {decimal(info.fps)} fps" if info.fps else ""
    return f"{info.width}x{info.height}{rate}"


def _count(name: str, count: int, report: RunReport) -> str:
    return f"{count} of {report.frames}" if name == "measured_frames" else str(count)


def _measure(name: str, mean: float) -> str:
    """Return the mean of a log column with its unit: PSNR is in dB, SSIM and MSE have none."""
    if "ssim" in name:
        return f"{mean:.4f}"
    return f"{mean:.2f} dB" if "psnr" in name else f"{mean:.2f}"


def duration_text(seconds: float) -> str:
    """Return a duration in at most two units: 8.1 s, 12 min 5 s, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
