"""CUDA graphs: what a network launches for one shape of input, recorded once and replayed since.

A small network on a small picture otherwise spends longer on starting its kernels than they take.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor

from vidsr import runtime
from vidsr.concurrency import one_at_a_time

SEEN = 2  # calls of a shape before it is recorded: the first chooses kernels, and a last, short batch does not return
MOST = 12  # shapes; a picture in tiles has nine
TOLERANCE = 1e-3  # of a replay against the network itself, in luma of peak 1: a quarter of an 8-bit code value

Network = Callable[[Tensor], Tensor]


class Recorded:
    """``network`` for inputs like ``x``, on a GPU.

    Raises:
        RuntimeError: it can not be recorded: it waits for the GPU, or memory ran out.
    """

    def __init__(self, network: Network, x: Tensor) -> None:
        self._taken = x.clone()
        self._graph = torch.cuda.CUDAGraph()
        # PyTorch records one graph at a time; that other threads copy and decode meanwhile is no concern of it
        with (
            one_at_a_time,
            torch.cuda.device(x.device),
            torch.cuda.graph(self._graph, stream=torch.cuda.Stream(x.device), capture_error_mode="thread_local"),  # type: ignore[no-untyped-call]
        ):
            self._made = network(self._taken)

    def __call__(self, x: Tensor) -> Tensor:
        """A result of its own, which the next replay leaves alone."""
        self._taken.copy_(x)
        self._graph.replay()
        return self._made.clone()


class Graphs:
    """``network`` as before, but faster from the third call of a shape on; ``record`` makes a replay.

    Where recording fails, or a replay does not give what the network gives, it goes on without (``failed``).
    """

    def __init__(self, network: Network, record: Callable[[Network, Tensor], Network] = Recorded) -> None:
        runtime.load_torch_compiler()
        self.failed = False
        self._network = network
        self._record = record
        self._seen: Counter[object] = Counter()
        self._recorded: dict[object, Network] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """What the network makes of ``x``."""
        shape = (x.shape, x.stride(), x.dtype)
        recorded = self._recorded.get(shape)
        if recorded is not None:
            return recorded(x)
        made = self._network(x)
        self._seen[shape] += 1
        if self._seen[shape] == SEEN and not self.failed and len(self._recorded) < MOST:
            self._try(shape, x, made)
        return made

    def _try(self, shape: object, x: Tensor, made: Tensor) -> None:
        try:
            recorded = self._record(self._network, x)
            self.failed = not torch.allclose(recorded(x), made, rtol=0, atol=TOLERANCE)
        except RuntimeError:  # torch.OutOfMemoryError too: without its graph the network may still fit
            self.failed = True
        if self.failed:
            self.forget()
        else:
            self._recorded[shape] = recorded

    def forget(self) -> None:
        """Gives back the memory of what was recorded; it may be recorded again."""
        self._recorded.clear()
        self._seen.clear()
