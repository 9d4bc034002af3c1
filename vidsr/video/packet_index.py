"""The packet index of a clip: the time of every frame and the keyframes, without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vidsr.options.source import Reading
from vidsr.video.demux import MICROSECONDS, MOV, begins_between_keyframes, packets
from vidsr.video.probe import video_stream
from vidsr.video.source import has_copyable_streams, open_source, readable

INDEXED = (MOV, "matroska,webm")  # containers whose keyframes can be reached exactly


@dataclass(frozen=True)
class PacketIndex:
    """The frames of a clip in presentation order."""

    tick: Fraction  # time base of the stream, seconds
    stamps: tuple[int, ...]  # presentation time of each frame, ticks of the file's clock
    keys: tuple[int, ...]  # numbers of the keyframes, from 0

    def time(self, number: int) -> Fraction:
        """Return the presentation time of frame ``number`` on the file's clock, seconds."""
        return self.stamps[number] * self.tick


def packet_index(path: Path, reading: Reading, shortest: Fraction = Fraction(0)) -> PacketIndex | None:
    """Return the packet index of the enhanced stream; None where packets do not tell the time of every frame.

    Such are pipes, images, containers without an index, packets without a time, frames that an edit list cuts off. So
    is, here, a clip that by its header is shorter than ``shortest`` seconds.

    Raises:
        InputError: the file cannot be read.
    """
    if not has_copyable_streams(path, reading):
        return None
    with readable(path), open_source(path, reading) as container:
        stream = video_stream(container, path, reading)
        tick = stream.time_base
        if container.format.name not in INDEXED or tick is None or begins_between_keyframes(container, stream):
            return None
        if container.duration and Fraction(container.duration, MICROSECONDS) < shortest:
            return None
        found: dict[int, bool] = {}  # presentation time -> whether a keyframe
        for packet in packets(container, [stream]):
            if not packet.size:
                continue
            if packet.pts is None or packet.pts in found or packet.is_discard or packet.is_corrupt:
                return None
            found[packet.pts] = packet.is_keyframe
    stamps = tuple(sorted(found))
    return PacketIndex(tick, stamps, tuple(number for number, stamp in enumerate(stamps) if found[stamp]))
