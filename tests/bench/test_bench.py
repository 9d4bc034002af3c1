"""`vidsr bench`: bounds computed by hand, and baselines."""

import itertools
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.clips import make_clip
from vidsr.bench import roofline
from vidsr.bench.baselines import ffmpeg_commands, resize_calls
from vidsr.bench.bench import Bench, ProgramRun, bench
from vidsr.bench.process_usage import Usage
from vidsr.bench.profile import Work
from vidsr.bench.roofline import HardwareLimits
from vidsr.cli.bench import print_bench
from vidsr.device import choose, has_int8
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import make_plan

INFO = VideoInfo(64, 48, Fraction(25))
MEASURED = Bench(
    machine="a machine",
    cores=2,
    compute="cpu bf16",
    plan=("fast",),
    frames=10,
    rounds=3,
    limits=HardwareLimits({"fp32": 100.0, "bf16": 400.0}, 20.0),
    costs={"decode": 0.01, "network": 0.04, "encode": 0.04, "verify": 0.01},
    seconds=0.1,
    machine_share=0.8,
    work=Work(operations=4e9, traffic=8e9, transfer=10**9),
    programs={"vidsr": ProgramRun(Usage(1.2, 2.0, 0.2, 500.0), 1.0)},
    resizes={},
)


def test_the_bound_has_all_cores_busy_with_every_step_and_the_verification() -> None:
    assert MEASURED.bound == pytest.approx(2 / 0.1)
    assert MEASURED.efficiency == pytest.approx(10 / (20 * 0.8))
    unchecked = replace(MEASURED, costs={name: cost for name, cost in MEASURED.costs.items() if name != "verify"})
    assert unchecked.bound == pytest.approx(2 / 0.09)


def test_the_roofline_has_the_network_at_the_matrix_product_rate() -> None:
    assert MEASURED.roofline == pytest.approx(1 / (4e9 / 400e9 + 0.06 / 2))  # operations on all cores, the rest on both
    assert MEASURED.network_gflops == pytest.approx(4 / (0.04 / 2))
    assert MEASURED.network_share == pytest.approx(0.5)
    classical = replace(MEASURED, work=Work())
    assert classical.roofline is classical.roofline_share is classical.network_share is None


@pytest.mark.parametrize(
    ("work", "network"),
    [
        (Work(operations=80e9, traffic=0.0), 80 / 1000),
        (Work(operations=80e9, traffic=400e9), 400 / 2000),
        (Work(operations=80e9, traffic=400e9, transfer=5 * 10**9), 5 / 10),
        (Work(operations=1e9), 0.05 / 2),  # less than the parallel work of the processors
    ],
)
def test_the_slowest_limit_counts_on_a_gpu_and_the_verification_comes_after(work: Work, network: float) -> None:
    limits = HardwareLimits({"fp32": 50.0, "bf16": 900.0, "fp16": 1000.0}, copy_gbs=2000.0, upload_gbs=10.0)
    on_gpu = replace(MEASURED, compute="cuda:0 fp16", limits=limits, work=work)
    assert on_gpu.roofline == pytest.approx(1 / (network + 0.01 / 2))
    assert on_gpu.bound == pytest.approx(1 / (0.04 + 0.01 / 2))


def test_the_json_and_the_printed_text_are_complete(capsys: pytest.CaptureFixture[str]) -> None:
    print_bench(MEASURED, as_json=False)
    text = capsys.readouterr().out
    assert "memory: at most 500 MB" in text
    for named in ("verify", "whole program", "bound 20.0 fps", "25.0 fps"):
        assert named in text
    values = MEASURED.to_json()
    assert values["memory"] == 500.0 and values["roofline"] == pytest.approx(25.0)


def test_the_roofline_of_int8_is_printed_and_a_processor_without_it_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    limits = HardwareLimits({"fp32": 100.0, "bf16": 50.0, "int8": 800.0}, 20.0)
    in_int8 = replace(MEASURED, compute="cpu int8", limits=limits)
    assert in_int8.roofline == pytest.approx(1 / (4e9 / 800e9 + 0.06 / 2))
    print_bench(in_int8, as_json=False)
    text = capsys.readouterr().out
    assert "int8 800;" in text and "200 GFLOP/s, 25% of the matrix-product rate" in text and "28.6 fps" in text
    print_bench(MEASURED, as_json=False)
    assert "int8 not without VNNI or AMX" in capsys.readouterr().out


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("bench") / "clip.mp4", frames=6, size=(64, 48), audio=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program")
def test_ffmpeg_and_opencv_are_baselines_of_a_run(clip: Path) -> None:
    measured = bench(clip, {"scale": "2", "fps": "2x", "model": "bicubic", "frames": 5}, rounds=1)
    assert list(measured.programs) == ["vidsr", "ffmpeg minterpolate bicubic", "ffmpeg minterpolate lanczos"]
    assert set(measured.resizes) == {"OpenCV bicubic", "OpenCV lanczos", "numba bicubic", "numba lanczos"}
    assert {"decode", "flow", "interpolate", "chroma", "measure", "encode", "verify"} <= measured.costs.keys()
    assert min(measured.costs.values()) >= 0 and measured.costs["verify"] > 0
    assert measured.frames == 10 and measured.rounds == 1
    assert measured.memory and measured.memory > 100
    assert measured.programs["vidsr"].ratio == 1


@pytest.mark.slow
def test_without_baselines_and_encoder_nothing_else_is_measured_or_verified(clip: Path) -> None:
    given = {"scale": "2", "model": "bicubic", "codec": "null", "frames": 2}
    measured = bench(clip, given, rounds=1, baselines=False)
    assert list(measured.programs) == ["vidsr"] and measured.resizes == {}
    assert "verify" not in measured.costs


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg program")
@pytest.mark.parametrize(
    ("given", "filters"),
    [
        ({"scale": 2}, ["scale=128:96:flags=bicubic", "scale=128:96:flags=lanczos"]),
        ({"fps": "2x"}, ["minterpolate=fps=50:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1"]),
    ],
)
def test_ffmpeg_gets_the_same_filters_and_encoder_settings(given: dict[str, object], filters: list[str]) -> None:
    encoder = {"crf": 20, "preset": "fast", "encoder_options": ["threads=5"]}
    plan = make_plan(parse_options(**given, **encoder, model="bicubic", device="cpu"), INFO)  # type: ignore[arg-type]
    commands = ffmpeg_commands(Path("in.mp4"), Path("out.mkv"), plan, 7)
    assert [command[command.index("-vf") + 1] for command in commands.values()] == filters
    for command in commands.values():
        settings = dict(itertools.pairwise(command))
        assert settings["-c:v"] == "libx264" and settings["-pix_fmt"] == "yuv420p"
        assert (settings["-crf"], settings["-preset"], settings["-threads"]) == ("20", "fast", "5")
        assert settings["-frames:v"] == "7"


def test_opencv_and_our_kernels_resize_the_same_planes_to_the_same_sizes() -> None:
    luma = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 1, 49, 65), np.uint8))
    chroma = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, 2, 25, 33), np.uint8))
    batch = FrameBatch(luma, chroma, (Fraction(0), Fraction(1)), (Origin(0), Origin(1)))
    info = replace(INFO, width=65, height=49)
    outputs = {name: call() for name, call in resize_calls(batch, info, replace(info, width=131, height=99)).items()}
    shapes = [(99, 131)] * 2 + [(50, 66)] * 4
    for planes in outputs.values():
        assert isinstance(planes, list) and [plane.shape for plane in planes] == shapes
    difference = np.abs(outputs["numba bicubic"][0].astype(int) - outputs["OpenCV bicubic"][0].astype(int))  # type: ignore[index]
    assert difference.mean() < 4  # a = -0.5 against a = -0.75


@pytest.mark.skipif(not has_int8(torch.device("cpu")), reason="the processor has no VNNI")
def test_the_product_in_int8_is_a_product() -> None:
    assert roofline.int8_product(32)().unique().tolist() == [1], "ones times ones, divided by the side"


def test_limits_name_every_precision_in_which_networks_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "SIDE", 16)
    monkeypatch.setattr(roofline, "EMULATED_SIDE", 16)
    monkeypatch.setattr(roofline, "COPY_BYTES", 1 << 10)
    compute = choose("cpu", "auto")
    limits = roofline.measure_limits(compute)
    assert {"fp32", "bf16"} <= limits.gflops.keys()
    assert ("int8" in limits.gflops) == compute.int8
