"""Distillation: train towards soft targets made by better networks.

A soft target is a weighted mean of the truth and the outputs of the better networks. Part of the truth of a pixel
cannot be inferred from the LR image, and is noise to a network in training. The output of a better network, the
teacher, has none of that noise. Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015. Here each
teacher runs as a self-ensemble, so a network can also be its own teacher.

The teachers run once, before the first step, and the soft targets are kept as a shard next to the checkpoint. For a
thousand images they take minutes, and a resumed run reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from vidsr.errors import InputError, OptionError
from vidsr.models import weight_files
from vidsr.models.equivariant import is_equivariant
from vidsr.models.fused import fuse_layers
from vidsr.models.layers import LumaNetwork
from vidsr.models.model import codes
from vidsr.models.self_ensemble import SelfEnsemble
from vidsr.train.data.patches import Pair
from vidsr.train.data.shards import read_metadata, write_pairs
from vidsr.train.recipe import Recipe
from vidsr.train.tasks.upscale import load_pairs

SOURCES = "soft_targets"  # metadata key of a shard: fingerprint of the data and teachers it was made of


def with_soft_targets(recipe: Recipe, path: Path, device: torch.device, done: Callable[[int, int], None]) -> Recipe:
    """Return ``recipe`` with a shard of soft targets as its data.

    The shard ``path`` is written unless it is up to date. ``done`` is called with the number of images finished and
    their total. A recipe without teachers is returned as it is.
    """
    if not recipe.teachers:
        return recipe
    teachers, sources = load_teachers(recipe, device), fingerprint(recipe)
    if not (path.exists() and read_metadata(path).get(SOURCES) == sources):
        pairs, validation = load_pairs(recipe, torch.device("cpu"))
        targets = []
        for pair in pairs:
            targets.append(soft_target(pair, teachers, recipe.teacher_weight, device))
            done(len(targets), len(pairs))
        write_pairs(targets, validation, path, recipe.scale, {SOURCES: sources}, overwrite=True)
    return replace(recipe, data=(str(path),))


def fingerprint(recipe: Recipe) -> str:
    """Return a hash of everything that the soft targets depend on.

    Raises:
        InputError: a shard or the weights of a teacher cannot be read.
    """
    digest = hashlib.sha256(f"x{recipe.scale} {recipe.teacher_weight}".encode())
    for name in (*recipe.data, *recipe.teachers):
        try:
            with Path(name).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise InputError(f"recipe {recipe.name}: {name} cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def load_teachers(recipe: Recipe, device: torch.device) -> list[LumaNetwork]:
    """Return the teachers of ``recipe``, each as a self-ensemble unless it is equivariant.

    Raises:
        OptionError: a teacher has another scale.
    """
    teachers = []
    for name in recipe.teachers:
        network, _ = weight_files.read(Path(name))
        if network.scale != recipe.scale:
            raise OptionError(f"recipe {recipe.name}: teacher {name} has scale {network.scale}, not {recipe.scale}")
        equivariant = is_equivariant(network)
        fused = fuse_layers(network.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]
        assert isinstance(fused, LumaNetwork)  # a copy of the same class
        teachers.append(fused if equivariant else SelfEnsemble(fused))
    return teachers


@torch.inference_mode()
def soft_target(pair: Pair, teachers: Sequence[LumaNetwork], weight: float, device: torch.device) -> Pair:
    """Return ``pair`` with a soft target as its HR.

    It is the weighted mean of the truth and the mean output of the ``teachers``, which has ``weight``. The teachers run
    on ``device``.
    """
    y = pair.lr[None, None].to(device).float() / 255
    output = torch.stack([teacher(y) for teacher in teachers]).mean(0)[0, 0].cpu() * 255
    return Pair(pair.lr, codes(torch.lerp(pair.hr.float(), output, weight)))
