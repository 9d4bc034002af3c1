"""Upscaling by a temporal network: each frame is corrected by what earlier frames have shown.

The state of a frame is warped along the optical flow to the next frame. It is reset at scene cuts.
"""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.flow import scene_cuts
from vidsr.flow.search import MIN_SIDE, find_fine_flow
from vidsr.flow.state_warp import stays_inside, warp_channels, warp_cubic
from vidsr.models import Model
from vidsr.models.layers import add_anchor
from vidsr.models.temporal import MAX_OVERSHOOT, Prior, State, TemporalNetwork, warp_state
from vidsr.runtime.concurrency import computed_ahead
from vidsr.stages import Context
from vidsr.stages.network_runner import Runner, shuffled_codes

CONTEXT = Context(before=12)  # beyond it the state depends on where it began by less than a hundredth of a decibel

Luma = NDArray[np.uint8]


class TemporalUpscaler:
    """Upscales consecutive frames; the state goes from each to the next.

    ``runner`` runs a `Model` with a `TemporalNetwork`. Frames pass one by one; a frame may be cut into tiles.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.copied = 0  # tiles copied instead of computed: none
        self._state: State | None = None
        self._last: Tensor | None = None  # code values of the previous frame

    def __call__(self, planes: Tensor, peak: int, rounded: bool = False) -> Tensor:
        """N x 1 x H x W code values of consecutive frames -> upscaled code values, as `Runner` returns them."""
        frames = [planes[i : i + 1] for i in range(len(planes))]
        pairs = zip([self._last, *frames[:-1]], frames, strict=True)
        flows = computed_ahead(pairs, partial(find_flow, peak=peak))
        work = partial(self._upscaled, peak=peak, rounded=rounded)
        results = [work(frame, flow) for frame, flow in zip(frames, flows, strict=True)]
        self._last = frames[-1]
        return torch.cat(results)

    def _upscaled(self, frame: Tensor, flow: Tensor | None, peak: int, rounded: bool) -> Tensor:
        """One frame upscaled; ``flow`` leads to the previous frame, None where there is none."""
        y = self.runner.values(frame, peak)
        self.runner.check_once(y)
        prior = None if flow is None or self._state is None else warped(self._state, flow.to(y.device))
        residual, hidden = self.runner.retry_smaller(frame.shape, lambda: self._residual(y, prior))
        scale = self.runner.network.scale
        estimate = add_anchor(residual, y, scale)
        self._state = State(y, estimate.clamp(-MAX_OVERSHOOT, 1 + MAX_OVERSHOOT), hidden)
        if rounded and estimate.device.type == "cpu" and not frame.is_floating_point():
            return shuffled_codes(residual.to(torch.bfloat16), frame, scale, peak)
        return estimate * peak

    @torch.inference_mode()
    def _residual(self, y: Tensor, prior: Prior | None) -> tuple[Tensor, Tensor]:
        """Residual before the shuffle and hidden state of one frame, in as many tiles as the memory allows."""
        network = temporal_network(self.runner)
        scale, (h, w) = network.scale, y.shape[-2:]
        residual = y.new_empty(1, scale**2, h, w)
        hidden = y.new_empty(1, network.hidden_channels, h, w, dtype=network.dtype)
        for outer, inner, target in self.runner.tiles(h, w):
            read = None if prior is None else cut_prior(prior, outer, scale)
            parts = network.step(network.with_halo(y[..., outer[0], outer[1]]), read)
            kept, place = (tuple(slice(n.start // scale, n.stop // scale) for n in part) for part in (inner, target))
            for whole, part in zip((residual, hidden), parts, strict=True):
                whole[..., place[0], place[1]] = part[..., kept[0], kept[1]]
        return residual, hidden


def is_temporal(runner: Runner) -> bool:
    """Whether the runner's network upscales the frames of a clip in order."""
    return isinstance(runner.network, Model) and isinstance(runner.network.network, TemporalNetwork)


def temporal_network(runner: Runner) -> TemporalNetwork:
    """Return the network of ``runner``, in the precision in which it runs."""
    assert isinstance(runner.network, Model)
    network = runner.network.network
    assert isinstance(network, TemporalNetwork)
    return network


def find_flow(pair: tuple[Tensor | None, Tensor], peak: int) -> Tensor | None:
    """Return the flow from a frame to the one before it, 1 x 2 x H x W in pixels.

    ``pair``: the previous frame and the frame, 1 x 1 x H x W code values up to ``peak``. None at a scene cut, without a
    previous frame, and for frames too small to search.
    """
    before, frame = pair
    if before is None or min(frame.shape[-2:]) < MIN_SIDE:
        return None
    before, frame = before.cpu(), frame.cpu()
    depth = peak.bit_length()
    if scene_cuts.is_cut(scene_cuts.thumbnail(before, depth), scene_cuts.thumbnail(frame, depth)):
        return None
    flow = find_fine_flow(search_codes(frame, peak), search_codes(before, peak))
    return torch.from_numpy(np.moveaxis(flow, -1, 0))[None]


def search_codes(frame: Tensor, peak: int) -> Luma:
    """Return the luma of one frame as 8-bit codes."""
    plane = frame[0, 0].numpy()
    if plane.dtype == np.uint8 and peak == 255:
        return np.ascontiguousarray(plane)
    return np.asarray(cv2.convertScaleAbs(plane.astype(np.float32).clip(0), alpha=255 / peak))


def warped(state: State, flow: Tensor) -> Prior:
    """Return ``state`` warped by ``flow``, on their device."""
    if flow.device.type != "cpu":
        return warp_state(state, flow)
    field = np.ascontiguousarray(np.moveaxis(flow[0].numpy(), 0, -1))
    planes = np.ascontiguousarray(state.hidden[0].permute(1, 2, 0).float().numpy())
    hidden = torch.from_numpy(warp_channels(planes, field)).permute(2, 0, 1)[None]

    def plane(array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array)[None, None]

    return Prior(
        plane(warp_cubic(state.luma[0, 0].numpy(), field)),
        plane(warp_cubic(state.estimate[0, 0].numpy(), field)),
        hidden,
        plane(stays_inside(field)),
    )


def cut_prior(prior: Prior, where: tuple[slice, slice], scale: int) -> Prior:
    """Return the part of ``prior`` at the rows and columns ``where``."""
    rows, columns = where
    fine = [slice(part.start * scale, part.stop * scale) for part in where]
    return Prior(
        prior.luma[..., rows, columns],
        prior.estimate[..., fine[0], fine[1]],
        prior.hidden[..., rows, columns],
        prior.inside[..., rows, columns],
    )
