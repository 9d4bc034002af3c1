"""Weights files, and the models loaded from them."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import vidsr.train
from tests.tiers import SLOW, few_or_many, slow
from vidsr.device import has_int8
from vidsr.errors import ModelError
from vidsr.evaluate.image_sets import evaluate, find_images, read_image
from vidsr.evaluate.protocol import imresize, modcrop, shave
from vidsr.evaluate.restoration_sets import degradation_kind, degraded
from vidsr.metrics import psnr, rgb_to_y
from vidsr.models import Model, available_scales, build_network, from_file, list_models, load_model, weight_files
from vidsr.models.model import TO_RGB, TO_YCBCR, YCBCR_OFFSET

SHIPPED = weight_files.list_weights()
IDS = [e.path.stem for e in SHIPPED]
EVERY_COMMIT = {"fast-clean-x4", "balanced-clean-x2", "restore-fast-any-x1"}  # weights measured in both tiers


def weights(domains: set[str]) -> list[Any]:
    """The shipped weights of ``domains`` as cases of a test, most of them in the slow tier."""
    return [e if e.path.stem in EVERY_COMMIT else slow(e) for e in SHIPPED if e.domain in domains]


def stem(entry: weight_files.WeightsFile) -> str:
    return entry.path.stem


def write_weights(folder: Path, name: str = "tiny", scale: int = 2) -> Path:
    torch.manual_seed(0)
    config = {"scale": scale, "channels": 8, "layers": 1}
    path = folder / f"{name}-clean-x{scale}.safetensors"
    weight_files.write(path, build_network("plain", config), {"architecture": "plain", "config": json.dumps(config)})
    return path


def test_a_written_weights_file_is_listed_and_loads(tmp_path: Path) -> None:
    write_weights(tmp_path, scale=2)
    write_weights(tmp_path, scale=3)
    model = load_model("tiny", 3, folder=tmp_path)
    assert (model.name, model.scale, model.halo, model.domain) == ("tiny", 3, 3, "clean")
    assert model.parameters_count == 8 * 9 + 8 + 8 * 8 * 9 + 8 + 8 * 9 * 9 + 9
    assert model.kmac_per_pixel == pytest.approx((8 * 9 + 8 * 8 * 9 + 8 * 9 * 9) / 1000)
    assert available_scales("tiny", folder=tmp_path) == (2, 3)
    assert [(row["name"], row["scale"]) for row in list_models(tmp_path)] == [("tiny", 2), ("tiny", 3)]
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("halves", ["bf16, fp16", "fp16", ""])
def test_weights_fall_back_to_float32_for_half_precisions_they_do_not_list(tmp_path: Path, halves: str) -> None:
    path = write_weights(tmp_path)
    network, metadata = weight_files.read(path)
    weight_files.write(path, network, {**metadata, "halves": halves})
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        assert from_file(path, dtype=dtype).network.dtype == (dtype if name in halves else torch.float32)


def test_a_large_network_is_stored_in_half_precision(tmp_path: Path) -> None:
    config = {"scale": 4}
    network = build_network("srresnet", config)
    path = tmp_path / "large-clean-x4.safetensors"
    weight_files.write(path, network, {"architecture": "srresnet", "config": json.dumps(config)})
    assert path.stat().st_size < 2.1 * weight_files.count_parameters(network)
    loaded, _ = weight_files.read(path)
    assert loaded.dtype == torch.float32
    for stored, own in zip(loaded.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(stored, own, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "scale", "domain", "message"),
    [
        ("nosuch", 2, "clean", "'nosuch': choose tiny"),
        ("tiny", 7, "clean", "no weights for x7 clean: choose x2 clean"),
        ("tiny", 2, "video", "no weights for x2 video: choose x2 clean"),
    ],
)
def test_the_error_for_an_unknown_model_lists_the_known_ones(
    tmp_path: Path, name: str, scale: int, domain: str, message: str
) -> None:
    write_weights(tmp_path)
    with pytest.raises(ModelError, match=message):
        load_model(name, scale, domain=domain, folder=tmp_path)
    with pytest.raises(ModelError, match="choose tiny"):
        available_scales("nosuch", folder=tmp_path)


def test_damaged_files_give_one_line_errors(tmp_path: Path) -> None:
    path = write_weights(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="not a readable weights file"):
        from_file(path)
    weight_files.write(path, build_network("plain", {"scale": 2}), {"architecture": "plain", "config": '{"scale": 4}'})
    with pytest.raises(ModelError, match="does not fit the architecture") as caught:
        from_file(path)
    assert "\n" not in str(caught.value)
    weight_files.write(path, build_network("plain", {"scale": 2}), {})
    with pytest.raises(ModelError, match="unknown architecture"):
        from_file(path)
    with pytest.raises(ModelError, match="is not a readable"):
        from_file(tmp_path / "absent.safetensors")


def test_an_image_is_upscaled_and_a_grey_one_stays_grey(tmp_path: Path) -> None:
    model = from_file(write_weights(tmp_path))
    image = np.random.default_rng(0).integers(0, 256, (13, 18, 3), dtype=np.uint8)
    for source in (image, image[:, :, 0], np.asfortranarray(image), image[::-1]):
        result = model(source)
        assert (result.shape[:2], result.dtype) == ((26, 36), np.uint8)
        assert result.ndim == source.ndim
    for wrong in (image.astype(np.float32), image[..., :2], image[None]):
        with pytest.raises(ModelError, match="uint8 H x W x 3"):
            model(wrong)


def test_a_network_of_zeros_keeps_flat_colours(tmp_path: Path) -> None:
    model = from_file(write_weights(tmp_path))
    for parameter in model.network.parameters():
        parameter.zero_()
    for colour in ((255, 255, 255), (0, 0, 0), (255, 0, 0), (12, 200, 77)):
        image = np.full((6, 6, 3), colour, np.uint8)
        assert np.abs(model(image).astype(int) - np.array(colour)).max() <= 1


def test_colour_conversion_is_bt601_limited() -> None:
    white = torch.full((3,), 255.0) @ TO_YCBCR.T + YCBCR_OFFSET
    torch.testing.assert_close(white, torch.tensor([235.0, 128.0, 128.0]), atol=1e-2, rtol=0)
    torch.testing.assert_close(TO_RGB @ TO_YCBCR, torch.eye(3), atol=1e-5, rtol=0)


def test_the_shipped_weights_are_smaller_than_16_megabytes() -> None:
    assert SHIPPED
    assert sum(e.path.stat().st_size for e in SHIPPED) < 16e6


@pytest.mark.parametrize("entry", SHIPPED, ids=IDS)
def test_shipped_weights_have_complete_metadata(entry: weight_files.WeightsFile) -> None:
    model = load_model(entry.name, entry.scale, domain=entry.domain)
    assert model.scale == entry.scale
    for key in ("architecture", "config", "recipe", "data", "steps", "scores", "licence"):
        assert model.metadata.get(key), f"{entry.path.name} lacks {key}"


@pytest.mark.parametrize("entry", SHIPPED, ids=IDS)
def test_the_recipe_in_shipped_weights_is_in_the_repository(entry: weight_files.WeightsFile) -> None:
    _, metadata = weight_files.read(entry.path)
    name = re.sub("-(clean|any)-", "-", entry.path.stem)
    recipes = (Path(vidsr.train.__file__).parent / "recipes").rglob(f"{name}.toml")  # some in gpu/
    assert metadata["recipe"] in [recipe.read_text() for recipe in recipes]


@pytest.fixture(scope="session")
def images(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the smallest images of Set5: two at every commit, all five in the slow tier.

    The claims hold for the mean over all five; two images are given twice the room.
    """
    folder = tmp_path_factory.mktemp("set5")
    by_size = sorted((data / "set5").iterdir(), key=lambda path: path.stat().st_size)
    for path in by_size[: few_or_many(2, 5)]:
        (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.more
@pytest.mark.parametrize("entry", weights({"clean"}), ids=stem)
def test_shipped_weights_beat_bicubic_on_set5(entry: weight_files.WeightsFile, images: Path) -> None:
    model = load_model(entry.name, entry.scale)
    mean = evaluate(model, model.scale, [images])[-1]
    assert mean.psnr_y > mean.bicubic_psnr_y + (1.0 if SLOW else 0.5)
    assert mean.ssim > mean.bicubic_ssim


@cache
def luma_pairs(folder: Path, scale: int, kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Input and original of the images of a folder, 8-bit luma: downscaled, or degraded as ``kind`` says."""
    pairs = []
    for path in find_images(folder):
        hr = modcrop(rgb_to_y(read_image(path)).round().astype(np.uint8), scale)
        small = imresize(hr, hr.shape[0] // scale, hr.shape[1] // scale)
        pairs.append((degraded(hr, kind) if scale == 1 else small, hr))
    return pairs


def psnr_y(model: Model, folder: Path) -> float:
    scores = []
    for lr, hr in luma_pairs(folder, model.scale, degradation_kind(model.metadata) if model.scale == 1 else ""):
        output, original = (shave(v.astype(np.float64), model.scale) for v in (model(lr), hr))
        scores.append(psnr(output, original))
    return float(np.mean(scores))


@pytest.mark.more
@pytest.mark.parametrize("entry", weights({entry.domain for entry in SHIPPED}), ids=stem)
def test_half_precision_costs_at_most_two_hundredths_of_a_decibel(
    entry: weight_files.WeightsFile, images: Path
) -> None:
    full = psnr_y(load_model(entry.name, entry.scale, domain=entry.domain), images)
    for dtype in (torch.bfloat16, torch.float16):
        half = psnr_y(load_model(entry.name, entry.scale, dtype=dtype, domain=entry.domain), images)
        assert abs(half - full) <= (0.02 if SLOW else 0.05), dtype


@pytest.mark.more
@pytest.mark.skipif(not has_int8(torch.device("cpu")), reason="the processor has no VNNI")
@pytest.mark.parametrize("entry", weights({entry.domain for entry in SHIPPED}), ids=stem)
def test_int8_costs_at_most_a_twentieth_of_a_decibel(entry: weight_files.WeightsFile, images: Path) -> None:
    model = load_model(entry.name, entry.scale, domain=entry.domain, int8=True)
    if not model.is_int8:
        pytest.skip(f"{entry.path.name} has no calibrated form")
    full = psnr_y(load_model(entry.name, entry.scale, domain=entry.domain), images)
    assert psnr_y(model, images) > full - (0.05 if SLOW else 0.1)


COMPILED = """
import torch
from pathlib import Path
from vidsr.device import Compute
from vidsr.models import Model
from vidsr.models.architectures.plain import Config, Plain
from vidsr.stages.network_runner import Runner

torch.manual_seed(0)
network = Plain(Config(2, channels=4, layers=0)).eval().to(memory_format=torch.channels_last)
model = Model("tiny", "clean", Path("tiny"), network, {})
compiled, cpu = model.compiled(), Compute(torch.device("cpu"), torch.float32)
luma = torch.randint(0, 256, (2, 1, 9, 13), dtype=torch.uint8)
assert compiled.is_compiled and not model.is_compiled
assert torch.allclose(Runner(compiled, cpu)(luma, 255), Runner(model, cpu)(luma, 255), rtol=0, atol=1e-2)
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_compiled_network_equals_the_network(tmp_path: Path) -> None:
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    environment.pop("CXX", None)
    subprocess.run([sys.executable, "-c", COMPILED], check=True, env=environment)
