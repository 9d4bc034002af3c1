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
    limits = torch.full_like(rest, largest)
    return levels_in_turn(rest, step, spread, -limits, limits), step


def levels_in_turn(rows: Tensor, step: Tensor, spread: Tensor, least: Tensor, most: Tensor) -> Tensor:
    """Return ``rows`` (C x D) in levels of ``step`` (C), column by column; later ones take over the errors.

    ``spread``, D x D: upper Cholesky factor of the inverse second moments of the inputs. ``least`` and ``most``, C x D,
    limit the levels.
    """
    rest, levels = rows.clone(), torch.empty_like(rows)
    for n in range(rows.shape[1]):
        levels[:, n] = (rest[:, n] / step).round().clamp(least[:, n], most[:, n])
        error = (rest[:, n] - levels[:, n] * step) / spread[n, n]
        rest[:, n + 1 :] -= error[:, None] * spread[n, n + 1 :]
    return levels
