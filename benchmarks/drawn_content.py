"""Measure by what drawn frames differ from photographed ones: the shares of flat and of soft places.

    python benchmarks/drawn_content.py

For the middle frame of each clip in $VIDSR_DATA/clips, photos and drawings made of them (benchmarks/chroma.py): the
share of the frame that is flat, the share of the remainder with soft edges, and whether it counts as drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
from chroma import DATA, drawings, photos
from numpy.typing import NDArray

from vidsr.flow.drawn_content import FLAT, STEEP, is_drawn
from vidsr.flow.search import search_luma
from vidsr.video import VideoReader

IMAGES, MIDDLE = 20, 12


def frames() -> Iterator[tuple[str, NDArray[np.float32]]]:
    for path in sorted((DATA / "clips").iterdir()):
        with VideoReader(path, frames=MIDDLE) as reader:
            frame = list(reader.batches(1))[-1]
            yield f"clip {path.stem}", search_luma(frame.y[0, 0].numpy(), reader.info.depth)
    for kind, images in (("photo", photos()), ("drawing", drawings())):
        for name, image in islice(images, IMAGES):
            yield f"{kind} {name}", cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)


def main() -> None:
    if not DATA.is_dir():
        raise SystemExit(f"no data folder at {DATA}: name one with VIDSR_DATA")
    window = np.ones((3, 3), np.uint8)
    for name, luma in frames():
        contrast = cv2.dilate(luma, window) - cv2.erode(luma, window)
        uneven = contrast > FLAT
        soft = (uneven & (contrast < STEEP)).sum() / max(1, uneven.sum())
        print(f"{name[:48]:48s} flat {1 - uneven.mean():.2f}  soft {soft:.2f}  {'drawn' if is_drawn(luma) else ''}")


if __name__ == "__main__":
    main()
