"""Kernels of recurrent upscaling equal the network's own operations in PyTorch."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pixel_shuffle

from vidsr.flow.state_warp import stays_inside, warp_cubic
from vidsr.models.architectures.recurrent import Config, Recurrent, blend
from vidsr.models.layers import crop_border
from vidsr.models.temporal import Prior, State, warp_state
from vidsr.stages.temporal_prior import TemporalPrior, blended, channels_last, empty_planes

SIZE = 30, 41


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def network(scale: int) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(Config(scale, channels=8, layers=2, hidden=8, keep=0.9)).eval()


def past(scale: int) -> tuple[State, Tensor]:
    """A state and a flow that leaves the frame at places."""
    h, w = SIZE
    flow = interpolate(noise(1, 2, 4, 5) * 12 - 6, size=SIZE, mode="bilinear")
    flow[:, 0, 20:25] += 1000
    return State(noise(1, 1, h, w), noise(1, 1, h * scale, w * scale), noise(1, 8, h, w)), flow


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_planes_and_blend_equal_those_of_the_network(scale: int) -> None:
    model, y, (state, flow) = network(scale), noise(1, 1, *SIZE) * 0.9, past(scale)
    field = np.ascontiguousarray(channels_last(flow))
    with torch.no_grad():
        features, single = model.single_frame(model.with_halo(y))
        expected = model.prior_planes(y, warp_state(state, flow), single)
        planes = TemporalPrior.of(state, y[0, 0].numpy(), field).planes((slice(0, 30), slice(0, 41)), single, 0.9)
        rows, columns = slice(3, 20), slice(0, 30)  # of a tile
        own = crop_border(single, 3)[..., rows, columns].contiguous()
        tile = TemporalPrior.of(state, y[0, 0].numpy(), field).planes((rows, columns), own, 0.9)
        head, _ = model.recur(features, planes)
        residual = blend(planes, head, single)
    # luma is sampled at 1/32 of a pixel, which counts in the change and its mean
    rough = [scale**2 + 1, scale**2 + 4]
    exact = [n for n in range(planes.shape[1]) if n not in rough]
    assert torch.allclose(planes[:, exact], expected[:, exact], atol=2e-3)
    assert torch.allclose(planes[:, rough], expected[:, rough], atol=0.3)
    assert torch.equal(crop_border(tile, 4), crop_border(planes, 4)[..., rows, columns])
    output = pixel_shuffle(residual + y, scale)
    estimate, values = blended(planes, head, single, y, 255, torch.float32)
    codes = blended(planes, head, single, y, 255, torch.uint8)[1]
    assert torch.allclose(values / 255, output, atol=1e-5)
    assert torch.allclose(estimate, output.clamp(-0.05, 1.05), atol=1e-5)
    assert (codes - values.round().clamp(0, 255)).abs().max() <= 1


def test_a_frame_without_a_past_has_planes_of_zeros() -> None:
    model, y = network(2), noise(1, 1, *SIZE)
    with torch.no_grad():
        _, single = model.single_frame(model.with_halo(y))
        expected = model.prior_planes(y, Prior.empty(1, SIZE, 2, 8, y), single)
    assert torch.equal(empty_planes(model, y), expected)


def test_warp_of_luma_equals_that_of_pytorch() -> None:
    state, flow = past(2)
    expected = warp_state(state, flow)
    field = np.ascontiguousarray(channels_last(flow))
    assert np.allclose(warp_cubic(state.luma[0, 0].numpy(), field), expected.luma[0, 0], atol=0.05)
    assert np.array_equal(stays_inside(field), expected.inside[0, 0])
