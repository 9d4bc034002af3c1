"""Read and write clips and images: the only package that imports av."""

from vidsr.video.alpha import AlphaPlanes
from vidsr.video.containers import FRAMES_ONLY, IMAGES, MATROSKA, container_format
from vidsr.video.formats import nearest_format, nearest_pixel_format, pix_fmt
from vidsr.video.inspect import (
    ExpectedContents,
    FileContents,
    PacketSizes,
    Track,
    file_clock,
    inspect_file,
    packet_sizes,
)
from vidsr.video.nvidia import usable_encoding
from vidsr.video.preflight import carried_streams, lost_streams
from vidsr.video.probe import frame_pixels, probe
from vidsr.video.quantizer import mean_quantizer
from vidsr.video.reader import VideoReader
from vidsr.video.slow_audio import SlowMotion
from vidsr.video.source import has_copyable_streams, is_pipe
from vidsr.video.streams import StreamInfo, streams
from vidsr.video.writer import NullWriter, VideoWriter, Writer, open_output, open_writer

__all__ = [
    "FRAMES_ONLY",
    "IMAGES",
    "MATROSKA",
    "AlphaPlanes",
    "ExpectedContents",
    "FileContents",
    "NullWriter",
    "PacketSizes",
    "SlowMotion",
    "StreamInfo",
    "Track",
    "VideoReader",
    "VideoWriter",
    "Writer",
    "carried_streams",
    "container_format",
    "file_clock",
    "frame_pixels",
    "has_copyable_streams",
    "inspect_file",
    "is_pipe",
    "lost_streams",
    "mean_quantizer",
    "nearest_format",
    "nearest_pixel_format",
    "open_output",
    "open_writer",
    "packet_sizes",
    "pix_fmt",
    "probe",
    "streams",
    "usable_encoding",
]
