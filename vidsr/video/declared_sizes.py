"""Sizes that an image file declares, compared with the file before a decoder allocates memory for them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

PNG_START, CHUNK = b"\x89PNG\r\n\x1a\n", struct.Struct(">I4s")
CHUNK_OVERHEAD = 12  # bytes of a PNG chunk around its data: length, name and checksum
BMP_HEADER = struct.Struct("<2s16xiiHHI")  # name, width, height, planes, bits of a pixel, compression
BMP_UNCOMPRESSED = (0, 3)  # plain pixels; pixels with bit masks
TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
STRIP_BYTES, TILE_BYTES = 279, 325  # TIFF tags: sizes of the pieces of the image
TIFF_INTEGERS = {3: "H", 4: "I"}


def declares_more_than_it_holds(data: memoryview) -> bool:
    """Whether a PNG, BMP or TIFF file declares a piece that is larger than the whole file."""
    return max(_declared(data), default=0) > len(data)


def _declared(data: memoryview) -> Iterator[int]:
    start = bytes(data[: len(PNG_START)])
    if start == PNG_START:
        return _png_chunks(data)
    if start.startswith(b"BM"):
        return _bmp_pixels(data)
    order = TIFF_ORDERS.get(start[:4])
    return iter(()) if order is None else _tiff_pieces(data, order)


def _png_chunks(data: memoryview) -> Iterator[int]:
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


def _tiff_pieces(data: memoryview, order: str) -> Iterator[int]:
    """Yield the sizes of the strips or tiles of the first image."""
    (at,) = struct.unpack_from(f"{order}I", data, 4) if len(data) >= 8 else (len(data),)
    if at + 2 > len(data):
        return
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    for entry in range(at + 2, min(at + 2 + 12 * entries, len(data) - 11), 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, entry)
        if tag not in (STRIP_BYTES, TILE_BYTES) or kind not in TIFF_INTEGERS:
            continue
        values = struct.Struct(f"{order}{TIFF_INTEGERS[kind]}")
        yield count * values.size
        (place,) = (entry + 8,) if count * values.size <= 4 else struct.unpack_from(f"{order}I", data, entry + 8)
        yield from (values.unpack_from(data, at)[0] for at in range(place, len(data) - 3, values.size)[:count])
