"""Net2Net: an expanded network has the function of the smaller one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.weights import metadata
from vidsr.models import weight_files
from vidsr.models.architectures.plain import Config, Plain
from vidsr.models.architectures.residual import Config as ResidualConfig
from vidsr.models.architectures.residual import Residual
from vidsr.models.architectures.srresnet import Config as SrresnetConfig
from vidsr.models.architectures.srresnet import Srresnet
from vidsr.models.architectures.unshuffled import Config as UnshuffledConfig
from vidsr.models.architectures.unshuffled import Unshuffled
from vidsr.models.reparameterised import RepConv, collapse
from vidsr.train import loop
from vidsr.train.methods.net2net import expand, resample_tail

SMALL = Config(scale=2, channels=6, layers=2)


@pytest.mark.parametrize(("channels", "layers"), [(6, 4), (10, 2), (10, 5)])
def test_an_expanded_network_has_the_function_of_the_smaller_one(channels: int, layers: int) -> None:
    small, large = Plain(SMALL), Plain(Config(2, channels, layers))
    assert expand(large, small)
    x = torch.rand(2, 1, 9, 11)
    torch.testing.assert_close(large(x), small(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("channels", "layers"), [(6, 4), (10, 2), (10, 5)])
def test_an_expanded_restoration_network_has_the_global_features_of_the_smaller_one(channels: int, layers: int) -> None:
    small, large = Unshuffled(UnshuffledConfig(1, 6, 2)), Unshuffled(UnshuffledConfig(1, channels, layers))
    torch.nn.init.normal_(small.shift_estimator.last.weight)
    torch.nn.init.normal_(small.shift_estimator.last.bias)
    assert expand(large, small)
    x = torch.rand(2, 1, 18, 22)
    torch.testing.assert_close(large(x), small(x), atol=1e-4, rtol=0)
    assert not torch.allclose(large(x), x, atol=1e-2)


def test_added_channels_get_gradients() -> None:
    small, large = Plain(SMALL), Plain(Config(2, 10, 3))
    expand(large, small)
    large.for_training(keep=True)
    large.interior(torch.rand(1, 1, 24, 24)).square().mean().backward()
    tail = large.body[-1]
    assert isinstance(tail, RepConv) and tail.weight.grad is not None
    assert (tail.weight.grad[:, 6:].abs() > 0).any()


def test_all_but_the_last_layer_is_expanded_for_another_scale() -> None:
    small, large = Plain(SMALL), Plain(Config(4, 10, 2))
    expand(large, small)
    x = torch.rand(1, 1, 12, 12)
    torch.testing.assert_close(large.body[:-1](x)[:, :6], small.body[:-1](x), atol=1e-5, rtol=0)


def test_a_network_without_room_for_the_smaller_one_is_unchanged() -> None:
    small = Plain(SMALL)
    assert not expand(Plain(Config(2, 10, 1)), small)  # fewer layers
    assert not expand(Plain(SMALL), small)  # the same size: copied
    assert not expand(Residual(ResidualConfig(2)), small)


def test_a_recipe_of_a_larger_network_starts_from_the_smaller_one(tmp_path: Path) -> None:
    small, path = Plain(SMALL), tmp_path / "small-clean-x2.safetensors"
    weight_files.write(path, small, metadata("plain", SMALL))
    large = Plain(Config(2, 10, 4))
    loop.load_initial(large, path)
    large.for_training(keep=True)
    collapse(large)
    x = torch.rand(1, 1, 16, 16)
    torch.testing.assert_close(large(x), small(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_plain_network_expands_into_an_srresnet_of_twice_its_channels(scale: int) -> None:
    small = Plain(Config(scale, channels=6, layers=2))
    large = Srresnet(SrresnetConfig(scale, channels=16, blocks=4))
    assert expand(large, small)
    x = torch.rand(1, 1, 9, 11)
    torch.testing.assert_close(large(x), small(x), atol=1e-5, rtol=0)
    large.for_training(keep=True)
    large.interior(torch.rand(1, 1, 24, 24)).square().mean().backward()
    added = large.blocks[-1].second
    assert isinstance(added, torch.nn.Conv2d) and added.weight.grad is not None and added.weight.grad.abs().max() > 0


def test_a_plain_network_does_not_expand_into_an_srresnet_that_is_too_small() -> None:
    small = Plain(Config(2, channels=6, layers=2))
    for config in (SrresnetConfig(2, 11, 4), SrresnetConfig(2, 12, 1), SrresnetConfig(4, 12, 2)):
        large = Srresnet(config)
        before = [parameter.clone() for parameter in large.parameters()]
        assert not expand(large, small)
        assert all(torch.equal(a, b) for a, b in zip(before, large.parameters(), strict=True))


@pytest.mark.parametrize(("scale", "other"), [(2, 4), (3, 4), (4, 2)])
def test_a_tail_for_another_scale_is_resized(scale: int, other: int) -> None:
    source, network = Plain(Config(other, 6, 2)), Plain(Config(scale, 6, 2))
    with torch.no_grad():
        source.body[-1].weight[:] = source.body[-1].weight[:1]
        source.body[-1].bias[:] = 0.5
    resample_tail(network, source)
    torch.testing.assert_close(network.body[-1].weight, source.body[-1].weight[:1].expand(scale**2, -1, -1, -1))
    torch.testing.assert_close(network.body[-1].bias, torch.full((scale**2,), 0.5))


def test_a_network_expanded_to_another_scale_gets_the_resized_tail() -> None:
    source, network, deeper = Plain(Config(4, 6, 2)), Plain(Config(2, 6, 2)), Plain(Config(2, 6, 3))
    network.body[:-1].load_state_dict(source.body[:-1].state_dict())
    resample_tail(network, source)
    assert expand(deeper, source)
    x = torch.rand(2, 1, 9, 11)
    torch.testing.assert_close(deeper(x), network(x), atol=1e-5, rtol=0)


def test_sub_pixels_keep_their_order_when_a_tail_is_resized() -> None:
    source, network = Plain(Config(4, 6, 2)), Plain(Config(2, 6, 2))
    with torch.no_grad():
        source.body[-1].bias[:] = torch.arange(16.0)
    resample_tail(network, source)
    bias = network.body[-1].bias.tolist()
    assert bias[0] < bias[1] < bias[2] < bias[3]
    assert bias[2] - bias[0] == pytest.approx(4 * (bias[1] - bias[0]), rel=1e-4)
