"""Training of networks that deconvolve: the labels of the blur estimator, reproducible batches, resumed runs."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.train.test_loop import one_thread
from vidsr.degrade.blur import GaussianBlur, MotionBlur, ShakeBlur
from vidsr.errors import OptionError
from vidsr.models import point_spreads, weight_files
from vidsr.models.architectures.blind_deconvolution import RESPONSES
from vidsr.models.weight_files import read_state
from vidsr.train import loop, recipe
from vidsr.train.data.patch_degradation import PatchDegradation
from vidsr.train.prepare import dataset
from vidsr.train.tasks.deblur import ROUNDING_NOISE, SIGNAL, DeblurringData, bank_labels

__all__ = ["one_thread"]  # a fixture

KERNELS = [
    GaussianBlur((3.5, 3.5)).kernel(np.random.default_rng(0)),
    MotionBlur((25, 25), (30, 30)).kernel(np.random.default_rng(0)),
    ShakeBlur((11, 11)).kernel(np.random.default_rng(0)),
]


@pytest.mark.parametrize(("kernel", "noise"), [(KERNELS[0], 2.0), (KERNELS[1], 1.0), (KERNELS[2], 0.5), (None, 0.0)])
def test_soft_labels_follow_from_the_error_that_each_filter_leaves(kernel: np.ndarray | None, noise: float) -> None:
    side, bank = point_spreads.SIDE, point_spreads.spectra()
    plane = np.zeros((side, side))
    plane[0, 0] = kernel is None
    if kernel is not None:
        for (y, x), weight in np.ndenumerate(kernel):
            plane[y - kernel.shape[0] // 2, x - kernel.shape[1] // 2] = weight
    blur = np.fft.rfft2(plane)
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    signal, power = SIGNAL / np.maximum(radius, 1 / side) ** 2, ROUNDING_NOISE + noise**2
    filters = bank.numpy() / (bank.numpy() ** 2 + power / signal)
    left = (signal * np.abs(1 - filters * blur) ** 2 + power * filters**2).mean((1, 2))
    found = bank_labels([PatchDegradation(kernel, noise)], bank.flatten(1))[0]
    assert found.sum().item() == pytest.approx(1)
    assert int(found.argmax()) == left.argmin()
    ratio = found[left.argmin()] / found[left.argsort()[1]]
    assert ratio.item() == pytest.approx((np.sort(left)[1] / left.min()) ** 20, rel=0.02)


def test_a_clean_image_is_labelled_as_not_blurred() -> None:
    assert int(bank_labels([PatchDegradation()], point_spreads.spectra().flatten(1)).argmax()) == 0


RECIPE = """
name = "tiny"
architecture = "{architecture}"
task = "deblur"
scale = 1
domain = "any"
config = {config}
data = ["{images}"]
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
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of five images that hold a patch and its margin."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for index in range(5):
        coarse = rng.integers(0, 256, (21, 21, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(coarse, (224, 224), interpolation=cv2.INTER_CUBIC))
    path = folder / "set.safetensors"
    dataset.build([folder], path)
    return path


def write_recipe(folder: Path, images: Path, warm: str = "", **settings: str) -> Path:
    settings = {"architecture": "deconvolved", "config": "{}", "patch": "160", **settings}
    path = folder / f"{settings['architecture']}.toml"
    path.write_text(RECIPE.format(images=images, warm=warm, **settings))
    return path


def test_a_batch_depends_on_seed_and_step_alone(tmp_path: Path, images: Path) -> None:
    (settings,) = recipe.read(write_recipe(tmp_path, images))
    one, other = (DeblurringData(settings, torch.device("cpu")) for _ in range(2))
    for degraded, again in zip(one.batch_at(7), other.batch_at(7), strict=True):
        assert degraded.shape == (2, 1, 160, 160)
        assert torch.equal(degraded, again)
    assert not torch.equal(one.batch_at(7)[0], one.batch_at(8)[0])
    assert [torch.equal(a.lr, b.lr) for a, b in zip(one.validation, other.validation, strict=True)] == [True]


def test_the_task_needs_scale_one_and_a_shard(tmp_path: Path, images: Path) -> None:
    (settings,) = recipe.read(write_recipe(tmp_path, images))
    for wrong in ({"scale": 2}, {"data": ()}):
        with pytest.raises(OptionError, match="scale = 1"):
            DeblurringData(replace(settings, **wrong), torch.device("cpu"))


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, images: Path) -> None:
    path = write_recipe(tmp_path, images)
    whole = loop.run(path, tmp_path / "whole")
    loop.run(path, tmp_path / "parts", steps=2)
    parts = loop.run(path, tmp_path / "parts", resume=True)
    for one, other in zip(*(read_state(p)[0].values() for p in (whole, parts)), strict=True):
        assert torch.equal(one, other)


def test_a_network_that_does_not_deconvolve_is_refused(tmp_path: Path, images: Path) -> None:
    with pytest.raises(OptionError, match="deconvolve = true"):
        loop.run(write_recipe(tmp_path, images, architecture="unshuffled"), tmp_path / "run")


def test_layers_behind_an_untrained_blur_estimator_are_refused(tmp_path: Path, images: Path) -> None:
    with pytest.raises(OptionError, match="need its weights: name init"):
        loop.run(write_recipe(tmp_path, images, architecture="gated_unet", config=SMALL_UNET), tmp_path / "run")


@pytest.mark.parametrize(("architecture", "config"), [("unshuffled", SMALL), ("gated_unet", SMALL_UNET)])
def test_networks_take_over_the_blur_estimator_and_do_not_train_it(
    tmp_path: Path, images: Path, architecture: str, config: str
) -> None:
    estimator = loop.run(write_recipe(tmp_path, images), tmp_path / "estimator")
    path = write_recipe(
        tmp_path, images, str(estimator), architecture=architecture, task="deblur", config=config, patch="188"
    )
    (settings,) = recipe.read(path)
    state, alone = loop.start(settings, torch.device("cpu")), weight_files.read(estimator)[0]
    x = torch.rand(1, 1, 100, 90)
    with torch.no_grad():
        assert torch.equal(state.network.deconvolution.global_features(x)[:, :RESPONSES], alone.global_features(x))
    trained = read_state(loop.run(path, tmp_path / "run"))[0]
    for name, tensor in read_state(estimator)[0].items():
        assert torch.equal(trained[name], tensor.to(trained[name].dtype))
    assert trained["deconvolution.shifts.weight"].any()
