"""Sizes that a file declares, compared with the file before a decoder allocates memory for them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from av.container import InputContainer
from av.video.format import VideoFormat
from av.video.stream import VideoStream

from vidsr.errors import InputError

PNG_START, CHUNK = b"\x89PNG\r\n\x1a\n", struct.Struct(">I4s")
CHUNK_OVERHEAD = 12  # bytes of a PNG chunk around its data: length, name and checksum
PNG_HEADER = struct.Struct(">16xIIBB")  # width, height, bits of a sample, colour type
PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples of a pixel
DEFLATE_RATIO = 1032  # bytes that one byte of zlib data expands to at most, from zlib's documentation
BMP_HEADER = struct.Struct("<2s16xiiHHI")  # name, width, height, planes, bits of a pixel, compression
BMP_UNCOMPRESSED, BMP_RUN_LENGTHS = (0, 3), (1, 2)  # plain pixels, pixels with bit masks; runs of 8 and of 4 bits
PIXELS_PER_RUN_BYTE = 128  # a run of two bytes holds 255 pixels
TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
TIFF_WIDTH, TIFF_HEIGHT = 256, 257  # TIFF tags
STRIP_BYTES, TILE_BYTES = 279, 325  # TIFF tags: sizes of the pieces of the image
TIFF_INTEGERS = {3: "H", 4: "I"}
JPEG_START = b"\xff\xd8"
JPEG_NO_SIZE = (0xC4, 0xC8, 0xCC)  # markers between those of frame headers, 0xC0 to 0xCF
JPEG_SIZE = struct.Struct(">HH")  # height, width
RAW_FORMATS = ("yuv4mpegpipe", "rawvideo")  # FFmpeg's formats of files that hold plain frames

Size = tuple[int, int]  # width, height


def check_image(path: Path, data: memoryview, max_pixels: int) -> None:
    """Refuse an image file whose header declares more than the file holds, or more than ``max_pixels``.

    Raises:
        InputError: it does.
    """
    if max(_declared(data), default=0) > len(data):
        raise InputError(f"{path} declares more data than it holds: it is damaged, get it again")
    if (size := image_size(data)) is not None:
        _check_pixels(path, size, max_pixels)


def check_clip(path: Path, container: InputContainer, stream: VideoStream, max_pixels: int) -> None:
    """Refuse a clip whose header declares frames larger than the file (of plain frames), or than ``max_pixels``.

    Raises:
        InputError: it does.
    """
    _check_pixels(path, (stream.width, stream.height), max_pixels)
    if container.format.name in RAW_FORMATS and stream.pix_fmt and path.is_file():
        frame = VideoFormat(stream.pix_fmt).bits_per_pixel * stream.width * stream.height // 8
        if frame > path.stat().st_size:
            raise InputError(
                f"{path} declares frames of {frame} bytes and holds less than one: it is truncated, get it again"
            )


def image_size(data: memoryview) -> Size | None:
    """Return width and height from the header of a PNG, BMP, TIFF, JPEG or WebP file; None without one."""
    start = bytes(data[:16])
    if start.startswith(PNG_START) and len(data) >= PNG_HEADER.size:
        width, height, _, _ = PNG_HEADER.unpack_from(data)
        return width, height
    if start.startswith(b"BM") and len(data) >= BMP_HEADER.size:
        _, width, height, *_ = BMP_HEADER.unpack_from(data)
        return abs(width), abs(height)
    if start.startswith(JPEG_START):
        return _jpeg_size(data)
    if start[8:12] == b"WEBP" and len(data) >= 30:
        return _webp_size(data)
    order = TIFF_ORDERS.get(start[:4])
    return None if order is None else _tiff_size(data, order)


def _check_pixels(path: Path, size: Size, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise InputError(
            f"{path} is {width}x{height}, more than {max_pixels / 1e6:g} million pixels: --max-pixels raises the limit"
        )


def _declared(data: memoryview) -> Iterator[int]:
    """Yield sizes in bytes that none of the file's parts can exceed."""
    start = bytes(data[: len(PNG_START)])
    if start == PNG_START:
        return _png_chunks(data)
    if start.startswith(b"BM"):
        return _bmp_pixels(data)
    order = TIFF_ORDERS.get(start[:4])
    return iter(()) if order is None else _tiff_pieces(data, order)


def _png_chunks(data: memoryview) -> Iterator[int]:
    """Yield the length of each chunk, and the least length of all image data."""
    if len(data) >= PNG_HEADER.size:
        width, height, bits, kind = PNG_HEADER.unpack_from(data)
        yield (width * bits * PNG_SAMPLES.get(kind, 1) + 7) // 8 * height // DEFLATE_RATIO
    at = len(PNG_START)
    while at + CHUNK.size <= len(data):
        length, name = CHUNK.unpack_from(data, at)
        yield length
        if name == b"IEND":
            return
        at += length + CHUNK_OVERHEAD


def _bmp_pixels(data: memoryview) -> Iterator[int]:
    if len(data) < BMP_HEADER.size:
        return
    _, width, height, _, bits, compression = BMP_HEADER.unpack_from(data)
    if compression in BMP_UNCOMPRESSED:
        yield (abs(width) * bits + 31) // 32 * 4 * abs(height)
    if compression in BMP_RUN_LENGTHS:
        yield abs(width) * abs(height) // PIXELS_PER_RUN_BYTE


def _tiff_entries(data: memoryview, order: str) -> Iterator[tuple[int, int, Iterator[int]]]:
    """Yield tag, size in bytes and values of each entry of integers of the first image."""
    (at,) = struct.unpack_from(f"{order}I", data, 4) if len(data) >= 8 else (len(data),)
    if at + 2 > len(data):
        return
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    for entry in range(at + 2, min(at + 2 + 12 * entries, len(data) - 11), 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, entry)
        if kind not in TIFF_INTEGERS:
            continue
        value = struct.Struct(f"{order}{TIFF_INTEGERS[kind]}")
        size = count * value.size
        (place,) = (entry + 8,) if size <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)
        places = range(place, len(data) - 3, value.size)[:count]
        yield tag, size, (value.unpack_from(data, one)[0] for one in places)


def _tiff_pieces(data: memoryview, order: str) -> Iterator[int]:
    """Yield the sizes of the strips or tiles of the first image."""
    for tag, size, values in _tiff_entries(data, order):
        if tag in (STRIP_BYTES, TILE_BYTES):
            yield size
            yield from values


def _tiff_size(data: memoryview, order: str) -> Size | None:
    found = {tag: next(values, 0) for tag, _, values in _tiff_entries(data, order) if tag in (TIFF_WIDTH, TIFF_HEIGHT)}
    return (found[TIFF_WIDTH], found[TIFF_HEIGHT]) if len(found) == 2 else None


def _jpeg_size(data: memoryview) -> Size | None:
    at = len(JPEG_START)
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in JPEG_NO_SIZE:
            height, width = JPEG_SIZE.unpack_from(data, at + 5)
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _webp_size(data: memoryview) -> Size | None:
    """Return the size of the canvas, or of the only image."""
    kind = bytes(data[12:16])
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None
