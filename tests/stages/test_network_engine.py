"""NetworkEngine: half precision is checked against float32, and GPU and CPU give the same frames."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from vidsr.device import Compute
from vidsr.flow.flow_engine import FlowEngine
from vidsr.flow.two_search import TwoSearchPair
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.models.frame_network import FrameNetwork, MotionField
from vidsr.models.weight_files import frame_network_path
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan
from vidsr.stages.build import build_stages
from vidsr.stages.network_engine import NetworkEngine, NetworkPair

CPU = torch.device("cpu")
HALF = [Fraction(1, 2)]


def frames() -> tuple[FrameBatch, FrameBatch]:
    """Return two frames of a moving texture."""
    rng = np.random.default_rng(0)
    wide = torch.from_numpy(np.kron(rng.integers(40, 200, (12, 18)), np.ones((8, 8))).astype(np.uint8))
    luma = torch.stack([wide[:, :128], wide[:, 6:134]])[:, None]
    both = FrameBatch(luma, None, (Fraction(0), Fraction(1)), (Origin(0), Origin(1)))
    return both[0:1], both[1:2]


def pair_of(engine: NetworkEngine) -> NetworkPair:
    a, b = frames()
    return NetworkPair(TwoSearchPair(FlowEngine(8).prepare(a, b)), engine._network, 255)


@pytest.mark.parametrize(
    ("loss", "falls_back"), [(0.0, False), (0.004, False), (0.03, True), (float("inf"), True), (float("nan"), True)]
)
def test_network_that_loses_too_much_in_half_precision_falls_back_to_float32(
    monkeypatch: pytest.MonkeyPatch, loss: float, falls_back: bool
) -> None:
    engine = NetworkEngine(frame_network_path("net"), 8, Compute(CPU, torch.bfloat16))
    network = type(engine._network)
    render = network.render

    def lossy(self: FrameNetwork, *arguments: object) -> tuple[Tensor, MotionField]:
        luma, field = render(self, *arguments)  # type: ignore[arg-type]
        return luma + (0 if next(self.parameters()).dtype == torch.float32 else loss), field

    monkeypatch.setattr(network, "render", lossy)
    engine.check_precision(pair_of(engine))
    assert engine.fp32_fallback == falls_back
    assert next(engine._network.parameters()).dtype == (torch.float32 if falls_back else torch.bfloat16)


def test_precision_is_not_checked_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[NetworkPair] = []
    monkeypatch.setattr(NetworkEngine, "check_precision", lambda engine, pair: checked.append(pair))
    for dtype in (torch.float32, torch.bfloat16):
        NetworkEngine(frame_network_path("net"), 8, Compute(CPU, dtype)).prepare(*frames())
    assert checked == []


@pytest.mark.parametrize("error", [None, RuntimeError("not implemented for this device")])
def test_an_untested_device_that_computes_wrong_is_replaced_by_the_cpu(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    expected, _ = (
        NetworkEngine(frame_network_path("net"), 8, Compute(CPU, torch.float32)).prepare(*frames()).interpolate(HALF)
    )
    monkeypatch.setattr("vidsr.device.UNTESTED", ("cpu",))
    engine = NetworkEngine(frame_network_path("net"), 8, Compute(CPU, torch.float32))

    def render(*arguments: object) -> object:
        if error is not None:
            raise error
        luma, field = type(wrong).render(wrong, *arguments)
        return luma / 2, field

    wrong = engine._network
    monkeypatch.setattr(wrong, "render", render)
    given, _ = engine.prepare(*frames()).interpolate(HALF)
    assert engine.device_fallback and engine._network is not wrong
    torch.testing.assert_close(given, expected)


def test_fallback_to_float32_is_counted() -> None:
    plan = make_plan(
        parse_options(fps="2x", interpolation="net", device="cpu"), VideoInfo(128, 96, Fraction(25), "gray")
    )
    stages = build_stages(plan.stages, plan.source)
    assert stages.interpolate is not None and isinstance(stages.interpolate.engine, NetworkEngine)
    assert stages.counts["fp32_fallbacks"] == 0
    stages.interpolate.engine.fp32_fallback = True
    assert stages.counts["fp32_fallbacks"] == 1


@pytest.mark.gpu
def test_gpu_and_cpu_give_the_same_frames() -> None:
    made = {}
    for device, dtype in ((CPU, torch.float32), (torch.device("cuda"), torch.float16)):
        engine = NetworkEngine(frame_network_path("net"), 8, Compute(device, dtype))
        made[device.type], _ = engine.prepare(*frames()).interpolate(HALF)
        assert not engine.fp32_fallback
    assert made["cuda"].device == CPU
    assert (made["cuda"] - made["cpu"]).abs().mean() < 0.5
