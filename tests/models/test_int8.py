"""Convolutions in int8 against the same arithmetic in floats."""

import copy
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from vidsr.device import has_int8
from vidsr.errors import DeviceError, ModelError
from vidsr.models import load_model, model, weight_files
from vidsr.models.architectures.plain import Plain
from vidsr.models.int8 import (
    ConvToCodes,
    LayerSteps,
    QuantisedConv,
    from_tensors,
    packed,
    quantised,
    to_tensors,
    unpacked,
)

needs_int8 = pytest.mark.skipif(not has_int8(torch.device("cpu")), reason="the processor has no VNNI")


def steps_for(conv: nn.Conv2d, input_step: float = 0.01) -> LayerSteps:
    """Return plain steps: the largest weight of a channel is 127 levels."""
    inputs = torch.linspace(0.5, 1.5, conv.in_channels) * input_step
    largest = (conv.weight * inputs[:, None, None]).abs().amax((1, 2, 3))
    assert conv.bias is not None
    differences = torch.zeros_like(conv.weight)
    differences[0, 0, 0, :2] = torch.tensor([1.0, -1.0])
    return LayerSteps(inputs, largest / 127, conv.bias.detach(), packed(differences))


def exact_quantised(codes: Tensor, layer: QuantisedConv) -> Tensor:
    """The output of ``layer`` before rounding, in double precision: its slow twin."""
    sums = F.conv2d(codes.double() - layer.in_zero, layer.levels.double())
    output = sums * layer.scale.double()[:, None, None] + layer.bias.double()[:, None, None]
    return output.relu() if layer.activation == "relu" else output


@needs_int8
@pytest.mark.parametrize("in_zero", [0, 128])
@pytest.mark.parametrize("out_zero", [0, 100])
@pytest.mark.parametrize("activation", ["relu", "none"])
@pytest.mark.parametrize("channels", [(16, 16), (32, 9), (5, 3)])
def test_a_quantised_convolution_is_the_sum_of_products(
    channels: tuple[int, int], activation: str, out_zero: int, in_zero: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    d, c = channels
    levels = torch.randint(-127, 128, (c, d, 3, 3), generator=generator, dtype=torch.int8)
    codes = torch.randint(0, 256, (2, d, 12, 21), generator=generator, dtype=torch.uint8)
    scale, bias = torch.rand(c, generator=generator) * 2e-3, torch.randn(c, generator=generator) * 20
    for out_type, tolerance in ((torch.uint8, 0.51), (torch.float32, 2e-3), (torch.bfloat16, 3.0)):
        layer = QuantisedConv(
            levels, scale, bias, activation, out_type, in_zero, out_zero if out_type == torch.uint8 else 0
        )
        output, exact = layer(codes), exact_quantised(codes, layer)
        assert output.dtype == out_type
        if out_type == torch.uint8:
            exact = (exact + out_zero).clamp(0, 255)
        assert (output.double() - exact).abs().max() <= tolerance
        again = copy.deepcopy(layer)(codes)
        assert torch.equal(again, output), "a copy computes the same"


@needs_int8
def test_the_largest_codes_and_levels_do_not_saturate() -> None:
    codes = torch.full((1, 64, 5, 5), 255, dtype=torch.uint8)
    layer = QuantisedConv(
        torch.full((16, 64, 3, 3), 127, dtype=torch.int8), torch.ones(16), torch.zeros(16), out_type=torch.float32
    )
    assert layer(codes).unique().tolist() == [255 * 127 * 64 * 9]


@needs_int8
def test_a_float_convolution_rounds_to_codes() -> None:
    torch.manual_seed(0)
    conv, steps = nn.Conv2d(1, 16, 3), torch.linspace(0.001, 0.02, 16)
    x = torch.rand(1, 1, 20, 30)
    with torch.inference_mode():
        codes = ConvToCodes(conv, steps)(x)
        exact = (conv(x).relu() / steps[:, None, None]).clamp(0, 255)
    assert codes.dtype == torch.uint8
    assert (codes.float() - exact).abs().max() <= 0.5 + 1e-3
    assert codes.min() == 0
    assert codes.max() == 255


def twin(layer: nn.Module, x: Tensor) -> Tensor:
    """The output of a layer in int8 by plain arithmetic in double precision."""
    if isinstance(layer, ConvToCodes):
        steps = F.conv2d(x.double(), layer.weight.double(), layer.bias.double()) - 0.5
        return steps.relu().round().clamp(0, 255)
    assert isinstance(layer, QuantisedConv)
    exact = exact_quantised(x, layer)
    return exact.round().clamp(0, 255) if layer.out_type == torch.uint8 else exact


def chain_and_steps(kept: tuple[str, ...] = ()) -> tuple[nn.Module, dict[str, LayerSteps]]:
    torch.manual_seed(1)
    widths = (1, 16, 16, 16, 4)
    layers: list[nn.Module] = []
    for d, c in pairwise(widths):
        layers += [nn.Conv2d(d, c, 3), nn.ReLU()]
    network = nn.Module()
    network.body = nn.Sequential(*layers[:-1])
    convs = {f"body.{n}": layer for n, layer in enumerate(layers) if isinstance(layer, nn.Conv2d) and n}
    return network, {name: steps_for(conv) for name, conv in convs.items() if name not in kept}


@needs_int8
@pytest.mark.parametrize("kept", [(), ("body.2",), ("body.4",), ("body.6",)])
def test_a_quantised_chain_is_near_the_chain_whatever_stays_in_floats(kept: tuple[str, ...]) -> None:
    network, calibration = chain_and_steps(kept)
    quick = quantised(network, calibration)
    x = torch.rand(1, 1, 24, 30, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact, output = network.body(x), quick.body(x)
    assert sum(isinstance(layer, QuantisedConv) for layer in quick.modules()) == 3 - len(kept)
    assert output.dtype == torch.float32
    assert 0 < (output - exact).abs().max() < 0.1 * exact.abs().max()
    assert isinstance(network.body[2], nn.Conv2d), "the network itself is unchanged"


@needs_int8
def test_a_shipped_network_in_int8_is_its_arithmetic() -> None:
    network = load_model("fast", 2, int8=True).network
    assert isinstance(network, Plain)
    x = torch.rand(1, 1, 40, 50, generator=torch.Generator().manual_seed(0))
    layers = [layer for layer in network.body if not isinstance(layer, nn.Identity)]
    assert len(layers) == 6
    for layer in layers:
        with torch.inference_mode():
            output, slow = layer(x), twin(layer, x)
        tolerance = 1 if output.dtype == torch.uint8 else slow.abs().max() / 256  # a rounding; the last digit of bf16
        assert (output.double() - slow).abs().max() <= tolerance
        x = output


@needs_int8
def test_an_int8_model_is_known_as_such_and_keeps_the_weights_of_its_file() -> None:
    floats, quick = load_model("fast", 2), load_model("fast", 2, int8=True)
    assert (floats.is_int8, quick.is_int8, quick.fused().is_int8) == (False, True, True)
    back = quick.in_float32()
    assert not back.is_int8
    for own, other in zip(back.network.parameters(), floats.network.parameters(), strict=True):
        assert torch.equal(own, other)
    assert load_model("fast+", 2, int8=True).in_float32().name == "fast+"
    with pytest.raises(ModelError, match="is equivariant already"):
        load_model("best+", 2, int8=True)


@needs_int8
def test_weights_without_a_calibrated_form_stay_in_floats() -> None:
    assert not load_model("espcn", 2, int8=True).is_int8


def test_a_processor_without_vnni_refuses_a_plan_in_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "has_int8", lambda device: False)
    with pytest.raises(
        DeviceError, match="int8 needs VNNI or AMX, which this processor lacks: choose --precision fp32"
    ):
        load_model("fast", 2, int8=True)


def test_a_damaged_calibrated_form_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "fast-clean-x2.safetensors"
    state, metadata = weight_files.read_state(weight_files.WEIGHTS / path.name)
    name = next(name for name in state if name.startswith("int8."))
    for damaged in ({**state, name: state[name][:1]}, {k: v for k, v in state.items() if k != name}):
        save_file(damaged, path, metadata)
        with pytest.raises(ModelError, match="does not fit the architecture that it names"):
            weight_files.read(path)


@needs_int8
def test_a_tile_of_a_quantised_chain_equals_that_part_of_the_whole() -> None:
    network, calibration = chain_and_steps()
    quick = quantised(network, calibration)
    x = torch.rand(2, 1, 40, 57, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = quick.body(x)
        tile = quick.body(x[1:, :, 5:31, 9:50])
    assert torch.equal(tile, whole[1:, :, 5:23, 9:42])


@pytest.mark.parametrize("count", [1, 4, 7, 30])
def test_rounding_differences_are_packed_four_in_a_byte(count: int) -> None:
    differences = torch.randint(-1, 2, (count,), generator=torch.Generator().manual_seed(count)).float()
    codes = packed(differences)
    assert (codes.dtype, len(codes)) == (torch.uint8, -(-count // 4))
    assert torch.equal(unpacked(codes, count), differences)


def test_the_calibrated_form_goes_through_tensors_and_must_fit_the_network() -> None:
    network, calibration = chain_and_steps()
    tensors = to_tensors(calibration)
    read = from_tensors(tensors, network)
    assert read.keys() == calibration.keys()
    assert all(torch.equal(read[name].bias, calibration[name].bias) for name in read)
    with pytest.raises(ValueError, match=r"the int8 form of body\.6 has shapes"):
        from_tensors({**tensors, "int8.body.6.weight": torch.ones(5)}, network)
    with pytest.raises(AttributeError):
        from_tensors(
            {f"int8.nosuch.{part}": torch.ones(4) for part in ("input", "weight", "bias", "rounding")}, network
        )
