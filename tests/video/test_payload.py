"""Digests of packets: equal however a container separates and moves their units, and different for other content."""

import pytest

from vidsr.video.payload import payload_digest

PARAMETERS, SLICE, OTHER = b"\x42\x01parameters", b"\x26\x01slice", b"\x26\x01other"


def stream(*units: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def in_container(*units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4) + unit for unit in units)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_start_codes_and_lengths_count_for_nothing(codec: str) -> None:
    encoded = payload_digest(stream(SLICE, OTHER), codec, in_container=False)
    assert payload_digest(in_container(SLICE, OTHER), codec, in_container=True) == encoded
    assert payload_digest(in_container(SLICE, SLICE), codec, in_container=True) != encoded


def test_mp4_holds_the_parameter_sets_of_hdr10_beside_its_packets() -> None:
    """libx265 repeats them in each keyframe of HDR10, and MP4 leaves them out."""
    encoded = payload_digest(stream(PARAMETERS, SLICE), "hevc", in_container=False)
    assert payload_digest(in_container(SLICE), "hevc", in_container=True) == encoded
    assert payload_digest(in_container(PARAMETERS, SLICE), "hevc", in_container=True) == encoded
    assert payload_digest(in_container(PARAMETERS, OTHER), "hevc", in_container=True) != encoded
