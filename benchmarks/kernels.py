"""Every kernel against what OpenCV does in its place: milliseconds of both, and their ratio.

    python benchmarks/kernels.py [--threads 1 2] [--repeats 40] [--json PATH]

Both sides have the same threads and write into arrays that exist. Calls alternate A B A B after a warm-up; the times
are medians, the ratio is the median of the ratios round by round, and "best" that of the fastest calls of each, which
tells more on a machine that has other work to do. A ratio above 1 is a loss, marked so. OpenCV has no antialiased
cubic, no Lanczos of three lobes and no fused metrics: what stands beside those is the nearest it has.

Enlarging by bicubic and Lanczos, and Gaussian blur, are held to twice OpenCV's time; at the end, whether that holds.
Why the losses: two sizes whose ratio is not one of small integers are gathered sample by sample, where OpenCV shuffles
registers; bilinear takes four weights where two would do, and OpenCV has a routine of its own for each type; halving
stands beside INTER_AREA, a mean of four pixels where the antialiased cubic weighs sixty-four; the squared error is
summed in doubles, so that it is exact for 16 bits too.
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
Case = tuple[str, Call, str, Call]  # what, ours, OpenCV's name, OpenCV's


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
    everything = [(kernel, (480, 270), (1920, 1080), dtype) for dtype in ("u1", "u2", "f4") for kernel in KERNELS]
    ratios = [
        (kernel, source, (1920, 1080), "u1")
        for source in ((960, 540), (1280, 720), (1270, 700))
        for kernel in ("bicubic", "lanczos")
    ]
    reductions = [
        (kernel, (1920, 1080), target, "u1") for target in ((960, 540), (480, 270)) for kernel in ("bicubic", "lanczos")
    ]
    for kernel, source, target, dtype in everything + ratios + reductions:
        image = picture(source, dtype)
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
        image = picture((1920, 1080), dtype)
        ours, theirs = np.empty_like(image), np.empty_like(image)
        yield (
            f"Gaussian blur {size}x{size} 1920x1080 {np.dtype(dtype).name}",
            lambda image=image, size=size, out=ours: gaussian_blur(image, size, out=out),
            "GaussianBlur",
            lambda image=image, size=size, out=theirs: cv2.GaussianBlur(image, (size, size), 0, dst=out),
        )


def metric_cases() -> Iterator[Case]:
    import cv2

    from vidsr.kernels.metrics import sse, sse_resized, ssim

    high, other, low = picture((1920, 1080), "u1", 1), picture((1920, 1080), "u1", 2), picture((480, 270), "u1")
    yield "squared error 1920x1080", lambda: sse(high, other), "norm", lambda: cv2.norm(high, other, cv2.NORM_L2SQR)
    yield (
        "squared error against the enlarged input",
        lambda: sse_resized(low, high),
        "resize INTER_CUBIC + norm",
        lambda: cv2.norm(cv2.resize(low, (1920, 1080), interpolation=cv2.INTER_CUBIC), high, cv2.NORM_L2SQR),
    )
    yield (
        "squared error of the reduced output",
        lambda: sse_resized(high, low),
        "resize INTER_AREA + norm",
        lambda: cv2.norm(cv2.resize(high, (480, 270), interpolation=cv2.INTER_AREA), low, cv2.NORM_L2SQR),
    )
    yield "SSIM 1920x1080", lambda: ssim(high, other), "five GaussianBlur", lambda: opencv_ssim(high, other)


def opencv_ssim(a, b) -> float:
    """SSIM as OpenCV's own tutorial writes it."""
    import cv2
    import numpy as np

    a, b = a.astype(np.float32), b.astype(np.float32)
    mean_a, mean_b, aa, bb, ab = (cv2.GaussianBlur(m, (11, 11), 1.5) for m in (a, b, a * a, b * b, a * b))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    covariance = ab - mean_a * mean_b
    variances = aa - mean_a * mean_a + bb - mean_b * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a * mean_a + mean_b * mean_b + c1)
    return float((luminance * (2 * covariance + c2) / (variances + c2)).mean())


def picture(size: tuple[int, int], dtype: str, seed: int = 0):
    """A plane of ``size`` (width, height) of noise over a ramp."""
    import numpy as np

    codes = np.random.default_rng(seed).integers(0, 100, size[::-1]) + np.linspace(0, 155, size[0])
    return (codes * (257 if dtype == "u2" else 1)).astype(dtype)


def measure(threads: int, repeats: int) -> list[dict[str, object]]:
    """Every case, with ``threads`` threads on both sides."""
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


def in_a_process_of_its_own(threads: int, repeats: int) -> list[dict[str, object]]:
    """`measure` where the pools of threads have that size from their start."""
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


BAR = 2.0  # times OpenCV's


def bars(rows: list[dict[str, object]]) -> list[str]:
    """A line for each kernel that is held to the bar: whether it holds."""
    lines = []
    for row in rows:
        name = str(row["kernel"])
        enlarges = name.startswith(("bicubic ", "lanczos ")) and "1920x1080 to" not in name
        if enlarges or name.startswith("Gaussian blur"):
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
    rows = [row for threads in options.threads for row in in_a_process_of_its_own(threads, options.repeats)]
    print(f"{machine()}\n\n{table(rows)}\n")
    print(*bars(rows), sep="\n")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
