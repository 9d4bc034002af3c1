"""Frames a second and PSNR of networks of this size side by side: ours, ESPCN, FSRCNN and animevideov3, x4.

    python benchmarks/pareto.py [--threads 2] [--rounds 5] [--engines torch openvino opencv]

The networks alone, on one frame of 480x270, called in turn. vidsr's run in each precision that this processor
multiplies fast, from codes to codes as in a run; the others run in PyTorch in fp32 and, where the packages openvino and
onnx are installed, in OpenVINO and in OpenCV's dnn module, which is what its dnn_superres runs. PSNR-Y is the mean of
Set5 ($VIDSR_DATA, default ../shared/data). FSRCNN has its published layers with random weights and its published PSNR.
A row is on the front if no other row is faster and better.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch
from _pareto import front
from _timer import interleaved, machine
from torch import Tensor, nn

from vidsr.device import Compute, has_int8
from vidsr.evaluate.image_sets import evaluate
from vidsr.models import Model, from_file, load_model
from vidsr.runtime import process
from vidsr.stages.network_runner import Runner

SCALE, WIDTH, HEIGHT = 4, 480, 270
OURS = ("fast", "balanced", "best")
ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("VIDSR_DATA", ROOT.parent / "shared" / "data"))
FSRCNN_PSNR = 30.71  # Set5 x4, Dong et al., ECCV 2016


@dataclass(frozen=True)
class Row:
    """One network in one engine."""

    name: str
    engine: str
    psnr: float  # dB
    call: Callable[[], object]  # one frame


class FSRCNN(nn.Sequential):
    """The layers of FSRCNN(56, 12, 4): Dong et al., ECCV 2016."""

    def __init__(self) -> None:
        shrink = [nn.Conv2d(1, 56, 5, padding=2), nn.PReLU(56), nn.Conv2d(56, 12, 1), nn.PReLU(12)]
        middle = [layer for _ in range(4) for layer in (nn.Conv2d(12, 12, 3, padding=1), nn.PReLU(12))]
        expand = [nn.Conv2d(12, 56, 1), nn.PReLU(56), nn.ConvTranspose2d(56, 1, 9, SCALE, 4, output_padding=SCALE - 1)]
        super().__init__(*shrink, *middle, *expand)


def our_rows() -> Iterator[Row]:
    """Yield vidsr's networks in each precision."""
    cpu, codes = torch.device("cpu"), torch.randint(0, 256, (1, 1, HEIGHT, WIDTH), dtype=torch.uint8)
    precisions = ("fp32", "int8") if has_int8(cpu) else ("fp32",)
    for name in OURS:
        for precision in precisions:
            is_int8 = precision == "int8"
            compute = Compute(cpu, torch.float32, int8=is_int8)
            model = load_model(name, SCALE, int8=is_int8).fused()
            runner = Runner(model, compute)
            yield Row(name, f"vidsr {precision}", set5(model), lambda runner=runner: runner(codes, 255, rounded=True))


def other_rows(engines: list[str]) -> Iterator[Row]:
    """Yield the other networks in each of ``engines``."""
    espcn = load_model("espcn", SCALE)
    networks: list[tuple[str, nn.Module, int, float]] = [
        ("ESPCN", espcn.network, 1, set5(espcn)),
        ("FSRCNN", FSRCNN().eval(), 1, FSRCNN_PSNR),
    ]
    checkpoint = DATA / "checkpoints" / "realesr-animevideov3-x4.pth"
    if checkpoint.exists():
        anime = from_file(checkpoint)
        networks.append(("animevideov3", anime.network, 3, set5(anime)))
    for name, network, channels, psnr in networks:
        x = torch.rand(1, channels, HEIGHT, WIDTH)
        for engine in engines:
            yield Row(name, engine, psnr, ENGINES[engine](network, x))


def set5(model: Model) -> float:
    """Return the mean PSNR-Y of Set5, in dB."""
    return evaluate(model, SCALE, [DATA / "set5"])[-1].psnr_y


def in_torch(network: nn.Module, x: Tensor) -> Callable[[], object]:
    """Return a call of ``network`` in PyTorch, channels last."""
    network, x = network.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lambda: network(x)


def in_openvino(network: nn.Module, x: Tensor) -> Callable[[], object]:
    """Return a call of ``network`` in OpenVINO, in fp32 with as many threads as PyTorch."""
    import openvino

    options = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(openvino.convert_model(network, example_input=x), "CPU", options)
    return lambda: compiled(x.numpy())


def in_opencv(network: nn.Module, x: Tensor) -> Callable[[], object]:
    """Return a call of ``network`` in OpenCV's dnn module."""
    file = io.BytesIO()
    torch.onnx.export(network, (x,), file, dynamo=False, opset_version=17)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(file.getvalue(), np.uint8))

    def call() -> object:
        net.setInput(x.numpy())
        return net.forward()

    return call


ENGINES: dict[str, Callable[[nn.Module, Tensor], Callable[[], object]]] = {
    "torch": in_torch, "openvino": in_openvino, "opencv": in_opencv,
}  # fmt: skip
NEEDS = {"torch": "torch", "openvino": "openvino", "opencv": "onnx"}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    installed = [name for name, package in NEEDS.items() if importlib.util.find_spec(package)]
    parser.add_argument("--engines", nargs="*", choices=tuple(ENGINES), default=installed)
    given = parser.parse_args()
    process.configure_process()  # networks run as in the command
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    rows = [*our_rows(), *other_rows(given.engines)]
    seconds = interleaved({f"{row.name} {row.engine}": row.call for row in rows}, given.rounds, warm_up=1)
    rates = [1 / median(times) for times in seconds.values()]
    best = front([(rate, row.psnr) for rate, row in zip(rates, rows, strict=True)])
    print("| network | engine | PSNR-Y Set5 | frames a second | on the front |\n|---|---|---|---|---|")
    for row, rate, is_best in sorted(zip(rows, rates, best, strict=True), key=lambda entry: -entry[1]):
        print(f"| {row.name} | {row.engine} | {row.psnr:.2f} | {rate:.1f} | {'yes' if is_best else 'no'} |")
    print(f"{given.threads} threads, {given.rounds} rounds, PyTorch {torch.__version__}, {machine()}")


if __name__ == "__main__":
    main()
