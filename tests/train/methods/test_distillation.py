"""Distillation: soft targets from teachers, made once and kept."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.models.test_model import write_weights
from vidsr.errors import InputError, OptionError
from vidsr.models import weight_files
from vidsr.models.architectures.plain import Plain
from vidsr.models.self_ensemble import SelfEnsemble, ensemble_mean
from vidsr.train.data.patches import make_pair
from vidsr.train.data.shards import read_pairs, write_pairs
from vidsr.train.methods.distillation import load_teachers, soft_target, with_soft_targets
from vidsr.train.methods.equivariance import tie
from vidsr.train.recipe import Recipe

RECIPE = Recipe("student", "plain", scale=2)
CPU = torch.device("cpu")


def test_soft_targets_lie_between_the_truth_and_the_mean_of_the_teachers(tmp_path: Path) -> None:
    first = write_weights(tmp_path, "first")
    network, metadata = weight_files.read(first)
    for parameter in network.parameters():
        parameter.mul_(0.5)
    second = tmp_path / "second-clean-x2.safetensors"
    weight_files.write(second, network, metadata)
    teachers = load_teachers(replace(RECIPE, teachers=(str(first), str(second))), CPU)
    pair = make_pair(torch.randint(16, 236, (40, 52), dtype=torch.uint8), 2)
    y = pair.lr[None, None].float() / 255
    output = (ensemble_mean(teachers[0], y) + ensemble_mean(teachers[1], y))[0, 0] / 2 * 255
    for weight in (0.0, 0.25, 1.0):
        result = soft_target(pair, teachers, weight, CPU)
        expected = ((1 - weight) * pair.hr.float() + weight * output).clamp(0, 255)
        assert torch.equal(result.lr, pair.lr)
        assert (result.hr.float() - expected).abs().max() <= 0.501
    assert not torch.equal(soft_target(pair, teachers, 1.0, CPU).hr, pair.hr)


def test_an_equivariant_teacher_runs_without_self_ensemble(tmp_path: Path) -> None:
    path = write_weights(tmp_path)
    recipe = replace(RECIPE, teachers=(str(path),))
    assert isinstance(load_teachers(recipe, CPU)[0], SelfEnsemble)
    network, metadata = weight_files.read(path)
    tie(network)
    weight_files.write(path, network, metadata)
    assert isinstance(load_teachers(recipe, CPU)[0], Plain)


def test_a_teacher_of_another_scale_is_refused(tmp_path: Path) -> None:
    path = write_weights(tmp_path, scale=3)
    with pytest.raises(OptionError, match="has scale 3, not 2"):
        load_teachers(replace(RECIPE, teachers=(str(path),)), CPU)


def test_teachers_run_once(tmp_path: Path) -> None:
    recipe, path = recipe_with_teacher(tmp_path), tmp_path / "run" / "soft_targets.safetensors"
    calls: list[tuple[int, int]] = []
    settings = with_soft_targets(recipe, path, CPU, lambda *count: calls.append(count))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert settings == replace(recipe, data=(str(path),))
    made = [pair.hr for pair in read_pairs(path, "train", 2)]
    truths = [pair.hr for pair in read_pairs(Path(recipe.data[0]), "train", 2)]
    assert [hr.shape for hr in made] == [hr.shape for hr in truths]
    assert not any(torch.equal(hr, truth) for hr, truth in zip(made, truths, strict=True))
    (kept,) = read_pairs(path, "validation", 2)  # validation uses the truth alone
    (truth,) = read_pairs(Path(recipe.data[0]), "validation", 2)
    assert torch.equal(kept.hr, truth.hr) and torch.equal(kept.lr, truth.lr)
    assert with_soft_targets(recipe, path, CPU, lambda *count: calls.append(count)) == settings
    assert len(calls) == 3


@pytest.mark.parametrize("what", ["trust", "teacher", "data"])
def test_soft_targets_are_made_again_after_a_change(tmp_path: Path, what: str) -> None:
    recipe, path = recipe_with_teacher(tmp_path), tmp_path / "soft_targets.safetensors"
    with_soft_targets(recipe, path, CPU, lambda *_: None)
    if what == "trust":
        recipe = replace(recipe, teacher_weight=0.5)
    elif what == "teacher":
        network, metadata = weight_files.read(Path(recipe.teachers[0]))
        next(network.parameters()).mul_(0.5)
        weight_files.write(Path(recipe.teachers[0]), network, metadata)
    else:
        write_data(Path(recipe.data[0]), seed=1)
    calls: list[tuple[int, int]] = []
    with_soft_targets(recipe, path, CPU, lambda *count: calls.append(count))
    assert len(calls) == 3


def test_an_error_names_an_absent_shard(tmp_path: Path) -> None:
    recipe = replace(recipe_with_teacher(tmp_path), data=(str(tmp_path / "absent.safetensors"),))
    with pytest.raises(InputError, match=r"recipe student: .*absent\.safetensors cannot be read: No such file"):
        with_soft_targets(recipe, tmp_path / "soft_targets.safetensors", CPU, lambda *_: None)


def test_a_recipe_without_teachers_is_unchanged(tmp_path: Path) -> None:
    assert with_soft_targets(RECIPE, tmp_path / "soft_targets.safetensors", CPU, lambda *_: None) is RECIPE
    assert not list(tmp_path.iterdir())


def recipe_with_teacher(folder: Path) -> Recipe:
    write_data(folder / "data.safetensors", seed=0)
    return replace(RECIPE, data=(str(folder / "data.safetensors"),), teachers=(str(write_weights(folder)),))


def write_data(path: Path, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    sizes = ((40, 52), (48, 36), (44, 44), (40, 40))
    pairs = [make_pair(torch.randint(16, 236, size, generator=rng, dtype=torch.uint8), 2) for size in sizes]
    write_pairs(pairs[:3], pairs[3:], path, 2, overwrite=True)


def test_trust_is_a_share() -> None:
    with pytest.raises(OptionError, match=r"teacher_weight = 1\.5 must lie from 0 to 1"):
        replace(RECIPE, teacher_weight=1.5)
