"""Crops of triples: every variation of a crop is made by its field as the crop itself is."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from vidsr.models import weights as store
from vidsr.models.frame_network import Field, apart, mixed
from vidsr.train import loop
from vidsr.train.prepare import moving_layers as layers
from vidsr.train.prepare import windows
from vidsr.train.recipe import Recipe
from vidsr.train.tasks.interpolate import MARGIN, crop, read_triples, stacked, train_step, varied


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight scenes of layers of smooth noise."""
    rng = np.random.default_rng(1)
    pictures = [
        cv2.resize(rng.integers(0, 256, (60, 80), np.uint8), (600, 450), interpolation=cv2.INTER_CUBIC)
        for _ in range(3)
    ]
    path = tmp_path_factory.mktemp("triples") / "scenes.safetensors"
    assert windows.save(windows.synthetic(pictures, 8, 3), path) == 8
    return path


def squared(picture: torch.Tensor, truth: torch.Tensor) -> float:
    return float((picture - truth).square().mean()) * 255**2


def test_a_scene_is_the_same_picture_at_the_same_time_and_moves() -> None:
    pictures = [np.random.default_rng(0).integers(0, 256, (400, 600), np.uint8)]
    scene = layers.draw(pictures, np.random.default_rng(5))
    assert np.array_equal(scene.at(0.25), scene.at(0.25))
    assert not np.array_equal(scene.at(0.0), scene.at(1.0))


def test_the_field_of_a_triple_makes_its_truth(shard: Path) -> None:
    (spare,) = read_triples(shard, spare=True)
    assert len(read_triples(shard, spare=False)) == 7
    gains = []
    for triple in (spare, *read_triples(shard, spare=False)):
        rng = np.random.default_rng(0)
        for _ in range(6):
            part = varied(crop(triple, 96, rng), rng)
            scene, prior, truth = stacked([part], MARGIN, torch.device("cpu"))
            assert truth.shape[-2:] == (96, 96)
            made, blended = mixed(scene, prior), torch.lerp(*scene.here, scene.phase)
            gains.append(squared(made, truth) / squared(blended, truth))
    assert np.median(gains) < 0.5


def test_variations_are_all_there_and_keep_what_belongs_together(shard: Path) -> None:
    triple = read_triples(shard, spare=False)[0]
    part = crop(triple, 64, np.random.default_rng(2))

    def error(seed: int) -> tuple[float, npt.NDArray[np.uint8]]:
        scene, prior, truth = stacked([varied(part, np.random.default_rng(seed))], MARGIN, torch.device("cpu"))
        return squared(mixed(scene, prior), truth), truth[0, 0].numpy()

    errors, truths = zip(*(error(seed) for seed in range(48)), strict=True)
    assert max(errors) == pytest.approx(min(errors), rel=0.02)
    assert len({truth.tobytes() for truth in truths}) == 8  # mirrored twice, lying or not


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
    "ifnet": "{ channels = [8, 8], scales = [2, 1], depth = 1 }",
    "superslomo": "{ channels = [4, 4, 4, 4, 4, 4] }",
}


@pytest.mark.parametrize("architecture", SMALL)
def test_every_network_trains_and_its_weights_can_be_read(architecture: str, shard: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE.format(architecture=architecture, config=SMALL[architecture], shard=shard))
    weights = loop.run(path, tmp_path / "run")
    assert weights.name == "tiny-frames.safetensors"
    network, metadata = store.read_frames(weights)
    assert metadata["steps"] == "4 of 4"
    assert store.frames_path("tiny", tmp_path / "run") == weights
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


@pytest.mark.parametrize(("done", "counts"), [(0, 1), (3, 0)])
def test_a_network_from_nothing_is_taught_motion_until_the_finish(done: int, counts: int, shard: Path) -> None:
    crops = [crop(triple, 64, np.random.default_rng(0)) for triple in read_triples(shard, spare=False)]
    scene, prior, truth = stacked(crops, MARGIN, torch.device("cpu"))

    class Data:
        def batch_at(self, step: int) -> tuple[object, ...]:
            return scene, prior, truth

    def loss(taught: float) -> float:
        finish = {"final_loss": {"l1": 2.0}, "final_loss_fraction": 0.5}
        recipe = Recipe("tiny", "superslomo", task="interpolate", steps=4, precision="fp32", flow_loss=taught, **finish)  # type: ignore[arg-type]
        state = loop.start(recipe, torch.device("cpu"))
        state.step = done
        off.append(apart(state.network.motion(scene), prior).item())
        return float(train_step(recipe, state, state.network, Data())["loss"])  # type: ignore[arg-type]

    off: list[float] = []
    assert loss(0.5) - loss(0.0) == pytest.approx(counts * 0.5 * off[0], rel=1e-3, abs=1e-6)
    assert off[0] > 0.1


def test_ways_of_two_sizes_are_compared_in_the_pixels_of_the_second() -> None:
    full, half = torch.full((1, 4, 8, 8), 6.0), torch.full((1, 4, 4, 4), 2.0)
    share = torch.zeros(1, 1, 8, 8)
    assert apart(Field(full, share, share), Field(half, share, share)).item() == pytest.approx(1.0)


def test_the_refining_network_starts_as_optical_flow(shard: Path) -> None:
    network = store.build_network("refine", {})
    (triple,) = read_triples(shard, spare=True)
    scene, prior, _ = stacked([crop(triple, 96, np.random.default_rng(0))], MARGIN, torch.device("cpu"))
    with torch.no_grad():
        assert (network(scene, prior)[0] - mixed(scene, prior)).abs().max() < 0.02
