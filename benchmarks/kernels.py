"""Time every kernel against its OpenCV counterpart: milliseconds of both, and their ratio.

    python benchmarks/kernels.py [--threads 1 2] [--repeats 40] [--json PATH]

Both sides use the same number of threads and write into existing arrays. Calls alternate A B A B after a warm-up. Times
are medians, and the ratio is the median of the ratios round by round. "best" is the ratio of the fastest calls, which
is more reliable on a busy machine. A ratio above 1 is a loss and is marked. OpenCV has no antialiased cubic, no Lanczos
of three lobes and no fused metrics: these are compared with the nearest function.

Bar: bicubic and Lanczos upscaling and Gaussian blur take at most twice OpenCV's time. Reasons for losses: sizes whose
ratio is not one of small integers are gathered sample by sample, where OpenCV shuffles registers. Bilinear takes four
weights where two are enough, and OpenCV has a routine for each type. Halving is compared with INTER_AREA, a mean of
four pixels, where the antialiased cubic weighs sixty-four. The squared error is summed in doubles, so that it is exact
for 16 bits too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from _timer import interleaved, machine, ratio

Call = Callable[[], object]
Case = tuple[str, Call, str, Call]  # name, our call, name of OpenCV's, OpenCV's call


def resize_cases() -> Iterator[Case]:
    import cv2
    import numpy as np

    from vidsr.kernels.resample import KERNELS, resize

    flags = {
        "nearest": "INTER_NEAREST",
        "bilinear": "INTER_LINEAR",
        "bicubic": "INTER_CUBIC",
        "bicubic_opencv": "INTER_CUBIC",
        "lanczos": "INTER_LANCZOS4",
    }
    upscales = [(kernel, (480, 270), (1920, 1080), dtype) for dtype in ("u1", "u2", "f4") for kernel in KERNELS]
    ratios = [
        (kernel, source, (1920, 1080), "u1")
        for source in ((960, 540), (1280, 720), (1270, 700))
        for kernel in ("bicubic", "lanczos")
    ]
    downscales = [
        (kernel, (1920, 1080), target, "u1") for target in ((960, 540), (480, 270)) for kernel in ("bicubic", "lanczos")
    ]
    for kernel, source, target, dtype in upscales + ratios + downscales:
        image = noisy_ramp(source, dtype)
        ours, theirs = np.empty(target[::-1], dtype), np.empty(target[::-1], dtype)
        flag = "INTER_AREA" if target[0] < source[0] else flags[kernel]
        yield (
            f"{kernel} {'x'.join(map(str, source))} to {'x'.join(map(str, target))} {np.dtype(dtype).name}",
            lambda image=image, size=target, kernel=kernel, out=ours: resize(image, *size, kernel, out=out),
            f"resize {flag}",
            lambda image=image, size=target, out=theirs, flag=flag: cv2.resize(
                image, size, dst=out, interpolation=getattr(cv2, flag)
            ),
        )


def blur_cases() -> Iterator[Case]:
    import cv2
    import numpy as np

    from vidsr.kernels.gaussian import gaussian_blur

    sizes = [(size, "u1") for size in (3, 5, 7, 11, 21)] + [(size, dtype) for dtype in ("u2", "f4") for size in (5, 11)]
    for size, dtype in sizes:
        image = noisy_ramp((1920, 1080), dtype)
        ours, theirs = np.empty_like(image), np.empty_like(image)
        yield (
            f"Gaussian blur {size}x{size} 1920x1080 {np.dtype(dtype).name}",
            lambda image=image, size=size, out=ours: gaussian_blur(image, size, out=out),
            "GaussianBlur",
            lambda image=image, size=size, out=theirs: cv2.GaussianBlur(image, (size, size), 0, dst=out),
        )


def metric_cases() -> Iterator[Case]:
    import cv2

    from vidsr.kernels.squared_error import sse, sse_resized
    from vidsr.kernels.ssim import ssim

    high, other, low = (
        noisy_ramp((1920, 1080), "u1", 1),
        noisy_ramp((1920, 1080), "u1", 2),
        noisy_ramp((480, 270), "u1"),
    )
    yield "squared error 1920x1080", lambda: sse(high, other), "norm", lambda: cv2.norm(high, other, cv2.NORM_L2SQR)
    yield (
        "squared error against the upscaled input",
        lambda: sse_resized(low, high),
        "resize INTER_CUBIC + norm",
        lambda: cv2.norm(cv2.resize(low, (1920, 1080), interpolation=cv2.INTER_CUBIC), high, cv2.NORM_L2SQR),
    )
    yield (
        "squared error of the downscaled output",
        lambda: sse_resized(high, low),
        "resize INTER_AREA + norm",
        lambda: cv2.norm(cv2.resize(high, (480, 270), interpolation=cv2.INTER_AREA), low, cv2.NORM_L2SQR),
    )
    yield "SSIM 1920x1080", lambda: ssim(high, other), "five GaussianBlur", lambda: opencv_ssim(high, other)


def opencv_ssim(a, b) -> float:
    """Return the SSIM as OpenCV's tutorial computes it."""
    import cv2
    import numpy as np

    a, b = a.astype(np.float32), b.astype(np.float32)
    mean_a, mean_b, aa, bb, ab = (cv2.GaussianBlur(m, (11, 11), 1.5) for m in (a, b, a * a, b * b, a * b))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    covariance = ab - mean_a * mean_b
    variances = aa - mean_a * mean_a + bb - mean_b * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    return float((luminance * (2 * covariance + c2) / (variances + c2)).mean())


def noisy_ramp(size: tuple[int, int], dtype: str, seed: int = 0):
    """Return a plane of ``size`` (width, height) with noise over a ramp."""
    import numpy as np

    codes = np.random.default_rng(seed).integers(0, 100, size[::-1]) + np.linspace(0, 155, size[0])
    return (codes * (257 if dtype == "u2" else 1)).astype(dtype)


def measure(threads: int, repeats: int) -> list[dict[str, object]]:
    """Measure every case with ``threads`` threads on both sides."""
    import cv2

    cv2.setNumThreads(threads)
    rows = []
    for cases in (resize_cases, blur_cases, metric_cases):
        for name, ours, their_name, theirs in cases():
            seconds = interleaved({"ours": ours, "theirs": theirs}, repeats)
            rows.append(
                {
                    "kernel": name,
                    "opencv": their_name,
                    "threads": threads,
                    "ms": round(1e3 * statistics.median(seconds["ours"]), 3),
                    "opencv_ms": round(1e3 * statistics.median(seconds["theirs"]), 3),
                    "ratio": round(ratio(seconds["ours"], seconds["theirs"]), 2),
                    "best": round(min(seconds["ours"]) / min(seconds["theirs"]), 2),
                }
            )
    return rows


def measure_in_new_process(threads: int, repeats: int) -> list[dict[str, object]]:
    """Run `measure` in a process whose thread pools have that size from their start."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--only", str(threads), "--repeats", str(repeats)]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def table(rows: list[dict[str, object]]) -> str:
    width = max(len(str(row["kernel"])) for row in rows)
    lines = [f"{'kernel':{width}}  threads      ms  OpenCV ms  ratio   best"]
    for row in rows:
        loss = f"  slower than {row['opencv']}" if row["ratio"] > 1 else ""
        figures = (
            f"{row['threads']:7}  {row['ms']:6.2f}  {row['opencv_ms']:9.2f}  {row['ratio']:5.2f}  {row['best']:5.2f}"
        )
        lines.append(f"{row['kernel']:{width}}  {figures}{loss}")
    return "\n".join(lines)


BAR = 2.0  # time relative to OpenCV


def bars(rows: list[dict[str, object]]) -> list[str]:
    """Return one line per kernel with a bar: whether it holds."""
    lines = []
    for row in rows:
        name = str(row["kernel"])
        upscales = name.startswith(("bicubic ", "lanczos ")) and "1920x1080 to" not in name
        if upscales or name.startswith("Gaussian blur"):
            verdict = "holds" if row["ratio"] <= BAR else "FAILS"
            lines.append(f"{verdict}: {name}, {row['threads']} threads, {row['ratio']:.2f} (at most {BAR:g})")
    return lines


def main() -> None:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cpus}))
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.repeats)))
        return
    rows = [row for threads in options.threads for row in measure_in_new_process(threads, options.repeats)]
    print(f"{machine()}\n\n{table(rows)}\n")
    print(*bars(rows), sep="\n")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
