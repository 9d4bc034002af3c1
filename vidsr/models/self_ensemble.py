"""Self-ensemble: the mean of a network's outputs over the eight flips and rotations. ``+`` after a model's name.

A network that is not equivariant has different errors on each flipped or rotated image; their mean is smaller.
Timofte, Rothe, Van Gool, "Seven ways to improve example-based single image super resolution", CVPR 2016; marked by + in
the papers since EDSR (Lim et al., 2017), which calls it "geometric self-ensemble".
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from vidsr.errors import ModelError
from vidsr.models.equivariant import SYMMETRIES, apply_symmetry, undo_symmetry
from vidsr.models.layers import LumaNetwork, RestorationNetwork

MARK = "+"  # after the name of a model


def ensemble_mean(network: Callable[[Tensor], Tensor], planes: Tensor) -> Tensor:
    """Return the mean of ``network``'s outputs over the eight symmetries of ``planes`` (... x H x W), undone."""
    total = network(planes)
    for symmetry in range(1, SYMMETRIES):
        total = total + undo_symmetry(network(apply_symmetry(planes, symmetry)), symmetry)
    return total / SYMMETRIES


class SelfEnsemble(LumaNetwork):
    """The self-ensemble of an upscaling network: eight times the work, no more parameters.

    Raises:
        ModelError: the network restores. It may use global features, which belong to one orientation of the image.
    """

    def __init__(self, network: LumaNetwork) -> None:
        super().__init__()
        if isinstance(network, RestorationNetwork):
            raise ModelError(f"{MARK} after a model name means self-ensemble, which is for upscaling: leave it out")
        self.network = network
        self.scale, self.halo, self.alignment = network.scale, network.halo, network.alignment
        self.anchored, self.edge = network.anchored, network.edge
        self.shuffles_last, self.calibration = network.shuffles_last, dict(network.calibration)

    def interior(self, x: Tensor) -> Tensor:
        """Upscale ``x`` without its outermost ``halo`` pixels."""
        return ensemble_mean(self.network.interior, x)
