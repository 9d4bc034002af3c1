"""Muon: kernels move by an orthogonal step, whatever the sizes of their gradients; all else is Adam's.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024 (kellerjordan.github.io/posts/muon), with
a convolution's kernel as the matrix of its outputs by all that they see. PyTorch's own takes matrices alone. LOG.md has
curves beside Adam's: much quicker at first, no further in the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
ITERATIONS = 5  # of Newton and Schulz
QUINTIC = (3.4445, -4.7750, 2.0315)  # takes singular values to between 0.7 and 1.2 in so many iterations
ADAM_SHARE = 0.05  # of the rate: for biases, and for kernels of a single channel
ADAM_BETAS = (0.9, 0.99)


class Muon(torch.optim.Optimizer):
    """The optimiser over ``parameters``; ``rate`` is about twenty times what Adam takes."""

    def __init__(self, parameters: Iterable[nn.Parameter], rate: float) -> None:
        super().__init__(parameters, {"lr": rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every parameter by its gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if is_matrix(parameter):
                    self._step_orthogonal(parameter, parameter.grad, group["lr"])
                else:
                    self._step_adam(parameter, parameter.grad, group["lr"] * ADAM_SHARE)

    def _step_orthogonal(self, parameter: Tensor, gradient: Tensor, rate: float) -> None:
        momentum = self._kept(parameter, "momentum").lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(momentum, MOMENTUM)
        rows = ahead.flatten(1)
        direction = orthogonal(rows) * max(1.0, rows.shape[0] / rows.shape[1]) ** 0.5
        parameter.add_(direction.view_as(parameter), alpha=-rate)

    def _step_adam(self, parameter: Tensor, gradient: Tensor, rate: float) -> None:
        count = self._kept(parameter, "count", ()).add_(1).item()
        mean = self._kept(parameter, "mean").lerp_(gradient, 1 - ADAM_BETAS[0])
        square = self._kept(parameter, "square").lerp_(gradient.square(), 1 - ADAM_BETAS[1])
        size = (square / (1 - ADAM_BETAS[1] ** count)).sqrt_().add_(1e-8)
        parameter.addcdiv_(mean / (1 - ADAM_BETAS[0] ** count), size, value=-rate)

    def _kept(self, parameter: Tensor, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
        """The tensor remembered under ``name``, zero at first."""
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter) if shape is None else torch.zeros(shape)
        kept: Tensor = state[name]
        return kept


def is_matrix(parameter: Tensor) -> bool:
    """Whether ``parameter`` maps several channels to several."""
    return parameter.ndim > 1 and min(parameter.shape[:2]) > 1


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the nearest orthogonal matrix to ``matrix``: singular vectors as they are, singular values about one."""
    a, b, c = QUINTIC
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = x if wide is matrix else x.T
    return result
