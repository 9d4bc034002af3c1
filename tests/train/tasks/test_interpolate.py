"""Training of the networks that interpolate frames."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vidsr.models import weight_files
from vidsr.models.frame_network import MotionField, blend, displacement_mismatch
from vidsr.train import loop
from vidsr.train.data.triples import MARGIN, random_crop, read_triples, stack
from vidsr.train.recipe import Recipe
from vidsr.train.tasks.interpolate import train_step

RECIPE = """
name = "tiny"
task = "interpolate"
architecture = "{architecture}"
config = {config}
data = ["{shard}"]
steps = 4
batch = 2
patch = 64
validate_every = 2
samples_every = 4
"""
SMALL = {
    "refine": "{ fine = [8, 8] }",
    "superslomo": "{ channels = [4, 4, 4, 4, 4, 4] }",
}


@pytest.mark.parametrize("architecture", SMALL)
def test_every_network_trains_and_its_weights_can_be_read(
    architecture: str, triples_shard: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE.format(architecture=architecture, config=SMALL[architecture], shard=triples_shard))
    weights = loop.run(path, tmp_path / "run")
    assert weights.name == "tiny-frames.safetensors"
    network, metadata = weight_files.read_frame_network(weights)
    assert metadata["steps"] == "4 of 4"
    assert weight_files.frame_network_path("tiny", tmp_path / "run") == weights
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


@pytest.mark.parametrize(("done", "counts"), [(0, 1), (3, 0)])
def test_the_loss_on_optical_flow_counts_until_the_final_loss(done: int, counts: int, triples_shard: Path) -> None:
    crops = [
        random_crop(triple, 64, np.random.default_rng(0)) for triple in read_triples(triples_shard, validation=False)
    ]
    pair, flow, truth = stack(crops, MARGIN, torch.device("cpu"))

    class Data:
        def batch_at(self, step: int) -> tuple[object, ...]:
            return pair, flow, truth

    def loss(weight: float) -> float:
        finish = {"final_loss": {"l1": 2.0}, "final_loss_fraction": 0.5}
        small = {"config": {"channels": [4] * 6}, "steps": 4, "precision": "fp32", **finish}
        recipe = Recipe("tiny", "superslomo", task="interpolate", flow_loss=weight, **small)  # type: ignore[arg-type]
        state = loop.start(recipe, torch.device("cpu"))
        state.step = done
        off.append(displacement_mismatch(state.network.estimate_motion(pair), flow).item())
        return float(train_step(recipe, state, state.network, Data())["loss"])  # type: ignore[arg-type]

    off: list[float] = []
    assert loss(0.5) - loss(0.0) == pytest.approx(counts * 0.5 * off[0], rel=1e-3, abs=1e-6)
    assert off[0] > 0.1


def test_displacements_of_two_sizes_are_compared_in_pixels_of_the_second() -> None:
    full, half = torch.full((1, 4, 8, 8), 6.0), torch.full((1, 4, 4, 4), 2.0)
    share = torch.zeros(1, 1, 8, 8)
    mismatch = displacement_mismatch(MotionField(full, share, share), MotionField(half, share, share))
    assert mismatch.item() == pytest.approx(1.0)


def test_an_untrained_refining_network_equals_optical_flow(triples_shard: Path) -> None:
    network = weight_files.build_network("refine", {})
    (triple,) = read_triples(triples_shard, validation=True)
    pair, flow, _ = stack([random_crop(triple, 96, np.random.default_rng(0))], MARGIN, torch.device("cpu"))
    with torch.no_grad():
        assert (network(pair, flow)[0] - blend(pair, flow)).abs().max() < 0.02
