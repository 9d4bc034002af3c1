"""Measure every figure of a GPU that the README needs, in one command: 1080p to 4K, and 1080p at twice the frame rate.

    python benchmarks/gpu.py [--device cuda] [--models fast balanced best] [--size 1920x1080] [--json PATH]

Runs do not encode, but for the last: the whole process with `--codec` (default: h264_nvenc, which falls back to libx264
where the GPU has no encoder) and verification. GPU memory is the peak of PyTorch's allocations in a run.

"Network" is the upscaling network on planes on the device, batch after batch, synchronised at the end. "Run" is
`vidsr.enhance` with `codec="null"` after a short warm-up run: decoding, copies, chroma and rounding included. The bar
is 0.9 of the network's rate where the network is the bottleneck. Interpolation has no bar.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from _commands import make_clip
from _timer import machine

from vidsr.runtime import process

BAR = 0.9
WARM_UP = 3  # batches; the third records a CUDA graph


def network_fps(clip: Path, options: dict[str, Any]) -> tuple[float, str]:
    """Return the frames per second of the network alone, and its device and precision."""
    import torch

    from vidsr.options.enhance import parse_options
    from vidsr.pipeline.plan import make_plan
    from vidsr.stages.build import build_runner
    from vidsr.video import VideoReader

    with VideoReader(clip) as reader:
        plan = make_plan(parse_options(**options), reader.info)
        planes = next(reader.batches(plan.frames_per_batch)).y
    assert plan.upscale is not None
    ((network,),) = plan.upscale.networks
    runner = build_runner(network)
    planes = planes.to(runner.compute.device)

    def frames(batches: int) -> float:
        begun = perf_counter()
        for _ in range(batches):
            runner(planes, reader.info.peak)
        if runner.compute.device.type == "cuda":
            torch.cuda.synchronize(runner.compute.device)
        return perf_counter() - begun

    frames(WARM_UP)
    batches = max(4, int(2 / (frames(2) / 2)))  # two seconds
    return batches * len(planes) / frames(batches), str(runner.compute)


def run_fps(clip: Path, options: dict[str, Any]) -> tuple[float, dict[str, int]]:
    """Return the output frames per second of a warm run, and its counts."""
    import vidsr

    target = clip.with_name("out.mp4")
    given = {"codec": "null", **options, "log": False, "overwrite": True}
    vidsr.enhance(clip, target, **given, frames=48)
    report = vidsr.enhance(clip, target, **given)
    return report.fps, report.counts


def gpu_memory() -> str:
    """Return the peak of PyTorch's GPU memory since the last call, in words; empty without CUDA."""
    import torch

    if not torch.cuda.is_available():
        return ""
    peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return f", {peak >> 20} MB of GPU memory"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=("fast", "balanced", "best"))
    parser.add_argument("--engines", nargs="*", default=("flow", "net"))
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--hwaccel", default="none")
    parser.add_argument("--codec", default="h264_nvenc")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    process.configure_process()
    result: dict[str, Any] = {"machine": machine(), "device": arguments.device, "size": arguments.size}
    common = {"device": arguments.device, "hwaccel": arguments.hwaccel}
    with tempfile.TemporaryDirectory() as scratch:
        clip = make_clip(Path(scratch), arguments.frames, arguments.size)
        for model in arguments.models:
            options = {**common, "scale": 2, "model": model}
            alone, where = network_fps(clip, options)
            whole, counts = run_fps(clip, options)
            result[model] = {"network_fps": alone, "run_fps": whole, "where": where, "counts": counts}
            verdict = "holds" if whole / alone >= BAR else "FAILS"
            rates = f"network {alone:.1f} fps, run {whole:.1f} fps{gpu_memory()}"
            print(f"{model} x2 of {arguments.size} on {where}: {rates}")
            print(f"{verdict}: {model}, run relative to network {whole / alone:.2f} (at least {BAR})", flush=True)
        for engine in arguments.engines:
            whole, counts = run_fps(clip, {**common, "fps": "2x", "interpolation": engine})
            result[f"2x {engine}"] = {"run_fps": whole, "counts": counts}
            print(f"2x by {engine} of {arguments.size}: {whole:.1f} output frames per second{gpu_memory()}", flush=True)
        model = arguments.models[-1]
        whole, counts = run_fps(clip, {**common, "scale": 2, "model": model, "codec": arguments.codec})
        result["encoded"] = {"run_fps": whole, "counts": counts, "model": model, "codec": arguments.codec}
        print(f"{model} x2 of {arguments.size}, {arguments.codec}, verified: {whole:.1f} frames per second", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
