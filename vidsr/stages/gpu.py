"""What a GPU needs besides the network: transfers next to its computing, and CUDA graphs.

Planes travel through page-locked memory, on a stream of their own in each direction, so that copies of the next and
the last batch run while one is computed. CUDA graphs record a network's launches for one shape of input and replay
them: a small network on a small frame otherwise spends longer on starting its kernels than they take. On a CPU nothing
here copies or records.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from vidsr.runtime import process
from vidsr.runtime.concurrency import process_lock

BUFFERS = 3  # of uploads: the GPU reads one, one waits, the host fills one
CALLS_BEFORE_RECORDING = 2  # of a shape: the first call chooses kernels, and a short last batch does not come again
MAX_SHAPES = 12  # recorded at a time; a frame in tiles has nine
TOLERANCE = 1e-3  # of a replay against the network itself, luma of peak 1: a quarter of an 8-bit code value

Network = Callable[[Tensor], Tensor]


@dataclass
class PinnedBuffer:
    """Page-locked memory, and the event that the GPU has read it."""

    memory: Tensor  # bytes
    read: Any  # torch.cuda.Event

    def filled(self, planes: Tensor) -> Tensor:
        """A copy of ``planes`` in this memory, which grows where it must."""
        self.read.synchronize()
        if self.memory.numel() < planes.nbytes:
            self.memory = pinned(planes.nbytes)
        return self.memory[: planes.nbytes].view(planes.dtype).view(planes.shape).copy_(planes)


class Uploads:
    """Copies planes to ``device`` while it computes the batch before.

    The host fills one page-locked buffer of a ring while the GPU reads another. The computing stream waits for the
    copy on the GPU, not on the host. For one thread at a time.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._ring = deque(PinnedBuffer(torch.empty(0, dtype=torch.uint8), new_event()) for _ in range(BUFFERS))

    def __call__(self, planes: Tensor) -> Tensor:
        """``planes``, of any dtype, on the device."""
        self._ring.rotate()
        buffer = self._ring[0]
        filled = buffer.filled(planes)
        with torch.cuda.stream(self._stream):
            uploaded = torch.empty(planes.shape, dtype=planes.dtype, device=self._device)
            uploaded.copy_(filled, non_blocking=True)
            buffer.read.record(self._stream)
        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(buffer.read)
        uploaded.record_stream(computing)  # its memory belongs to the copy's stream and is read in the computing one
        return uploaded


def new_event() -> Any:
    """A CUDA event, complete until it is recorded."""
    return torch.cuda.Event()  # type: ignore[no-untyped-call]


def pinned(nbytes: int) -> Tensor:
    """Page-locked memory of ``nbytes``, which a GPU copies by itself."""
    return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)


def to_cpu(plane: Tensor) -> Callable[[], Tensor]:
    """Start copying ``plane`` to the CPU; the returned function waits for the copy and gives it.

    Other threads keep the copy for as long as they need it, so its memory is no ring of ours. PyTorch reuses freed
    page-locked blocks, and a run settles on a few.
    """
    if plane.device.type != "cuda":  # other GPUs have no streams here
        return plane.cpu
    made, stream = new_event(), _download_stream(plane.device)
    made.record(torch.cuda.current_stream(plane.device))
    with torch.cuda.stream(stream):
        stream.wait_event(made)
        copy = torch.empty(plane.shape, dtype=plane.dtype, pin_memory=True).copy_(plane, non_blocking=True)
        plane.record_stream(stream)  # keeps its memory until the copy is done
        copied = new_event()
        copied.record(stream)

    def wait() -> Tensor:
        copied.synchronize()
        return copy

    return wait


@cache
def _download_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class RecordedGraph:
    """The launches of ``network`` for inputs shaped like ``x``, on a GPU.

    Raises:
        RuntimeError: the network waits for the GPU and cannot be recorded, or memory ran out.
    """

    def __init__(self, network: Network, x: Tensor) -> None:
        self._input = x.clone()
        self._graph = torch.cuda.CUDAGraph()
        # PyTorch records one graph at a time; copies and decoding on other threads do not disturb it
        with (
            process_lock,
            torch.cuda.device(x.device),
            torch.cuda.graph(self._graph, stream=torch.cuda.Stream(x.device), capture_error_mode="thread_local"),  # type: ignore[no-untyped-call]
        ):
            self._output = network(self._input)

    def __call__(self, x: Tensor) -> Tensor:
        """The network's output, in memory of its own that the next replay leaves alone."""
        self._input.copy_(x)
        self._graph.replay()
        return self._output.clone()


class CudaGraphs:
    """``network``, faster from the third call of a shape on; ``record`` makes a replay.

    Where recording fails, or a replay differs from the network, the network itself runs (``failed``).
    """

    def __init__(self, network: Network, record: Callable[[Network, Tensor], Network] = RecordedGraph) -> None:
        process.load_torch_compiler()
        self.failed = False
        self._network = network
        self._record = record
        self._calls: Counter[object] = Counter()
        self._recorded: dict[object, Network] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """The network's output for ``x``."""
        shape = (x.shape, x.stride(), x.dtype)
        recorded = self._recorded.get(shape)
        if recorded is not None:
            return recorded(x)
        output = self._network(x)
        self._calls[shape] += 1
        if self._calls[shape] == CALLS_BEFORE_RECORDING and not self.failed and len(self._recorded) < MAX_SHAPES:
            self._try_recording(shape, x, output)
        return output

    def _try_recording(self, shape: object, x: Tensor, output: Tensor) -> None:
        try:
            recorded = self._record(self._network, x)
            self.failed = not torch.allclose(recorded(x), output, rtol=0, atol=TOLERANCE)
        except RuntimeError:  # torch.OutOfMemoryError too: without its graph the network may still fit
            self.failed = True
        if self.failed:
            self.forget()
        else:
            self._recorded[shape] = recorded

    def forget(self) -> None:
        """Free the memory of all recordings; shapes may be recorded again."""
        self._recorded.clear()
        self._calls.clear()
