"""Times that the copied packets of an MP4 file are expected at."""

from fractions import Fraction

import pytest

from vidsr.pipeline.stream_checks import from_zero
from vidsr.video.inspect import CopiedPacket


@pytest.mark.parametrize(("begin", "expected"), [(-20, 0), (-7, -7), (0, 0), (5, 5)])
def test_audio_that_ends_after_playback_begins_keeps_its_time(begin: int, expected: int) -> None:
    """A damaged clip was left with one packet of 20 ms that begins 7 ms before zero: its sound output failed."""
    packet = CopiedPacket(Fraction(begin, 1000), Fraction(20, 1000), b"")
    assert [one.time * 1000 for one in from_zero([packet])] == [expected]
