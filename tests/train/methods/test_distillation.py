"""Training towards what other networks say."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.models.test_model import write_weights
from vidsr.errors import InputError, OptionError
from vidsr.models import weights as store
from vidsr.models.architectures.plain import Plain
from vidsr.models.self_ensemble import SelfEnsemble, ensemble_mean
from vidsr.train.data.patches import make_pair
from vidsr.train.data.shards import read_pairs, write_pairs
from vidsr.train.methods.distillation import load_teachers, taught, with_lessons
from vidsr.train.methods.equivariance import tie
from vidsr.train.recipe import Recipe

RECIPE = Recipe("pupil", "plain", scale=2)
CPU = torch.device("cpu")


def test_what_is_learnt_lies_between_the_truth_and_the_mean_of_the_teachers(tmp_path: Path) -> None:
    first = write_weights(tmp_path, "first")
    network, metadata = store.read(first)
    for parameter in network.parameters():
        parameter.mul_(0.5)
    second = tmp_path / "second-clean-x2.safetensors"
    store.write(second, network, metadata)
    teachers = load_teachers(replace(RECIPE, teachers=(str(first), str(second))), CPU)
    pair = make_pair(torch.randint(16, 236, (40, 52), dtype=torch.uint8), 2)
    y = pair.lr[None, None].float() / 255
    said = (ensemble_mean(teachers[0], y) + ensemble_mean(teachers[1], y))[0, 0] / 2 * 255
    for trust in (0.0, 0.25, 1.0):
        result = taught(pair, teachers, trust, CPU)
        expected = ((1 - trust) * pair.hr.float() + trust * said).clamp(0, 255)
        assert torch.equal(result.lr, pair.lr)
        assert (result.hr.float() - expected).abs().max() <= 0.501
    assert not torch.equal(taught(pair, teachers, 1.0, CPU).hr, pair.hr)


def test_a_teacher_that_says_the_same_in_all_poses_answers_once(tmp_path: Path) -> None:
    path = write_weights(tmp_path)
    recipe = replace(RECIPE, teachers=(str(path),))
    assert isinstance(load_teachers(recipe, CPU)[0], SelfEnsemble)
    network, metadata = store.read(path)
    tie(network)
    store.write(path, network, metadata)
    assert isinstance(load_teachers(recipe, CPU)[0], Plain)


def test_a_teacher_of_another_scale_is_refused(tmp_path: Path) -> None:
    path = write_weights(tmp_path, scale=3)
    with pytest.raises(OptionError, match="enlarges by 3, not by 2"):
        load_teachers(replace(RECIPE, teachers=(str(path),)), CPU)


def test_teachers_are_asked_once_for_what_there_is_to_learn(tmp_path: Path) -> None:
    recipe, path = teach_recipe(tmp_path), tmp_path / "run" / "lessons.safetensors"
    asked: list[tuple[int, int]] = []
    lessons = with_lessons(recipe, path, CPU, lambda *count: asked.append(count))
    assert asked == [(1, 3), (2, 3), (3, 3)]
    assert lessons == replace(recipe, data=(str(path),))
    made = [pair.hr for pair in read_pairs(path, "train", 2)]
    truths = [pair.hr for pair in read_pairs(Path(recipe.data[0]), "train", 2)]
    assert [hr.shape for hr in made] == [hr.shape for hr in truths]
    assert not any(torch.equal(hr, truth) for hr, truth in zip(made, truths, strict=True))
    (kept,) = read_pairs(path, "validation", 2)  # which is measured against the truth alone
    (truth,) = read_pairs(Path(recipe.data[0]), "validation", 2)
    assert torch.equal(kept.hr, truth.hr) and torch.equal(kept.lr, truth.lr)
    assert with_lessons(recipe, path, CPU, lambda *count: asked.append(count)) == lessons
    assert len(asked) == 3


@pytest.mark.parametrize("what", ["trust", "teacher", "data"])
def test_lessons_of_other_teachers_are_not_kept(tmp_path: Path, what: str) -> None:
    recipe, path = teach_recipe(tmp_path), tmp_path / "lessons.safetensors"
    with_lessons(recipe, path, CPU, lambda *_: None)
    if what == "trust":
        recipe = replace(recipe, teacher_weight=0.5)
    elif what == "teacher":
        network, metadata = store.read(Path(recipe.teachers[0]))
        next(network.parameters()).mul_(0.5)
        store.write(Path(recipe.teachers[0]), network, metadata)
    else:
        write_data(Path(recipe.data[0]), seed=1)
    asked: list[tuple[int, int]] = []
    with_lessons(recipe, path, CPU, lambda *count: asked.append(count))
    assert len(asked) == 3


def test_a_shard_that_is_not_there_is_named(tmp_path: Path) -> None:
    recipe = replace(teach_recipe(tmp_path), data=(str(tmp_path / "absent.safetensors"),))
    with pytest.raises(InputError, match=r"recipe pupil: .*absent\.safetensors can not be read: No such file"):
        with_lessons(recipe, tmp_path / "lessons.safetensors", CPU, lambda *_: None)


def test_without_teachers_the_data_are_learnt(tmp_path: Path) -> None:
    assert with_lessons(RECIPE, tmp_path / "lessons.safetensors", CPU, lambda *_: None) is RECIPE
    assert not list(tmp_path.iterdir())


def teach_recipe(folder: Path) -> Recipe:
    write_data(folder / "data.safetensors", seed=0)
    return replace(RECIPE, data=(str(folder / "data.safetensors"),), teachers=(str(write_weights(folder)),))


def write_data(path: Path, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    sizes = ((40, 52), (48, 36), (44, 44), (40, 40))
    pairs = [make_pair(torch.randint(16, 236, size, generator=rng, dtype=torch.uint8), 2) for size in sizes]
    write_pairs(pairs[:3], pairs[3:], path, 2)


def test_trust_is_a_share() -> None:
    with pytest.raises(OptionError, match=r"teacher_weight = 1\.5 must lie from 0 to 1"):
        replace(RECIPE, teacher_weight=1.5)
