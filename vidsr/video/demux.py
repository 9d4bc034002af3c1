"""Packets of a file in its order, past the places that cannot be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from vidsr.video.clock import DISCONTINUOUS, Clock

FAILED_READS = 100  # in a row; then the rest of the file is taken to be lost
REST_LOST = "place from which on nothing can be read"


def packets(
    container: InputContainer, streams: Sequence[Stream], problems: Counter[str] | None = None
) -> Iterator[Packet[Stream]]:
    """Packets of ``streams``, an empty one for each at the end; reads that fail are tried again, and counted.

    Jumps of a recording's clock are taken out, for which all of its streams are looked at.
    """
    problems = Counter() if problems is None else problems
    clock = Clock(problems) if container.format.name in DISCONTINUOUS else None
    wanted, read = {stream.index for stream in streams}, list(streams if clock is None else container.streams)
    failed = 0
    while failed < FAILED_READS:
        try:
            for packet in container.demux(read):
                if failed:
                    problems["places that cannot be read, skipped"] += 1
                failed = 0
                if clock is not None:
                    clock.set(packet)
                if packet.stream.index in wanted:
                    yield packet
            return
        except av.FFmpegError:
            failed += 1
    problems[REST_LOST] += 1
