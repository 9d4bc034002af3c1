"""The eight poses of a picture, and networks in all of them."""

from pathlib import Path

import pytest
import torch

from tests.models.test_model import write_weights
from vidsr.errors import ModelError
from vidsr.models import available_scales, load_model
from vidsr.models.architectures.unshuffled import Config, Unshuffled
from vidsr.models.self_ensemble import POSES, InPoses, mean_of_poses, minds_the_pose, turned, turned_back
from vidsr.train.methods.equivariance import tie


def test_the_eight_poses_differ_and_are_turned_back() -> None:
    picture = torch.arange(6.0).view(1, 1, 2, 3)
    poses = [turned(picture, pose) for pose in range(POSES)]
    assert len({tuple(pose.flatten().tolist()) + tuple(pose.shape) for pose in poses}) == POSES
    for pose, planes in enumerate(poses):
        assert torch.equal(turned_back(planes, pose), picture)


def test_what_does_not_mind_the_pose_is_itself() -> None:
    picture = torch.rand(1, 1, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(mean_of_poses(lambda x: 2 * x, picture), 2 * picture)


@pytest.mark.parametrize("pose", range(POSES))
def test_a_turned_picture_becomes_the_same_turned(tmp_path: Path, pose: int) -> None:
    write_weights(tmp_path)
    model = load_model("tiny+", 2, folder=tmp_path)
    picture = torch.rand(2, 1, 20, 14)
    torch.testing.assert_close(model(turned(picture, pose)), turned(model(picture), pose), atol=1e-6, rtol=0)


def test_it_is_the_mean_of_the_whole_network_in_each_pose(tmp_path: Path) -> None:
    write_weights(tmp_path)
    one, all_poses = (load_model(name, 2, folder=tmp_path) for name in ("tiny", "tiny+"))
    picture = torch.rand(1, 1, 9, 11)
    torch.testing.assert_close(all_poses(picture), mean_of_poses(one, picture), atol=1e-6, rtol=0)


def test_a_plus_behind_a_name(tmp_path: Path) -> None:
    write_weights(tmp_path)
    one, model = (load_model(name, 2, folder=tmp_path) for name in ("tiny", "tiny+"))
    assert (model.name, model.scale, model.halo, model.domain) == ("tiny+", 2, one.halo, "clean")
    assert model.parameters_count == one.parameters_count
    assert model.kmac_per_pixel == pytest.approx(POSES * one.kmac_per_pixel)
    assert model.bytes_per_pixel == one.bytes_per_pixel
    assert available_scales("tiny+", folder=tmp_path) == (2,)
    with pytest.raises(ModelError, match="no model is called 'bicubic'"):
        load_model("bicubic+", 2, folder=tmp_path)


def test_a_network_tied_in_all_poses_has_no_plus(tmp_path: Path) -> None:
    write_weights(tmp_path)
    model = load_model("tiny", 2, folder=tmp_path)
    assert minds_the_pose(model.network)
    tie(model.network)
    assert not minds_the_pose(model.network)
    with pytest.raises(ModelError, match=r"tiny x2 says the same in all poses: leave out the \+"):
        model.in_poses()


def test_restoration_has_no_plus() -> None:
    with pytest.raises(ModelError, match="for those that enlarge"):
        InPoses(Unshuffled(Config()))
