"""The calibration of int8 forms."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from vidsr.device import has_int8
from vidsr.errors import ModelError
from vidsr.evaluate.calibrate import calibrate, corrected_bias, input_step, rounded_weights
from vidsr.models import build_network, from_file, weight_files


def test_the_step_cuts_off_a_rare_peak_that_would_cost_more_than_it_holds() -> None:
    values = torch.rand(4_600_000, generator=torch.Generator().manual_seed(0))
    assert input_step([values]) == pytest.approx(1 / 255, rel=0.03)
    values[0] = 1.5  # the search looks at it
    assert 1 / 255 < input_step([values]) < 1.3 / 255


def test_levels_rounded_in_turn_have_a_smaller_error_than_nearest_levels() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(8, 4, 3, 3, generator=generator)
    samples = torch.randn(500, 36, generator=generator) @ torch.randn(36, 36, generator=generator)
    moments = samples.t() @ samples / len(samples)
    scale, levels = rounded_weights(weight, moments)

    def error(chosen: torch.Tensor) -> float:
        difference = (weight - chosen * scale[:, None, None, None]).flatten(1)
        return float(((difference @ moments) * difference).sum())

    nearest = (weight / scale[:, None, None, None]).round().clamp(-127, 127)
    assert error(levels) < 0.8 * error(nearest)
    assert (levels - nearest).abs().max() == 1
    assert levels.abs().max() <= 127


@pytest.mark.parametrize("has_relu", [False, True])
def test_the_corrected_bias_removes_the_mean_error(has_relu: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(1, 3, 50, 50, generator=generator)
    sums = target + 0.2 + 0.1 * torch.randn(target.shape, generator=generator)
    bias = corrected_bias(torch.zeros(3), [target], [sums], has_relu)
    output = sums + bias[:, None, None]
    error = (target.relu() - output.relu() if has_relu else target - output).mean((0, 2, 3))
    assert error.abs().max() < 0.02


def write(path: Path, architecture: str, config: dict[str, object]) -> None:
    torch.manual_seed(0)
    metadata = {"architecture": architecture, "config": json.dumps(config)}
    weight_files.write(path, build_network(architecture, config), metadata)


@pytest.mark.skipif(not has_int8(torch.device("cpu")), reason="the processor has no VNNI")
def test_a_calibrated_file_computes_in_int8_near_its_floats(tmp_path: Path) -> None:
    path = tmp_path / "tiny-clean-x2.safetensors"
    write(path, "plain", {"scale": 2, "channels": 16, "layers": 2})
    image = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    model = calibrate(path, [image])
    assert model.is_int8
    assert sum(isinstance(layer, nn.Conv2d) for layer in model.network.modules()) == 0
    exact = from_file(path)(image)
    assert 0 < (model(image) - exact).abs().max() < 0.01
    before, _ = weight_files.read_state(path)
    calibrate(path, [image])
    after, _ = weight_files.read_state(path)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items()), "calibration is reproducible"


def test_a_network_without_a_chain_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiny-clean-x2.safetensors"
    write(path, "espcn", {"scale": 2})
    with pytest.raises(ModelError, match="has no chain of convolutions and ReLUs: int8 is for the architecture plain"):
        calibrate(path, [torch.rand(1, 1, 16, 16)])
