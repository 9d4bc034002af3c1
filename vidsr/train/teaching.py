"""Training towards what better networks say, beside the truth.

Of a pixel's truth a part can not be told from the smaller picture, and to a network in training that part is noise. The
answer of a better network has none of it. Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015;
here the teachers answer in all eight poses, so that a network can be its own pupil.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from vidsr.errors import OptionError
from vidsr.models import store
from vidsr.models.layers import LumaNetwork
from vidsr.models.model import codes
from vidsr.models.poses import InPoses, minds_the_pose
from vidsr.train.data import Pair
from vidsr.train.recipe import Recipe


def load_teachers(recipe: Recipe, device: torch.device) -> list[LumaNetwork]:
    """The networks that ``recipe`` names as teachers, in all poses, if they mind.

    Raises:
        OptionError: one enlarges by another factor.
    """
    teachers = []
    for name in recipe.teachers:
        network, _ = store.read(Path(name))
        if network.scale != recipe.scale:
            raise OptionError(f"recipe {recipe.name}: {name} enlarges by {network.scale}, not by {recipe.scale}")
        network = InPoses(network) if minds_the_pose(network) else network
        teachers.append(network.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]
    return teachers


@torch.inference_mode()
def taught(pair: Pair, teachers: Sequence[LumaNetwork], trust: float) -> Pair:
    """``pair`` with an HR that is for a share of ``trust`` what the ``teachers`` make of its LR."""
    y = pair.lr[None, None].float() / 255
    said = torch.stack([teacher(y) for teacher in teachers]).mean(0)[0, 0] * 255
    return Pair(pair.lr, codes(torch.lerp(pair.hr.float(), said, trust)))
