"""Frame interpolation by a network.

The network refines optical flow and blends the warped frames, or it estimates the motion itself.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from vidsr.device import Compute
from vidsr.flow.bidirectional_flow import Array
from vidsr.flow.flow_engine import FlowEngine
from vidsr.flow.two_search import TwoSearchFlow, TwoSearchPair
from vidsr.frames import FrameBatch
from vidsr.metrics import psnr_from_mse
from vidsr.models import checkpoints
from vidsr.models.frame_network import FrameNetwork, FramePair, MotionField, at_size, blend
from vidsr.stages.loaded_networks import loaded_frame_network
from vidsr.stages.network_runner import MIN_HALF_PRECISION_PSNR

Warped = tuple[Tensor, Tensor]  # both frames, 1 x 1 x h x w

FLOW_WEIGHT = 0.25  # weight of the frame of the engine `flow`: its errors lie elsewhere, so the mean is better


class NetworkEngine:
    """Interpolation engine for planes of ``depth`` bits by the network in the file ``path``, on a device.

    Motion is estimated on luma, at the size of the flow search. The planes themselves are warped at full size.

    Raises:
        ModelError: the weights file is missing.
    """

    def __init__(self, path: Path, depth: int, compute: Compute) -> None:
        self._network = loaded_frame_network(path, compute)
        self._path = path
        self._unchecked = compute.loses_precision
        self._untested = compute.is_untested
        self.device_fallback = False  # the device computed wrong, so the run goes on on the CPU
        self.fp32_fallback = False  # whether the network fell back to float32, because half precision lost too much
        self._peak = (1 << depth) - 1
        self._flow = FlowEngine(depth)

    @property
    def needs_check(self) -> bool:
        """Whether the first interpolated frame will be compared with float32 or with the CPU."""
        return self._unchecked or self._untested

    def prepare(self, a: FrameBatch, b: FrameBatch) -> NetworkPair:
        """Return the pair of two single frames.

        Its flow, if the network needs it, is found once for all phases.
        """
        pair = NetworkPair(TwoSearchPair(self._flow.prepare(a, b)), self._network, self._peak)
        if self._untested:
            self.check_device(pair)
        if self._unchecked:
            self.check_precision(pair)
        return replace(pair, network=self._network)

    def check_device(self, pair: NetworkPair) -> None:
        """Fall back to the CPU if the device fails at phase 1/2, or differs as `check_precision` forbids."""
        self._untested = False
        exact = replace(pair, network=checkpoints.read_frame_network(self._path))
        try:
            (given, _), (right, _) = (each.interpolate([Fraction(1, 2)]) for each in (pair, exact))
            is_right = psnr_from_mse((given - right).square().mean().item(), self._peak) >= MIN_HALF_PRECISION_PSNR
        except RuntimeError:  # of a layer that the driver lacks
            is_right = False
        if not is_right:
            self._network, self.device_fallback = exact.network, True

    def check_precision(self, pair: NetworkPair) -> None:
        """Fall back to float32 if half precision changes the frame at phase 1/2.

        The limit is a PSNR of ``MIN_HALF_PRECISION_PSNR`` dB.
        """
        self._unchecked = False
        exact = replace(pair, network=copy.deepcopy(self._network).float())
        (half, _), (full, _) = (each.interpolate([Fraction(1, 2)]) for each in (pair, exact))
        error = (half - full).square().mean().item()
        if not psnr_from_mse(error, self._peak) >= MIN_HALF_PRECISION_PSNR:  # written so that NaN fails too
            self._network, self.fp32_fallback = exact.network, True


@dataclass(frozen=True, eq=False)
class NetworkPair:
    """Two frames with their optical flow, and the network that interpolates between them."""

    flow: TwoSearchPair
    network: FrameNetwork
    peak: int

    @property
    def flow_confidence(self) -> float | None:
        """Share of the frame where both flows agree; None if the network uses none."""
        return self.flow.flow_confidence if self.network.needs_flow else None

    @property
    def motion(self) -> TwoSearchFlow | None:
        """Optical flow between the frames; None if the network does not use it."""
        return self.flow.motion if self.network.needs_flow else None

    @property
    def holds(self) -> bool:
        """Whether a held frame is better than an interpolated one; never if the network estimates motion itself."""
        return self.network.needs_flow and self.flow.quick.holds

    def interpolate(
        self, phases: Sequence[Fraction], before: TwoSearchFlow | None = None, after: TwoSearchFlow | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return luma and chroma at each of ``phases``, float32 code values."""
        masks = self.flow.static_masks(before, after)
        frames = [self._frame(phase, masks, before, after) for phase in phases]
        y = torch.stack([luma for luma, *_ in frames])
        uv = [torch.cat(chroma) for _, *chroma in frames if chroma]
        return y, torch.stack(uv) if uv else None

    @torch.inference_mode()
    def _frame(
        self, phase: Fraction, masks: Sequence[Array], before: TwoSearchFlow | None, after: TwoSearchFlow | None
    ) -> list[Tensor]:
        """Return each plane at ``phase``, 1 x h x w code values.

        ``masks`` mark static overlays.
        """
        quick = self.flow.quick
        pairs = [self._frame_pair(planes, self.peak, phase) for planes in zip(*quick.planes, strict=True)]
        if not self.network.needs_flow:
            field = self.network.estimate_motion(self._frame_pair(quick.search_luma, 255, phase))
            return self._planes(pairs, field, [None] * len(pairs), masks)
        flow, candidates = self.flow.candidates(phase, masks, before, after)
        flow_field = MotionField.from_planes(self._on_device(flow).permute(2, 0, 1)[None])
        field = self.network.estimate_motion(pairs[0], flow_field)
        warped = [self._frame_pair(planes[:2], self.peak, phase).unwarped for planes in candidates]
        results = zip(self._planes(pairs, field, warped, masks), candidates, strict=True)
        return [torch.lerp(plane, torch.from_numpy(planes[2]), FLOW_WEIGHT) for plane, planes in results]

    def _planes(
        self,
        pairs: Sequence[FramePair],
        field: MotionField,
        warped: Sequence[Warped | None],
        masks: Sequence[Array],
    ) -> list[Tensor]:
        """Return each plane by the network and ``field``, with static overlays by ``masks``.

        ``warped`` holds both frames of each plane if they are warped already.
        """
        luma, field = self.network.render(pairs[0], field, warped[0])
        chroma = [blend(pair, field, both) for pair, both in zip(pairs[1:], warped[1:], strict=True)]
        planes = zip(pairs, [luma, *chroma], masks, strict=True)
        return [self._with_overlays(pair, field, plane, mask) for pair, plane, mask in planes]

    def _with_overlays(self, pair: FramePair, field: MotionField, plane: Tensor, mask: Array) -> Tensor:
        """Return ``plane`` in code values, with the static overlays of ``mask``.

        The mask adds to the static weight of ``field``.
        """
        static = at_size(field.static_weight, pair.size)
        weight = (self._on_device(mask) - static).clamp(min=0) / (1 - static).clamp(min=1e-3)
        mean = torch.lerp(*pair.unwarped, pair.phase.expand_as(plane))
        return torch.lerp(plane, mean, weight)[0].cpu() * self.peak

    def _frame_pair(self, planes: Iterable[Array], peak: float, phase: Fraction) -> FramePair:
        a, b = ((self._on_device(plane) / peak)[None, None] for plane in planes)
        return FramePair(a, b, a.new_full((1, 1, 1, 1), float(phase)))

    def _on_device(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(next(self.network.parameters()).device)
