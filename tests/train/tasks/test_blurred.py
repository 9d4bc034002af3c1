"""Blur that is made while training goes: beside OpenCV's, and the same for a seed and a step."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.train.test_loop import one_thread
from vidsr.degrade.blur import GaussianBlur, MotionBlur, ShakeBlur
from vidsr.degrade.degradations import convolve
from vidsr.errors import OptionError
from vidsr.models import point_spreads
from vidsr.models import weights as store
from vidsr.models.architectures.blind_deconvolution import RESPONSES
from vidsr.models.layers import inside
from vidsr.models.weights import read_state
from vidsr.train import loop, recipe
from vidsr.train.prepare import dataset
from vidsr.train.tasks.blurred import MARGIN, Blurred, Box, Damage, drawn, made_worse, quantised
from vidsr.train.tasks.deblur import LEAST_NOISE, SIGNAL, fitness

__all__ = ["one_thread"]  # a fixture

KERNELS = [
    GaussianBlur((3.5, 3.5)).kernel(np.random.default_rng(0)),
    MotionBlur((25, 25), (30, 30)).kernel(np.random.default_rng(0)),
    ShakeBlur((11, 11)).kernel(np.random.default_rng(0)),
]


@pytest.mark.parametrize("kernel", KERNELS)
def test_blur_equals_opencvs(kernel: np.ndarray) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (90, 97), np.uint8)
    sharp = torch.from_numpy(picture)[None, None].float() / 255
    bad = made_worse(sharp, [Damage(kernel)], np.random.default_rng(0))[0][0, 0] * 255
    expected = torch.from_numpy(convolve(picture[None].astype(np.float32), kernel)[0])
    assert (bad - inside(expected, MARGIN)).abs().max() < 0.51  # rounded


def test_no_damage_leaves_a_picture_as_it_is() -> None:
    sharp = torch.randint(0, 256, (2, 1, 60, 61)) / 255
    for picture in made_worse(sharp, [Damage(), Damage()], np.random.default_rng(0)):
        assert torch.equal(picture, inside(sharp, MARGIN))


def test_graphics_are_sharp_and_belong_to_the_picture() -> None:
    bar = Box(0, 0, 0.25, 1, 0.1)
    bad, good = made_worse(torch.rand(1, 1, 72, 80), [Damage(KERNELS[0], 3, graphics=(bar,))], np.random.default_rng(0))
    assert ((255 * bad[..., :10, :]).round() == round(25.5)).all()
    assert (good[..., :10, :] == bar.value).all()
    assert (good[..., 10:, :] - bad[..., 10:, :]).abs().min() > 0


def test_noise_is_of_its_strength() -> None:
    sharp = torch.full((1, 1, 232, 232), 0.5)
    bad, _ = made_worse(sharp, [Damage(noise=3.0)], np.random.default_rng(0))
    assert (255 * bad).std().item() == pytest.approx(3, rel=0.02)


def test_quantised_blocks_equal_opencvs_transform() -> None:
    plane = np.random.default_rng(0).random((16, 13), np.float32)
    whole = np.pad(plane, ((0, 0), (0, 3)), mode="reflect")
    expected = np.empty_like(whole)
    for top in (0, 8):
        for left in (0, 8):
            found = cv2.dct(whole[top : top + 8, left : left + 8])
            found = np.sign(found) * np.floor(np.abs(found) / 0.1 + 1 / 3) * np.float32(0.1)
            expected[top : top + 8, left : left + 8] = cv2.idct(found)
    np.testing.assert_allclose(quantised(torch.from_numpy(plane), 0.1).numpy(), expected[:, :13], atol=1e-5)


@pytest.mark.parametrize(("kernel", "noise"), [(KERNELS[0], 2.0), (KERNELS[1], 1.0), (KERNELS[2], 0.5), (None, 0.0)])
def test_fitness_is_that_of_the_error_each_filter_leaves(kernel: np.ndarray | None, noise: float) -> None:
    side, bank = point_spreads.SIDE, point_spreads.spectra()
    plane = np.zeros((side, side))
    plane[0, 0] = kernel is None
    if kernel is not None:
        for (y, x), weight in np.ndenumerate(kernel):
            plane[y - kernel.shape[0] // 2, x - kernel.shape[1] // 2] = weight
    blur = np.fft.rfft2(plane)
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    signal, power = SIGNAL / np.maximum(radius, 1 / side) ** 2, LEAST_NOISE + noise**2
    filters = bank.numpy() / (bank.numpy() ** 2 + power / signal)
    left = (signal * np.abs(1 - filters * blur) ** 2 + power * filters**2).mean((1, 2))
    found = fitness([Damage(kernel, noise)], bank.flatten(1))[0]
    assert found.sum().item() == pytest.approx(1)
    assert int(found.argmax()) == left.argmin()
    ratio = found[left.argmin()] / found[left.argsort()[1]]
    assert ratio.item() == pytest.approx((np.sort(left)[1] / left.min()) ** 20, rel=0.02)


def test_an_untouched_picture_is_nothing_blurred() -> None:
    assert int(fitness([Damage()], point_spreads.spectra().flatten(1)).argmax()) == 0


def test_some_are_left_alone_and_all_kinds_are_drawn() -> None:
    rng = np.random.default_rng(0)
    damages = [drawn(rng) for _ in range(400)]
    assert 30 < sum(damage[1:3] == (0, 0) for damage in damages) < 100
    assert 15 < sum(damage.step > 0 for damage in damages) < 80
    assert max(len(damage.kernel) for damage in damages if damage.kernel is not None) // 2 <= MARGIN


RECIPE = """
name = "tiny"
architecture = "{architecture}"
task = "deblur"
scale = 1
domain = "any"
config = {config}
data = ["{pictures}"]
init = "{warm}"
steps = 4
batch = 2
patch = {patch}
loss = {{ relative = 1.0 }}
precision = "fp32"
validate_every = 4
"""
SMALL = "{ channels = 16, layers = 1, deconvolve = true }"
SMALL_UNET = "{ width = 4, middle = 1, deconvolve = true }"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures that hold a patch and its margin."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for index in range(5):
        coarse = rng.integers(0, 256, (21, 21, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(coarse, (224, 224), interpolation=cv2.INTER_CUBIC))
    path = folder / "set.safetensors"
    dataset.build([folder], path)
    return path


def write_recipe(folder: Path, pictures: Path, warm: str = "", **settings: str) -> Path:
    settings = {"architecture": "deconvolved", "config": "{}", "patch": "160", **settings}
    path = folder / f"{settings['architecture']}.toml"
    path.write_text(RECIPE.format(pictures=pictures, warm=warm, **settings))
    return path


def test_a_batch_is_that_of_its_seed_and_step(tmp_path: Path, pictures: Path) -> None:
    (settings,) = recipe.read(write_recipe(tmp_path, pictures))
    one, other = (Blurred(settings, torch.device("cpu")) for _ in range(2))
    for bad, again in zip(one.batch_at(7), other.batch_at(7), strict=True):
        assert bad.shape == (2, 1, 160, 160)
        assert torch.equal(bad, again)
    assert not torch.equal(one.batch_at(7)[0], one.batch_at(8)[0])
    assert [torch.equal(a.lr, b.lr) for a, b in zip(one.validation, other.validation, strict=True)] == [True]


def test_blur_is_removed_at_scale_one_only(tmp_path: Path, pictures: Path) -> None:
    (settings,) = recipe.read(write_recipe(tmp_path, pictures))
    for wrong in ({"scale": 2}, {"data": ()}):
        with pytest.raises(OptionError, match="scale 1"):
            Blurred(replace(settings, **wrong), torch.device("cpu"))


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, pictures: Path) -> None:
    path = write_recipe(tmp_path, pictures)
    whole = loop.run(path, tmp_path / "whole")
    loop.run(path, tmp_path / "parts", steps=2)
    parts = loop.run(path, tmp_path / "parts", resume=True)
    for one, other in zip(*(read_state(p)[0].values() for p in (whole, parts)), strict=True):
        assert torch.equal(one, other)


def test_a_network_that_does_not_deconvolve_is_refused(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(OptionError, match="deconvolve = true"):
        loop.run(write_recipe(tmp_path, pictures, architecture="unshuffled"), tmp_path / "run")


def test_layers_behind_a_look_that_was_not_trained_are_refused(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(OptionError, match="need its weights: name init"):
        loop.run(write_recipe(tmp_path, pictures, architecture="gated_unet", config=SMALL_UNET), tmp_path / "run")


@pytest.mark.parametrize(("architecture", "config"), [("unshuffled", SMALL), ("gated_unet", SMALL_UNET)])
def test_networks_take_the_look_over_and_leave_it_as_it_is(
    tmp_path: Path, pictures: Path, architecture: str, config: str
) -> None:
    look = loop.run(write_recipe(tmp_path, pictures), tmp_path / "look")
    path = write_recipe(
        tmp_path, pictures, str(look), architecture=architecture, task="deblur", config=config, patch="188"
    )
    (settings,) = recipe.read(path)
    state, alone = loop.start(settings, torch.device("cpu")), store.read(look)[0]
    x = torch.rand(1, 1, 100, 90)
    with torch.no_grad():
        assert torch.equal(state.network.look.survey(x)[:, :RESPONSES], alone.survey(x))
    trained = read_state(loop.run(path, tmp_path / "run"))[0]
    for name, tensor in read_state(look)[0].items():
        assert torch.equal(trained[name], tensor.to(trained[name].dtype))
    assert trained["look.shifts.weight"].any()
