"""Image files: read one as a frame of planes, and write planes to one."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidsr.color import rgb_to_ycbcr, to_rgb
from vidsr.errors import InputError, OutputError
from vidsr.frames import Chroma, ColorInfo, FrameBatch, Origin, VideoInfo
from vidsr.options.choices import Alpha
from vidsr.options.source import MAX_PIXELS
from vidsr.runtime.output_file import write_file
from vidsr.video.declared_sizes import check_image

# The protocol of the papers: limited-range BT.601 luma of sRGB images
RGB_COLOR = ColorInfo(matrix="smpte170m", primaries="bt709", transfer="iec61966-2-1", range="limited")
GRAY_COLOR = ColorInfo(primaries="bt709", transfer="iec61966-2-1", range="full")
JPEG_START = b"\xff\xd8\xff"
QUALITY_FLAGS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 95],
}
DEPTHS = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}
EIGHT_BIT_ONLY = (".jpg", ".jpeg", ".webp", ".bmp")

Pixels = npt.NDArray[np.unsignedinteger[Any]]  # uint8 or uint16


def read_image(path: Path, alpha: Alpha = "refuse", max_pixels: int = MAX_PIXELS) -> tuple[FrameBatch, VideoInfo]:
    """Read an image as one frame at time 0, and return it with its properties.

    RGB becomes 4:4:4 planes of float32 code values that are not rounded, so nothing is lost. Grey becomes luma
    unchanged. The Exif orientation of a JPEG is applied. Alpha is left out.

    Raises:
        InputError: see `read_still`.
    """
    pixels, plane = read_still(path, alpha, max_pixels)
    return frame_of(pixels), image_info(path, pixels, plane is not None)


def image_info(path: Path, pixels: Pixels, alpha: bool = False) -> VideoInfo:
    """Return the properties of the image that ``pixels`` of ``path`` form; ``alpha``: whether it is transparent."""
    height, width = pixels.shape[:2]
    chroma: Chroma = "gray" if pixels.ndim == 2 else "444"
    color = GRAY_COLOR if pixels.ndim == 2 else RGB_COLOR
    depth, codec = DEPTHS[pixels.dtype], path.suffix[1:]
    return VideoInfo(width, height, None, chroma, depth, color, frames=1, codec=codec, alpha=alpha)


def frame_of(pixels: Pixels) -> FrameBatch:
    """Return grey (H x W) or BGR (H x W x 3) pixels as one frame, see `read_image`."""
    depth = DEPTHS[pixels.dtype]
    uv: torch.Tensor | None = None
    if pixels.ndim == 2:
        y = torch.from_numpy(pixels.astype(np.float32))[None, None]
    else:
        peak = (1 << depth) - 1
        rgb = torch.from_numpy(pixels[..., 2::-1].astype(np.float32)).permute(2, 0, 1)[None] / peak
        y, uv = rgb_to_ycbcr(rgb, RGB_COLOR, depth)
    return FrameBatch(y, uv, (Fraction(0),), (Origin(0),))


def write_image(path: Path, frame: FrameBatch, info: VideoInfo, overwrite: bool = False) -> None:
    """Write a batch of one frame to an image file, completely or not at all.

    The planes are those of ``info``, float or integer code values.

    Depths above 8 bits are written as 16 bits where the format supports it, else as 8. The display matrix is applied.
    The quality of JPEG and WebP is 95.

    Raises:
        OutputError: OpenCV cannot write the format of the suffix, or the file cannot be written.
    """
    write_file(path, encode_image(path, frame, info), overwrite)


def encode_image(path: Path, frame: FrameBatch, info: VideoInfo) -> memoryview:
    """Return the contents of the image file ``path``, as `write_image` writes it."""
    return encode_pixels(path, pixels_of(path, frame, info))


def pixels_of(path: Path, frame: FrameBatch, info: VideoInfo) -> Pixels:
    """Return the grey (H x W) or BGR (H x W x 3) pixels of a frame, as the format of ``path`` stores them."""
    peak = 255 if info.depth == 8 or path.suffix.lower() in EIGHT_BIT_ONLY else 65535
    planes = to_rgb(frame, info)[0, : 1 if frame.uv is None else 3]
    rounded: Pixels = (planes * peak).round_().clamp_(0, peak).cpu().numpy().astype(f"u{peak.bit_length() // 8}")
    rounded = upright(rounded, info.display_matrix)
    return np.ascontiguousarray(rounded[0] if frame.uv is None else rounded[::-1].transpose(1, 2, 0))


def upright(planes: Pixels, matrix: tuple[int, ...] | None) -> Pixels:
    """Apply a display matrix of quarter turns and mirrors to ``planes``.

    Planes are C x H x W. Any other matrix is ignored.
    """
    if matrix is None:
        return planes
    a, b, _, c, d = matrix[:5]  # moves the point (x, y) to (a x + c y, b x + d y)
    if a == d == 0:
        planes = planes.transpose(0, 2, 1)
        across, down = c, b
    elif b == c == 0:
        across, down = a, d
    else:
        return planes
    return planes[:, :: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def read_still(path: Path, alpha: Alpha = "refuse", max_pixels: int = MAX_PIXELS) -> tuple[Pixels, Pixels | None]:
    """Return grey (H x W) or BGR (H x W x 3) pixels of 8 or 16 bits, and their alpha (H x W) in the same type.

    It is None of an opaque image, and if ``alpha`` is drop.

    Raises:
        InputError: the file is not an image of 8 or 16 bits, it has more than ``max_pixels``, or it is transparent and
            ``alpha`` is refuse.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path") from None
    check_image(path, data.data, max_pixels)
    # IMREAD_UNCHANGED keeps alpha and grey but ignores the orientation, which cameras write, and they write JPEG
    flags = cv2.IMREAD_UNCHANGED
    if data[:3].tobytes() == JPEG_START:
        flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    pixels: Pixels | None = None
    with suppress(cv2.error):
        pixels = cv2.imdecode(data, flags) if data.size else None  # type: ignore[assignment]  # checked below
    if pixels is None or pixels.dtype not in DEPTHS:
        raise InputError(f"{path} is not an image of 8 or 16 bits: name a PNG, JPEG, WebP, BMP or TIFF file")
    if pixels.ndim == 2:
        return pixels, None
    plane = pixels[..., -1] if alpha != "drop" and pixels.shape[2] in (2, 4) else None
    if plane is not None and (plane == np.iinfo(plane.dtype).max).all():
        plane = None
    if plane is not None and alpha == "refuse":
        raise InputError(f"{path} is partly transparent: --alpha auto or drop allows it")
    return pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., 0], plane


def with_alpha(pixels: Pixels, plane: Pixels) -> Pixels:
    """Return grey or BGR ``pixels`` as BGRA, with the alpha ``plane`` in their depth."""
    if plane.dtype != pixels.dtype:
        plane = np.rint(plane / 257).astype(np.uint8)  # of 16 bits, in a format of 8
    bgr = pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=2)
    return np.concatenate([bgr, plane[..., None]], axis=2)


def encode_pixels(path: Path, pixels: Pixels) -> memoryview:
    """Return the contents of the image file ``path`` for grey, BGR or BGRA ``pixels``.

    Raises:
        OutputError: OpenCV cannot write the format of the suffix.
    """
    suffix = path.suffix.lower()
    try:
        done, data = cv2.imencode(suffix, pixels, QUALITY_FLAGS.get(suffix, []))
    except cv2.error:
        done = False
    if not done:
        raise OutputError(f"{path} names no image format that can be written: end the name in .png")
    return data.data
