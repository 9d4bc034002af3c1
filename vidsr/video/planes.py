"""Planes of one frame of FFmpeg's as arrays, with one copy each way."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt

from vidsr.frames import VideoInfo
from vidsr.video.formats import pix_fmt

Array = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def numpy_dtype(depth: int) -> type[np.uint8] | type[np.uint16]:
    """Type of code values of that depth."""
    return np.uint8 if depth == 8 else np.uint16


def view(frame: av.VideoFrame, index: int, depth: int) -> Array:
    """Plane ``index`` as H x W code values, a view of FFmpeg's memory without the padding of its lines."""
    plane = frame.planes[index]
    dtype = np.dtype(numpy_dtype(depth))
    rows: Array = np.frombuffer(memoryview(plane), dtype)
    pitch = plane.line_size // dtype.itemsize
    return rows[: pitch * plane.height].reshape(plane.height, pitch)[:, : plane.width]


def empty_frame(info: VideoInfo) -> av.VideoFrame:
    """A frame of FFmpeg's own memory in the format and size of ``info``, its planes not yet set."""
    return av.VideoFrame(info.width, info.height, pix_fmt(info.chroma, info.depth))


def fill(frame: av.VideoFrame, index: int, depth: int, plane: Array) -> None:
    """Sets plane ``index``; where the frame is larger than ``plane``, the last column and row are repeated."""
    target = view(frame, index, depth)
    if plane.dtype != target.dtype:
        raise TypeError(f"planes of {depth} bits are written as {target.dtype}, not {plane.dtype}")
    height, width = plane.shape
    target[:height, :width] = plane
    target[:height, width:] = plane[:, -1:]
    target[height:] = target[height - 1]
