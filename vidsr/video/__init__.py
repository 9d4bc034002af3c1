"""The only package that imports av: what a clip holds, its frames as planes, and a clip written from planes."""

from vidsr.video.containers import container_format
from vidsr.video.copier import preflight
from vidsr.video.facts import Facts, Track, read_facts
from vidsr.video.formats import nearest_format
from vidsr.video.probe import probe
from vidsr.video.reader import VideoReader
from vidsr.video.table import StreamInfo, streams
from vidsr.video.writer import NullWriter, VideoWriter, Writer, Written, open_writer

__all__ = [
    "Facts",
    "NullWriter",
    "StreamInfo",
    "Track",
    "VideoReader",
    "VideoWriter",
    "Writer",
    "Written",
    "container_format",
    "nearest_format",
    "open_writer",
    "preflight",
    "probe",
    "read_facts",
    "streams",
]
