"""Training against a discriminator: logged losses, exact resuming, and the loss on features of VGG19."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from tests.train.test_loop import assert_equal, one_thread, shard, weights, write_recipe
from vidsr.errors import InputError, ModelError, OptionError
from vidsr.models import from_file
from vidsr.train import loop, watch
from vidsr.train.recipe import Adversarial, parse, read
from vidsr.train.tasks import adversarial

__all__ = ["one_thread", "shard"]  # fixtures

GAN = """
task = "adversarial"
note = "for the eye"
adversarial = { channels = 4, learning_rate = 2e-3, weight = 1e-3, content = 0.01 }
"""


def recipe_of(folder: Path, shard: Path, more: str = GAN) -> Path:
    path = write_recipe(folder, shard, more)
    path.write_text(path.read_text().replace("plain", "srresnet").replace("layers = 1", "blocks = 2"))
    path.write_text(path.read_text().replace("steps = 60", "steps = 24").replace("patch = 16", "patch = 30"))
    path.write_text(path.read_text().replace("= 15", "= 8"))
    return path


def test_both_networks_learn_and_every_step_is_logged(tmp_path: Path, shard: Path) -> None:
    recipe = recipe_of(tmp_path, shard)
    watch.train(recipe, tmp_path / "run", steps=10)
    weights = watch.train(recipe, tmp_path / "run", resume=True)
    header, *lines = (tmp_path / "run" / "losses.csv").read_text().splitlines()
    columns = header.split(",")
    assert columns == [
        *("step", "discriminator", "probability_of_truth", "probability_of_output"),
        *("loss", "pixels", "adversarial", "content"),
    ]
    rows = [dict(zip(columns, map(float, line.split(",")), strict=True)) for line in lines]
    assert [row["step"] for row in rows] == list(range(1, 25))
    assert rows[-1]["discriminator"] < rows[0]["discriminator"]
    assert sum(r["pixels"] for r in rows[-6:]) < sum(r["pixels"] for r in rows[:6])
    assert from_file(weights).metadata["note"] == "for the eye"


@pytest.mark.parametrize("stop_at", [9])
def test_a_resumed_adversarial_run_equals_an_uninterrupted_one(tmp_path: Path, shard: Path, stop_at: int) -> None:
    recipe = recipe_of(tmp_path, shard)
    whole = loop.run(recipe, tmp_path / "whole")
    loop.run(recipe, tmp_path / "parts", steps=stop_at)
    parts = loop.run(recipe, tmp_path / "parts", resume=True)
    assert_equal(weights(parts), weights(whole))
    checkpoints = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("parts", "whole")]
    assert_equal(*(checkpoint["discriminator"] for checkpoint in checkpoints))


def test_training_starts_from_the_weights_that_init_names(tmp_path: Path, shard: Path) -> None:
    first = loop.run(recipe_of(tmp_path, shard, ""), tmp_path / "first", steps=3)
    path = recipe_of(tmp_path, shard)
    path.write_text(path.read_text().replace("4e-3", "1e-9"))
    second = loop.run(path, tmp_path / "second", steps=1, init=str(first))
    x = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(from_file(first)(x), from_file(second)(x), atol=1e-4, rtol=0)
    (recipe,) = read(path)
    (tmp_path / "shipped").mkdir()
    for name in ("a-clean-x2", "a-clean-x4", "a-video-x2"):
        (tmp_path / "shipped" / f"{name}.safetensors").touch()
    assert loop.find_weights("a", recipe, tmp_path / "shipped").stem == "a-clean-x2"
    with pytest.raises(OptionError, match="--init b: no model"):
        loop.find_weights("b", recipe, tmp_path / "shipped")


def test_discriminator_takes_patches_of_any_size() -> None:
    network = adversarial.Discriminator(4).eval()
    for side in (16, 40):
        score, features = network(torch.rand(3, 1, side, side + 3))
        assert score.shape == (3,) and len(features) == 8


def fake_torchvision(monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Install a thin network under the names of torchvision, which is not installed for tests."""
    features = nn.Sequential(nn.Conv2d(3, 2, 3), *(nn.ReLU() for _ in range(36)))
    network = nn.Module()
    network.features = features
    package, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    models.vgg19 = lambda weights: network
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    return network


def test_the_content_loss_uses_vgg_if_its_weights_are_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = fake_torchvision(monkeypatch)
    file = tmp_path / "vgg19.pth"
    torch.save(network.state_dict(), file)
    truth, output = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 12, 12, requires_grad=True)
    settings = Adversarial(vgg=str(file))
    discriminator = adversarial.make_discriminator(
        parse({"name": "a", "architecture": "srresnet", "scale": 2}, "test")[0], truth.device
    )
    adversarial.content_loss(settings, discriminator, output, truth, []).backward()
    assert output.grad is not None and output.grad.abs().sum() > 0
    assert adversarial.content_loss(settings, discriminator, truth, truth, []).item() == 0
    assert len(adversarial.vgg_features(file, truth.device)) == 36
    file.write_bytes(b"no weights")
    adversarial.vgg_features.cache_clear()
    with pytest.raises(InputError, match="not the weights of torchvision's VGG19"):
        adversarial.vgg_features(file, truth.device)


def test_luma_for_vgg_is_normalised_grey() -> None:
    black, white = (adversarial.normalise_for_vgg(torch.full((1, 1, 2, 2), code / 255)) for code in (16, 235))
    assert black[0, 0, 0, 0].item() == pytest.approx(-0.485 / 0.229, abs=1e-4)
    assert white[0, 2, 0, 0].item() == pytest.approx((1 - 0.406) / 0.225, abs=1e-4)


def test_vgg_without_torchvision_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(ModelError, match="needs torchvision"):
        adversarial.vgg_features(Path("absent.pth"), torch.device("cpu"))


def test_an_error_names_a_wrong_setting_of_the_table() -> None:
    minimal = {"name": "a", "architecture": "srresnet", "scale": 2}
    with pytest.raises(OptionError, match=r"test: adversarial: unknown key 'wait'; known: channels"):
        parse({**minimal, "adversarial": {"wait": 1}}, "test")
    with pytest.raises(OptionError, match=r"task = 'paint'; one of upscale"):
        parse({**minimal, "task": "paint"}, "test")
