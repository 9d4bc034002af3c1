"""CUDA graphs: when they are recorded, and that a run continues without them where recording fails."""

import pytest
import torch
from torch import Tensor

from vidsr.stages.gpu import CALLS_BEFORE_RECORDING, MAX_SHAPES, CudaGraphs, Network


class Network2x:
    """A network that doubles its input and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        self.calls += 1
        return 2 * x


class Pretended:
    """Records what a network makes of the first input's shape; replays give that of each input, plus ``wrong``."""

    made = 0

    def __init__(self, network: Network, x: Tensor, wrong: float = 0.0) -> None:
        self._network, self._shape, self._wrong = network, x.shape, wrong
        type(self).made += 1

    def __call__(self, x: Tensor) -> Tensor:
        assert x.shape == self._shape
        return 2 * x + self._wrong


def picture(side: int) -> Tensor:
    return torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(side))


def test_a_shape_is_recorded_once_after_two_calls() -> None:
    network = Network2x()
    graphs = CudaGraphs(network, Pretended)
    for calls in (1, 2, 2, 2):  # the third and later ones are replayed
        x = picture(8)
        assert torch.equal(graphs(x), 2 * x)
        assert network.calls == calls
    x = picture(9)  # a last, short batch
    assert torch.equal(graphs(x), 2 * x)
    assert network.calls == 3 and not graphs.failed


def test_the_number_of_recorded_shapes_is_limited() -> None:
    Pretended.made = 0
    graphs = CudaGraphs(Network2x(), Pretended)
    for side in range(1, MAX_SHAPES + 5):
        for _ in range(CALLS_BEFORE_RECORDING + 1):
            assert torch.equal(graphs(picture(side)), 2 * picture(side))
    assert Pretended.made == MAX_SHAPES


def test_a_dropped_shape_is_recorded_again() -> None:
    Pretended.made = 0
    graphs = CudaGraphs(Network2x(), Pretended)
    for _ in range(CALLS_BEFORE_RECORDING):
        graphs(picture(8))
    graphs.forget()
    for _ in range(CALLS_BEFORE_RECORDING + 1):
        assert torch.equal(graphs(picture(8)), 2 * picture(8))
    assert Pretended.made == 2


@pytest.mark.parametrize(
    "error", [RuntimeError("operation not permitted when stream is capturing"), torch.OutOfMemoryError()]
)
def test_after_a_failed_recording_the_network_runs_without_graphs(error: Exception) -> None:
    tried = 0

    def fails(network: Network, x: Tensor) -> Network:
        nonlocal tried
        tried += 1
        raise error

    network = Network2x()
    graphs = CudaGraphs(network, fails)
    for _ in range(6):
        assert torch.equal(graphs(picture(8)), 2 * picture(8))
    assert (tried, graphs.failed, network.calls) == (1, True, 6)


def test_a_replay_that_differs_from_the_network_is_not_used() -> None:
    network = Network2x()
    graphs = CudaGraphs(network, lambda network, x: Pretended(network, x, wrong=0.01))
    for _ in range(6):
        assert torch.equal(graphs(picture(8)), 2 * picture(8))
    assert graphs.failed and network.calls == 6


@pytest.mark.gpu
def test_a_graph_equals_the_network_and_keeps_earlier_outputs() -> None:
    from vidsr.models import load_model

    model = load_model("fast", 2, "cuda", torch.float16)
    graphs = CudaGraphs(model)
    with torch.inference_mode():
        inputs = [picture(32).cuda() * level for level in (1.0, 0.5, 0.25, 0.125, 0.0)]
        results = [graphs(x) for x in inputs]
        assert not graphs.failed
        for x, result in zip(inputs, results, strict=True):
            assert torch.allclose(result, model(x), rtol=0, atol=1e-3)
