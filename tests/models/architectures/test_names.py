"""Tensors of one network under the names and in the forms in which files hold them."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.architectures import compact, rrdbnet, smfanet, span
from vidsr.models.rgb_network import RgbNetwork

IMAGE = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))


def seeded(network: RgbNetwork) -> RgbNetwork:
    """The network with weights of its own, small enough that outputs stay near 1."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("module", "config", "make"),
    [
        (compact, compact.Config(3, 8, 2), compact.Compact),
        (rrdbnet, rrdbnet.Config(2, 1, 16, 8, 2), rrdbnet.RRDBNet),
        (rrdbnet, rrdbnet.Config(2, 2, 16, 8, 1), rrdbnet.RRDBNet),
        (rrdbnet, rrdbnet.Config(2, 4, 16, 8, 1), rrdbnet.RRDBNet),
        (rrdbnet, rrdbnet.Config(3, 1, 16, 8, 1), rrdbnet.RRDBNet),
        (span, span.Config(2, 16, 6), span.make),
        (span, span.Config(4, 16, 5, True, True), span.make),
        (smfanet, smfanet.Config(2, 12, 2), smfanet.SmfaNet),
    ],
)
def test_the_configuration_follows_from_the_tensors(module, config, make) -> None:
    network = seeded(make(config))
    assert module.recognise(network.state_dict()) == config
    others = [other for other in (compact, rrdbnet, span, smfanet) if other is not module]
    assert [other.recognise(network.state_dict()) for other in others] == [None] * 3
    h, w = IMAGE.shape[-2:]
    assert network(IMAGE).shape == (1, 3, h * network.scale, w * network.scale)


def first_names(name: str, doublings: int) -> str:
    """BasicSR's name of a tensor of RRDBNet as the first version of the ESRGAN repository has it."""
    ups = {f"conv_up{n}": 3 * n for n in range(1, doublings + 1)}
    after = 3 * doublings + 2
    numbers = {"conv_first": "0", "conv_body": "1.sub.2", **ups, "conv_hr": after, "conv_last": after + 2}
    for new, number in numbers.items():
        name = re.sub(rf"^{new}\.", f"model.{number}.", name)
    return re.sub(r"^body\.(\d+)\.rdb(\d)\.conv(\d)", r"model.1.sub.\1.RDB\2.conv\3.0", name)


def second_names(name: str) -> str:
    """The same in the present version of the ESRGAN repository."""
    name = re.sub(r"^body\.(\d+)\.rdb", r"RRDB_trunk.\1.RDB", name)
    name = re.sub(r"^conv_up", "upconv", name)
    return name.replace("conv_body", "trunk_conv").replace("conv_hr", "HRconv")


@pytest.mark.parametrize("doublings", [1, 2, 3])
def test_rrdbnet_has_three_spellings_of_its_names(doublings: int) -> None:
    network = seeded(rrdbnet.RRDBNet(rrdbnet.Config(doublings, 1, 16, 8, 2)))
    state = network.state_dict()
    for spelling in (lambda name: first_names(name, doublings), second_names, str):
        found = rrdbnet.translate({spelling(name): tensor for name, tensor in state.items()})
        assert found.keys() == state.keys()
        assert all(torch.equal(found[name], state[name]) for name in state)


class Branches(nn.Module):
    """A convolution of SPAN in training: three in a row next to one of 1x1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.sk = nn.Conv2d(inputs, outputs, 1)
        wide = 2 * inputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, wide, 1), nn.Conv2d(wide, 2 * outputs, 3), nn.Conv2d(2 * outputs, outputs, 1)
        )
        self.eval_conv = nn.Conv2d(inputs, outputs, 3, padding=1)  # of an earlier step of training

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (1, 1, 1, 1))) + self.sk(x)


def test_the_branches_of_a_convolution_of_span_are_merged() -> None:
    torch.manual_seed(0)
    network = seeded(span.make(span.Config(2, 8, 6)))
    state = {
        re.sub(r"^blocks\.(\d)", lambda m: f"block_{int(m[1]) + 1}", k): v for k, v in network.state_dict().items()
    }
    branches = Branches(8, 8)
    for name in ("block_1.c1_r", "block_6.c3_r", "conv_2"):
        state |= {f"{name}.{part}": tensor for part, tensor in branches.state_dict().items()}
        del state[f"{name}.weight"], state[f"{name}.bias"]
    merged = span.translate(state)
    assert merged.keys() == network.state_dict().keys()
    x = torch.rand(1, 8, 9, 11)
    for name in ("blocks.0.c1_r", "blocks.5.c3_r", "conv_2"):
        result = F.conv2d(x, merged[f"{name}.weight"], merged[f"{name}.bias"], padding=1)
        torch.testing.assert_close(result, branches(x), atol=1e-5, rtol=1e-4)


def test_span_without_normalisation_says_so_by_a_tensor() -> None:
    network = seeded(span.make(span.Config(2, 8, 6, False)))
    config = span.recognise({**network.state_dict(), "no_norm": torch.zeros(1)})
    assert config == span.Config(2, 8, 6, False)
