"""Restoration: strength, unchanged chroma, tiles, the log, and the decisions of `auto`."""

import csv
import hashlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.clips import make_clip
from tests.kernels.test_blur_noise_estimate import noisy, shapes
from tests.weights import metadata
from vidsr.device import Compute
from vidsr.errors import ModelError, Notes
from vidsr.frames import Chroma, FrameBatch, Origin, VideoInfo
from vidsr.kernels.deconvolution import blur
from vidsr.models import weight_files
from vidsr.models.architectures.plain import Config, Plain
from vidsr.options.enhance import parse_options
from vidsr.options.paths import Job
from vidsr.pipeline.choose_restoration import choose_restores
from vidsr.pipeline.plan import make_plan
from vidsr.pipeline.run import enhance_file
from vidsr.stages.build import build_restore, build_stages
from vidsr.stages.classical import Classical
from vidsr.stages.diagnosis import ClipSamples, diagnose
from vidsr.stages.network_runner import Runner
from vidsr.stages.repeats import mark_repeats
from vidsr.stages.restore import ChromaDenoise, Restore
from vidsr.stages.specs import NetworkSpec, RestoreSpec
from vidsr.stages.stopwatch import Stopwatch
from vidsr.video import VideoReader

CPU = Compute(torch.device("cpu"), torch.float32)
INFO = VideoInfo(256, 256, Fraction(25), codec="h264", bit_rate=10**7)


def batch(frames: int = 3, dtype: torch.dtype = torch.uint8, peak: int = 255) -> FrameBatch:
    y = torch.randint(0, peak + 1, (frames, 1, 24, 32)).to(dtype)
    uv = torch.randint(0, peak + 1, (frames, 2, 12, 16)).to(dtype)
    return FrameBatch(y, uv, tuple(map(Fraction, range(frames))), tuple(map(Origin, range(frames))))


def darker(planes: torch.Tensor, peak: int) -> torch.Tensor:
    return planes.float() / 2


def clip_samples(plane: np.ndarray, quantizer: float | None = None) -> ClipSamples:
    return ClipSamples((torch.from_numpy(plane.astype(np.uint8))[None, None],) * 3, quantizer)


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_strength_scales_the_change_and_chroma_is_unchanged(strength: float) -> None:
    source = batch()
    (result,) = Restore("deblur", darker, strength, 255)(iter([source]))
    torch.testing.assert_close(result.y, source.y.float() * (1 - strength / 2))
    assert result.uv is source.uv
    assert (result.times, result.origins) == (source.times, source.origins)


@pytest.mark.parametrize("peak", [255, 1023])
def test_a_repeated_frame_is_restored_once_for_any_batches(peak: int) -> None:
    calls: list[int] = []

    def counted(planes: torch.Tensor, peak: int) -> torch.Tensor:
        calls.append(len(planes))
        return planes.float() + 1

    dtype = torch.uint8 if peak == 255 else torch.uint16
    a, b, c = batch(3, dtype, peak).y.split(1)
    stream = [[a, a, b], [b, b], [b, c, c], [a]]
    restore = Restore("deblur", counted, 1.0, peak)
    whole = [
        FrameBatch(torch.cat(planes), None, (Fraction(0),) * len(planes), (Origin(0),) * len(planes))
        for planes in stream
    ]
    results = list(restore(mark_repeats(iter(whole))))
    assert sum(calls) == 4 and restore.repeated == 5
    for source, result in zip(whole, results, strict=True):
        torch.testing.assert_close(result.y, source.y.float() + 1)


@pytest.mark.parametrize("tile", [32, 40])
def test_a_network_of_scale_1_gives_the_same_output_in_tiles(tile: int) -> None:
    torch.manual_seed(0)
    network = Plain(Config(scale=1, channels=4, layers=2)).eval()
    planes = torch.randint(0, 256, (2, 1, 57, 71), dtype=torch.uint8)
    whole, tiled = (Runner(network, CPU, tile=t)(planes, 255) for t in (None, tile))
    assert whole.shape == planes.shape
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["unsharp", "wiener", "richardson-lucy", "bilateral", "nlm"])
def test_classical_methods_work_at_any_depth(name: str) -> None:
    plane = noisy(shapes(64), 3)
    eight = torch.from_numpy(plane.astype(np.uint8))[None, None]
    ten = (eight.to(torch.int32) * 1023 // 255).to(torch.uint16)
    method = Classical(name, 2.0, 3.0)
    result, deep = method(eight, 255), method(ten, 1023)
    assert result.dtype == deep.dtype == torch.float32
    assert result.shape == eight.shape
    assert (deep * 255 / 1023 - result).abs().mean() < 0.6
    assert not torch.equal(result, eight.float())


def test_a_weaker_restoration_changes_a_sharp_frame_less() -> None:
    plane = clip_samples(shapes()).frames
    kept = [
        Restore("deblur", Classical("unsharp", 2.0, 0.0), strength, 255).psnr_on_sharp(plane)
        for strength in (1.0, 0.3, 0.05)
    ]
    assert kept == sorted(kept)
    assert Restore("deblur", lambda y, peak: y.float(), 1.0, 255).psnr_on_sharp(plane) == float("inf")


def test_a_diagnosis_finds_blur_noise_and_compression_and_nothing_in_a_sharp_clip() -> None:
    sharp = diagnose(clip_samples(shapes()), INFO)
    assert not any(sharp.needs(task) for task in ("restore", "denoise", "deblur"))
    assert diagnose(clip_samples(blur(shapes(), 1.6)), INFO).needs("deblur")
    assert diagnose(clip_samples(noisy(shapes(), 8)), INFO).needs("denoise")
    assert diagnose(clip_samples(shapes(), 35), INFO).needs("restore")
    starved = VideoInfo(256, 256, Fraction(25), codec="h264", bit_rate=50_000)
    assert diagnose(clip_samples(shapes()), starved).needs("restore")
    assert not diagnose(clip_samples(shapes(), 20), starved).needs("restore")  # the quantizer knows better


def test_fine_texture_is_not_taken_for_noise() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.standard_normal((64, 64)).repeat(4, 0).repeat(4, 1)
    texture = 128 + 30 * coarse + 6 * rng.standard_normal((128, 128)).repeat(2, 0).repeat(2, 1)
    assert not diagnose(clip_samples(np.clip(texture, 0, 255)), INFO).needs("denoise")


def test_the_plan_notes_its_diagnosis_and_restores_only_what_is_needed() -> None:
    options = parse_options(deblur="auto", denoise="auto", deblur_model="wiener", denoise_model="nlm", device="cpu")
    plan = make_plan(options, INFO, clip_samples(blur(shapes(), 1.6)), logged=True)
    assert [spec.name for spec in plan.stages if isinstance(spec, RestoreSpec)] == ["deblur"]
    assert "nothing to do" in plan.notes[0].text and "denoise" in plan.notes[0].text
    assert "edges blurred by 1." in plan.notes[1].text and "dB PSNR" in plan.notes[1].text
    assert "psnr_y_deblur" in plan.log_columns and "psnr_y_denoise" not in plan.log_columns


def test_deblurring_a_compressed_sharp_clip_recommends_restore() -> None:
    def finding(plane: np.ndarray, quantizer: float, strength: str = "1") -> str:
        options = parse_options(deblur=strength, deblur_model="wiener", device="cpu")
        return make_plan(options, INFO, clip_samples(plane, quantizer)).notes[0].text

    assert "not blurred but compressed (h264 with a mean quantizer of 32)" in finding(shapes(), 32)
    assert finding(shapes(), 32).endswith("use --restore instead")
    assert finding(shapes(), 20).endswith("auto would do nothing")
    assert finding(blur(shapes(), 1.6), 32).endswith("dB PSNR")
    assert finding(shapes(), 32, "auto").endswith("nothing to do")


def test_the_plan_holds_the_checksum_of_a_network_and_the_stage_refuses_other_weights(tmp_path: Path) -> None:
    config = Config(scale=1, channels=4, layers=1)
    weight_files.write(tmp_path / "deblur-fast-any-x1.safetensors", Plain(config), metadata("plain", config))
    options = parse_options(deblur="0.5", device="cpu", precision="fp32")
    (restore,) = choose_restores(
        options, INFO, CPU, clip_samples(shapes()), diagnose(clip_samples(shapes()), INFO), Notes(), tmp_path
    )
    assert str(restore) == "deblur: deblur-fast (cpu fp32), strength 0.5"
    assert isinstance(restore.method, NetworkSpec)
    path = tmp_path / "deblur-fast-any-x1.safetensors"
    assert (restore.method.file, restore.method.sha256) == (path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    assert isinstance(build_restore(restore, INFO, folder=tmp_path).method, Runner)
    other = replace(restore, method=replace(restore.method, sha256="0" * 64))
    with pytest.raises(ModelError, match="is not the weights file of the plan"):
        build_restore(other, INFO, folder=tmp_path)
    with pytest.raises(ModelError, match="no model is called 'denoise'"):
        choose_restores(
            parse_options(denoise="1", device="cpu"),
            INFO,
            CPU,
            ClipSamples(),
            diagnose(ClipSamples(), INFO),
            Notes(),
            tmp_path,
        )


def lossless(clip: Path, target: Path, **options: object) -> tuple[list[FrameBatch], list[FrameBatch], list[str]]:
    """Frames of ``clip``, of its lossless output, and the notes."""
    notes = Notes()
    enhance_file(Job(clip, target), parse_options(codec="ffv1", device="cpu", **options), on_note=notes.add)  # type: ignore[arg-type]
    with VideoReader(clip) as before, VideoReader(target) as after:
        return list(before.batches(1)), list(after.batches(1)), notes.texts


@pytest.mark.parametrize("asked", [{"deblur": "0"}, {"deblur": "auto", "denoise": "auto", "restore": "auto"}])
def test_strength_0_and_auto_on_a_sharp_clip_change_no_bit(tmp_path: Path, asked: dict[str, str]) -> None:
    clip = make_clip(tmp_path / "sharp.mkv", frames=6, size=(96, 64), codec="ffv1")
    before, after, notes = lossless(clip, tmp_path / "out.mkv", **asked)
    assert all(torch.equal(a.y, b.y) and torch.equal(a.uv, b.uv) for a, b in zip(before, after, strict=True))
    assert sum(note.endswith("nothing to do") for note in notes) == (3 if len(asked) > 1 else 0)


def test_the_log_has_each_restoration_also_for_interpolated_frames(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=5, size=(64, 48), codec="ffv1")
    before, after, _ = lossless(
        clip,
        tmp_path / "out.mkv",
        deblur="0.5",
        deblur_model="unsharp:1.5",
        denoise=True,
        denoise_model="nlm:4",
        fps="2x",
    )
    rows = list(csv.DictReader((tmp_path / ".vidsr" / "out.mkv.frames.csv").read_text().splitlines()))
    assert len(rows) == len(after) == 2 * len(before)
    chroma = [(a.uv, b.uv) for a, b in zip(before, after[::2], strict=True)]  # denoised, so no longer equal
    assert all(a.shape == b.shape and (a.int() - b.int()).abs().float().mean() < 8 for a, b in chroma)
    changes = [row["psnr_y_deblur"] for row in rows]
    assert changes[::2] == changes[1::2] and all(20 < float(change) < 60 for change in changes)
    assert all(float(row["psnr_y_denoise"]) > 20 for row in rows)


def test_images_are_restored(tmp_path: Path) -> None:
    import cv2

    soft = blur(shapes(), 1.6)
    cv2.imwrite(str(tmp_path / "soft.png"), np.rint(soft).astype(np.uint8))
    job = Job(tmp_path / "soft.png", tmp_path / "better.png")
    report = enhance_file(job, parse_options(deblur="auto", deblur_model="wiener", device="cpu"))
    better = cv2.imread(str(tmp_path / "better.png"), cv2.IMREAD_UNCHANGED)
    assert np.square(better - shapes()).mean() < 0.5 * np.square(soft - shapes()).mean()
    assert "edges blurred by 1." in report.notes[0].text


@pytest.mark.parametrize("chroma", ["420", "422", "444", "gray"])
def test_denoising_takes_the_noise_out_of_chroma(chroma: Chroma) -> None:
    """The oddity of version 0.1: luma noise fell from 10 to 0.7, chroma noise of 4.1 stayed 4.1."""
    info = VideoInfo(96, 72, Fraction(25), chroma, codec="ffv1")
    width, height = info.chroma_size
    rng = np.random.default_rng(0)
    y = np.clip(rng.normal(120, 10, (2, 1, 72, 96)), 0, 255).astype(np.uint8)
    uv = None if chroma == "gray" else np.clip(rng.normal(130, 4.1, (2, 2, height, width)), 0, 255).astype(np.uint8)
    frames = FrameBatch(
        torch.from_numpy(y),
        None if uv is None else torch.from_numpy(uv),
        (Fraction(0), Fraction(1, 25)),
        (Origin(0), Origin(1)),
    )
    plan = make_plan(parse_options(denoise=1.0, device="cpu"), info, ClipSamples((frames.y[:1],)))
    noise = [spec.chroma_noise for spec in plan.stages if isinstance(spec, RestoreSpec)]
    assert noise == ([0.0] if chroma == "gray" else [None])
    (result,) = build_stages(plan.stages[:1], info)(iter([frames]), Stopwatch())
    if chroma == "gray":
        assert result.uv is None
    else:
        assert result.uv is not None and result.uv.shape == (2, 2, height, width)
        assert result.uv.std() < 1.0
        assert abs(float(result.uv.mean()) - 130) < 0.5


@pytest.mark.parametrize(
    ("asked", "quantizer", "noise"),
    [
        ({"restore": 1.0}, 35.0, 1.0),
        ({"restore": 1.0}, 15.0, 0.0),
        ({"deblur": 1.0}, 35.0, 0.0),
        ({"denoise": 1.0}, 15.0, None),
    ],
)
def test_which_chroma_is_restored(asked: dict[str, Any], quantizer: float, noise: float | None) -> None:
    """Clean clips keep their chroma: what is not compressed visibly or noisy is not filtered."""
    samples = ClipSamples((torch.full((1, 1, 256, 256), 90, dtype=torch.uint8),), quantizer)
    for info, expected in ((INFO, noise), (replace(INFO, chroma="gray"), 0.0), (replace(INFO, fps=None), noise)):
        plan = make_plan(parse_options(device="cpu", **asked), info, samples)
        (spec,) = (one for one in plan.stages if isinstance(one, RestoreSpec))
        assert spec.chroma_noise == expected
    still = ClipSamples((torch.full((1, 1, 64, 64), 90, dtype=torch.uint8),), 15.0)
    assert not any(isinstance(s, RestoreSpec) for s in make_plan(parse_options(denoise="auto"), INFO, still).stages)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_strength_scales_the_change_of_chroma(strength: float) -> None:
    source = batch()
    chroma = ChromaDenoise.of(VideoInfo(32, 24, Fraction(25)), 5.0)
    (result,) = Restore("denoise", darker, strength, 255, chroma=chroma)(iter([source]))
    assert source.uv is not None and result.uv is not None
    restored = torch.lerp(source.y.float(), darker(source.y, 255), strength)
    expected = torch.lerp(source.uv.float(), chroma(source.uv, restored), strength)
    torch.testing.assert_close(result.uv, expected)
