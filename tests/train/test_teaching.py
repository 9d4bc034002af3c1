"""Training towards what other networks say."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.models.test_model import write_weights
from vidsr.errors import OptionError
from vidsr.models import store
from vidsr.models.plain import Plain
from vidsr.models.poses import InPoses, mean_of_poses
from vidsr.train.data import make_pair
from vidsr.train.equivariant import tie
from vidsr.train.recipe import Recipe
from vidsr.train.teaching import load_teachers, taught

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
    said = (mean_of_poses(teachers[0], y) + mean_of_poses(teachers[1], y))[0, 0] / 2 * 255
    for trust in (0.0, 0.25, 1.0):
        result = taught(pair, teachers, trust)
        expected = ((1 - trust) * pair.hr.float() + trust * said).clamp(0, 255)
        assert torch.equal(result.lr, pair.lr)
        assert (result.hr.float() - expected).abs().max() <= 0.501
    assert not torch.equal(taught(pair, teachers, 1.0).hr, pair.hr)


def test_a_teacher_that_says_the_same_in_all_poses_answers_once(tmp_path: Path) -> None:
    path = write_weights(tmp_path)
    recipe = replace(RECIPE, teachers=(str(path),))
    assert isinstance(load_teachers(recipe, CPU)[0], InPoses)
    network, metadata = store.read(path)
    tie(network)
    store.write(path, network, metadata)
    assert isinstance(load_teachers(recipe, CPU)[0], Plain)


def test_a_teacher_of_another_scale_is_refused(tmp_path: Path) -> None:
    path = write_weights(tmp_path, scale=3)
    with pytest.raises(OptionError, match="enlarges by 3, not by 2"):
        load_teachers(replace(RECIPE, teachers=(str(path),)), CPU)


def test_trust_is_a_share() -> None:
    with pytest.raises(OptionError, match=r"trust = 1\.5 must lie from 0 to 1"):
        replace(RECIPE, trust=1.5)
