"""The devices and the precision of a run."""

import platform
from pathlib import Path

import pytest
import torch

from vidsr import device
from vidsr.device import choose, choose_all, has_bf16
from vidsr.errors import DeviceError


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("device", "gpus", "used"),
    [
        ("auto", 0, ["cpu"]),
        ("auto", 2, ["cuda"]),
        ("cuda", 1, ["cuda"]),
        ("cuda", 3, ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", 2, ["cuda:1"]),
        ("cuda:0, cuda:2", 3, ["cuda:0", "cuda:2"]),
        ("cpu,cpu", 0, ["cpu", "cpu"]),
    ],
)
def test_a_device_can_be_one_a_list_or_all_gpus(
    monkeypatch: pytest.MonkeyPatch, device: str, gpus: int, used: list[str]
) -> None:
    pretend_gpus(monkeypatch, gpus)
    assert [str(compute.device) for compute in choose_all(device, "fp32")] == used
    assert str(choose(device, "fp32").device) == used[0]


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("cuda:0,cuda:1", 1, "--device cuda:1: there are 1 CUDA devices"),
        ("cuda:0,tpu", 1, "--device 'tpu' is unknown: choose auto, cpu, cuda, cuda:N, cuda:0,cuda:1, xpu or mps"),
        ("cuda", 0, "--device cuda: PyTorch sees no CUDA device"),
        ("meta", 0, "--device 'meta' is not supported"),
    ],
)
def test_a_missing_device_gives_a_one_line_error(
    monkeypatch: pytest.MonkeyPatch, device: str, gpus: int, message: str
) -> None:
    pretend_gpus(monkeypatch, gpus)
    with pytest.raises(DeviceError, match=message):
        choose_all(device, "auto")


@pytest.mark.parametrize(
    ("present", "chosen"),
    [((), "cpu"), (("mps",), "mps"), (("xpu", "mps"), "xpu"), (("cuda", "xpu", "mps"), "cuda")],
)
def test_auto_prefers_cuda_then_intel_then_apple(
    monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...], chosen: str
) -> None:
    pretend_gpus(monkeypatch, int("cuda" in present))
    monkeypatch.setattr(torch.xpu, "is_available", lambda: "xpu" in present)
    monkeypatch.setattr(torch.xpu, "device_count", lambda: int("xpu" in present))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in present)
    compute = choose("auto", "auto")
    assert compute.device.type == chosen
    assert compute.precision == "fp16" or chosen == "cpu"
    for kind in {"xpu", "mps"} - set(present):
        with pytest.raises(DeviceError, match=f"--device {kind}: PyTorch sees no (Intel|Apple) device"):
            choose(kind, "auto")


def test_a_gpu_computes_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 2)
    assert [str(compute) for compute in choose_all("cuda", "auto")] == ["cuda:0 fp16", "cuda:1 fp16"]


def pretend_cpu(
    monkeypatch: pytest.MonkeyPatch, avx512: bool | None, amx: bool | None, maker: str, vnni: bool | None = False
) -> None:
    """Pretend that the processor has these instructions; None: this PyTorch has no such check."""
    monkeypatch.setattr(device, "cpu_maker", lambda: maker)
    probes = {"_is_avx512_bf16_supported": avx512, "_is_amx_tile_supported": amx, "_is_vnni_supported": vnni}
    for name, has in probes.items():
        if has is None:
            monkeypatch.delattr(torch.cpu, name, raising=False)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda has=has: has, raising=False)


@pytest.mark.parametrize(
    ("avx512", "amx", "maker", "precision"),
    [
        (True, False, "AuthenticAMD", "bf16"),
        (True, False, "GenuineIntel", "fp32"),
        (True, False, "", "fp32"),
        (True, True, "GenuineIntel", "bf16"),
        (False, True, "GenuineIntel", "bf16"),
        (False, False, "AuthenticAMD", "fp32"),
        (None, None, "AuthenticAMD", "fp32"),
    ],
)
def test_a_cpu_computes_in_bf16_only_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, avx512: bool | None, amx: bool | None, maker: str, precision: str
) -> None:
    pretend_cpu(monkeypatch, avx512, amx, maker)
    assert str(choose("cpu", "auto")) == f"cpu {precision}"
    assert str(choose("cpu", "fp32")) == "cpu fp32"
    assert has_bf16(torch.device("cpu")) == bool(avx512 or amx)


@pytest.mark.parametrize(
    ("text", "maker"),
    [
        ("AMD64 Family 25 Model 97 Stepping 2, AuthenticAMD", "AuthenticAMD"),
        ("Intel64 Family 6 Model 143 Stepping 8, GenuineIntel", "GenuineIntel"),
        ("arm", ""),
    ],
)
def test_the_maker_of_the_processor_is_known_without_proc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, maker: str
) -> None:
    monkeypatch.setattr(device, "Path", lambda _: tmp_path / "absent")
    monkeypatch.setattr(platform, "processor", lambda: text)
    assert device.cpu_maker.__wrapped__() == maker


@pytest.mark.parametrize(
    ("vnni", "amx", "is_fast"), [(True, False, True), (False, True, True), (False, False, False), (None, None, False)]
)
def test_a_cpu_computes_in_int8_only_with_instructions_that_do_not_saturate(
    monkeypatch: pytest.MonkeyPatch, vnni: bool | None, amx: bool | None, is_fast: bool
) -> None:
    pretend_cpu(monkeypatch, False, amx, "GenuineIntel", vnni)
    assert choose("cpu", "auto").int8 == is_fast
    assert not choose("cpu", "fp32").int8
    if is_fast:
        assert choose("cpu", "int8").int8
    else:
        with pytest.raises(DeviceError, match="--precision int8 needs VNNI or AMX, which this processor lacks"):
            choose("cpu", "int8")


def test_a_gpu_refuses_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 1)
    assert not choose("cuda", "auto").int8
    with pytest.raises(DeviceError, match="--precision int8 needs a CPU with VNNI or AMX, which cuda is not"):
        choose("cuda", "int8")
