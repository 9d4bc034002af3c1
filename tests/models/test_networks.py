"""Every architecture: sizes, receptive field, reparameterisation, memory format and precision."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vidsr.device import Compute
from vidsr.errors import ModelError
from vidsr.models import ARCHITECTURES, build_network
from vidsr.models.architectures.blind_deconvolution import REACH
from vidsr.models.layers import LumaNetwork, add_anchor, crop_border
from vidsr.models.reparameterised import NormConv, RepConv, collapse
from vidsr.models.weight_files import count_parameters
from vidsr.stages.network_runner import Runner

DECONVOLVING = {"unshuffled deconvolving": "unshuffled", "gated_unet deconvolving": "gated_unet"}
RESTORATION = ("unshuffled", "gated_unet", "autoencoder", "deconvolved")
INTERPOLATION = ("refine", "superslomo")  # tests/train/tasks/test_interpolate.py
LUMA_NETWORKS = [name for name in ARCHITECTURES if name not in INTERPOLATION]
CASES = [(name, scale) for name in LUMA_NETWORKS for scale in ((1,) if name in RESTORATION else (2, 3, 4))]
CASES += [(name, 1) for name in DECONVOLVING]
# `make test` runs one of the three networks with blind deconvolution where a test takes long
SLOW = ("deconvolved", "gated_unet deconvolving")


def tiered(cases: list[tuple[str, int]]) -> list[Any]:
    """``cases``, those of `SLOW` in the slow tier only."""
    return [pytest.param(*case, marks=pytest.mark.slow if case[0] in SLOW else ()) for case in cases]


# smaller networks of the same architecture, for speed
SMALLER: dict[str, dict[str, int]] = {"srresnet": {"channels": 16, "blocks": 3}, "residual": {"channels": 32}}


def network_of(name: str, scale: int) -> LumaNetwork:
    torch.manual_seed(0)
    settings = {"scale": scale, **SMALLER.get(name, {}), **({"deconvolve": True} if name in DECONVOLVING else {})}
    return build_network(DECONVOLVING.get(name, name), settings).eval().requires_grad_(False)


@pytest.mark.parametrize(("name", "scale"), tiered(CASES))
@pytest.mark.parametrize("size", [(1, 1), (17, 12), (8, 23)])
def test_the_output_has_scale_times_the_size_in_float32(name: str, scale: int, size: tuple[int, int]) -> None:
    y = network_of(name, scale)(torch.rand(2, 1, *size))
    assert y.shape == (2, 1, size[0] * scale, size[1] * scale)
    assert y.dtype == torch.float32


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_the_halo_is_the_radius_of_the_receptive_field(name: str, scale: int) -> None:
    network = network_of(name, scale)
    # no ReLU may block a path, no sum may cancel, no normalisation may see equal channels
    kernels, others = (0.05, 1.0) if name.startswith("gated_unet") else (0.002, 0.002)
    for key, parameter in network.named_parameters():
        if "deconvolution." in key:
            continue
        parameter.copy_((kernels if parameter.ndim == 4 else others) * (0.5 + torch.rand(parameter.shape)))
    step = network.alignment
    corner = (network.halo // step + 2) * step
    x = torch.rand(1, 1, 2 * corner + step, 2 * corner + step, requires_grad=True)
    square = slice(corner * scale, (corner + step) * scale)
    features = network.global_features(x.detach())  # of the whole image
    network(x, features)[0, 0, square, square].sum().backward()
    transformed = "deconv" in name
    least = 1e-6 * x.grad.abs().max() if transformed else 0.0  # a Fourier transform rounds
    seen = (x.grad[0, 0].abs() > least).any(1).nonzero()[:, 0]
    reach = max(corner - int(seen.min()), int(seen.max()) - (corner + step - 1))
    assert reach <= network.halo, "a tile's halo would be too small"
    slack = REACH if transformed else 0  # an inverse filter may be shorter
    assert reach >= network.halo - slack - step, "a tile's halo would be wasteful"


@pytest.mark.parametrize(("name", "scale"), tiered(CASES))
def test_channels_last_gives_the_same_output(name: str, scale: int) -> None:
    network = network_of(name, scale)
    x = torch.rand(1, 1, 24, 20)
    expected = network(x)
    last = network.to(memory_format=torch.channels_last)(x.clone(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("name", "scale"), CASES)
def test_half_precision_stays_within_two_code_values(name: str, scale: int, dtype: torch.dtype) -> None:
    network = network_of(name, scale)
    if not network.anchored:
        pytest.skip("stays in float32")
    x = torch.rand(1, 1, 24, 20)
    expected = network(x)
    result = network.to(dtype)(x)
    assert result.dtype == torch.float32
    assert (result - expected).abs().max() < 2 / 255 * expected.abs().max().clamp(min=1)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_anchor_is_added_to_the_shuffled_residual(
    scale: int, dtype: torch.dtype, memory_format: torch.memory_format
) -> None:
    residual = torch.randn(2, scale**2, 5, 7).to(dtype).to(memory_format=memory_format)
    x = torch.rand(2, 1, 5, 7)
    expected = F.pixel_shuffle(residual.float(), scale) + F.interpolate(x, scale_factor=scale)
    torch.testing.assert_close(add_anchor(residual, x, scale), expected)
    torch.testing.assert_close(add_anchor(residual.requires_grad_(), x, scale).detach(), expected)


@pytest.mark.parametrize("channels", [(1, 8), (8, 8), (8, 4)])
@pytest.mark.parametrize("keep", [False, True])
def test_the_collapsed_kernel_equals_the_branches(channels: tuple[int, int], keep: bool) -> None:
    torch.manual_seed(1)
    plain = nn.Conv2d(*channels, 3)
    block = RepConv(plain, keep)
    x = torch.randn(2, channels[0], 9, 7)
    torch.testing.assert_close(block(x), block.branches(x), atol=1e-4, rtol=0)
    torch.testing.assert_close(block.collapse()(x), block.branches(x), atol=1e-4, rtol=0)
    assert torch.allclose(block(x), plain(x), atol=1e-4) == keep


@pytest.mark.parametrize("name", ["srcnn", "espcn"])
def test_networks_without_anchor_freeze_the_identity_channel(name: str) -> None:
    network: Any = network_of(name, 2).requires_grad_(True)
    network.for_training(keep=False)
    network(torch.rand(1, 1, 16, 16)).sum().backward()
    frozen = (network.head.weight.grad[0], network.head.bias.grad[0], network.middle.weight.grad[0])
    assert all(
        not gradient.any() for gradient in (*frozen, network.middle.bias.grad[0], network.tail.weight.grad[:, 0])
    )
    assert network.head.weight.grad[1:].any() and network.tail.weight.grad[:, 1:].any()


@pytest.mark.parametrize("branches", [True, False])
@pytest.mark.parametrize(("name", "scale"), tiered(CASES))
def test_the_collapsed_network_equals_its_training_form(name: str, scale: int, branches: bool) -> None:
    network = network_of(name, scale)
    network.for_training(keep=False, branches=branches)
    network.train()
    for _ in range(2):  # updates the statistics of batch norm
        network(torch.rand(2, 1, 20, 24))
    network.eval()
    x = torch.rand(1, 1, 20, 24)
    expected = network(x)
    collapse(network)
    assert not any(isinstance(m, RepConv | NormConv) for m in network.modules())
    torch.testing.assert_close(network(x), expected, atol=1e-4, rtol=0)
    fresh = network_of(name, scale)
    fresh.load_state_dict(network.state_dict())  # the shipped form has exactly the tensors of the plain network
    border = scale * (fresh.halo - network.halo)  # 0 unless the training form pads
    x = torch.rand(1, 1, 60, 64)
    torch.testing.assert_close(crop_border(fresh(x), border), crop_border(network(x), border), atol=1e-4, rtol=0)


@pytest.mark.parametrize("branches", [True, False])
@pytest.mark.parametrize(("name", "scale"), tiered([case for case in CASES if case[1] < 3]))
def test_the_training_form_can_keep_the_function_of_its_warm_start(name: str, scale: int, branches: bool) -> None:
    network = network_of(name, scale)
    x = torch.rand(1, 1, 40, 44)
    expected, halo = network(x), network.halo
    network.for_training(keep=True, branches=branches)
    border = scale * (halo - network.halo)  # output pixels that padding affects, if the training form pads
    torch.testing.assert_close(crop_border(network(x), border), crop_border(expected, border), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["srcnn", "espcn"])
def test_networks_without_anchor_start_near_the_nearest_neighbour_upscale(name: str) -> None:
    x = torch.rand(1, 1, 16, 16)[..., :1].expand(1, 1, 16, 16) * 0.5
    y = network_of(name, 2)(x)
    nearest = torch.nn.functional.interpolate(x, scale_factor=2)
    assert (y - nearest)[..., 8:-8, 8:-8].abs().mean() < 0.1


def test_the_error_for_an_unknown_architecture_or_setting_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"'unet'.*plain"):
        build_network("unet", {"scale": 2})
    with pytest.raises(ModelError, match=r"'depth'.*channels"):
        build_network("plain", {"scale": 2, "depth": 3})


def test_the_default_residual_network_has_at_most_six_hundred_thousand_parameters() -> None:
    for scale in (2, 3, 4):
        assert count_parameters(build_network("residual", {"scale": scale})) <= 600_000


@pytest.mark.parametrize("name", RESTORATION)
def test_restoration_networks_refuse_other_scales_than_1(name: str) -> None:
    with pytest.raises(ModelError, match="scale 2"):
        build_network(name, {"scale": 2})


@pytest.mark.parametrize(("name", "scale"), tiered([(name, 1) for name in (*RESTORATION, *DECONVOLVING)]))
@pytest.mark.parametrize("tile", [*(pytest.param(side, marks=pytest.mark.slow) for side in (1, 8)), 31])
def test_tiles_of_any_side_equal_the_whole_image(name: str, scale: int, tile: int) -> None:
    network = network_of(name, scale)
    for parameter in network.parameters():
        if parameter.ndim == 1 or not parameter.any():
            parameter.copy_(0.1 * torch.rand(parameter.shape))
    size = (61, 50) if tile > 1 else (13, 10)
    planes = torch.randint(0, 256, (1, 1, *size), dtype=torch.uint8)
    compute = Compute(torch.device("cpu"), torch.float32)
    whole = Runner(network, compute)(planes, 255)
    torch.testing.assert_close(Runner(network, compute, tile=tile)(planes, 255), whole, atol=1e-3, rtol=0)
