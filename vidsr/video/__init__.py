"""The only package that imports av: what a clip holds, its frames as planes, and a clip written from planes."""

from vidsr.video.copier import preflight
from vidsr.video.formats import nearest_format
from vidsr.video.probe import StreamInfo, probe, streams
from vidsr.video.reader import VideoReader
from vidsr.video.writer import NullWriter, VideoWriter, open_writer

__all__ = [
    "NullWriter",
    "StreamInfo",
    "VideoReader",
    "VideoWriter",
    "nearest_format",
    "open_writer",
    "preflight",
    "probe",
    "streams",
]
