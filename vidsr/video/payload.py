"""Digests of packets that do not change when a container rewrites how their parts are separated."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

DIGEST_BYTES = 8  # enough, because packets are compared in order
NAL_CODECS = ("h264", "hevc")
START_CODE = b"\0\0\1"  # before each unit of a byte stream; never part of one
PARAMETER_SETS = (32, 33, 34)  # unit types of HEVC; with the tag hvc1, MP4 stores them outside the packets
LENGTH_BYTES = 4  # of the length before each unit in MP4 and Matroska, as FFmpeg writes it
TEMPORAL_DELIMITER = b"\x12\x00"  # begins a temporal unit of AV1; containers leave it out


def payload_digest(data: bytes, codec: str, in_container: bool) -> bytes:
    """Return the digest of a video packet of that ``codec``, from a container or from its encoder."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for part in _parts(data, codec, in_container):
        digest.update(part)
    return digest.digest()


def _parts(data: bytes, codec: str, in_container: bool) -> Iterator[bytes]:
    if codec == "av1":
        yield data.removeprefix(TEMPORAL_DELIMITER)
    elif codec not in NAL_CODECS:
        yield data
    else:
        for unit in _units_with_lengths(data) if in_container else data.split(START_CODE):
            is_parameter_set = codec == "hevc" and unit[:1] and unit[0] >> 1 & 63 in PARAMETER_SETS
            if not is_parameter_set:
                yield unit.rstrip(b"\0")


def _units_with_lengths(data: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(data):
        length = int.from_bytes(data[place : place + LENGTH_BYTES])
        yield data[place + LENGTH_BYTES : place + LENGTH_BYTES + length]
        place += LENGTH_BYTES + length
