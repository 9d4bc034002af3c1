"""The optimiser `whitened`: kernels move along whitened inputs.

A step changes a layer's output by a fixed share. Neighbouring pixels of an image are nearly equal, and the output of a
ReLU is never negative. So a kernel's inputs are highly correlated: a step along a few directions changes the output a
lot, along the many others hardly at all. This optimiser whitens the gradient by the inverse square root of the inputs'
second moments, as K-FAC does (Martens, Grosse, "Optimizing neural networks with Kronecker-factored approximate
curvature", 2015). It then makes the gradient orthogonal, as Muon does (Jordan et al., 2024,
kellerjordan.github.io/posts/muon), and transforms it back. The size of a step is a share of the size of the layer's
output. LOG.md compares the curves with those of Adam and Muon.
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
QUINTIC = (3.4445, -4.7750, 2.0315)  # coefficients that bring singular values to 0.7 to 1.2 in ITERATIONS
SAMPLE_EVERY = 10  # steps between two samples of a layer's inputs
SAMPLE_ALWAYS_UNTIL = 10  # in the first steps every step takes a sample
NEW_SHARE = 0.1  # share of the newest sample in the moments
STRIDE = 3  # pixels between two sampled positions
TIED_STRIDE = 5  # the same for a layer with tied kernels, whose positions count eight times
DAMPING = 1e-2  # share of the mean moment, added to all moments
MIN_OUTPUT = 0.01  # smallest assumed size of a layer's output, 1 for full range
ADAM_SHARE = 0.05  # of the rate, for biases and all other parameters that are not kernels
ADAM_BETAS = (0.9, 0.99)


class Whitened(torch.optim.Optimizer):
    """Optimiser of all parameters of ``network``: whitened steps for kernels, Adam for the rest.

    Hooks record the inputs of every convolution. ``rate`` is the share of a layer's output that one step changes: about
    twenty times the learning rate of Adam.
    """

    def __init__(self, network: nn.Module, rate: float) -> None:
        super().__init__(network.parameters(), {"lr": rate})
        self.layers = {m.weight: m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups == 1}
        self.inputs: dict[nn.Module, Tensor] = {}
        for layer in self.layers.values():
            layer.register_forward_pre_hook(self._record_input)

    def _record_input(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.inputs[layer] = inputs[0].detach()

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter in self.layers:
                    self._step_whitened(parameter, parameter.grad, group["lr"])
                else:
                    self._step_adam(parameter, parameter.grad, group["lr"] * ADAM_SHARE)

    def _step_whitened(self, parameter: Tensor, gradient: Tensor, rate: float) -> None:
        momentum = self._state_tensor(parameter, "momentum").lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(momentum, MOMENTUM).flatten(1)
        covariance, whitener = self._input_statistics(parameter)
        free = (gradient != 0).flatten(1)  # an identity channel is frozen: its gradient is zero
        rows = parameter.flatten(1) * free
        output_variance = ((rows @ covariance) * rows).sum(1)[free.any(1)]
        size = output_variance.mean().sqrt().clamp(min=MIN_OUTPUT) if len(output_variance) else 0.0
        direction = orthogonal(ahead @ whitener) @ whitener * free
        tall = max(1.0, direction.shape[0] / direction.shape[1]) ** 0.5
        parameter.sub_((direction * (rate * tall * size)).view_as(parameter))

    def _input_statistics(self, parameter: Tensor) -> tuple[Tensor, Tensor]:
        """Return the covariance and the whitening matrix of the layer's inputs.

        The whitening matrix is the inverse square root of the second moments.
        """
        taps = parameter[0].numel()
        mean = self._state_tensor(parameter, "mean", (taps,))
        moments, whitener = (self._state_tensor(parameter, name, (taps, taps)) for name in ("moments", "whitener"))
        count = self._state_tensor(parameter, "count", ())
        if count < SAMPLE_ALWAYS_UNTIL or count % SAMPLE_EVERY == 0:
            layer = self.layers[parameter]
            share = max(NEW_SHARE, 1 / (count.item() + 1))
            patches = sample_patches(self.inputs[layer], layer)
            mean.lerp_(patches.mean(0), share)
            moments.lerp_(patches.T @ patches / len(patches), share)
            root = tied_inverse_root if isinstance(layer, OrbitConvReLU) else inverse_root
            whitener.copy_(root(moments))
        count.add_(1)
        return moments - torch.outer(mean, mean), whitener

    def _step_adam(self, parameter: Tensor, gradient: Tensor, rate: float) -> None:
        count = self._state_tensor(parameter, "count", ()).add_(1).item()
        mean = self._state_tensor(parameter, "mean").lerp_(gradient, 1 - ADAM_BETAS[0])
        square = self._state_tensor(parameter, "square").lerp_(gradient.square(), 1 - ADAM_BETAS[1])
        size = (square / (1 - ADAM_BETAS[1] ** count)).sqrt_().add_(1e-8)
        parameter.addcdiv_(mean / (1 - ADAM_BETAS[0] ** count), size, value=-rate)

    def _state_tensor(self, parameter: Tensor, name: str, shape: tuple[int, ...] | None = None) -> Tensor:
        """Return the tensor stored under ``name``, initially zero."""
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter) if shape is None else parameter.new_zeros(shape)
        tensor: Tensor = state[name]
        return tensor


def sample_patches(inputs: Tensor, layer: nn.Conv2d) -> Tensor:
    """Return the inputs under the kernel at every STRIDE-th position.

    Returns positions x taps.
    """
    assert not isinstance(layer.padding, str)
    (rows, columns), (above, left) = layer.kernel_size, layer.padding
    border = (left, left, above, above)
    stride = TIED_STRIDE if isinstance(layer, OrbitConvReLU) else STRIDE
    patches = F.pad(inputs.float(), border).unfold(2, rows, stride).unfold(3, columns, stride)
    return patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)


def inverse_root(moments: Tensor) -> Tensor:
    """Return the damped inverse square root of a matrix of second moments."""
    return _inverse_roots([moments], [1])[0]


def tied_inverse_root(moments: Tensor) -> Tensor:
    """Return the inverse square root for a layer with tied kernels.

    Its moments under all symmetries are block-diagonal.
    """
    bases = [basis.to(moments.device) for basis in isotypic_bases(moments.shape[0] // TAPS)]
    blocks = [torch.einsum("dmn,nk,dlk->ml", basis, moments, basis) / len(basis) for basis in bases]
    roots = _inverse_roots(blocks, [len(basis) for basis in bases])
    parts = [torch.einsum("dmn,ml,dlk->nk", basis, root, basis) for basis, root in zip(bases, roots, strict=True)]
    return torch.stack(parts).sum(0)


def _inverse_roots(blocks: Sequence[Tensor], copies: Sequence[int]) -> list[Tensor]:
    """Return the inverse square roots of the blocks of one matrix.

    Each block occurs ``copies`` times.
    """
    parts = [torch.linalg.eigh(block.double()) for block in blocks]
    values = [part.eigenvalues.clamp(min=0) for part in parts]
    mean = torch.cat([value.repeat(count) for value, count in zip(values, copies, strict=True)]).mean()
    damping = DAMPING * mean.clamp(min=torch.finfo(torch.float32).tiny)
    return [
        ((part.eigenvectors * (value + damping).rsqrt()) @ part.eigenvectors.T).float()
        for part, value in zip(parts, values, strict=True)
    ]


def orthogonal(matrix: Tensor) -> Tensor:
    """Return an approximation of the nearest orthogonal matrix.

    It has the same singular vectors, and singular values near one.
    """
    a, b, c = QUINTIC
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    result: Tensor = x if wide is matrix else x.T
    return result
