"""Frames between two frames, by a network: what optical flow finds, mixed anew; or estimated from nothing."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from vidsr.device import Compute
from vidsr.flow.midpoint import Array, FlowEngine
from vidsr.flow.two_search import Prospect
from vidsr.frames import FrameBatch
from vidsr.metrics import psnr_from_mse
from vidsr.models import weights as store
from vidsr.models.frame_network import Field, FrameNetwork, Scene, at_size, mixed
from vidsr.stages.runner import MIN_HALF_PRECISION_PSNR

Moved = tuple[Tensor, Tensor]  # both frames, 1 x 1 x h x w

FLOW = 0.25  # share of what `flow` makes: the two searches are wrong in different places


class NetEngine:
    """The interpolation network ``name``, for planes of ``depth`` bits, on a device.

    Motion is estimated on luma, at the size at which optical flow is searched; the planes themselves are then warped.

    Raises:
        ModelError: there are no such weights.
    """

    def __init__(self, name: str, depth: int, compute: Compute) -> None:
        self.name = f"the network {name}"
        path = store.frames_path(name)
        self.weights = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
        network, _ = store.read_frames(path)
        self._network = network.to(compute.device, compute.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._unchecked = compute.device.type == "cuda" and compute.dtype != torch.float32
        self.fp32_fallback = False  # whether half precision lost too much, so that the run is in float32
        self._peak = (1 << depth) - 1
        self._flow = FlowEngine(depth)

    def prepare(self, a: FrameBatch, b: FrameBatch) -> NetPair:
        """Optical flow, if the network starts from it, found once for all phases."""
        pair = NetPair(Prospect(self._flow.prepare(a, b)), self._network, self._peak)
        if self._unchecked:
            self.check_precision(pair)
        return replace(pair, network=self._network)

    def check_precision(self, pair: NetPair) -> None:
        """Fall back to float32 if the frame midway differs from it by more than `MIN_HALF_PRECISION_PSNR`."""
        self._unchecked = False
        exact = replace(pair, network=copy.deepcopy(self._network).float())
        (made, _), (wanted, _) = (each.at([Fraction(1, 2)]) for each in (pair, exact))
        error = (made - wanted).square().mean().item()
        if not psnr_from_mse(error, self._peak) >= MIN_HALF_PRECISION_PSNR:  # not a number is not enough either
            self._network, self.fp32_fallback = exact.network, True


@dataclass(frozen=True, eq=False)
class NetPair:
    """Two frames and what optical flow says of them."""

    prospect: Prospect
    network: FrameNetwork
    peak: int

    @property
    def flow_confidence(self) -> float | None:
        """Share of the frame where forward and backward flow agree; None if the network does not use optical flow."""
        return self.prospect.flow_confidence if self.network.needs_prior else None

    @property
    def motion(self) -> object:
        """The motion that optical flow found."""
        return self.prospect.motion if self.network.needs_prior else None

    def at(
        self, phases: Sequence[Fraction], before: object = None, after: object = None
    ) -> tuple[Tensor, Tensor | None]:
        """Luma and chroma planes at each of ``phases``, float32 code values."""
        pins = self.prospect.pins(before, after)
        pictures = [self._picture(phase, pins, before, after) for phase in phases]
        y = torch.stack([luma for luma, *_ in pictures])
        uv = [torch.cat(chroma) for _, *chroma in pictures if chroma]
        return y, torch.stack(uv) if uv else None

    @torch.inference_mode()
    def _picture(self, phase: Fraction, pins: Sequence[Array], before: object, after: object) -> list[Tensor]:
        """Each plane, 1 x h x w code values, held in place where ``pins`` say."""
        pair = self.prospect.quick
        scenes = [self._scene(sides, self.peak, phase) for sides in zip(*pair.planes, strict=True)]
        if not self.network.needs_prior:
            field = self.network.motion(self._scene(pair.searched, 255, phase))
            return self._planes(scenes, field, [None] * len(scenes), pins)
        known, offers = self.prospect.at(phase, pins, before, after)
        field = self.network.motion(scenes[0], Field.stacked(self._on_device(known).permute(2, 0, 1)[None]))
        moved = [self._scene(sides[:2], self.peak, phase).here for sides in offers]
        planes = zip(self._planes(scenes, field, moved, pins), offers, strict=True)
        return [torch.lerp(plane, torch.from_numpy(sides[2]), FLOW) for plane, sides in planes]

    def _planes(
        self, scenes: Sequence[Scene], field: Field, moved: Sequence[Moved | None], pins: Sequence[Array]
    ) -> list[Tensor]:
        """Each plane as ``field`` and what the network says of it make it, held in place where ``pins`` say."""
        luma, field = self.network.finish(scenes[0], field, moved[0])
        chroma = [mixed(scene, field, sides) for scene, sides in zip(scenes[1:], moved[1:], strict=True)]
        planes = zip(scenes, [luma, *chroma], pins, strict=True)
        return [self._pinned(scene, field, plane, pin) for scene, plane, pin in planes]

    def _pinned(self, scene: Scene, field: Field, plane: Tensor, pin: Array) -> Tensor:
        """``plane`` held in place where ``pin`` says, as far as ``field`` does not already."""
        still = at_size(field.still, scene.size)
        more = (self._on_device(pin) - still).clamp(min=0) / (1 - still).clamp(min=1e-3)
        mean = torch.lerp(*scene.here, scene.phase.expand_as(plane))
        return torch.lerp(plane, mean, more)[0].cpu() * self.peak

    def _scene(self, sides: Iterable[Array], peak: float, phase: Fraction) -> Scene:
        a, b = ((self._on_device(side) / peak)[None, None] for side in sides)
        return Scene(a, b, a.new_full((1, 1, 1, 1), float(phase)))

    def _on_device(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(next(self.network.parameters()).device)
