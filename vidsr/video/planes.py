"""Copy planes between FFmpeg frames and arrays or tensors; detect transparency."""

from __future__ import annotations

from collections.abc import Sequence

import av
import numpy as np
import numpy.typing as npt
import torch
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from torch import Tensor

from vidsr.color import rgb_to_ycbcr
from vidsr.frames import ColorInfo, VideoInfo
from vidsr.video.formats import ENDIAN, PlanarFormat, pix_fmt

Array = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

# libswscale's threads split a frame into strips. It writes rows of p010le 66 pixels wide 8 samples too far, into the
# first row of the next strip. With several threads that row then holds whichever value came last.
ONE_THREAD = 1
FLOATS_FROM = 16  # bits of a sample; deeper ones are floats


def numpy_dtype(depth: int) -> type[np.uint8] | type[np.uint16]:
    """Return the integer type of code values of ``depth`` bits."""
    return np.uint8 if depth == 8 else np.uint16


def plane_view(frame: av.VideoFrame, index: int, depth: int) -> Array:
    """Return plane ``index`` as H x W code values.

    It is a view of FFmpeg's memory without the padding of its rows.
    """
    plane = frame.planes[index]
    dtype = np.dtype(numpy_dtype(depth))
    rows: Array = np.frombuffer(memoryview(plane), dtype)
    pitch = plane.line_size // dtype.itemsize
    return rows[: pitch * plane.height].reshape(plane.height, pitch)[:, : plane.width]


def empty_frame(info: VideoInfo) -> av.VideoFrame:
    """Return an uninitialised frame in the format and size of ``info``."""
    name = "yuva420p" if info.alpha else pix_fmt(info.chroma, info.depth)
    return av.VideoFrame(info.width, info.height, name)


def fill_plane(frame: av.VideoFrame, index: int, depth: int, plane: Array) -> None:
    """Copy ``plane`` to plane ``index``; a larger frame repeats its last column and row."""
    target = plane_view(frame, index, depth)
    if plane.dtype != target.dtype:
        raise TypeError(f"planes of {depth} bits are written as {target.dtype}, not {plane.dtype}")
    height, width = plane.shape
    target[:height, :width] = plane
    target[:height, width:] = plane[:, -1:]
    target[height:] = target[height - 1]


def stack_planes(
    frames: Sequence[VideoFrame], info: VideoInfo, format: PlanarFormat, exact_rgb: bool
) -> tuple[Tensor, Tensor | None]:
    """Copy N frames to luma and chroma planes.

    Luma is N x 1 x H x W, chroma N x 2 x h x w, or None for grey.

    The planes hold integers of ``info``. With ``exact_rgb``, RGB frames become float32 code values, not rounded.
    """
    width, height = info.chroma_size
    dtype = torch.float32 if format.is_rgb and exact_rgb else info.dtype
    y = torch.empty((len(frames), 1, info.height, info.width), dtype=dtype)
    uv = None if info.chroma == "gray" else torch.empty((len(frames), 2, height, width), dtype=dtype)
    for i, frame in enumerate(frames):
        copy_planes(y[i, 0], None if uv is None else uv[i], frame, format)
    return y, uv


def copy_planes(y: Tensor, uv: Tensor | None, frame: VideoFrame, format: PlanarFormat) -> None:
    """Convert ``frame`` to ``format`` and copy it to ``y`` and ``uv``.

    Luma ``y`` is H x W, chroma ``uv`` 2 x h x w, or None for grey.

    Y'CbCr computed from RGB is rounded where ``y`` and ``uv`` hold integers.
    """
    if format.is_rgb and uv is not None:
        luma, chroma = rgb_frame_to_ycbcr(frame, format)
        for target, values in ((y, luma[0, 0]), (uv, chroma[0])):
            target.copy_(values if target.is_floating_point() else values.round().clamp(0, (1 << format.depth) - 1))
        return
    for target, plane in zip((y, *(uv if uv is not None else ())), integer_planes(frame, format), strict=True):
        target.numpy()[:] = plane


def integer_planes(frame: VideoFrame, format: PlanarFormat) -> list[Array]:
    """Return the integer planes of a Y'CbCr or grey ``frame`` in ``format``.

    They are views of FFmpeg's memory.
    """
    if frame.format.name.replace("yuvj", "yuv").replace("yuva", "yuv") != format.pix_fmt:
        frame = frame.reformat(format=format.pix_fmt, threads=ONE_THREAD)
    return [plane_view(frame, index, format.depth) for index in range(1 if format.chroma == "gray" else 3)]


def rgb_frame_to_ycbcr(frame: VideoFrame, format: PlanarFormat) -> tuple[Tensor, Tensor]:
    """Convert an RGB frame to 4:4:4 planes.

    Luma is 1 x 1 x H x W, chroma 1 x 2 x H x W: float32 code values, not rounded.
    """
    deep = format.depth > 8
    # exact: libswscale only reorders samples, repeats the high bits to widen them, and looks up palettes
    packed = frame.reformat(format=f"rgb48{ENDIAN}" if deep else "rgb24", threads=ONE_THREAD).to_ndarray()
    rgb = torch.from_numpy(packed.astype(np.float32)).permute(2, 0, 1)[None] / (65535 if deep else 255)
    return rgb_to_ycbcr(rgb, ColorInfo(matrix=format.matrix, range=format.range), format.depth)


def has_alpha(format: VideoFormat) -> bool:
    """Whether frames of the format can be transparent."""
    return format.has_palette or any(component.is_alpha for component in format.components)


def hides_alpha(stream: VideoStream) -> bool:
    """Whether the stream has transparency that its decoder does not output.

    VP8 and VP9 store it separately.
    """
    return {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"


def is_opaque(frame: VideoFrame) -> bool:
    """Whether no sample of the frame is transparent. Frames with float alpha count as transparent."""
    if not has_alpha(frame.format):
        return True
    alpha, depth = _alpha_samples(frame)
    return bool(depth <= FLOATS_FROM and alpha.min() >= (1 << depth) - 1)


def alpha_plane(frame: VideoFrame) -> npt.NDArray[np.uint8]:
    """Return the alpha of a frame, H x W, 0 to 255: opaque where the format has none, or floats."""
    if has_alpha(frame.format):
        alpha, depth = _alpha_samples(frame)
        if depth <= FLOATS_FROM:
            plane: npt.NDArray[np.uint8] = np.rint(alpha * (255 / ((1 << depth) - 1))).astype(np.uint8)
            return plane
    return np.full((frame.height, frame.width), 255, np.uint8)


def _alpha_samples(frame: VideoFrame) -> tuple[Array, int]:
    """Return the alpha samples of a frame whose format has alpha, H x W, and their depth."""
    if frame.format.has_palette:
        frame = frame.reformat(format="rgba", threads=ONE_THREAD)
    components = frame.format.components
    depth = max(component.bits for component in components)
    if depth > FLOATS_FROM:
        return np.empty((0, 0), np.uint8), depth
    plane = next(component.plane for component in components if component.is_alpha)
    packed = sum(component.plane == plane for component in components)
    # read in place, because libswscale does not convert alpha exactly
    dtype = np.dtype(f"u{1 if depth == 8 else 2}").newbyteorder(">" if frame.format.name.endswith("be") else "<")
    rows = np.frombuffer(memoryview(frame.planes[plane]), dtype).reshape(frame.height, -1)
    samples = rows[:, : frame.width * packed].reshape(frame.height, frame.width, packed)
    return samples[..., 0 if frame.format.name.startswith("a") else -1], depth
