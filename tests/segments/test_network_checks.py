"""Networks that lose precision are checked once, before the first segment, and all segments use what was found."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.segments.runs import digests, run, source
from tests.segments.test_resume import interrupted
from vidsr.models import Model
from vidsr.segments.job_folder import JobFolder
from vidsr.stages import network_runner
from vidsr.stages.network_runner import MIN_HALF_PRECISION_PSNR, Runner
from vidsr.stages.specs import NetworkSpec, UpscaleSpec, on_device

NETWORK: dict[str, Any] = {"scale": 2, "model": "fast", "log": "none"}
SIZE = (48, 32)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A processor that plays one with VNNI, and the PSNR that each check of int8 finds, in turn."""
    found: list[float] = []
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True, raising=False)
    monkeypatch.setattr(network_runner, "psnr_from_mse", lambda error, peak: found.pop(0))
    yield found


def planned(output: Path) -> list[dict[str, Any]]:
    """The networks in the plan of an unfinished job."""
    stages = json.loads((JobFolder.of(output).path / "plan.json").read_bytes())["plan"]["stages"]
    return [network for stage in stages for device in stage.get("networks", ()) for network in device]


@pytest.mark.parametrize("first_is_near", [True, False])
def test_a_clip_near_the_limit_is_int8_in_every_segment_or_in_none(
    tmp_path: Path, answers: list[float], first_is_near: bool
) -> None:
    clip = source(tmp_path, size=SIZE)
    in_turn = [MIN_HALF_PRECISION_PSNR + 5 * (1 if first_is_near else -1), MIN_HALF_PRECISION_PSNR - 5]
    for name, segment in (("whole", "0"), ("cut", "1s")):
        answers[:] = in_turn
        report = run(clip, tmp_path / f"{name}.mkv", segment, **NETWORK)
        assert answers == in_turn[1:], "checked once"
        assert report.counts["fp32_fallbacks"] == (not first_is_near)
    assert digests(tmp_path / "cut.mkv") == digests(tmp_path / "whole.mkv")


def test_a_run_that_continues_keeps_what_was_found(tmp_path: Path, answers: list[float]) -> None:
    clip, output = source(tmp_path, size=SIZE), tmp_path / "cut.mkv"
    answers[:] = [MIN_HALF_PRECISION_PSNR - 5]
    interrupted(clip, output, **NETWORK)
    assert [(one["precision"], one["is_checked"]) for one in planned(output)] == [("fp32", True)]
    assert run(clip, output, **NETWORK).counts["fp32_fallbacks"] == 1


@pytest.mark.slow
def test_the_frame_is_that_of_a_whole_run_after_other_stages(tmp_path: Path, answers: list[float]) -> None:
    clip, compared = source(tmp_path, size=SIZE), []

    def check(runner: Runner, x: torch.Tensor) -> None:
        compared.append(x)
        runner._unchecked = False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "check_precision", check)
        for name, segment in (("whole", "0"), ("cut", "1s")):
            run(clip, tmp_path / f"{name}.mkv", segment, **NETWORK, fps="2x", denoise=1, start="0.5", frames=52)
    half = len(compared) // 2
    assert half and all(torch.equal(a, b) for a, b in zip(compared[:half], compared[half:], strict=True))


def test_a_device_that_computes_wrong_is_left_by_all_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, output = source(tmp_path, size=SIZE), tmp_path / "cut.mkv"
    run(clip, tmp_path / "right.mkv", **NETWORK)
    monkeypatch.setattr("vidsr.device.UNTESTED", ("cpu",))  # the only device here plays the new one
    tested: list[Any] = []
    call, check = Model.__call__, Runner.check_device

    def test_device(runner: Runner, planes: torch.Tensor, peak: int) -> None:
        model = runner.network
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Model, "__call__", lambda self, x, *more: call(self, x, *more) / (2 if self is model else 1))
            check(runner, planes, peak)
        tested.append(runner.device_fallback)

    monkeypatch.setattr(Runner, "check_device", test_device)
    interrupted(clip, output, **NETWORK)
    report = run(clip, output, **NETWORK)
    assert tested == [True]
    assert report.counts["device_fallbacks"] == 1 and "device_fallback" in {note.code for note in report.notes}
    assert output.read_bytes() == (tmp_path / "right.mkv").read_bytes()


def test_networks_that_fell_back_to_the_cpu_stay_there_in_a_worker() -> None:
    one = NetworkSpec("fast", 2, "clean", "fast-x2.safetensors", "", "xpu:0", "fp16")
    two = NetworkSpec("fast", 2, "clean", "fast-x2.safetensors", "", "cpu", "fp32", is_checked=True)
    moved = on_device(UpscaleSpec(8, 8, "bicubic", ((one, two), (one, two))), "xpu:3")
    assert isinstance(moved, UpscaleSpec)
    assert [[network.device for network in device] for device in moved.networks] == [["xpu:3", "cpu"]]


def test_nothing_is_checked_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidsr.segments.network_checks.build_stages", None)
    run(source(tmp_path, size=SIZE), tmp_path / "cut.mkv", **NETWORK, precision="fp32")
