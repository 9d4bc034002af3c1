"""Frozen descriptions of stages: what a plan holds, and what `vidsr.stages.build` makes stages from.

``str(spec)`` is the line of the summary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import torch

from vidsr.device import DTYPES, Compute, NumberFormat
from vidsr.frames import Chroma
from vidsr.options.choices import ChromaFrom, Interpolation, Repeats
from vidsr.options.frame_rate import Clock, Times
from vidsr.options.parse import decimal
from vidsr.options.restoration import Task
from vidsr.stages.classical import Classical

ENGINE_WORDS = {"flow": "optical flow", "blend": "blend", "none": "nearest frame"}


@dataclass(frozen=True)
class NetworkSpec:
    """A network, its weights file, and how it runs on one device."""

    name: str  # with "+" at the end: self-ensemble
    scale: int
    domain: str  # "" of networks of other people
    file: str  # name of the weights file; the path of one of the user's
    sha256: str
    device: str  # cpu, cuda:0
    precision: NumberFormat
    memory: int | None = None  # bytes that one call may use; None: no limit but the device's
    batch: int | None = None  # frames per call; None: by pixel budget
    tile: int | None = None  # side of a tile in input pixels; None: whole frames
    compiled: bool = False  # by PyTorch's compiler
    channels: int = 1  # 1: works on luma, 3: on RGB
    temporal: bool = False  # uses earlier frames
    warm_up: int = 0  # how many of them bring its state to what it is in a whole run
    is_checked: bool = False  # whether device and precision computed the first frame of the run right

    @property
    def compute(self) -> Compute:
        """Device and precision."""
        is_int8 = self.precision == "int8"
        dtype = DTYPES["fp32" if is_int8 else self.precision]
        return Compute(torch.device(self.device), dtype, self.memory, is_int8, self.is_checked)

    def __str__(self) -> str:
        return f"{self.device} {self.precision}"


@dataclass(frozen=True)
class RestoreSpec:
    """Restore, denoise or deblur luma; ``strength`` is the share of the change that is applied.

    ``chroma_noise`` is taken out of chroma, a standard deviation in 8-bit code values; None measures every frame.
    """

    task: Task
    method: NetworkSpec | Classical
    strength: float
    chroma_noise: float | None = 0.0

    @property
    def name(self) -> str:
        """Name of the stage, in the log and in the times of a run."""
        return self.task

    @property
    def method_words(self) -> str:
        """The method in words."""
        return f"{self.method.name} ({self.method})" if isinstance(self.method, NetworkSpec) else str(self.method)

    def __str__(self) -> str:
        return f"{self.task}: {self.method_words}{_strength(self.strength)}"


@dataclass(frozen=True)
class TemporalDenoiseSpec:
    """Average luma, and chroma if ``chroma``, with the previous and the next frame along the motion."""

    strength: float
    chroma: bool = False

    @property
    def name(self) -> str:
        """Name of the stage, in the log and in the times of a run."""
        return "temporal_denoise"

    def __str__(self) -> str:
        words = "temporal denoise: average with the previous and the next frame along the motion"
        return words + _strength(self.strength)


@dataclass(frozen=True)
class InterpolateSpec:
    """Make frames at the times of ``clock``, then stretch time by ``slow_motion``."""

    clock: Clock
    engine: Interpolation  # never auto
    network: NetworkSpec | None  # of an engine that is a network
    repeats: Repeats
    slow_motion: Fraction

    def __str__(self) -> str:
        engine = ENGINE_WORDS.get(self.engine, f"the network {self.engine}")
        if self.slow_motion == 1:
            return f"interpolate: {engine}, {self.clock}"
        clock = self.clock.slowed(1 / self.slow_motion)  # as the user gave it
        rate = "" if clock == Times(Fraction(1)) else f"{clock}, "
        return f"interpolate: {engine}, {rate}{decimal(self.slow_motion)} times slower"


@dataclass(frozen=True)
class UpscaleSpec:
    """Resize to ``width`` x ``height`` by networks and a kernel, or by a kernel alone.

    After the networks ``kernel`` reaches the exact size.

    ``networks`` holds, for each device, the networks that run one after the other. Batches go to the devices in turn.
    """

    width: int
    height: int
    kernel: str
    networks: tuple[tuple[NetworkSpec, ...], ...] = ()
    rounds: bool = False  # round to integers at once, where no stage in between needs the fractions
    chroma_from: ChromaFrom = "kernel"
    strength: float = 1.0  # share of what the networks change against the bicubic kernel

    @property
    def is_temporal(self) -> bool:
        """Whether a network uses earlier frames."""
        return any(network.temporal for networks in self.networks for network in networks)

    @property
    def warm_up(self) -> int:
        """Frames before a range that bring the state of its networks to what it is in a whole run."""
        return max((network.warm_up for networks in self.networks for network in networks), default=0)

    def __str__(self) -> str:
        size = f"to {self.width}x{self.height}"
        if not self.networks:
            return f"{self.kernel} (numba) {size}"
        first = self.networks[0]
        scales = " then ".join(f"x{network.scale}" for network in first)
        devices = ", ".join(str(networks[0]) for networks in self.networks)
        domain = f" ({first[0].domain})" if first[0].domain else ""
        return f"{first[0].name}{domain} {scales} ({devices}) {size}{_strength(self.strength)}"


@dataclass(frozen=True)
class ConvertSpec:
    """Change the chroma format and the depth to what the encoder takes."""

    chroma: Chroma
    depth: int


@dataclass(frozen=True)
class RoundSpec:
    """Move frames to the CPU; with ``rounds``, round code values to ``depth`` bits."""

    depth: int
    rounds: bool = True


@dataclass(frozen=True)
class FitSpec:
    """Pad with black, or crop, to ``width`` x ``height``."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"pad or crop to {self.width}x{self.height}"


@dataclass(frozen=True)
class TapSpec:
    """Keep the frames that pass here for the per-frame log, which compares the output with them."""


@dataclass(frozen=True)
class MeasureSpec:
    """Write the per-frame log, with these columns."""

    columns: tuple[str, ...]


StageSpec = (
    RestoreSpec
    | TemporalDenoiseSpec
    | InterpolateSpec
    | UpscaleSpec
    | ConvertSpec
    | RoundSpec
    | FitSpec
    | TapSpec
    | MeasureSpec
)  # fmt: skip


def networks_of(spec: StageSpec) -> Iterator[NetworkSpec]:
    """Networks that a stage runs, on every device."""
    match spec:
        case RestoreSpec(method=NetworkSpec() as network):
            yield network
        case InterpolateSpec(network=NetworkSpec() as network):
            yield network
        case UpscaleSpec(networks=devices):
            for networks in devices:
                yield from networks


def with_networks(spec: StageSpec, change: Callable[[NetworkSpec], NetworkSpec]) -> StageSpec:
    """Return ``spec`` with each of its networks changed, in the order of `networks_of`."""
    match spec:
        case RestoreSpec(method=NetworkSpec() as network):
            return replace(spec, method=change(network))
        case InterpolateSpec(network=NetworkSpec() as network):
            return replace(spec, network=change(network))
        case UpscaleSpec(networks=devices):
            return replace(spec, networks=tuple(tuple(map(change, device)) for device in devices))
    return spec


def on_device(spec: StageSpec, device: str) -> StageSpec:
    """Return ``spec`` with its networks on ``device``, one of each; those that fell back to the CPU stay there."""
    if isinstance(spec, UpscaleSpec):
        spec = replace(spec, networks=spec.networks[:1])
    return with_networks(spec, lambda one: one if one.device == "cpu" else replace(one, device=device))


def _strength(strength: float) -> str:
    return "" if strength == 1 else f", strength {strength:g}"
