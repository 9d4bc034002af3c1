"""Decoded pictures in the planar format in which they are kept: other layouts, RGB, transparency."""

from __future__ import annotations

import numpy as np
import torch
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from torch import Tensor

from vidsr.color import rgb_to_ycbcr
from vidsr.frames import ColorInfo
from vidsr.video.formats import ENDIAN, Kept
from vidsr.video.planes import Array, view

# libswscale's threads share a picture by strips, and rows of p010le 66 pixels wide are written 8 samples too far: into
# the first row of the next strip, which then holds whichever came last.
ALONE = 1


def set_planes(y: Tensor, uv: Tensor | None, frame: VideoFrame, kept: Kept) -> None:
    """Sets luma (H x W) and chroma (2 x h x w, None for grey) to those of ``frame``, in the format ``kept``.

    What RGB becomes is rounded where ``y`` and ``uv`` hold integers.
    """
    if kept.is_rgb and uv is not None:
        luma, chroma = ycbcr_of(frame, kept)
        for target, values in ((y, luma[0, 0]), (uv, chroma[0])):
            target.copy_(values if target.is_floating_point() else values.round().clamp(0, (1 << kept.depth) - 1))
        return
    for target, plane in zip((y, *(uv if uv is not None else ())), planes_of(frame, kept), strict=True):
        target.numpy()[:] = plane


def planes_of(frame: VideoFrame, kept: Kept) -> list[Array]:
    """The planes of ``frame`` as integers in the format ``kept``, views of FFmpeg's memory; not of RGB pictures."""
    if frame.format.name.replace("yuvj", "yuv").replace("yuva", "yuv") != kept.pix_fmt:
        frame = frame.reformat(format=kept.pix_fmt, threads=ALONE)
    return [view(frame, index, kept.depth) for index in range(1 if kept.chroma == "gray" else 3)]


def ycbcr_of(frame: VideoFrame, kept: Kept) -> tuple[Tensor, Tensor]:
    """Luma (1 x 1 x H x W) and chroma (1 x 2 x H x W) of an RGB picture: float32 code values, not rounded."""
    deep = kept.depth > 8
    # libswscale moves, widens by repeating the high bits, and looks up palettes exactly
    picture = frame.reformat(format=f"rgb48{ENDIAN}" if deep else "rgb24", threads=ALONE).to_ndarray()
    rgb = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] / (65535 if deep else 255)
    return rgb_to_ycbcr(rgb, ColorInfo(matrix=kept.matrix, range=kept.range), kept.depth)


def has_alpha(format: VideoFormat) -> bool:
    """Whether pictures of the format may be transparent in parts."""
    return format.has_palette or any(component.is_alpha for component in format.components)


def hides_alpha(stream: VideoStream) -> bool:
    """Whether the stream has transparency that its decoder does not show: VP8 and VP9 keep it beside the picture."""
    return {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"


def is_opaque(frame: VideoFrame) -> bool:
    """Whether no sample of the frame is transparent."""
    if not has_alpha(frame.format):
        return True
    if frame.format.has_palette:
        frame = frame.reformat(format="rgba", threads=ALONE)
    components = frame.format.components
    depth = max(component.bits for component in components)
    if depth > 16:  # floats
        return False
    plane = next(component.plane for component in components if component.is_alpha)
    packed = sum(component.plane == plane for component in components)
    # libswscale does not keep alpha exactly, so its samples are looked at where they lie
    dtype = np.dtype(f"u{1 if depth == 8 else 2}").newbyteorder(">" if frame.format.name.endswith("be") else "<")
    lines = np.frombuffer(memoryview(frame.planes[plane]), dtype).reshape(frame.height, -1)
    samples = lines[:, : frame.width * packed].reshape(frame.height, frame.width, packed)
    alpha = samples[..., 0 if frame.format.name.startswith("a") else -1]
    return bool(alpha.min() >= (1 << depth) - 1)
