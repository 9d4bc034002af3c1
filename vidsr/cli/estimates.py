"""The estimates of `vidsr plan` as text or JSON."""

from __future__ import annotations

from vidsr.cli.tables import bytes_text, print_json
from vidsr.pipeline.estimate import Estimates, FileEstimate
from vidsr.pipeline.summary import duration_text, video_text


def print_estimates(estimates: Estimates, as_json: bool) -> None:
    """Print the plan of each file, and time, size and memory of the whole run."""
    if as_json:
        print_json(estimates.to_json())
        return
    for file in estimates.files:
        print(f"{file.source} -> {file.target}")
        for name, value in _file_rows(file):
            print(f"  {name:<8} {value}")
    for failure in estimates.failed:
        print(f"{failure.source}: would fail: {failure.problem}")
    for path in estimates.unopened:
        print(f"{path}: not opened, estimated by its size")
    memory = "" if estimates.memory is None else f", {bytes_text(estimates.memory)} of memory"
    print(
        f"about {duration_text(estimates.seconds)}, {bytes_text(estimates.bytes)} on disk "
        f"({bytes_text(estimates.free)} are free){memory}; nothing was written"
    )


def _file_rows(file: FileEstimate) -> list[tuple[str, str]]:
    rows = [
        ("video", f"{video_text(file.plan.source)} -> {video_text(file.plan.output)}"),
        ("stages", ", ".join(file.plan.words) or "none"),
    ]
    rows += [("copied", stream) for stream in file.copied_streams]
    rows += [("note", note.text) for note in file.notes]
    rows += [("problem", file.problem)] if file.problem else []
    frames = f"{file.plan.output.frames} frames, " if file.plan.output.frames else ""
    rows.append(("about", f"{frames}{duration_text(file.seconds)}, {bytes_text(file.bytes)} ({file.basis})"))
    return rows
