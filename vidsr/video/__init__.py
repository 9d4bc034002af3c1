"""The only package that imports av: what a clip holds, its frames as planes, and a clip written from planes."""

from vidsr.video.containers import FRAMES_ONLY, container_format
from vidsr.video.formats import coded_format, nearest_format, pix_fmt
from vidsr.video.inspect import Facts, PacketSizes, Track, Written, packet_sizes, read_facts
from vidsr.video.nvidia import encodable
from vidsr.video.probe import probe
from vidsr.video.quantizer import mean_quantizer
from vidsr.video.reader import VideoReader
from vidsr.video.slow_audio import Slow, kept, lost
from vidsr.video.source import has_streams, is_pipe
from vidsr.video.stream_copy import preflight
from vidsr.video.streams import StreamInfo, streams
from vidsr.video.writer import NullWriter, VideoWriter, Writer, open_writer

__all__ = [
    "FRAMES_ONLY",
    "Facts",
    "NullWriter",
    "PacketSizes",
    "Slow",
    "StreamInfo",
    "Track",
    "VideoReader",
    "VideoWriter",
    "Writer",
    "Written",
    "coded_format",
    "container_format",
    "encodable",
    "has_streams",
    "is_pipe",
    "kept",
    "lost",
    "mean_quantizer",
    "nearest_format",
    "open_writer",
    "packet_sizes",
    "pix_fmt",
    "preflight",
    "probe",
    "read_facts",
    "streams",
]
