"""The recurrent network: back-projection, the state, and the first frame."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.models import weight_files
from vidsr.models.architectures.recurrent import Config, Recurrent, enlargement_kernels, reduction_kernel
from vidsr.models.layers import crop_border
from vidsr.models.temporal import Prior, State, warp_state
from vidsr.models.weight_files import WEIGHTS


def network(scale: int = 2) -> Recurrent:
    torch.manual_seed(0)
    return Recurrent(Config(scale, channels=8, layers=2, hidden=8)).eval()


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_reduction_and_enlargement_are_the_antialiased_bicubic(scale: int) -> None:
    kernel = reduction_kernel(scale)
    border = (kernel.shape[-1] - scale) // 2
    hr = noise(1, 1, 24 * scale, 20 * scale)
    reduced = F.conv2d(F.pad(hr, (border,) * 4, mode="replicate"), kernel, stride=scale)
    expected = F.interpolate(hr, scale_factor=1 / scale, mode="bicubic", antialias=True)
    assert torch.allclose(crop_border(reduced, 3), crop_border(expected, 3), atol=1e-5)
    enlarged = F.pixel_shuffle(F.conv2d(F.pad(expected, (2,) * 4, mode="replicate"), enlargement_kernels(scale)), scale)
    bicubic = F.interpolate(expected, scale_factor=float(scale), mode="bicubic", antialias=True)
    assert torch.allclose(crop_border(enlarged, 3 * scale), crop_border(bicubic, 3 * scale), atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_frame_without_a_past_is_upscaled_as_an_image(scale: int) -> None:
    model, y = network(scale), noise(2, 1, 19, 23)
    with torch.no_grad():
        image, (first, state) = model(y), model.next_frame(y, None)
        unknown, _ = model.next_frame(y, Prior.empty(2, (19, 23), scale, 8, y))
    assert torch.allclose(image, first, atol=1e-6)
    assert torch.allclose(unknown, first, atol=1e-6)
    assert (state.luma.shape, state.estimate.shape) == ((2, 1, 19, 23), (2, 1, 19 * scale, 23 * scale))
    assert state.hidden.shape == (2, 8, 19, 23)


def test_a_network_that_has_upscaled_can_be_trained() -> None:
    """Kernels that inference had made and kept could not take part in training."""
    reduction_kernel.cache_clear()
    enlargement_kernels.cache_clear()
    with torch.inference_mode():
        reduction_kernel(3), enlargement_kernels(3)
    y = noise(1, 1, 12, 12).requires_grad_()
    network(3).next_frame(y, Prior.empty(1, (12, 12), 3, 8, y))[0].sum().backward()
    assert y.grad is not None


def test_the_prior_is_made_to_agree_with_the_frame() -> None:
    model, y = network(), noise(1, 1, 24, 24)
    prior = Prior(y, noise(1, 1, 48, 48), torch.zeros(1, 8, 24, 24), torch.ones(1, 1, 24, 24))
    with torch.no_grad():
        error, correction = model._back_project(y, prior)
        again = Prior(y, F.pixel_shuffle(correction + y, 2), prior.hidden, prior.inside)
        rest, _ = model._back_project(y, again)
    assert crop_border(rest, 8).square().mean() < 0.2 * crop_border(error, 8).square().mean()


def test_the_network_reads_the_share_of_the_past_that_it_keeps() -> None:
    model, y = network(), noise(1, 1, 24, 24)
    prior = Prior(y, noise(1, 1, 48, 48), torch.zeros(1, 8, 24, 24), torch.ones(1, 1, 24, 24))
    with torch.no_grad():
        _, single = model.single_frame(model.with_halo(y))
        whole = model.prior_planes(y, prior, single)
        model.keep = 0.75
        part = model.prior_planes(y, prior, single)
    assert torch.allclose(part[:, :4], 0.75 * whole[:, :4], atol=1e-6)
    assert torch.equal(part[:, 4:], whole[:, 4:])


def test_nothing_is_taken_from_beyond_the_frame() -> None:
    model, y = network(), noise(1, 1, 20, 20)
    with torch.no_grad():
        alone, state = model.next_frame(y, None)
        far_away = warp_state(state, torch.full((1, 2, 20, 20), 1e4))
        assert not far_away.inside.any()
        moved, _ = model.next_frame(
            y, Prior(far_away.luma, far_away.estimate, torch.zeros_like(far_away.hidden), far_away.inside)
        )
    assert torch.allclose(alone, moved, atol=1e-6)


def test_the_state_stays_bounded_in_a_thousand_frames() -> None:
    model, y = network(), noise(1, 1, 12, 12)
    with torch.no_grad():
        for layer in (*model.recurrent, model.head):
            for parameter in layer.parameters():
                parameter.mul_(20)  # far beyond any training
        prior = None
        for _ in range(1000):
            output, state = model.next_frame(y, prior)
            prior = warp_state(state, torch.zeros(1, 2, 12, 12))
    assert output.isfinite().all()
    assert state.estimate.min() >= -0.05
    assert state.estimate.max() <= 1.05
    assert state.hidden.max() <= 4


def test_flow_of_whole_pixels_moves_every_plane_of_the_state() -> None:
    luma, hidden = noise(1, 1, 16, 16), noise(1, 3, 16, 16)
    estimate = noise(1, 1, 32, 32)
    prior = warp_state(State(luma, estimate, hidden), torch.tensor([2.0, -3.0]).view(1, 2, 1, 1).expand(1, 2, 16, 16))
    rows, columns = slice(5, 13), slice(3, 11)
    from_rows, from_columns = slice(2, 10), slice(5, 13)
    assert torch.allclose(prior.luma[..., rows, columns], luma[..., from_rows, from_columns], atol=1e-5)
    assert torch.allclose(prior.hidden[..., rows, columns], hidden[..., from_rows, from_columns], atol=1e-5)
    assert torch.allclose(prior.estimate[..., 10:26, 6:22], estimate[..., 4:20, 10:26], atol=1e-5)
    assert not prior.inside[..., -2:].any()
    assert not prior.inside[..., :3, :].any()
    assert prior.inside[..., 3:, :-2].all()


def test_training_of_a_temporal_network_starts_from_its_single_frame_network() -> None:
    single, _ = weight_files.read(WEIGHTS / "balanced-clean-x4.safetensors")
    model = Recurrent(Config(4))
    missing = model.load_state_dict(single.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert all(name.startswith(("recurrent.", "head.")) for name in missing.missing_keys)
