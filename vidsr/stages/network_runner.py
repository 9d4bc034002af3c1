"""Run a network on batches of planes: precision, pixel budget, tiles, and smaller calls when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isqrt
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from vidsr.device import Compute
from vidsr.errors import DeviceError
from vidsr.kernels.pixel_shuffle import pixel_shuffle_codes
from vidsr.metrics import psnr_from_mse
from vidsr.models import Model, from_file
from vidsr.models.self_ensemble import MARK
from vidsr.options.table import MIN_TILE
from vidsr.stages.gpu import CudaGraphs, Uploads
from vidsr.stages.rgb_conversion import RgbConversion

MIN_HALF_PRECISION_PSNR = 45.0  # dB against float32 on the first frame; below it the run falls back to float32
Result = TypeVar("Result")
CHECKED_INT8_SIDE = 128  # pixels of the middle of the first frame that int8 and float32 both compute
CHECKED_SIDE = 256  # pixels of the first frame that a device and the CPU both compute
DEFAULT_BYTES = 1024  # per input pixel, for networks that do not know their memory use


class PlaneNetwork(Protocol):
    """The interface of a network that `Runner` applies."""

    @property
    def scale(self) -> int:
        """Size factor."""
        ...

    @property
    def halo(self) -> int:
        """Receptive-field radius, input pixels; a multiple of the alignment."""
        ...

    @property
    def alignment(self) -> int:
        """Tiles start at multiples of this many pixels."""
        ...

    def global_features(self, x: Tensor, /) -> Tensor | None:
        """Features of whole frames that their tiles need; None if tiles need none."""
        ...

    def __call__(self, x: Tensor, features: Tensor | None = None, /) -> Tensor:
        """N x C x H x W in [0, 1] -> N x C x (scale H) x (scale W) float32; ``features``: of the whole frame."""
        ...


class Runner:
    """Applies ``network`` to planes of code values of any size, in calls that fit the device.

    A call holds ``batch`` frames, else one on a CPU and at most ``compute.pixel_budget`` input pixels on a GPU. With
    ``tile`` the frame is cut into squares that overlap by the receptive field, so that the output equals that of the
    whole frame. When the device runs out of memory, the batch is halved, then the frame tiled, then the tiles halved.
    The smaller setting stays for the rest of the run. ``conversion`` is the way of 4:4:4 planes through a network on
    RGB.
    """

    def __init__(
        self,
        network: PlaneNetwork,
        compute: Compute,
        batch: int | None = None,
        tile: int | None = None,
        conversion: RgbConversion | None = None,
    ) -> None:
        self.network = network
        self.conversion = conversion
        self.compute = compute
        self.batch = batch
        self.tile = tile
        self.out_of_memory_retries = 0
        self.fp32_fallback = False  # half precision lost too much, so the run goes on in float32
        self._uploads: Uploads | None = None  # made on the thread that uses it, like the graphs
        self._graphs: CudaGraphs | None = None
        self.device_fallback = False  # the device computed wrong, so the run goes on on the CPU
        self._unchecked = compute.loses_precision
        self._untested = compute.is_untested
        if compute.device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # the same shapes recur
            # half precision is measured against float32, and TF32 has no more digits than fp16
            torch.backends.cudnn.allow_tf32 = False

    def __call__(self, planes: Tensor, peak: int, rounded: bool = False) -> Tensor:
        """N x C x H x W code values, any dtype -> float32 code values of the same or fewer planes, not rounded.

        ``rounded``: integers (uint8 if ``peak`` fits, else uint16) where that is cheaper than rounding later.
        """
        return self.retry_smaller(planes.shape, lambda: self._run(planes, peak, rounded))

    def retry_smaller(self, shape: torch.Size, work: Callable[[], Result]) -> Result:
        """Return the result of ``work`` on planes of ``shape``; when memory runs out, try it in smaller calls.

        Raises:
            DeviceError: one tile is too large.
        """
        while True:
            try:
                return work()
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                if not self._shrink(shape):
                    raise DeviceError(
                        f"{self.compute.device} ran out of memory even on one tile of {self.tile} pixels: "
                        "free some memory, or choose --device cpu or a smaller --model"
                    ) from None
            if self._graphs is not None:
                self._graphs.forget()
            if self.compute.device.type == "cuda":
                torch.cuda.empty_cache()

    @torch.inference_mode()
    def _run(self, planes: Tensor, peak: int, rounded: bool) -> Tensor:
        n, _, h, w = planes.shape
        scale = self.network.scale
        step, tiled = self._frames_per_call(h, w), self._tiled(h, w)
        if step >= n and not tiled:
            return self._call(planes, peak, rounded)
        result: Tensor | None = None
        for first in range(0, n, step):
            frames = slice(first, first + step)
            features = self.network.global_features(self._input(self.values(planes[frames], peak))) if tiled else None
            for outer, inner, target in self.tiles(h, w):
                tile = self._call(planes[frames, :, outer[0], outer[1]], peak, rounded, features)
                if result is None:
                    result = tile.new_empty(n, tile.shape[1], h * scale, w * scale)
                result[frames, :, target[0], target[1]] = tile[..., inner[0], inner[1]]
        assert result is not None
        return result

    def _call(self, planes: Tensor, peak: int, rounded: bool, features: Tensor | None = None) -> Tensor:
        values = self.values(planes, peak)
        x = self._input(values)
        self.check_once(x)
        residual = self.network.residual(x) if rounded and isinstance(self.network, Model) else None
        if residual is None:
            output = self._output(x, features)
            if self.conversion is None:
                return output.mul_(peak)
            outside = self.conversion.outside(values, x, self.network.scale)
            return self.conversion.to_planes(output).add_(outside).mul_(peak)
        return shuffled_codes(residual, planes, self.network.scale, peak)

    def _output(self, x: Tensor, features: Tensor | None) -> Tensor:
        """The network's output for ``x``, on a GPU by CUDA graphs."""
        model = self.network
        if self.compute.device.type != "cuda" or features is not None or not isinstance(model, Model):
            return self.network(x, features)
        if self._graphs is None:
            self._graphs = CudaGraphs(model)
        return self._graphs(x)

    @property
    def needs_check(self) -> bool:
        """Whether the first frame will be compared with float32 or with the CPU."""
        return self._unchecked or self._untested

    @property
    def graphs_failed(self) -> bool:
        """Whether CUDA graphs could not be recorded on this GPU."""
        return self._graphs is not None and self._graphs.failed

    def check_once(self, x: Tensor) -> None:
        """Check the precision on the first frame of ``x``, where it is half or int8; then never again.

        A CPU checks int8 on the middle of the frame.
        """
        if self._unchecked:
            self.check_precision(middle(x[:1]) if self.compute.int8 else x[:1])

    def check_precision(self, x: Tensor) -> None:
        """Fall back to float32 if the output for ``x`` differs from it by more than `MIN_HALF_PRECISION_PSNR`."""
        self._unchecked = False
        if not isinstance(self.network, Model):
            return
        exact = self.network.in_float32().fused()
        error = (self.network(x) - exact(x)).square().mean().item()
        if not psnr_from_mse(error, 1) >= MIN_HALF_PRECISION_PSNR:  # NaN fails too
            floats = replace(self.compute, dtype=torch.float32, int8=False)
            self.network, self.compute, self.fp32_fallback = exact, floats, True

    def check_device(self, planes: Tensor, peak: int) -> None:
        """Fall back to the CPU if the device fails, or its output differs from the CPU's as `check_precision` forbids.

        ``planes``: a corner of a frame. The CPU computes with weights that it reads itself.
        """
        self._untested = False
        model = self.network
        if not isinstance(model, Model):
            return
        reference = from_file(model.path, "cpu", torch.float32, model.name.removesuffix(MARK), model.domain)
        reference = reference if reference.name == model.name else reference.self_ensemble()
        try:
            x = self._input(self.values(planes, peak))
            error = (model(x).cpu() - reference(x.cpu())).square().mean().item()
            right = psnr_from_mse(error, 1) >= MIN_HALF_PRECISION_PSNR
        except RuntimeError:  # of a layer that the driver lacks
            right = False
        if not right:
            cpu = replace(self.compute, device=torch.device("cpu"), dtype=torch.float32)
            self.network, self.compute, self.device_fallback = reference, cpu, True

    def values(self, planes: Tensor, peak: int) -> Tensor:
        """Return code values as float32 in [0, 1] on the device."""
        if self._untested:
            self.check_device(planes[:1, :, :CHECKED_SIDE, :CHECKED_SIDE], peak)
        device = self.compute.device
        if device.type == "cuda" and planes.device.type == "cpu":
            self._uploads = self._uploads or Uploads(device)
            uploaded = self._uploads(planes)
        else:
            uploaded = planes.to(device)
        return uploaded.float() / peak

    def _input(self, values: Tensor) -> Tensor:
        """Return what the network takes for planes from 0 to 1."""
        x = values if self.conversion is None else self.conversion.to_rgb(values)
        return x.contiguous(memory_format=torch.channels_last)

    def _side(self, h: int, w: int) -> int | None:
        """Side of a tile for frames of that size; None for no tiles."""
        if self.tile is not None or self.compute.memory is None:
            return self.tile
        most = self._pixels_in(self.compute.memory)
        return None if h * w <= most else max(MIN_TILE, isqrt(most) - 2 * self.network.halo)

    def _pixels_in(self, memory: int) -> int:
        """Input pixels of a call that takes ``memory`` bytes."""
        return memory // (self.network.bytes_per_pixel if isinstance(self.network, Model) else DEFAULT_BYTES)

    def _frames_per_call(self, h: int, w: int) -> int:
        if self.batch is not None:
            return self.batch
        if self.compute.device.type == "cpu":
            # oneDNN takes less time for it, and the bits of a frame do not depend on the others of its batch
            return 1
        side, budget = self._side(h, w) or max(h, w), self.compute.pixel_budget
        if self.compute.memory is not None:
            budget = min(budget, self._pixels_in(self.compute.memory))
        return max(1, budget // (min(h, side) * min(w, side)))

    def _tiled(self, h: int, w: int) -> bool:
        side = self._side(h, w)
        return side is not None and (h > side or w > side)

    def tiles(self, h: int, w: int) -> Iterator[tuple[tuple[slice, slice], ...]]:
        """For each tile: rows and columns to read, the part of the output to keep, and its place in the frame."""
        side = self._side(h, w)
        for rows in self._spans(h, side or h):
            for columns in self._spans(w, side or w):
                yield tuple(zip(rows, columns, strict=True))

    def _spans(self, length: int, side: int) -> Iterator[tuple[slice, slice, slice]]:
        aligned = -(-side // self.network.alignment) * self.network.alignment
        return _spans(length, aligned, self.network.halo, self.network.scale)

    def _shrink(self, shape: torch.Size) -> bool:
        """Choose a smaller setting; False if there is none."""
        n, _, h, w = shape
        self.out_of_memory_retries += 1
        frames = min(n, self._frames_per_call(h, w))
        if frames > 1:
            self.batch = frames // 2
            return True
        side = min(self._side(h, w) or max(h, w), max(h, w)) // 2
        if side < MIN_TILE:
            return False
        self.tile = side
        return True


def shuffled_codes(residual: Tensor, planes: Tensor, scale: int, peak: int) -> Tensor:
    """Return upscaled codes, rounded, on the CPU: the ``planes`` (N x 1 x H x W codes) plus the shuffled ``residual``.

    ``residual``: N x scale**2 x H x W bf16, 1 for the peak.
    """
    bits = residual.permute(0, 2, 3, 1).contiguous().view(torch.uint16).numpy()
    return torch.from_numpy(pixel_shuffle_codes(bits, planes[:, 0].numpy(), scale, peak))[:, None]


def middle(x: Tensor) -> Tensor:
    """Return the middle of planes, at most `CHECKED_INT8_SIDE` pixels high and wide; it begins at an even place."""
    top, left = (max(0, n - CHECKED_INT8_SIDE) // 4 * 2 for n in x.shape[-2:])
    return x[..., top : top + CHECKED_INT8_SIDE, left : left + CHECKED_INT8_SIDE]


def _spans(length: int, tile: int, halo: int, scale: int) -> Iterator[tuple[slice, slice, slice]]:
    """The `span` of each tile along one axis, in order; together they cover it once."""
    for start in range(0, length, tile):
        yield span(start, min(start + tile, length), length, halo, scale)


def span(start: int, stop: int, length: int, halo: int, scale: int) -> tuple[slice, slice, slice]:
    """For outputs ``start`` to ``stop`` of an axis: the input to read, the part of the output to keep, its place."""
    # the mirrored border beyond the end (alignment, then halo) needs its source pixels read
    before = halo if stop + halo <= length else 2 * halo
    low, high = max(0, start - before), min(length, stop + halo)
    return slice(low, high), slice((start - low) * scale, (stop - low) * scale), slice(start * scale, stop * scale)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
