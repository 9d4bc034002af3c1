"""Packets are decoded while the encoder works, so that the finished file is compared with them and not decoded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from tests.clips import make_clip
from vidsr.options.codecs import Encoding
from vidsr.pipeline.verify import verify
from vidsr.video import ExpectedContents, VideoReader, VideoWriter, inspect, packet_check


def written(folder: Path, name: str = "b.mp4", codec: str = "libx264") -> ExpectedContents:
    source = make_clip(folder / "a.mp4", frames=30, audio=1)
    with (
        VideoReader(source) as reader,
        VideoWriter(folder / name, reader.info, Encoding(codec), source, checked=True) as writer,
    ):
        for batch in reader.batches(8):
            writer.write(batch)
    return writer.expected


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *(("b.mp4", "libx264"), ("b.mkv", "libx265"), ("b.mp4", "libsvtav1"), ("b.webm", "libvpx-vp9")),
        *(("b.mov", "prores_ks"), ("b.mkv", "prores_ks"), ("b.mkv", "ffv1"), ("b.mkv", "libvpx")),
    ],
)
def test_a_file_of_checked_packets_is_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str
) -> None:
    expected = written(tmp_path, name, codec)
    verify(replace(expected, packets=())).raise_if_failed()
    monkeypatch.setattr(inspect, "_decode", None)
    verification = verify(expected)
    verification.raise_if_failed()
    assert "packets as encoded" in [check.name for check in verification.checks]


def test_a_byte_of_the_file_that_differs_is_named_even_where_the_frame_decodes(tmp_path: Path) -> None:
    expected = written(tmp_path, "b.mkv", "ffv1")
    with av.open(str(expected.path)) as container:
        place, size = next((p.pos, p.size) for p in container.demux(video=0) if p.size)
    data = bytearray(expected.path.read_bytes())
    data[place + size // 2] ^= 1
    expected.path.write_bytes(data)
    assert [check.name for check in verify(expected).failures] == ["packets as encoded"]


@pytest.mark.parametrize("fault", ["cannot be decoded", "at their times"])
def test_packets_that_do_not_decode_on_their_way_leave_the_file_to_be_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    decode = packet_check.PacketCheck._decode

    def damaged(self: packet_check.PacketCheck, packet: Any) -> None:
        if packet is not None and not packet.is_keyframe:
            if fault == "at their times":
                packet.pts += 1
            else:
                packet = av.Packet(b"\0\0\0\1\x68")
        decode(self, packet)

    monkeypatch.setattr(packet_check.PacketCheck, "_decode", damaged)
    expected = written(tmp_path)
    assert expected.packets == ()
    verify(expected).raise_if_failed()


def test_a_format_without_a_decoder_is_left_to_the_verification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(packet_check.DECODERS, "h264", "none")
    assert written(tmp_path).packets == ()
