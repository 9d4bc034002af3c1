"""A network of ncnn as a PyTorch module: waifu2x, Real-CUGAN, Real-ESRGAN and others, from their graphs.

The scale, the border that the layers cut off and the multiple that the sides must be of follow from the graph: it runs
on shapes alone for several sizes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.architectures.ncnn_layers import KINDS, Apply, Convolution, GlobalPool, Operation
from vidsr.models.ncnn_files import Layer
from vidsr.models.rgb_network import LARGEST_SCALE, RgbNetwork, Statistics

PROBE = 96  # side of the image by which a graph is examined; every network so far takes it
GREY_SIDE = 16
MULTIPLES = (1, 2, 4, 8, 16, 32)
LARGEST_HALO = 48  # beyond this, no pixel changes an output by half an 8-bit code (tests/stages/test_rgb_upscale.py)


class NcnnGraph(RgbNetwork):
    """The network of ``layers``, which `vidsr.models.ncnn_files.read_ncnn` read.

    Raises:
        ValueError: a layer is of an unknown kind, or the graph is none that upscales RGB.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.steps: list[tuple[Operation, tuple[str, ...], str]] = []
        self.operations = nn.ModuleList()
        aliases: dict[str, str] = {}
        inputs = [layer.outputs[0] for layer in layers if layer.kind == "Input"]
        for layer in layers:
            names = tuple(aliases.get(name, name) for name in layer.inputs)
            if layer.kind == "Split":
                aliases |= dict.fromkeys(layer.outputs, names[0])
            elif layer.kind != "Input":
                if layer.kind not in KINDS:
                    raise ValueError(f"layer {layer.name} is a {layer.kind}, which vidsr does not compute")
                operation = KINDS[layer.kind](layer)
                self.operations.append(operation)
                self.steps.append((operation, names, layer.outputs[0]))
        if len(inputs) != 1 or not self.steps:
            raise ValueError("it has no layers, or not one input")
        self.input, self.result = inputs[0], self.steps[-1][2]
        self.reads = Counter(name for _, names, _ in self.steps for name in names)
        self.has_statistics = any(isinstance(operation, GlobalPool) for operation in self.operations)
        self._examine()
        self.answers_residual = self._answers_residual()

    def layers(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return ``x`` upscaled."""
        result = self.run(x, statistics)
        if not self.answers_residual:
            return result
        b = self.border
        inner = x[..., b : x.shape[-2] - b, b : x.shape[-1] - b]
        return result.float() + F.interpolate(inner, scale_factor=float(self.scale))

    def run(self, x: Tensor, statistics: Statistics) -> Tensor:
        """Return the raw output of the graph; each value is freed after its last use."""
        values, left = {self.input: x}, self.reads.copy()
        for operation, names, output in self.steps:
            arguments = [values[name] for name in names]
            if isinstance(operation, GlobalPool):
                values[output] = statistics(arguments[0], operation)
            else:
                values[output] = operation(*arguments)
            for name in names:
                left[name] -= 1
                if not left[name] and name != output:
                    values.pop(name, None)
        return values[self.result]

    def _examine(self) -> None:
        """Find scale, border, multiple, halo, and whether there is an anchor."""
        small, large = self.output_side(PROBE), self.output_side(PROBE + MULTIPLES[-1])
        scale, rest = divmod(large - small, MULTIPLES[-1])
        cut = scale * PROBE - small
        if rest or not 1 <= scale <= LARGEST_SCALE or cut < 0 or cut % (2 * scale):
            raise ValueError(f"it maps {PROBE} pixels to {small}, which is no upscaling")
        self.scale, self.border = scale, cut // (2 * scale)
        self.multiple = self.alignment = self._smallest_multiple()
        reach = sum(op.kernel // 2 for op in self.operations if isinstance(op, Convolution))
        halo = self.border or min(LARGEST_HALO, reach)
        self.halo = -(-halo // self.multiple) * self.multiple
        exact = {self.input: True}  # whether a value comes from the input past all convolutions, so in its float32
        for operation, names, output in self.steps:
            exact[output] = isinstance(operation, Apply) and any(exact[name] for name in names)
        self.anchored = exact[self.result]

    def output_side(self, side: int) -> int:
        """Return the side of the output for a square image.

        Raises:
            ValueError: the layers do not fit together.
        """
        sides = {self.input: side}
        for operation, names, output in self.steps:
            sides[output] = operation.side(*(sides[name] for name in names))
            if not 1 <= sides[output] <= LARGEST_SCALE * side:
                raise ValueError(f"its layers do not fit together on an image of {side} pixels")
        return sides[self.result]

    def _smallest_multiple(self) -> int:
        """Return the multiple that the sides of an image must be of."""
        for multiple in MULTIPLES:
            sides = [multiple * (PROBE // 2 // multiple + n) for n in range(4)]
            try:
                if all(self.output_side(side + 2 * self.border) == self.scale * side for side in sides):
                    return multiple
            except ValueError:
                continue
        raise ValueError("no size of an image fits its layers")

    @torch.inference_mode()
    def _answers_residual(self) -> bool:
        """Whether the output must be added to the upscaled input: for a grey image it is near 0 then, not grey."""
        side = GREY_SIDE + 2 * self.border
        output = self.run(torch.full((1, 3, side, side), 0.5), Statistics(None, (side, side)))
        if output.shape != (1, 3, GREY_SIDE * self.scale, GREY_SIDE * self.scale):
            raise ValueError(f"it answers {tuple(output.shape[1:])} for an image of {GREY_SIDE} pixels")
        return bool(output.mean().abs() < 0.25)
