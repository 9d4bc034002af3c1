"""Runner: tiled equals whole, and nothing is lost when memory runs out."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from tests.tiers import examples
from vidsr.device import Compute, has_int8
from vidsr.errors import DeviceError
from vidsr.models import Model, load_model
from vidsr.models.int8 import QuantisedConv
from vidsr.models.layers import LumaNetwork
from vidsr.stages import network_runner as runner_module
from vidsr.stages.gpu import CudaGraphs
from vidsr.stages.network_runner import Runner

CPU = Compute(torch.device("cpu"), torch.float32)
GPU = Compute(torch.device("cuda"), torch.float32)
needs_int8 = pytest.mark.skipif(not has_int8(CPU.device), reason="the processor has no VNNI")


class Convolutions(nn.Module):
    """Two 5x5 layers and a sub-pixel head, with a memory that holds ``limit`` input pixels."""

    def __init__(self, scale: int = 2, limit: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale, self.halo, self.alignment, self.limit = scale, 4, 1, limit
        self.first = nn.Conv2d(1, 4, 5, padding=2)
        self.second = nn.Conv2d(4, scale * scale, 5, padding=2)
        self.calls: list[torch.Size] = []

    def global_features(self, x: Tensor) -> None:
        return None

    def forward(self, x: Tensor, whole: Tensor | None = None) -> Tensor:
        self.calls.append(x.shape)
        if self.limit is not None and x.shape[0] * x.shape[2] * x.shape[3] > self.limit:
            raise torch.OutOfMemoryError("pretended")
        return F.pixel_shuffle(self.second(torch.relu(self.first(x))), self.scale)


def planes(n: int, h: int, w: int) -> Tensor:
    return torch.randint(0, 256, (n, 1, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(h * w))


def broken(model: Model, fails: bool) -> Model:
    """The model as a wrong driver computes it: other numbers, or an error."""

    class Broken(LumaNetwork):
        scale, halo = model.scale, model.halo

        def __init__(self) -> None:
            super().__init__()
            self.network = model.network

        def forward(self, x: Tensor, features: Tensor | None = None) -> Tensor:
            if fails:
                raise RuntimeError("not implemented for this device")
            return self.network(x, features).flip(-1)

    return replace(model, network=Broken())


@pytest.mark.parametrize("fails", [True, False])
def test_an_untested_device_that_computes_wrong_is_replaced_by_the_cpu(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    model, frames = load_model("fast", 2), planes(2, 40, 50)
    expected = Runner(model, CPU)(frames, 255)
    monkeypatch.setattr("vidsr.device.UNTESTED", ("cpu",))  # the only device here plays the new one
    runner = Runner(broken(model, fails), CPU)
    torch.testing.assert_close(runner(frames, 255), expected)
    assert runner.device_fallback and runner.compute.device.type == "cpu"
    right = Runner(model, CPU)
    torch.testing.assert_close(right(frames, 255), expected)
    assert not right.device_fallback and right.network is model


@examples(30)
@given(
    n=st.integers(1, 4), h=st.integers(1, 70), w=st.integers(1, 70), tile=st.integers(1, 40), batch=st.integers(1, 5)
)
def test_tiled_equals_whole(n: int, h: int, w: int, tile: int, batch: int) -> None:
    network = Convolutions()
    whole = Runner(network, CPU)(planes(n, h, w), 255)
    tiled = Runner(network, CPU, batch=batch, tile=tile)(planes(n, h, w), 255)
    assert tiled.shape == (n, 1, 2 * h, 2 * w)
    assert (tiled - whole).abs().max() < 0.01


def test_tiled_equals_whole_in_all_poses() -> None:
    model = load_model("fast+", 2)
    whole, tiled = (Runner(model, CPU, tile=tile)(planes(1, 50, 41), 255) for tile in (None, 16))
    assert (tiled - whole).abs().max() < 0.01


def test_a_tile_without_the_halo_would_not_equal_the_whole() -> None:
    network = Convolutions()
    whole = Runner(network, CPU)(planes(1, 64, 64), 255)
    network.halo = 0
    assert (Runner(network, CPU, tile=16)(planes(1, 64, 64), 255) - whole).abs().max() > 1


@pytest.mark.parametrize("limit", [3 * 64 * 48, 64 * 48, 40 * 40])
def test_out_of_memory_halves_the_batch_then_tiles_and_loses_no_frame(limit: int) -> None:
    x = planes(7, 64, 48)
    whole = Runner(Convolutions(), CPU)(x, 255)
    runner = Runner(Convolutions(limit=limit), CPU, batch=7)
    assert (runner(x, 255) - whole).abs().max() < 0.01
    assert runner.out_of_memory_retries > 0
    before = runner.out_of_memory_retries
    runner(x, 255)
    assert runner.out_of_memory_retries == before, "the smaller setting is kept"


def test_memory_for_not_even_a_tile_is_one_clear_line() -> None:
    with pytest.raises(DeviceError, match="ran out of memory even on one tile"):
        Runner(Convolutions(limit=10), CPU)(planes(2, 64, 64), 255)


def test_other_errors_pass() -> None:
    class Broken(Convolutions):
        def forward(self, x: Tensor, whole: Tensor | None = None) -> Tensor:
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Runner(Broken(), CPU)(planes(1, 8, 8), 255)


def test_a_call_on_a_cpu_takes_one_frame() -> None:
    network = Convolutions()
    Runner(network, CPU)(planes(5, 16, 8), 255)
    assert [shape[0] for shape in network.calls] == [1] * 5


def test_a_call_on_a_gpu_stays_inside_the_pixel_budget() -> None:
    frames = Runner(Convolutions(), GPU)._frames_per_call(128, 256)
    assert frames * 128 * 256 <= GPU.pixel_budget < (frames + 1) * 128 * 256


def test_a_call_on_a_gpu_stays_inside_the_memory() -> None:
    memory = 3 * 8 * 8 * runner_module.DEFAULT_BYTES
    assert Runner(Convolutions(), replace(GPU, memory=memory))._frames_per_call(8, 8) == 3


def test_the_frames_of_a_batch_are_divided_into_calls() -> None:
    network = Convolutions()
    Runner(network, CPU, batch=3)(planes(10, 8, 8), 255)
    assert [shape[0] for shape in network.calls] == [3, 3, 3, 1]


@pytest.mark.parametrize("peak", [255, 1023])
def test_code_values_are_scaled_by_the_peak_and_not_rounded(peak: int) -> None:
    class Identity(nn.Module):
        scale, halo = 1, 0

        def forward(self, x: Tensor, whole: Tensor | None = None) -> Tensor:
            return x + 0.25 / peak

    x = torch.tensor([0.0, 7.0, float(peak)]).reshape(1, 1, 1, 3)
    assert torch.allclose(Runner(Identity(), CPU)(x, peak), x + 0.25, atol=1e-3)


@pytest.mark.parametrize(
    ("gain", "falls_back"), [(1.0, False), (300.0, True), (1e30, True), (float("inf"), True), (float("nan"), True)]
)
def test_a_network_that_half_precision_does_not_carry_goes_on_in_float32(gain: float, falls_back: bool) -> None:
    model = load_model("fast", 2, "cpu", torch.bfloat16)
    with torch.no_grad():
        list(model.network.parameters())[-2].mul_(gain)
    runner = Runner(model, Compute(torch.device("cpu"), torch.bfloat16))
    runner.check_precision(planes(1, 24, 24).float() / 255)
    assert runner.fp32_fallback == falls_back
    assert runner.compute.dtype == (torch.float32 if falls_back else torch.bfloat16)
    assert isinstance(runner.network, Model)
    assert runner.network.network.dtype == runner.compute.dtype


@needs_int8
@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_a_network_in_int8_whose_first_frame_is_far_from_float32_goes_on_in_float32(gain: float) -> None:
    model, floats = (load_model("fast", 2, int8=int8) for int8 in (True, False))
    next(layer for layer in model.network.modules() if isinstance(layer, QuantisedConv)).scale.mul_(gain)
    runner = Runner(model, replace(CPU, int8=True))
    frames = smooth(planes(1, 150, 140))
    output = runner(frames, 255)
    assert (runner.fp32_fallback, runner.compute.int8) == (gain > 1, gain == 1)
    assert torch.allclose(output, Runner(floats, CPU)(frames, 255), atol=1e-2) == (gain > 1)


@needs_int8
@pytest.mark.parametrize("rounded", [False, True])
def test_tiles_in_int8_equal_the_whole_to_the_last_bit(rounded: bool) -> None:
    model, frames = load_model("fast", 2, int8=True), smooth(planes(3, 61, 74))
    compute = replace(CPU, int8=True)
    whole = Runner(model, compute)(frames, 255, rounded)
    assert whole.dtype == (torch.uint8 if rounded else torch.float32)
    for batch, tile in ((None, 16), (2, 32), (1, None)):
        assert torch.equal(Runner(model, compute, batch=batch, tile=tile)(frames, 255, rounded), whole)


def smooth(planes: Tensor) -> Tensor:
    """Noise without its finest detail, which no weights are calibrated for."""
    return F.avg_pool2d(planes.float(), 5, 1, 2).to(torch.uint8)


def test_without_a_compiler_compiling_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(DeviceError, match="--compile needs a C\\+\\+ compiler, and no-such-compiler is missing"):
        load_model("fast", 2).compiled()


@pytest.mark.parametrize("fails", [False, True])
def test_a_gpu_is_given_planes_once_and_its_launches_are_recorded_once(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """A pretended GPU: what it is asked for, and that each result is that of the CPU."""
    uploaded: list[Tensor] = []
    replays: list[Tensor] = []

    class Recorded:
        def __init__(self, network: Model, x: Tensor) -> None:
            if fails:
                raise RuntimeError("operation not permitted when stream is capturing")
            self.network = network

        def __call__(self, x: Tensor) -> Tensor:
            replays.append(x)
            return self.network(x)

    def upload(device: torch.device) -> Callable[[Tensor], Tensor]:
        return lambda planes: (uploaded.append(planes), planes)[1]

    monkeypatch.setattr(runner_module, "Uploads", upload)
    monkeypatch.setattr(runner_module, "CudaGraphs", lambda network: CudaGraphs(network, Recorded))
    model = load_model("fast", 2)
    runner = Runner(model, GPU)
    batches = [planes(2, 24, 24 + i // 5) for i in range(6)]
    for batch in batches:
        assert torch.equal(runner(batch, 255, rounded=True), Runner(model, CPU, batch=2)(batch, 255))
    assert uploaded == batches
    assert len(replays) == (0 if fails else 1 + 3)  # compared once, then the third, fourth and fifth call
    assert runner.graphs_failed == fails


def test_memory_that_runs_out_on_a_gpu_takes_what_was_recorded_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(CudaGraphs):
        forgotten = 0

        def forget(self) -> None:
            Forgetful.forgotten += 1
            super().forget()

    model = load_model("fast", 2)
    runner = Runner(model, Compute(torch.device("cuda"), torch.float32))
    runner._graphs = Forgetful(model, lambda network, x: network)
    monkeypatch.setattr(runner_module, "Uploads", lambda device: lambda planes: planes)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    call, limit = runner._call, 24 * 24

    def small_memory(planes: Tensor, peak: int, rounded: bool, whole: Tensor | None = None) -> Tensor:
        if planes.numel() > limit:
            raise torch.OutOfMemoryError("pretended")
        return call(planes, peak, rounded, whole)

    monkeypatch.setattr(runner, "_call", small_memory)
    batch = planes(3, 24, 24)
    assert torch.allclose(runner(batch, 255), Runner(model, CPU)(batch, 255), atol=1e-2)
    assert (runner.out_of_memory_retries, runner.batch, Forgetful.forgotten) == (1, 1, 1)


def test_a_compiled_network_on_a_gpu_is_recorded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's own graphs would overwrite a result that a repeated frame is still to be made from."""
    monkeypatch.setattr(Model, "is_compiled", property(lambda model: True))
    monkeypatch.setattr(runner_module, "Uploads", lambda device: lambda planes: planes)
    recorded: list[Tensor] = []

    def record(network: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[Tensor], Tensor]:
        recorded.append(x)
        return network

    monkeypatch.setattr(runner_module, "CudaGraphs", lambda network: CudaGraphs(network, record))
    runner = Runner(load_model("fast", 2), Compute(torch.device("cuda"), torch.float32))
    for _ in range(4):
        runner(planes(1, 24, 24), 255)
    assert len(recorded) == 1


def test_on_a_gpu_float32_is_no_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    Runner(load_model("fast", 2), CPU)
    assert torch.backends.cudnn.allow_tf32
    Runner(load_model("fast", 2), Compute(torch.device("cuda"), torch.float32))
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.gpu
def test_a_compiled_network_on_a_gpu_leaves_earlier_results_alone() -> None:
    model = load_model("fast", 2, "cuda", torch.float16)
    runner = Runner(model.compiled(), Compute(torch.device("cuda"), torch.float16))
    batches = [planes(2, 48, 64) // number for number in range(1, 7)]
    results = [runner(batch, 255) for batch in batches]
    assert not runner.graphs_failed and not runner.fp32_fallback
    for batch, result in zip(batches, results, strict=True):
        assert (result.cpu() - Runner(load_model("fast", 2), CPU)(batch, 255)).abs().max() < 2


@pytest.mark.gpu
@pytest.mark.parametrize("depth", [8, 10])
def test_a_gpu_gives_what_the_cpu_gives(depth: int) -> None:
    """Frame order and values, through page-locked copies, batches and the rounding, in half precision."""
    from vidsr.frames import FrameBatch, Origin, VideoInfo
    from vidsr.options.enhance import parse_options
    from vidsr.pipeline.plan import make_plan
    from vidsr.stages.build import build_stages
    from vidsr.stages.stopwatch import Stopwatch

    dtype = torch.uint8 if depth == 8 else torch.uint16
    luma = torch.randint(0, 1 << depth, (40, 1, 48, 64), generator=torch.Generator().manual_seed(0)).to(dtype)
    results = {}
    for device, precision in (("cpu", "fp32"), ("cuda", "fp16")):
        options = parse_options(scale=2, model="fast", device=device, precision=precision)
        plan = make_plan(options, VideoInfo(64, 48, Fraction(25), "gray", depth))
        stream = iter(
            FrameBatch(
                luma[i : i + 8], None, tuple(map(Fraction, range(i, i + 8))), tuple(map(Origin, range(i, i + 8)))
            )
            for i in range(0, 40, 8)
        )
        results[device] = list(build_stages(plan.stages, plan.source)(stream, Stopwatch()))
    for cpu, gpu in zip(results["cpu"], results["cuda"], strict=True):
        assert cpu.times == gpu.times and gpu.y.device.type == "cpu" and gpu.y.dtype == dtype
        assert (cpu.y.int() - gpu.y.int()).abs().max() <= 2 << (depth - 8)
