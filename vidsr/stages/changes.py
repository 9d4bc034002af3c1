"""How much a stage changed of each frame, for the per-frame log."""

from __future__ import annotations

from torch import Tensor

from vidsr.frames import FrameBatch
from vidsr.metrics import psnr_from_mse


class Changes:
    """PSNR in dB of the luma after a stage against that before it, by source frame; kept where somebody logs it."""

    def __init__(self, stage: str, peak: int) -> None:
        self.column = f"psnr_y_{stage}"  # of the log
        self.logged = False
        self._peak = peak
        self._known: dict[int, float] = {}

    def note(self, before: FrameBatch, y: Tensor) -> None:
        """The stage made luma ``y`` (float32) of the frames ``before``."""
        if self.logged:
            errors = (y - before.y.float()).square().mean((1, 2, 3)).tolist()
            for origin, error in zip(before.origins, errors, strict=True):
                self._known[origin.index] = psnr_from_mse(error, self._peak)

    def take(self, index: int) -> float:
        """Of source frame ``index``; those before it are forgotten."""
        for old in [known for known in self._known if known < index]:
            del self._known[old]
        return self._known[index]
