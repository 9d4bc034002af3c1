"""Training towards what better networks say, beside the truth.

Of a pixel's truth a part can not be told from the smaller picture, and to a network in training that part is noise. The
answer of a better network has none of it. Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015;
here the teachers answer in all eight poses, so that a network can be its own pupil.

They are asked once, before the first step, and what there is to learn is kept as a shard beside the checkpoint: of a
thousand pictures the answers take minutes, and a resumed run has them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from vidsr.errors import InputError, OptionError
from vidsr.models import weights as store
from vidsr.models.equivariant import is_equivariant
from vidsr.models.fused import fused
from vidsr.models.layers import LumaNetwork
from vidsr.models.model import codes
from vidsr.models.self_ensemble import SelfEnsemble
from vidsr.train.data.patches import Pair
from vidsr.train.data.shards import read_metadata, write_pairs
from vidsr.train.recipe import Recipe
from vidsr.train.tasks.upscale import load_pairs


def with_lessons(recipe: Recipe, path: Path, device: torch.device, done: Callable[[int, int], None]) -> Recipe:
    """``recipe`` with the shard ``path`` for its data: what its teachers make of them, asked unless it is there.

    ``done`` is told how many pictures they have answered, of how many. Without teachers: the recipe as it is.
    """
    if not recipe.teachers:
        return recipe
    teachers, sources = load_teachers(recipe, device), fingerprint(recipe)
    if not (path.exists() and read_metadata(path).get("lessons") == sources):
        pairs, validation = load_pairs(recipe, torch.device("cpu"))
        lessons = []
        for pair in pairs:
            lessons.append(taught(pair, teachers, recipe.teacher_weight, device))
            done(len(lessons), len(pairs))
        write_pairs(lessons, validation, path, recipe.scale, {"lessons": sources})
    return replace(recipe, data=(str(path),))


def fingerprint(recipe: Recipe) -> str:
    """Of all that decides what there is to learn.

    Raises:
        InputError: a shard or a teacher's weights can not be read.
    """
    digest = hashlib.sha256(f"x{recipe.scale} {recipe.teacher_weight}".encode())
    for name in (*recipe.data, *recipe.teachers):
        try:
            with Path(name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"recipe {recipe.name}: {name} can not be read: {error.strerror}") from None
    return digest.hexdigest()


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
        once = is_equivariant(network)
        network = fused(network.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]
        teachers.append(network if once else SelfEnsemble(network))
    return teachers


@torch.inference_mode()
def taught(pair: Pair, teachers: Sequence[LumaNetwork], trust: float, device: torch.device) -> Pair:
    """``pair`` with an HR that is for a share of ``trust`` what the ``teachers``, on ``device``, make of its LR."""
    y = pair.lr[None, None].to(device).float() / 255
    said = torch.stack([teacher(y) for teacher in teachers]).mean(0)[0, 0].cpu() * 255
    return Pair(pair.lr, codes(torch.lerp(pair.hr.float(), said, trust)))
