"""Frames between two frames, by a network: what optical flow finds, made better; or estimated from nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from vidsr.device import Compute
from vidsr.flow import Array, FlowEngine, FlowPair
from vidsr.frames import FrameBatch
from vidsr.models import store
from vidsr.models.between import Field, FrameNetwork, Scene, at_size


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
        self._peak = (1 << depth) - 1
        self._flow = FlowEngine(depth)

    def prepare(self, a: FrameBatch, b: FrameBatch) -> NetPair:
        """Optical flow, if the network starts from it, found once for all phases."""
        return NetPair(self._flow.prepare(a, b), self._network, self._peak)


@dataclass(frozen=True, eq=False)
class NetPair:
    """Two frames and what optical flow says of them."""

    flow: FlowPair
    network: FrameNetwork
    peak: int

    @property
    def followed(self) -> float | None:
        """Share of the picture that optical flow followed there and back."""
        return self.flow.followed if self.network.needs_prior else None

    @property
    def motion(self) -> object:
        """The motion that optical flow found."""
        return self.flow.motion if self.network.needs_prior else None

    def at(
        self, phases: Sequence[Fraction], before: object = None, after: object = None
    ) -> tuple[Tensor, Tensor | None]:
        """Luma and chroma planes at each of ``phases``, float32 code values."""
        pictures = [self._picture(phase, before, after) for phase in phases]
        y = torch.stack([luma for luma, _ in pictures])
        uv = [chroma for _, chroma in pictures if chroma is not None]
        return y, torch.stack(uv) if uv else None

    @torch.inference_mode()
    def _picture(self, phase: Fraction, before: object, after: object) -> tuple[Tensor, Tensor | None]:
        device = next(self.network.parameters()).device

        def scene(sides: Iterable[Array], peak: float) -> Scene:
            a, b = ((torch.from_numpy(side).to(device) / peak)[None, None] for side in sides)
            return Scene(a, b, torch.full((1, 1, 1, 1), float(phase), device=device))

        prior = None
        if self.network.needs_prior:
            known = torch.from_numpy(self.flow.field(phase, before, after))
            prior = Field.stacked(known.permute(2, 0, 1)[None].to(device))
        searched = scene(self.flow.searched, 255)
        whole = scene((planes[0] for planes in self.flow.planes), self.peak)
        luma, field = self.network.finish(whole, self.network.motion(searched, prior))
        mean = torch.lerp(*whole.here, float(phase))
        still = at_size(field.still, whole.size)
        # of what is pinned, the field has some in place already
        pin = (torch.from_numpy(self.flow.pins[0]).to(device) - still).clamp(min=0) / (1 - still).clamp(min=1e-3)
        y = torch.lerp(luma, mean, pin)[0].cpu() * self.peak
        as_rendered = np.ascontiguousarray(field.planes()[0].permute(1, 2, 0).cpu().numpy())
        chroma = self.flow.render(as_rendered, phase, first_plane=1)
        return y, torch.from_numpy(np.stack(chroma)) if chroma else None
