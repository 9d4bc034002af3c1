"""`vidsr info`: the streams of a file."""

from __future__ import annotations

from pathlib import Path

from vidsr.cli.tables import print_json
from vidsr.video import streams


def info(file: Path, json: bool) -> None:
    """Print the streams of a clip or an image."""
    found = streams(file)
    if json:
        print_json({"file": str(file), "streams": [stream.to_json() for stream in found]})
        return
    print(file)
    for stream in found:
        print(f"  {stream}")
