"""Uploads: a ring of buffers, none of which is filled again before the GPU has read it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from vidsr.stages import gpu as gpu_module
from vidsr.stages.gpu import BUFFERS, Uploads, to_cpu


class Event:
    """Knows the number of its last copy; to wait for it carries it out."""

    def __init__(self, gpu: "PretendedGpu") -> None:
        self.gpu, self.number = gpu, -1

    def record(self, stream: object) -> None:
        self.number = len(self.gpu.copies) - 1

    def synchronize(self) -> None:
        self.gpu.run_to(self.number)


class Stream:
    def __init__(self, gpu: "PretendedGpu") -> None:
        self.gpu = gpu

    def wait_event(self, event: Event) -> None:
        self.gpu.awaited.append(event.number)


class PretendedGpu:
    """A GPU that reads what it is to copy as late as it is allowed to."""

    def __init__(self) -> None:
        self.copies: list[tuple[Tensor, Tensor]] = []  # (there, here), in order
        self.done = 0
        self.awaited: list[int] = []
        self.computing = Stream(self)

    def run_to(self, number: int) -> None:
        while self.done <= number:
            there, here = self.copies[self.done]
            torch.Tensor.copy_(there, here)
            self.done += 1

    def Stream(self, device: torch.device) -> Stream:
        return Stream(self)

    def Event(self) -> Event:
        return Event(self)

    def current_stream(self, device: torch.device) -> Stream:
        return self.computing

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        yield


class Plane(torch.Tensor):
    """A tensor on the pretended GPU: what is copied to it is noted, not done."""

    gpu: PretendedGpu

    def copy_(self, source: Tensor, non_blocking: bool = False) -> "Plane":
        assert non_blocking
        self.gpu.copies.append((self, source))
        return self

    def record_stream(self, stream: Stream) -> None:
        assert stream is self.gpu.computing


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> PretendedGpu:
    gpu = PretendedGpu()
    Plane.gpu = gpu
    empty = torch.empty

    def made(*shape: object, device: object = None, pin_memory: bool = False, **rest: object) -> Tensor:
        tensor = empty(*shape, **rest)
        return tensor if device is None else tensor.as_subclass(Plane)

    monkeypatch.setattr(gpu_module.torch, "cuda", gpu)
    monkeypatch.setattr(gpu_module.torch, "empty", made)
    return gpu


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_every_batch_arrives_as_it_was_however_late_the_gpu_reads_it(gpu: PretendedGpu, dtype: torch.dtype) -> None:
    uploads = Uploads(torch.device("cuda"))
    sizes = [3, 3, 5, 3, 2, 5, 7, 1, 7]  # buffers grow
    batches = [torch.full((2, 1, size, size), number).to(dtype) for number, size in enumerate(sizes)]
    there = [uploads(batch) for batch in batches]
    assert gpu.done == len(batches) - BUFFERS, "no more is waited for than the ring needs"
    gpu.run_to(len(batches) - 1)
    for batch, away in zip(batches, there, strict=True):
        assert away.dtype == dtype
        assert torch.equal(away.as_subclass(torch.Tensor), batch)


def test_the_computing_waits_for_each_copy_and_the_host_for_none_of_the_first(gpu: PretendedGpu) -> None:
    uploads = Uploads(torch.device("cuda"))
    for _ in range(BUFFERS):
        uploads(torch.zeros(1, 1, 4, 4, dtype=torch.uint8))
    assert gpu.done == 0
    assert gpu.awaited == list(range(BUFFERS))


def test_buffers_are_used_again(gpu: PretendedGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    pinned = gpu_module.pinned
    monkeypatch.setattr(gpu_module, "pinned", lambda nbytes: (sizes.append(nbytes), pinned(nbytes))[1])
    uploads = Uploads(torch.device("cuda"))
    for _ in range(10):
        uploads(torch.zeros(1, 1, 4, 4, dtype=torch.uint8))
    assert sizes == [16] * BUFFERS


def test_on_a_cpu_nothing_is_copied() -> None:
    plane = torch.zeros(2)
    assert to_cpu(plane)() is plane


@pytest.mark.gpu
def test_uploads_and_downloads_keep_every_batch() -> None:
    device = torch.device("cuda")
    uploads = Uploads(device)
    batches = [torch.randint(0, 1 << 16, (4, 1, 270, 480)).to(torch.uint16) for _ in range(12)]
    back = [to_cpu(uploads(batch)) for batch in batches]
    for batch, wait in zip(batches, back, strict=True):
        assert torch.equal(wait(), batch)
