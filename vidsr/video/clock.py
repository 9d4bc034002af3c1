"""The clock of a recording, which may be set anew on the way: such jumps are taken out, as FFmpeg's program does."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from av.packet import Packet
from av.stream import Stream

DISCONTINUOUS = ("mpegts", "mpeg")  # containers of recordings
FORWARD = 10  # seconds without sound and picture, from which on the clock is taken to have been set
BACKWARD = Fraction(1, 10)  # seconds by which a stream runs back; what is less is a fault of its own
JUMPS = "jumps of the stream's clock, taken out"


class Clock:
    """Sets the times of packets of all streams, in the file's order, to those of a clock that never jumps."""

    def __init__(self, problems: Counter[str]) -> None:
        self._problems = problems
        self._shifts = [Fraction(0)]  # of the clock, the one that holds now at the end
        self._ends: dict[int, Fraction] = {}  # when the last packet of each stream of sound or picture ends

    def set(self, packet: Packet[Stream]) -> None:
        """Moves the packet's times. Packets that lag behind a jump belong to the clock before it."""
        if packet.dts is None:
            return
        time, tick = packet.dts * packet.time_base, packet.time_base
        if packet.stream.type in ("video", "audio"):
            if not self._fits(time + self._shifts[-1], packet.stream.index):
                self._jump(time, packet.stream.index)
            duration = (packet.duration or 0) * tick
            self._ends[packet.stream.index] = time + self._shifts[-1] + duration
        ticks = round(self._shifts[-1] / tick)
        packet.dts += ticks
        if packet.pts is not None:
            packet.pts += ticks

    def _fits(self, time: Fraction, stream: int) -> bool:
        """Whether a packet at ``time`` goes on where its own stream, and all of them, stopped."""
        latest = max(self._ends.values(), default=time)
        return self._ends.get(stream, time) - BACKWARD <= time <= latest + FORWARD

    def _jump(self, time: Fraction, stream: int) -> None:
        """Finds the shift that holds from a packet at ``time`` of the file's clock on."""
        known = next((shift for shift in reversed(self._shifts) if self._fits(time + shift, stream)), None)
        if known is None:
            known = self._ends.get(stream, max(self._ends.values())) - time
            self._problems[JUMPS] += 1
        else:
            self._shifts.remove(known)
        self._shifts.append(known)
