"""How many bytes the pictures of a clip take, and what lies beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vidsr.video.demux import packets
from vidsr.video.probe import picture_stream
from vidsr.video.source import open_source


@dataclass
class PacketSizes:
    """Bytes of the packets of a clip."""

    keys: list[int] = field(default_factory=list)  # of each keyframe
    others: list[int] = field(default_factory=list)  # of each other picture
    beside: int = 0  # of all other streams together


def packet_sizes(path: Path) -> PacketSizes:
    """The sizes of all packets of the file.

    Raises:
        InputError: the file is no clip.
    """
    sizes = PacketSizes()
    with open_source(path) as container:
        picture = picture_stream(container, path)
        for packet in packets(container, list(container.streams)):
            if packet.stream is not picture:
                sizes.beside += packet.size
            elif packet.size:
                (sizes.keys if packet.is_keyframe else sizes.others).append(packet.size)
    return sizes
