"""Whitened: steps of one size in what a layer says, whatever it sees and whatever the size of its gradient.

To a kernel a picture's neighbouring pixels are nearly the same number, and what comes through a ReLU is never below
zero: to move along these few directions changes all that the layer says, along the many others hardly anything. So
gradients are taken to where its inputs are white, by the inverse square root of their second moments, as K-FAC does
(Martens, Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature", 2015), are made orthogonal
there, as Muon does (Jordan et al., 2024, kellerjordan.github.io/posts/muon), and taken back. A step is a share of what
the layer says now. LOG.md has curves beside Adam's and Muon's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.equivariant import TAPS, OrbitConvReLU, isotypic_bases

MOMENTUM = 0.95
ITERATIONS = 5  # of Newton and Schulz
QUINTIC = (3.4445, -4.7750, 2.0315)  # takes singular values to between 0.7 and 1.2 in so many iterations
LOOK_EVERY = 10  # steps between two looks at a layer's inputs
OFTEN_UNTIL = 10  # steps, at first, with a look at each
MEMORY = 0.1  # share of the newest look in the moments
STRIDE = 3  # pixels between two places looked at
TIED_STRIDE = 5  # the same of a layer that is the same in all poses, which sees eight times as much at each
DAMPING = 1e-2  # of the mean moment, added to all
QUIET = 0.01  # least size, of full range, of what a layer is taken to say
ADAM_SHARE = 0.05  # of the rate: for biases and all else that is no convolution's kernel
ADAM_BETAS = (0.9, 0.99)


class Whitened(torch.optim.Optimizer):
    """The optimiser of ``network``, whose convolutions it looks into.

    ``rate`` is the share of what a layer says that one step changes: about twenty times the rate that Adam takes.
    """

    def __init__(self, network: nn.Module, rate: float) -> None:
        super().__init__(network.parameters(), {"lr": rate})
        self.layers = {m.weight: m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups == 1}
        self.seen: dict[nn.Module, Tensor] = {}
        for layer in self.layers.values():
            layer.register_forward_pre_hook(self._see)

    def _see(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.seen[layer] = inputs[0].detach()

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every parameter by its gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter in self.layers:
                    self._step_whitened(parameter, parameter.grad, group["lr"])
                else:
                    self._step_adam(parameter, parameter.grad, group["lr"] * ADAM_SHARE)

    def _step_whitened(self, parameter: Tensor, gradient: Tensor, rate: float) -> None:
        momentum = self._kept(parameter, "momentum").lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(momentum, MOMENTUM).flatten(1)
        covariance, whitener = self._look(parameter)
        free = (gradient != 0).flatten(1)  # a channel that carries the picture through is held
        rows = parameter.flatten(1) * free
        powers = ((rows @ covariance) * rows).sum(1)[free.any(1)]
        size = powers.mean().sqrt().clamp(min=QUIET) if len(powers) else 0.0
        direction = orthogonal(ahead @ whitener) @ whitener * free
        tall = max(1.0, direction.shape[0] / direction.shape[1]) ** 0.5
        parameter.sub_((direction * (rate * tall * size)).view_as(parameter))

    def _look(self, parameter: Tensor) -> tuple[Tensor, Tensor]:
        """The covariance of what the layer sees, and the inverse square root of its second moments."""
        taps = parameter[0].numel()
        mean = self._kept(parameter, "mean", (taps,))
        moments, whitener = (self._kept(parameter, name, (taps, taps)) for name in ("moments", "whitener"))
        count = self._kept(parameter, "count", ())
        if count < OFTEN_UNTIL or count % LOOK_EVERY == 0:
            layer = self.layers[parameter]
            share = max(MEMORY, 1 / (count.item() + 1))
            seen = places(self.seen[layer], layer)
            mean.lerp_(seen.mean(0), share)
            moments.lerp_(seen.T @ seen / len(seen), share)
            root = tied_inverse_root if isinstance(layer, OrbitConvReLU) else inverse_root
            whitener.copy_(root(moments))
        count.add_(1)
        return moments - torch.outer(mean, mean), whitener

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
            state[name] = torch.zeros_like(parameter) if shape is None else parameter.new_zeros(shape)
        kept: Tensor = state[name]
        return kept


def places(inputs: Tensor, layer: nn.Conv2d) -> Tensor:
    """What a kernel of ``layer`` lies on at some places of its ``inputs``: places x taps."""
    assert not isinstance(layer.padding, str)
    (rows, columns), (above, left) = layer.kernel_size, layer.padding
    around = (left, left, above, above)
    stride = TIED_STRIDE if isinstance(layer, OrbitConvReLU) else STRIDE
    lain = F.pad(inputs.float(), around).unfold(2, rows, stride).unfold(3, columns, stride)
    return lain.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)


def inverse_root(moments: Tensor) -> Tensor:
    """The inverse square root of a matrix of second moments, damped."""
    return _inverse_roots([moments], [1])[0]


def tied_inverse_root(moments: Tensor) -> Tensor:
    """The same of what a layer with tied kernels sees, in all poses of the picture: it falls apart into blocks."""
    bases = [basis.to(moments.device) for basis in isotypic_bases(moments.shape[0] // TAPS)]
    blocks = [torch.einsum("dmn,nk,dlk->ml", basis, moments, basis) / len(basis) for basis in bases]
    roots = _inverse_roots(blocks, [len(basis) for basis in bases])
    parts = [torch.einsum("dmn,ml,dlk->nk", basis, root, basis) for basis, root in zip(bases, roots, strict=True)]
    return torch.stack(parts).sum(0)


def _inverse_roots(blocks: Sequence[Tensor], copies: Sequence[int]) -> list[Tensor]:
    """The inverse square roots of the blocks of one matrix, in which each is there so many times."""
    parts = [torch.linalg.eigh(block.double()) for block in blocks]
    values = [part.eigenvalues.clamp(min=0) for part in parts]
    mean = torch.cat([value.repeat(count) for value, count in zip(values, copies, strict=True)]).mean()
    damping = DAMPING * mean.clamp(min=torch.finfo(torch.float32).tiny)
    return [
        ((part.eigenvectors * (value + damping).rsqrt()) @ part.eigenvectors.T).float()
        for part, value in zip(parts, values, strict=True)
    ]


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
