"""The deconvolution alone, with nothing behind it: what other networks' training starts from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from vidsr.models.architectures.blind_deconvolution import REACH, Deconvolution
from vidsr.models.layers import SurveyingNetwork


@dataclass(frozen=True)
class Config:
    """Nothing to choose."""

    scale: int = 1


class Deconvolved(SurveyingNetwork):
    """Looks, and undoes the blur that it sees."""

    anchored = False
    edge = "reflect"
    halo = REACH

    def __init__(self, config: Config) -> None:
        super().__init__(config.scale)
        self.look = Deconvolution()

    def survey(self, x: Tensor) -> Tensor:
        """The inverse filters for pictures ``x``."""
        return self.look.survey(x)

    def informed(self, x: Tensor, whole: Tensor | None) -> Tensor:
        """The restoration of ``x`` without its border, with the survey of the picture that ``x`` is a part of."""
        assert whole is not None
        both: Tensor = self.look(x, whole)
        return both[:, :1]
