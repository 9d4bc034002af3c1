"""Which devices a run uses."""

import pytest
import torch

from vidsr.device import choose, choose_all
from vidsr.errors import DeviceError


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("asked", "there", "used"),
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
def test_one_device_a_list_or_all_gpus(
    monkeypatch: pytest.MonkeyPatch, asked: str, there: int, used: list[str]
) -> None:
    pretend_gpus(monkeypatch, there)
    assert [str(compute.device) for compute in choose_all(asked, "fp32")] == used
    assert str(choose(asked, "fp32").device) == used[0]


@pytest.mark.parametrize(
    ("asked", "there", "said"),
    [
        ("cuda:0,cuda:1", 1, "--device cuda:1: there are 1 CUDA devices"),
        ("cuda:0,tpu", 1, "--device 'tpu' is unknown: choose auto, cpu, cuda, cuda:N or cuda:0,cuda:1"),
        ("cuda", 0, "--device cuda: PyTorch sees no CUDA device"),
        ("meta", 0, "--device 'meta' is not supported"),
    ],
)
def test_a_device_that_is_not_there_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, asked: str, there: int, said: str
) -> None:
    pretend_gpus(monkeypatch, there)
    with pytest.raises(DeviceError, match=said):
        choose_all(asked, "auto")


def test_a_gpu_computes_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 2)
    assert [str(compute) for compute in choose_all("cuda", "auto")] == ["cuda:0 fp16", "cuda:1 fp16"]


@pytest.mark.parametrize(
    ("avx512", "amx", "precision"),
    [(True, False, "bf16"), (False, True, "bf16"), (False, False, "fp32"), (None, None, "fp32")],
)
def test_a_cpu_computes_in_bf16_only_where_it_is_found_to_have_it(
    monkeypatch: pytest.MonkeyPatch, avx512: bool | None, amx: bool | None, precision: str
) -> None:
    for name, has in (("_is_avx512_bf16_supported", avx512), ("_is_amx_tile_supported", amx)):
        if has is None:  # a PyTorch that does not say
            monkeypatch.delattr(torch.cpu, name, raising=False)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda has=has: has, raising=False)
    assert str(choose("cpu", "auto")) == f"cpu {precision}"
    assert str(choose("cpu", "fp32")) == "cpu fp32"
