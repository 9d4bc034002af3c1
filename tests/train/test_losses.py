"""Losses have their published values."""

import math

import pytest
import torch

from vidsr.train.losses import LOSSES, charbonnier, fft


def test_losses_have_their_published_values() -> None:
    a, b = torch.zeros(2, 1, 8, 8), torch.full((2, 1, 8, 8), 0.3)
    assert LOSSES["l1"](b, a).item() == pytest.approx(0.3)
    assert LOSSES["l2"](b, a).item() == pytest.approx(0.09)
    assert charbonnier(b, a).item() == pytest.approx(math.sqrt(0.09 + 1e-6))
    assert charbonnier(a, a).item() == pytest.approx(1e-3)
    # a constant error of 0.3 is one coefficient of 0.3 * 8, among 8 x 5 complex ones
    assert fft(b, a).item() == pytest.approx(0.3 * 8 / (8 * 5 * 2), rel=1e-5)
    for loss in LOSSES.values():
        x = torch.rand(1, 1, 8, 8, requires_grad=True)
        loss(x, torch.rand(1, 1, 8, 8)).backward()
        assert x.grad is not None and torch.isfinite(x.grad).all()
