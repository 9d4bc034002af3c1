"""Upscaling by a temporal network: each frame is corrected by what earlier frames have shown.

The state of a frame is warped along the optical flow to the next frame. A scene has no past, so its first frame gets
the state of the frames that follow, upscaled in reverse order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import takewhile

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.flow import scene_cuts
from vidsr.flow.search import MIN_SIDE, find_fine_flow
from vidsr.models import Model
from vidsr.models.architectures.recurrent import Recurrent
from vidsr.models.layers import add_anchor
from vidsr.models.temporal import MAX_OVERSHOOT, Prior, State, TemporalNetwork, warp_state
from vidsr.runtime.concurrency import computed_ahead
from vidsr.stages.network_runner import Runner
from vidsr.stages.temporal_prior import Part, TemporalPrior, blended, empty_planes

Luma = NDArray[np.uint8]
LOOK_AHEAD = 5  # frames behind the first one of a scene that give it a state (docs/temporal.md)


class TemporalUpscaler:
    """Upscales consecutive frames; the state goes from each to the next.

    ``runner`` runs a `Model` with a `TemporalNetwork`. Frames pass one by one; a frame may be cut into tiles.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.copied = 0  # tiles copied instead of computed: none
        self._state: State | None = None
        self._last: Tensor | None = None  # code values of the previous frame

    def __call__(
        self, planes: Tensor, peak: int, rounded: bool = False, following: Sequence[Tensor] | None = None
    ) -> Tensor:
        """N x 1 x H x W code values of consecutive frames -> upscaled code values, as `Runner` returns them.

        ``following``: the `LOOK_AHEAD` frames behind them; fewer where the clip ends. None: no frame looks ahead.
        """
        frames = [planes[i : i + 1] for i in range(len(planes))]
        pairs = zip([self._last, *frames[:-1]], frames, strict=True)
        flows = computed_ahead(pairs, partial(find_flow, peak=peak))
        results = []
        for index, (frame, flow) in enumerate(zip(frames, flows, strict=True)):
            if flow is None and following is not None:
                flow = self._begin([*frames[index:], *following][: 1 + LOOK_AHEAD], peak)
            results.append(self._upscaled(frame, flow, peak, rounded))
        self._last = frames[-1]
        return torch.cat(results)

    def _begin(self, frames: Sequence[Tensor], peak: int) -> Tensor | None:
        """Make the state of the second of ``frames`` from those behind it in the scene that the first one begins.

        Returns the flow from the first to the second; None if the scene has one frame.
        """
        pairs = zip(frames[1:], frames[:-1], strict=True)
        flows = list(takewhile(is_known, (find_flow(pair, peak) for pair in pairs)))  # from each frame to the next
        if not flows:
            return None
        for frame, flow in reversed([*zip(frames[1 : 1 + len(flows)], [*flows[1:], None], strict=True)]):
            self._upscaled(frame, flow, peak)
        return flows[0]

    def _upscaled(self, frame: Tensor, flow: Tensor | None, peak: int, rounded: bool = False) -> Tensor:
        """One frame upscaled; ``flow`` leads to the frame that `_state` is of, None where there is none."""
        y = self.runner.values(frame, peak)
        self.runner.check_once(y)
        state = None if flow is None else self._state
        on_cpu = y.device.type == "cpu" and isinstance(temporal_network(self.runner), Recurrent)
        step = partial(self._by_kernels, peak=peak, rounded=rounded) if on_cpu else partial(self._by_pytorch, peak=peak)
        output, self._state = self.runner.retry_smaller(frame.shape, lambda: step(y, state, flow))
        return output

    @torch.inference_mode()
    def _by_pytorch(self, y: Tensor, state: State | None, flow: Tensor | None, peak: int) -> tuple[Tensor, State]:
        """Code values and state of a frame, on any device, in as many tiles as the memory allows."""
        network = temporal_network(self.runner)
        scale, (h, w) = network.scale, y.shape[-2:]
        prior = None if state is None or flow is None else warp_state(state, flow.permute(2, 0, 1)[None].to(y.device))
        residual = y.new_empty(1, scale**2, h, w)
        hidden = y.new_empty(1, network.hidden_channels, h, w, dtype=network.dtype)
        for read, kept, target in self._tiles(h, w):
            parts = network.step(network.with_halo(y[..., read[0], read[1]]), prior and cut_prior(prior, read, scale))
            for whole, part in zip((residual, hidden), parts, strict=True):
                whole[..., target[0], target[1]] = part[..., kept[0], kept[1]]
        estimate = add_anchor(residual, y, scale)
        return estimate * peak, State(y, estimate.clamp(-MAX_OVERSHOOT, 1 + MAX_OVERSHOOT), hidden)

    @torch.inference_mode()
    def _by_kernels(
        self, y: Tensor, state: State | None, flow: Tensor | None, peak: int, rounded: bool
    ) -> tuple[Tensor, State]:
        """The same on the CPU, by kernels of many operations each; code values are integers if ``rounded``."""
        network = temporal_network(self.runner)
        assert isinstance(network, Recurrent)
        scale, (h, w), plane = network.scale, y.shape[-2:], y[0, 0].numpy()
        past = None if state is None or flow is None else TemporalPrior.of(state, plane, flow.numpy())
        codes = code_type(peak) if rounded else torch.float32
        wholes = (
            y.new_empty(1, h, w, network.hidden_channels, dtype=network.dtype).permute(0, 3, 1, 2),
            y.new_empty(1, 1, h * scale, w * scale),
            y.new_empty(1, 1, h * scale, w * scale, dtype=codes),
        )
        for read, kept, target in self._tiles(h, w):
            part = y[..., read[0], read[1]]
            features, single = network.single_frame(network.with_halo(part))
            planes = empty_planes(network, part) if past is None else past.planes(read, single, network.keep)
            head, hidden = network.recur(features, planes)
            parts = (hidden, *blended(planes, head, single, part, peak, codes))
            for whole, one in zip(wholes, parts, strict=True):
                unit = whole.shape[-1] // w
                whole[..., *fine(target, unit)] = one[..., *fine(kept, unit)]
        return wholes[2], State(y, wholes[1], wholes[0])

    def _tiles(self, h: int, w: int) -> Iterator[tuple[Part, Part, Part]]:
        """For each tile: the part of the frame to read, the part of that to keep, and its place in the frame."""
        scale = self.runner.network.scale
        for outer, inner, target in self.runner.tiles(h, w):
            yield outer, coarse(inner, scale), coarse(target, scale)


def coarse(part: tuple[slice, ...], scale: int) -> Part:
    """Return the rows and columns of ``part`` in an image that is ``scale`` times as small."""
    rows, columns = (slice(n.start // scale, n.stop // scale) for n in part)
    return rows, columns


def fine(part: Part, scale: int) -> Part:
    """Return the rows and columns of ``part`` in an image that is ``scale`` times as large."""
    return slice(part[0].start * scale, part[0].stop * scale), slice(part[1].start * scale, part[1].stop * scale)


def code_type(peak: int) -> torch.dtype:
    """Return the integer type of code values up to ``peak``."""
    return torch.uint8 if peak <= np.iinfo(np.uint8).max else torch.uint16


def is_temporal(runner: Runner) -> bool:
    """Whether the runner's network upscales the frames of a clip in order."""
    return isinstance(runner.network, Model) and isinstance(runner.network.network, TemporalNetwork)


def temporal_network(runner: Runner) -> TemporalNetwork:
    """Return the network of ``runner``, in the precision in which it runs."""
    assert isinstance(runner.network, Model)
    network = runner.network.network
    assert isinstance(network, TemporalNetwork)
    return network


def is_known(flow: Tensor | None) -> bool:
    """Whether there is a flow."""
    return flow is not None


def find_flow(pair: tuple[Tensor | None, Tensor], peak: int) -> Tensor | None:
    """Return the flow from a frame to another one, H x W x 2 in pixels.

    ``pair``: the other frame, which is next to it in time, and the frame, 1 x 1 x H x W code values up to ``peak``.
    None at a scene cut, without another frame, and for frames too small to search.
    """
    other, frame = pair
    if other is None or min(frame.shape[-2:]) < MIN_SIDE:
        return None
    other, frame = other.cpu(), frame.cpu()
    depth = peak.bit_length()
    if scene_cuts.is_cut(scene_cuts.thumbnail(other, depth), scene_cuts.thumbnail(frame, depth)):
        return None
    return torch.from_numpy(find_fine_flow(search_codes(frame, peak), search_codes(other, peak)))


def search_codes(frame: Tensor, peak: int) -> Luma:
    """Return the luma of one frame as 8-bit codes."""
    plane = frame[0, 0].numpy()
    if plane.dtype == np.uint8 and peak == 255:
        return np.ascontiguousarray(plane)
    return np.asarray(cv2.convertScaleAbs(plane.astype(np.float32).clip(0), alpha=255 / peak))


def cut_prior(prior: Prior, where: Part, scale: int) -> Prior:
    """Return the part of ``prior`` at the rows and columns ``where``."""
    return Prior(
        prior.luma[..., *where],
        prior.estimate[..., *fine(where, scale)],
        prior.hidden[..., *where],
        prior.inside[..., *where],
    )
