"""Packets of a file in its order, past the places that cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

FAILED_READS = 100  # in a row; then the rest of the file is taken to be lost
REST_LOST = "place from which on nothing can be read"


def packets(
    container: InputContainer, streams: Sequence[Stream], problems: Counter[str] | None = None
) -> Iterator[Packet[Stream]]:
    """Packets of ``streams``, an empty one for each at the end; reads that fail are tried again, and counted."""
    problems = Counter() if problems is None else problems
    failed = 0
    while failed < FAILED_READS:
        try:
            for packet in container.demux(list(streams)):
                if failed:
                    problems["places that cannot be read, skipped"] += 1
                failed = 0
                yield packet
            return
        except av.FFmpegError:
            failed += 1
    problems[REST_LOST] += 1
