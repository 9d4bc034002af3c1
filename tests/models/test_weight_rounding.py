"""Weights rounded such that errors cancel."""

import torch

from vidsr.models.weight_rounding import round_weights


def correlated(count: int = 400) -> torch.Tensor:
    """12 inputs that are mixtures of four."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(12, count, generator=generator) / 10
    return torch.randn(12, 4, generator=generator) @ torch.randn(4, count, generator=generator) + noise


def test_the_output_is_nearer_than_with_each_weight_rounded_alone() -> None:
    inputs = correlated()
    weight = torch.randn(5, 12, generator=torch.Generator().manual_seed(1))
    levels, step = round_weights(weight, inputs, inputs, 7)
    assert torch.equal(levels, levels.round()) and levels.abs().max() <= 7
    plain = (weight / weight.abs().amax(1, keepdim=True) * 7).round() * weight.abs().amax(1, keepdim=True) / 7
    error, plain_error = ((w @ inputs - weight @ inputs).square().mean() for w in (levels * step[:, None], plain))
    assert error < plain_error / 4


def test_what_earlier_layers_changed_is_compensated() -> None:
    exact = correlated()
    given = exact.clone()
    given[3] *= 0.5  # an input lost half of its size
    weight = torch.randn(5, 12, generator=torch.Generator().manual_seed(1))
    levels, step = round_weights(weight, exact, given, 127)
    error = (levels * step[:, None] @ given - weight @ exact).square().mean()
    assert error < (weight @ given - weight @ exact).square().mean() / 100


def test_weights_that_are_levels_stay_as_they_are() -> None:
    levels = torch.randint(-127, 128, (4, 12), generator=torch.Generator().manual_seed(2)).float()
    levels[:, 0] = 127
    inputs = correlated()
    rounded, step = round_weights(levels / 32, inputs, inputs, 127)
    assert torch.equal(rounded, levels) and torch.allclose(step, torch.full((4,), 1 / 32))


def test_a_row_of_zeros_stays_zero() -> None:
    inputs = correlated()
    assert not round_weights(torch.zeros(2, 12), inputs, inputs, 127)[0].any()
