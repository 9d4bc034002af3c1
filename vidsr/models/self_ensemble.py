"""The eight poses of a picture, and a network's answer in all of them averaged: the ``+`` behind a network's name.

What a network says of a mirrored picture is not quite the mirrored of what it says; the mean is nearer to the truth
than either. Timofte, Rothe, Van Gool, "Seven ways to improve example-based single image super resolution", CVPR 2016;
marked by a + in the papers since EDSR (Lim et al., 2017), whose "geometric self-ensemble" it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vidsr.errors import ModelError
from vidsr.models.equivariant.symmetries import POSES
from vidsr.models.layers import LumaNetwork, RestorationNetwork

MARK = "+"  # behind a name: in all poses
SAME = 1e-4  # of full range: answers that differ by less in two poses are one


def turned(planes: Tensor, pose: int) -> Tensor:
    """``planes`` (... x H x W) in one of their eight poses: mirrored from the fourth on, then turned by quarters."""
    return torch.rot90(planes.flip(-1) if pose >= POSES // 2 else planes, pose % 4, (-2, -1))


def turned_back(planes: Tensor, pose: int) -> Tensor:
    """What `turned` made into ``planes`` in that pose."""
    upright = torch.rot90(planes, -(pose % 4), (-2, -1))
    return upright.flip(-1) if pose >= POSES // 2 else upright


def mean_of_poses(network: Callable[[Tensor], Tensor], picture: Tensor) -> Tensor:
    """The mean of what ``network`` makes of ``picture`` (... x H x W) in its eight poses, turned back."""
    total = network(picture)
    for pose in range(1, POSES):
        total = total + turned_back(network(turned(picture, pose)), pose)
    return total / POSES


@torch.inference_mode()
def minds_the_pose(network: LumaNetwork) -> bool:
    """Whether what ``network``, in float32, says of a turned picture is not just the turned of what it says of it."""
    device = next(network.parameters()).device
    picture = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(device)
    said = network(picture)
    turn_and_mirror = (turned_back(network(turned(picture, pose)), pose) for pose in (1, POSES // 2))
    return any(not torch.allclose(other, said, rtol=0, atol=SAME) for other in turn_and_mirror)


class InPoses(LumaNetwork):
    """``network``, which enlarges, in all eight poses: eight times the work, and as many parameters.

    Raises:
        ModelError: it restores instead, perhaps by what it sees of the whole picture, which has one pose.
    """

    def __init__(self, network: LumaNetwork) -> None:
        super().__init__()
        if isinstance(network, RestorationNetwork):
            raise ModelError(
                f"{MARK} behind the name of a network means all eight poses, and is for those that enlarge"
            )
        self.network = network
        self.scale, self.halo, self.alignment = network.scale, network.halo, network.alignment
        self.anchored, self.edge = network.anchored, network.edge
        self.shuffles_last = network.shuffles_last

    def interior(self, x: Tensor) -> Tensor:
        """The upscale of ``x`` without its outermost ``halo`` pixels."""
        return mean_of_poses(self.network.interior, x)
