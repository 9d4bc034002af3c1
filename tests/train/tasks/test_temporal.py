"""The task `temporal`: the loss falls, the frozen part stays, a batch depends on seed and step alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vidsr.errors import OptionError
from vidsr.models import load_model
from vidsr.train.loop import run, start
from vidsr.train.recipe import Recipe, read
from vidsr.train.tasks.temporal import FRAMES, TemporalData, magnitude, shorter_past, train_step, upscale

RECIPE = """
name = "small-t"
task = "temporal"
architecture = "recurrent"
scale = 2
config = {{ channels = 8, layers = 1, hidden = 8 }}
data = ["{shard}"]
frozen = ["body."]
steps = 6
batch = 1
patch = 32
loss = {{ charbonnier = 1.0 }}
optimiser = "whitened"
learning_rate = 0.01
warm_up = 1
validate_every = 3
"""


@pytest.fixture
def recipe_file(sequences_shard: Path, tmp_path: Path) -> Path:
    (tmp_path / "small-t.toml").write_text(RECIPE.format(shard=sequences_shard))
    return tmp_path / "small-t.toml"


def test_training_keeps_the_frozen_network_and_writes_weights_that_load(recipe_file: Path, tmp_path: Path) -> None:
    weights = run(recipe_file, tmp_path)
    assert weights.name == "small-t-clean-x2.safetensors"
    (recipe,) = read(recipe_file)
    before, after = start(recipe, torch.device("cpu")).network, load_model("small-t", 2, folder=tmp_path).network
    for name, tensor in after.state_dict().items():
        assert torch.allclose(before.state_dict()[name], tensor, atol=1e-3) == name.startswith("body."), name


def test_a_batch_depends_on_seed_and_step_alone(recipe_file: Path) -> None:
    (recipe,) = read(recipe_file)
    data = TemporalData(recipe, torch.device("cpu"))
    for step in range(8):
        (one, lead_in), (other, same) = data.batch_at(step), data.batch_at(step)
        assert torch.equal(one.lr, other.lr)
        assert lead_in == same
        assert one.lr.shape[1] == lead_in + FRAMES
        assert one.hr.shape[-1] == 2 * one.lr.shape[-1]


def test_a_shorter_past_is_that_of_the_frame_before_upscaled_alone(recipe_file: Path) -> None:
    (recipe,) = read(recipe_file)
    data, network = TemporalData(recipe, torch.device("cpu")), start(recipe, torch.device("cpu")).network
    walks, _ = data.batch_at(0)
    _, prior = upscale(network.next_frame, walks, stop=-1)
    _, alone = upscale(network.next_frame, walks, first=-2, stop=-1)
    assert prior is not None
    assert alone is not None
    same, short = (shorter_past(network.next_frame, walks, prior, share) for share in (0.0, 1.0))
    assert torch.allclose(same.estimate, prior.estimate, atol=1e-6)
    assert torch.allclose(short.estimate, alone.estimate, atol=1e-6)
    assert torch.allclose(short.hidden, alone.hidden, atol=1e-6)
    assert magnitude(short.estimate - prior.estimate, 2).max() > 1e-3


def test_a_memory_that_lasts_too_long_counts_as_a_loss(recipe_file: Path) -> None:
    (recipe,) = read(recipe_file)
    excess = {}
    for share in (0.1, 1.5):
        state = start(replace(recipe, forgetting=share), torch.device("cpu"))
        data = TemporalData(recipe, torch.device("cpu"))
        excess[share] = float(
            train_step(replace(recipe, forgetting=share), state, state.network.next_frame, data)["memory"]
        )
    assert excess[0.1] > 0
    assert excess[1.5] < excess[0.1] / 10


def test_a_recipe_without_a_shard_is_refused() -> None:
    with pytest.raises(OptionError, match=r"vidsr\.train\.prepare\.sequences"):
        TemporalData(Recipe("small-t", "recurrent", task="temporal"), torch.device("cpu"))
