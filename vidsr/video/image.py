"""Still pictures in and out: a file as one frame of planes, and planes as a file."""

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
from vidsr.frames import ColorInfo, FrameBatch, Origin, VideoInfo
from vidsr.options.choices import Alpha
from vidsr.options.paths import partial_path

# The papers' protocol: BT.601 luma, limited. RGB files are sRGB.
RGB_COLOR = ColorInfo(matrix="smpte170m", primaries="bt709", transfer="iec61966-2-1", range="limited")
GRAY_COLOR = ColorInfo(primaries="bt709", transfer="iec61966-2-1", range="full")
JPEG_START = b"\xff\xd8\xff"
ANIMATED_WITHIN = 4096  # bytes of a file, in which it says so
QUALITY = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 95],
}
DEPTHS = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}
PEAKS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
EIGHT_BIT_ONLY = (".jpg", ".jpeg", ".webp", ".bmp")

Picture = npt.NDArray[np.unsignedinteger[Any]]  # uint8 or uint16


def read_image(path: Path, alpha: Alpha = "refuse") -> tuple[FrameBatch, VideoInfo]:
    """The picture as one frame at time 0, and its facts.

    An RGB file becomes 4:4:4 planes of float32 code values, not rounded, so that nothing is lost; a grey file is luma
    as it is. The orientation that a camera wrote beside the picture is applied. Opaque alpha is left out, and so is,
    with ``alpha`` drop, one that is in use.

    Raises:
        InputError: the file is no picture of 8 or 16 bits, or its alpha channel is in use.
    """
    picture = _decoded(path, alpha)
    height, width = picture.shape[:2]
    depth = DEPTHS[picture.dtype]
    if picture.ndim == 2:
        y, uv, color = torch.from_numpy(picture.astype(np.float32))[None, None], None, GRAY_COLOR
    else:
        peak = (1 << depth) - 1
        rgb = torch.from_numpy(picture[..., 2::-1].astype(np.float32)).permute(2, 0, 1)[None] / peak
        (y, uv), color = rgb_to_ycbcr(rgb, RGB_COLOR, depth), RGB_COLOR
    info = VideoInfo(
        width, height, None, "gray" if uv is None else "444", depth, color, frames=1, codec=path.suffix[1:]
    )
    return FrameBatch(y, uv, (Fraction(0),), (Origin(0),)), info


def is_animated(path: Path) -> bool:
    """Whether a PNG or WebP file holds more pictures than the first, which `read_image` gives."""
    with path.open("rb") as file:
        start = file.read(ANIMATED_WITHIN)
    return (start[1:4] == b"PNG" and b"acTL" in start) or (start[8:12] == b"WEBP" and b"ANIM" in start)


def write_image(path: Path, frame: FrameBatch, info: VideoInfo) -> None:
    """Writes the one frame of ``frame`` (planes of ``info``, float or integer code values) in the suffix's format.

    More than 8 bits are written as 16 where the format has them, else as 8. The picture is turned as its display
    matrix asks. The file appears complete or not at all. JPEG and WebP are written at quality 95.

    Raises:
        OutputError: the suffix names no format that OpenCV writes, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    peak = 255 if info.depth == 8 or suffix in EIGHT_BIT_ONLY else 65535
    planes = to_rgb(frame, info)[0, : 1 if frame.uv is None else 3]
    rounded: Picture = (planes * peak).round_().clamp_(0, peak).cpu().numpy().astype(f"u{peak.bit_length() // 8}")
    rounded = upright(rounded, info.display_matrix)
    picture = np.ascontiguousarray(rounded[0] if frame.uv is None else rounded[::-1].transpose(1, 2, 0))
    _write(path, _encoded(path, picture, QUALITY.get(suffix, [])))


def upright(planes: Picture, matrix: tuple[int, ...] | None) -> Picture:
    """``planes`` (C x H x W) as a display matrix of quarter turns and mirrors shows them.

    Any other matrix leaves them as they are.
    """
    if matrix is None:
        return planes
    a, b, _, c, d = matrix[:5]  # a point (x, y) is shown at (a x + c y, b x + d y)
    if a == d == 0:
        planes = planes.transpose(0, 2, 1)
        across, down = c, b
    elif b == c == 0:
        across, down = a, d
    else:
        return planes
    return planes[:, :: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def _decoded(path: Path, alpha: Alpha) -> Picture:
    """Grey (H x W) or BGR (H x W x 3) of a file."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path") from None
    # unchanged keeps alpha and grey but ignores the orientation, which only cameras write, and cameras write JPEG
    flags = cv2.IMREAD_UNCHANGED
    if data[:3].tobytes() == JPEG_START:
        flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    picture: Picture | None = None
    with suppress(cv2.error):
        picture = cv2.imdecode(data, flags) if data.size else None  # type: ignore[assignment]  # checked below
    if picture is None or picture.dtype not in DEPTHS:
        raise InputError(f"{path} is no picture of 8 or 16 bits: name a PNG, JPEG, WebP, BMP or TIFF file")
    if picture.ndim == 2:
        return picture
    if alpha == "refuse" and picture.shape[2] in (2, 4) and (picture[..., -1] < PEAKS[picture.dtype]).any():
        raise InputError(f"{path} has transparent parts, which would be lost: --alpha drop allows it")
    return picture[..., :3] if picture.shape[2] >= 3 else picture[..., 0]


def _encoded(path: Path, picture: Picture, parameters: list[int]) -> bytes:
    try:
        done, data = cv2.imencode(path.suffix.lower(), picture, parameters)
    except cv2.error:
        done = False
    if not done:
        raise OutputError(f"{path} has no picture format that is written: end the name in .png")
    return data.tobytes()


def _write(path: Path, data: bytes) -> None:
    part = partial_path(path)
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written ({error.strerror}): choose another --output") from None
