"""Device and precision of a run."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, cast

import torch

from vidsr.errors import DeviceError
from vidsr.options.choices import Precision

FloatType = Literal["fp32", "bf16", "fp16"]
NumberFormat = Literal["fp32", "bf16", "fp16", "int8"]  # int8: networks with a calibrated form, on a CPU
DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

# Input pixels of a batch. On a CPU a network call takes one frame, so more of them would only take memory: four frames
# of 480x270 instead of one take 100 MB more at 1920x1080, and no less time. A GPU needs millions to be busy.
PIXEL_BUDGET = {"cpu": 1 << 17, "cuda": 1 << 23, "xpu": 1 << 22, "mps": 1 << 22}

# Kinds of GPU, the preferred first: of PyTorch's name -> whose they are, whether there is one, and how many. AMD's are
# "cuda" too, in PyTorch's build for ROCm.
GPUS: dict[str, tuple[str, Callable[[], bool], Callable[[], int]]] = {
    "cuda": ("CUDA", lambda: torch.cuda.is_available(), lambda: torch.cuda.device_count()),
    "xpu": ("Intel", lambda: torch.xpu.is_available(), lambda: torch.xpu.device_count()),
    "mps": ("Apple", lambda: torch.backends.mps.is_available(), lambda: 1),
}
# Makers of processors whose AVX-512 multiplies bf16 at twice the rate of fp32: AMD, from Zen 4 on. On Intel's those
# instructions take half of the rate of fp32 (benchmarks/precision.py); there AMX is the fast way.
FAST_AVX512_BF16 = ("AuthenticAMD",)
UNTESTED = ("xpu", "mps")  # vidsr was never run on one: a run compares it with the CPU first
CHOICES = "auto, cpu, cuda, cuda:N, cuda:0,cuda:1, xpu or mps"


@dataclass(frozen=True)
class Compute:
    """An available device, and a precision that it computes fast."""

    device: torch.device
    dtype: torch.dtype
    memory: int | None = None  # bytes that one network call may use; None: no limit
    int8: bool = False  # whether networks with a calibrated form compute in int8; others compute in `dtype`
    is_checked: bool = False  # whether it computed the first frame right, so that nothing is compared any more

    @property
    def loses_precision(self) -> bool:
        """Whether the first frame must be compared with float32."""
        is_half = self.device.type == "cuda" and self.dtype != torch.float32
        return not self.is_checked and (is_half or self.int8)

    @property
    def is_untested(self) -> bool:
        """Whether the first frame must be compared with the CPU."""
        return not self.is_checked and self.device.type in UNTESTED

    @property
    def pixel_budget(self) -> int:
        """Input pixels of a batch at most; on a GPU also of a network call."""
        return PIXEL_BUDGET.get(self.device.type, PIXEL_BUDGET["cpu"])

    @property
    def precision(self) -> FloatType:
        """Name of the floats."""
        return cast(FloatType, next(name for name, dtype in DTYPES.items() if dtype == self.dtype))

    def __str__(self) -> str:
        return f"{self.device} {self.precision}"


def has_bf16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bf16 in hardware.

    A CPU needs AVX-512 BF16 or AMX. Emulation is slower than fp32.
    """
    return device.type != "cpu" or _supports("_is_avx512_bf16_supported") or _supports("_is_amx_tile_supported")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bf16 faster than fp32: by a table of processors, without timing."""
    if device.type != "cpu" or _supports("_is_amx_tile_supported"):
        return True
    return _supports("_is_avx512_bf16_supported") and cpu_maker() in FAST_AVX512_BF16


def has_int8(device: torch.device) -> bool:
    """Whether PyTorch and this processor multiply uint8 by int8 exactly.

    Without VNNI or AMX pairs of products are summed in 16 bits, which saturate.
    """
    if device.type != "cpu" or not hasattr(torch.ops.onednn, "qconv2d_pointwise"):
        return False
    return _supports("_is_vnni_supported") or _supports("_is_amx_tile_supported")


def _supports(probe: str) -> bool:
    """Whether the processor has the instructions that a function of `torch.cpu` looks for."""
    has = getattr(torch.cpu, probe, None)
    return bool(has and has())


@cache
def cpu_maker() -> str:
    """Return who made the processor, as it calls itself: ``AuthenticAMD``, ``GenuineIntel``, or "" for others."""
    facts = Path("/proc/cpuinfo")  # Linux; on Windows `platform` ends in the maker
    text = facts.read_text() if facts.exists() else platform.processor()
    return next((maker for maker in ("AuthenticAMD", "GenuineIntel") if maker in text), "")


def choose(device: str, precision: Precision) -> Compute:
    """Return the device of that name, or the first of a list, in ``precision``.

    Names are ``auto``, ``cpu``, and those of `GPUS` with or without a number. ``auto`` prefers a GPU. Automatic
    precision is fp16 on a GPU. On a CPU it is int8 with VNNI or AMX, for networks with a calibrated form; for others
    bf16 where that is faster, else fp32.

    Raises:
        DeviceError: the device is unknown or absent, or does not compute in ``precision``.
    """
    return choose_all(device, precision)[0]


def choose_all(device: str, precision: Precision) -> tuple[Compute, ...]:
    """Return all devices of a list such as ``cuda:0,cuda:1``.

    ``cuda`` is every GPU, ``auto`` one device.

    Raises:
        DeviceError: a device is unknown or absent.
    """
    names = [name.strip() for name in device.split(",")]
    if names == ["cuda"] and torch.cuda.device_count() > 1:
        names = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return tuple(_compute(_device(name), precision) for name in names)


def _compute(device: torch.device, precision: Precision) -> Compute:
    if precision == "int8" and not has_int8(device):
        raise DeviceError(
            f"--precision int8 needs a CPU with VNNI or AMX, which {device} is not: choose --precision auto"
            if device.type != "cpu"
            else "--precision int8 needs VNNI or AMX, which this processor lacks: choose --precision auto"
        )
    if precision not in ("auto", "int8"):
        return Compute(device, DTYPES[precision])
    if device.type in GPUS:
        return Compute(device, torch.float16)
    floats = torch.bfloat16 if has_fast_bf16(device) else torch.float32
    return Compute(device, floats, int8=has_int8(device))


def same_gpus(name: str) -> tuple[str, ...]:
    """Return every GPU that the name of a device stands for: without a number, all of that kind."""
    if name not in GPUS:
        return (name,)
    _, _, count = GPUS[name]
    return tuple(f"{name}:{number}" for number in range(count())) if count() > 1 else (name,)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device(next((kind for kind, (_, available, _) in GPUS.items() if available()), "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"--device {name!r} is unknown: choose {CHOICES}") from None
    if device.type not in PIXEL_BUDGET:
        raise DeviceError(f"--device {name!r} is not supported: choose {CHOICES}")
    if device.type in GPUS:
        maker, available, count = GPUS[device.type]
        if not available():
            raise DeviceError(
                f"--device {name}: PyTorch sees no {maker} device; use --device cpu, or install its {maker} build"
            )
        if (device.index or 0) >= count():
            raise DeviceError(f"--device {name}: there are {count()} {maker} devices, counted from 0")
    return device
