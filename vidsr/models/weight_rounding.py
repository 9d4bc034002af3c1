"""Rounding of a layer's weights to levels such that the errors cancel for typical inputs.

Frantar et al., "GPTQ: accurate post-training quantization for generative pre-trained transformers", 2023: each weight
is rounded in turn, and those after it take over its error, by the correlation of their inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

DAMPING = 0.01  # of the mean square of the inputs, added to the correlation


def round_weights(weight: Tensor, exact: Tensor, given: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Return ``weight`` (C x D) in whole levels up to ``largest``, and the value of one level for each row (C).

    ``exact``, D x N: inputs of the layer without rounding. ``given``: those that the layer gets, which earlier layers
    and codes have changed. The rounded layer answers to the second as nearly as it can what the exact one answers to
    the first.
    """
    correlation = (given @ given.T).double()
    correlation.diagonal().add_(DAMPING * correlation.diagonal().mean())
    inverse = torch.linalg.inv(correlation)
    change = (weight @ (exact - given) @ given.T).double() @ inverse
    rest = weight + change.float()
    step = rest.abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny) / largest
    spread = torch.linalg.cholesky(inverse, upper=True).float()
    levels = torch.empty_like(rest)
    for n in range(rest.shape[1]):
        levels[:, n] = (rest[:, n] / step).round().clamp(-largest, largest)
        error = (rest[:, n] - levels[:, n] * step) / spread[n, n]
        rest[:, n:] -= error[:, None] * spread[n, n:]
    return levels, step
