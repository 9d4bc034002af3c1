"""Compact networks in int8: near float32, the same with and without Numba, and for tiles and whole frames."""

import copy
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.clips import make_clip
from tests.models.test_community import needs_packages, path_of
from vidsr import enhance
from vidsr.device import has_int8
from vidsr.evaluate.image_sets import evaluate
from vidsr.metrics import psnr_from_mse
from vidsr.models import from_file, int8_compact
from vidsr.models.architectures.compact import Compact, Config
from vidsr.models.int8_compact import Int8Compact, calibration_images, from_graph, in_int8
from vidsr.stages.rgb_conversion import RgbConversion, full_chroma_planes
from vidsr.video import VideoReader

pytestmark = pytest.mark.skipif(
    not has_int8(torch.device("cpu")), reason="the processor multiplies no uint8 by int8 exactly"
)


def network_of(channels: int = 8, layers: int = 2) -> Compact:
    torch.manual_seed(0)
    network = Compact(Config(2, channels, layers)).eval().requires_grad_(False)
    for layer in network.body:
        if isinstance(layer, nn.PReLU):
            layer.weight.copy_(torch.linspace(-0.2, 1.1, channels))
    return network


@cache
def networks() -> tuple[Compact, Int8Compact]:
    """A network, and its form in int8."""
    network = network_of()
    quantised = in_int8(network)
    assert quantised is not None
    return network, quantised


def psnr(a: Tensor, b: Tensor) -> float:
    return psnr_from_mse((a - b).square().mean().item(), 1)


def test_the_output_is_near_that_in_float32() -> None:
    network, quantised = networks()
    assert (quantised.scale, quantised.halo) == (network.scale, network.halo)
    x = torch.rand(2, 3, 19, 23, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert quantised(x).shape == (2, 3, 38, 46)
        assert 45 < psnr(quantised(x), network(x)) < 90  # something is rounded


def test_codes_and_output_are_the_same_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    _, quantised = networks()
    x = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        fast = quantised(x)
        monkeypatch.setattr(int8_compact, "prelu_codes", None)
        assert psnr(fast, quantised(x)) > 60


def test_the_border_is_that_of_the_network_in_float32() -> None:
    """Its convolutions pad by zeros: the code of zero, which is not 0."""
    network, quantised = networks()
    assert any(activation.zero.any() for activation in quantised.activations)
    x = torch.full((1, 3, 12, 12), 0.5)
    with torch.inference_mode():
        error = (quantised(x) - network(x)).abs()
    assert error[..., :2, :].max() < 0.02 and error[..., -2:, :].max() < 0.02


def test_tiles_are_those_of_the_whole_frame() -> None:
    _, quantised = networks()
    x, halo = torch.rand(1, 3, 30, 40, generator=torch.Generator().manual_seed(1)), quantised.halo
    with torch.inference_mode():
        whole, tile = quantised(x), quantised(x[..., 10 - halo : 20 + halo, 12 - halo : 30 + halo])
    crop = tile[..., 2 * halo : 2 * (halo + 10), 2 * halo : 2 * (halo + 18)]
    torch.testing.assert_close(crop, whole[..., 20:40, 24:60], atol=2e-3, rtol=0)


def test_calibration_is_the_same_each_time_and_a_copy_computes_the_same() -> None:
    (_, first), second = networks(), in_int8(network_of())
    assert second is not None
    x = torch.rand(1, 3, 12, 12)
    with torch.inference_mode():
        assert torch.equal(first(x), second(x)) and torch.equal(first(x), copy.deepcopy(first)(x))


def test_calibration_images_are_small_and_of_full_range() -> None:
    images = calibration_images()
    assert images.shape == (12, 3, 64, 64) and images.min() == 0 and images.max() == 1
    assert int8_compact.CALIBRATION.stat().st_size < 100_000


def test_only_compact_networks_have_a_form_in_int8() -> None:
    assert in_int8(from_file(Path("vidsr/weights/srcnn-clean-x2.safetensors").absolute()).network) is None


@needs_packages
def test_the_ncnn_graph_of_animevideov3_is_a_compact_network() -> None:
    graph = from_file(path_of("REALESRGAN_ANIMAVIDEOV3_UP4X")).network
    network = from_graph(graph)  # type: ignore[arg-type]
    assert network is not None and len(network.body) == 35
    x = torch.rand(1, 3, 16, 20)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), graph(x), atol=1e-4, rtol=0)
    for other in ("REALESRGAN_ANIMAVIDEOV3_UP2X", "WAIFU2X_ANIME_UP2X"):  # ends in a downscale; has no anchor
        assert from_graph(from_file(path_of(other)).network) is None  # type: ignore[arg-type]


def test_a_run_uses_int8_only_where_it_is_asked_for(tmp_path: Path) -> None:
    clip, path = make_clip(tmp_path / "a.mp4", frames=2, size=(48, 32)), tmp_path / "net.pth"
    torch.save(network_of().state_dict(), path)
    for precision in ("auto", "int8"):
        options = {"model": str(path), "scale": 2, "device": "cpu", "codec": "ffv1", "overwrite": True}
        report = enhance(clip, tmp_path / "b.mkv", precision=precision, **options)  # type: ignore[arg-type]
        assert report.verification.ok
        assert (report.plan.networks[0].precision == "int8") == (precision == "int8")


@pytest.mark.slow
@needs_packages
def test_the_command_line_plans_int8_for_an_ncnn_graph(samples: Path) -> None:
    """It planned float32: the command line defers a part of PyTorch that random generators need."""
    options = ["--scale", "4", "--model", "animevideov3", "--precision", "int8", "--device", "cpu", "--json"]
    command = [sys.executable, "-m", "vidsr", "plan", str(samples / "city_cut.mp4"), *options]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.count('"precision": "int8"') == 2  # the option, and the network


@pytest.mark.slow
def test_animevideov3_loses_less_than_0_05_db_on_set5(data: Path) -> None:
    model = from_file(data / "checkpoints" / "realesr-animevideov3-x4.pth")
    quantised = in_int8(model.network)
    assert isinstance(quantised, Int8Compact)
    exact, rounded = (evaluate(replace(model, network=one), 4, [data / "set5"])[-1].psnr_y
                      for one in (model.network, quantised))  # fmt: skip
    assert rounded > exact - 0.05


@pytest.mark.slow
def test_animevideov3_passes_the_check_of_the_first_frame_on_a_phone_video(data: Path, samples: Path) -> None:
    model = from_file(data / "checkpoints" / "realesr-animevideov3-x4.pth")
    quantised = in_int8(model.network)
    with VideoReader(samples / "phone_dog.mp4") as reader:
        batch, info = next(reader.batches(1)), reader.info
    frame = RgbConversion.of(info, luma_only=True).to_rgb(full_chroma_planes(batch, info) / 255)
    assert quantised is not None
    with torch.inference_mode():
        assert psnr(quantised(frame), model.network(frame)) > 45
