"""`vidsr enhance clip.mp4` without options: twice the size, at most 4K, and only the restoration that helps."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.clips import make_clip
from tests.commands import run_vidsr
from vidsr import enhance
from vidsr.errors import Notes
from vidsr.frames import VideoInfo
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import Plan, make_plan
from vidsr.stages.diagnosis import ClipSamples

HD = VideoInfo(1280, 720, Fraction(25), codec="h264", bit_rate=10**7)


def plan(info: VideoInfo = HD, samples: ClipSamples | None = None, **options: Any) -> Plan:
    return make_plan(parse_options(device="cpu", **options), info, samples)


@pytest.mark.parametrize(
    ("size", "output"),
    [
        ((1280, 720), (2560, 1440)),
        ((2560, 1440), (3840, 2160)),
        ((1080, 1920), (2160, 3840)),  # a phone held upright
        ((3840, 2160), (3840, 2160)),
        ((7680, 4320), (7680, 4320)),
    ],
)
def test_the_default_size_is_twice_the_source_and_at_most_4k(size: tuple[int, int], output: tuple[int, int]) -> None:
    planned = plan(replace(HD, width=size[0], height=size[1]))
    assert (planned.output.width, planned.output.height) == output


def test_one_line_says_what_was_decided_and_why() -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(rng.normal(128, 10, (128, 128)), 0, 255).astype(np.uint8)
    samples = ClipSamples((torch.from_numpy(noisy)[None, None],), 36.0)
    (note,) = [note for note in plan(samples=samples).notes if note.code == "decided"]
    assert note.text.startswith("1280x720 to 2560x1440; restore (h264 with a mean quantizer of 36), denoise (noise of ")
    assert "no deblur (edges blurred by " in note.text and note.text.endswith("--no-clean restores nothing")
    assert not [note for note in plan(samples=samples).notes if note.code == "diagnosis"]


def test_a_clip_that_needs_no_restoration_is_not_told_how_to_turn_it_off() -> None:
    flat = torch.full((1, 1, 64, 64), 128, dtype=torch.uint8)
    (note,) = [note for note in plan(samples=ClipSamples((flat,), 14.0)).notes if note.code == "decided"]
    assert "; no restore (" in note.text and "--no-clean" not in note.text


def test_restoration_waits_for_coarser_compression_where_the_upscale_removes_artefacts_itself() -> None:
    flat = torch.full((1, 1, 64, 64), 128, dtype=torch.uint8)

    def restores(quantizer: float, **options: Any) -> bool:
        words = plan(samples=ClipSamples((flat,), quantizer), **options).words
        return any(word.startswith("restore") for word in words)

    assert not restores(30.0) and restores(36.0)
    assert restores(30.0, restore="auto")  # without an upscale
    assert restores(30.0, scale=2, restore="auto")  # as asked for
    assert not restores(36.0, clean=False) and restores(36.0, clean=True, scale=2)


@pytest.mark.parametrize("options", [{"scale": 2}, {"fps": "2x"}, {"denoise": "auto"}, {"square_pixels": True}])
def test_an_option_that_asks_for_work_asks_for_nothing_else(options: dict[str, Any]) -> None:
    parsed = parse_options(**options)
    assert not parsed.clean and len(parsed.restorations) == len(options.keys() & {"denoise"})


def test_enhance_without_options_writes_a_verified_clip_of_twice_the_size(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4", frames=6, size=(96, 64), crf=20)
    notes = Notes()
    report = enhance(source, on_note=notes.add)
    assert report.target == tmp_path / "clip.x2.mp4"
    assert (report.output.width, report.output.height) == (192, 128)
    assert report.verification is not None and report.verification.ok
    assert sum(text.startswith("96x64 to 192x128; ") for text in notes.texts) == 1
    plain = enhance(source, tmp_path / "plain.mp4", clean=False)
    assert plain.plan.options.restorations == () and (plain.output.width, plain.output.height) == (192, 128)


def test_no_clean_is_an_option_of_the_command_line(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "clip.mp4", frames=3, size=(64, 48))
    result = run_vidsr("enhance", source, "--no-clean", "--model", "bicubic")
    assert result.returncode == 0 and (tmp_path / "clip.x2.mp4").exists(), result.stderr
    assert "--no-clean restores nothing" not in result.stderr


def test_an_image_is_enhanced_without_options(tmp_path: Path) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "photo.png"), np.full((40, 60, 3), 90, np.uint8))
    assert enhance(tmp_path / "photo.png").target == tmp_path / "photo.x2.png"
