"""Small whole files of every kind that vidsr reads."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np

from tests.clips import make_clip, make_frame

SIZE = (112, 96)


def whole_files(folder: Path) -> list[Path]:
    """Write a file of each kind to ``folder`` and return them."""
    return [
        make_clip(folder / "a.mp4", frames=16, audio=1, gop=6, subtitles="mov_text", chapters=True, cover=True),
        make_clip(folder / "b.mkv", frames=16, audio=2, gop=6, subtitles="ass", font=b"font" * 9, chapters=True),
        make_clip(folder / "c.ts", frames=16, audio=1, gop=6),
        make_clip(folder / "d.avi", frames=12, codec="mpeg4", audio=1),
        make_clip(folder / "e.webm", frames=12, codec="libvpx-vp9", audio=1),
        make_clip(folder / "f.mov", frames=8, codec="prores_ks", pix_fmt="yuv422p10le"),
        _encoded(folder / "g.flv", "flv", "flv1"),
        _encoded(folder / "h.ogv", "ogg", "libvpx"),
        _encoded(folder / "i.mpg", "mpeg", "mpeg2video", options={"flags": "+ilme+ildct"}),
        _encoded(folder / "j.dv", "dv", "dvvideo", frames=2, size=(720, 576)),
        _encoded(folder / "k.gif", "gif", "gif", pix_fmt="rgb8"),
        make_clip(folder / "l.mp4", frames=12, codec="libx265"),
        make_clip(folder / "m.nut", frames=6, codec="ffv1", pix_fmt="yuv444p10le"),
        _y4m(folder / "n.y4m"),
        *(_image(folder / f"o{suffix}") for suffix in (".png", ".jpg", ".webp", ".tiff", ".bmp")),
    ]


def _encoded(path: Path, container: str, codec: str, frames: int = 10, size: tuple[int, int] = SIZE,
             pix_fmt: str = "yuv420p", options: dict[str, str] | None = None) -> Path:  # fmt: skip
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.options = options or {}
        for number in range(frames):
            frame = make_frame(number, size, pix_fmt)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _y4m(path: Path) -> Path:
    width, height = SIZE
    frames = (np.random.default_rng(number).bytes(width * height * 3 // 2) for number in range(4))
    path.write_bytes(
        f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode()
        + b"".join(b"FRAME\n" + data for data in frames)
    )
    return path


def _image(path: Path) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (*SIZE[::-1], 3), np.uint8))
    return path
