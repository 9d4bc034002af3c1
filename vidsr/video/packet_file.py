"""Encoded packets in a file of their own, as the encoder made them.

A container would round their times (Matroska, to milliseconds) or rewrite their data (MP4). The file holds the data of
the packets one after the other, in decoding order. Everything else about them is a list for JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from av.packet import Packet

from vidsr.errors import InputError


class PacketEntry(NamedTuple):
    """A packet without its data. Times are ticks on the clock of the output."""

    size: int
    pts: int
    dts: int
    duration: int
    is_keyframe: bool


@dataclass(frozen=True)
class EncodedPacket:
    """A packet with its data."""

    entry: PacketEntry
    data: bytes

    @property
    def pts(self) -> int:
        """Presentation time in ticks."""
        return self.entry.pts

    def packet(self, tick: Fraction) -> Packet[Any]:
        """Return the packet for FFmpeg; its times count ``tick``, in seconds."""
        packet: Packet[Any] = Packet(self.data)
        _, packet.pts, packet.dts, packet.duration, packet.is_keyframe = self.entry
        packet.time_base = tick
        return packet


class PacketFileWriter:
    """Writes packets to an open file, and keeps their entries and the digest of their data."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self.entries: list[PacketEntry] = []

    def add(self, packet: Packet[Any]) -> None:
        """Append a packet."""
        assert packet.pts is not None and packet.dts is not None
        data = bytes(packet)
        self._file.write(data)
        self._digest.update(data)
        self.entries.append(PacketEntry(len(data), packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe))

    @property
    def digest(self) -> str:
        """SHA-256 of the file so far."""
        return self._digest.hexdigest()


def read_packets(path: Path, entries: Sequence[PacketEntry], digest: str) -> Iterator[EncodedPacket]:
    """Yield the packets of a file, whose data must have that ``digest``.

    Raises:
        InputError: the file is missing; or, after the last packet, it is damaged.
    """
    found = sha256()
    if not path.is_file():
        raise InputError(f"{path} is missing: run the same command again")
    with path.open("rb") as file:
        for entry in entries:
            data = file.read(entry.size)
            found.update(data)
            if len(data) < entry.size:
                break
            yield EncodedPacket(entry, data)
        rest = file.read(1)
    if rest or found.hexdigest() != digest:
        raise InputError(f"{path} is damaged: remove it, and run the same command again")


def is_intact(path: Path, digest: str) -> bool:
    """Whether a file has that ``digest``."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False
