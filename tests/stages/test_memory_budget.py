"""--memory: parsing of amounts, and the division among the parts of a run."""

from fractions import Fraction

import pytest

from vidsr.errors import Notes, OptionError
from vidsr.frames import VideoInfo
from vidsr.options.codecs import Encoding
from vidsr.options.enhance import parse_options
from vidsr.options.parse import parse_bytes
from vidsr.pipeline.plan import make_plan
from vidsr.stages.build import build_runner
from vidsr.stages.memory_budget import HELD, HELD_BYTES, divide_memory, frame_bytes, limit_encoder

LARGE = VideoInfo(7680, 4320, Fraction(24))


@pytest.mark.parametrize(
    ("text", "expected"), [("4G", 4 << 30), ("800M", 800 << 20), ("1.5g", 3 << 29), ("2GiB", 2 << 30), ("1000", 1000)]
)
def test_amounts(text: str, expected: int) -> None:
    assert parse_bytes(text, "--memory") == expected


@pytest.mark.parametrize("text", ["", "much", "4X", "-1G", "0"])
def test_a_wrong_amount_is_one_clear_error(text: str) -> None:
    with pytest.raises(OptionError, match="is not an amount of memory: write 4G or 800M"):
        parse_bytes(text, "--memory")


def test_too_little_memory_is_an_error_that_names_enough() -> None:
    with pytest.raises(OptionError, match="100M is too little for this run: give 562M or more"):
        divide_memory(100 << 20)


def test_frames_held_by_temporal_denoising_are_subtracted_first() -> None:
    info = VideoInfo(3840, 2160, Fraction(24))
    plain, steady = (
        make_plan(parse_options(restore=1.0, temporal_denoise=wanted, memory="4G", device="cpu"), info).memory
        for wanted in (False, True)
    )
    assert plain.network and steady.network and plain.network - steady.network == 24 * 3840 * 2160 // 4
    with pytest.raises(OptionError, match="600M is too little for this run: give 752M or more"):
        divide_memory(600 << 20, 24 * 3840 * 2160)
    with pytest.raises(OptionError, match=r"600M is too little for this run: give 1\d\d\dM or more"):
        make_plan(parse_options(restore=1.0, memory="600M", device="cpu"), info)


@pytest.mark.parametrize("memory", [1 << 30, 4 << 30, 16 << 30])
def test_the_parts_of_the_budget_fit_the_limit(memory: int) -> None:
    parts = divide_memory(memory)
    assert parts.network and parts.planes and parts.encoder
    assert parts.network + parts.planes + parts.encoder < memory
    small = VideoInfo(3840, 2160, Fraction(24))
    frames = parts.frames(small, LARGE)
    assert frames == 1 or 6 * frames * (frame_bytes(small) + frame_bytes(LARGE)) <= parts.planes


def test_the_lookahead_of_the_encoder_is_shortened_only_if_necessary() -> None:
    usual, notes = Encoding(), Notes()
    assert limit_encoder(usual, VideoInfo(1920, 1080, Fraction(24)), divide_memory(4 << 30).encoder, notes) == usual
    assert limit_encoder(usual, LARGE, None, notes) == usual
    assert not notes
    shorter = limit_encoder(usual, LARGE, divide_memory(4 << 30).encoder, notes)
    assert 1 <= int(shorter.arguments["rc-lookahead"]) < 40
    assert "instead of 40" in notes.texts[0]
    assert shorter.slices
    notes = Notes()
    sliced = limit_encoder(
        usual, VideoInfo(1920, 1080, Fraction(24)), (HELD + 40) * int(1920 * 1080 * HELD_BYTES), notes
    )
    assert sliced == Encoding(slices=True)
    assert notes.texts == ["libx264 works on slices of a frame, to stay within --memory"]
    chosen = Encoding(options=(("rc-lookahead", "30"),))
    assert limit_encoder(chosen, LARGE, divide_memory(1 << 30).encoder, Notes()) == chosen


def test_a_network_call_is_cut_into_tiles_that_fit() -> None:
    info = VideoInfo(3840, 2160, Fraction(24))
    plan = make_plan(parse_options(scale=2, model="balanced", memory="4G", device="cpu"), info)
    assert plan.upscale is not None
    ((network,),) = plan.upscale.networks
    runner = build_runner(network)
    tiles = [read for read, _, _ in runner.tiles(2160, 3840)]
    assert len(tiles) > 1 and plan.frames_per_batch == 1
    widest = max((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in tiles)
    assert widest * 32 * 2 * 2 < (4 << 30) / 4, "32 channels of 2 bytes in and out"


def test_the_option_on_the_command_line() -> None:
    assert parse_options(scale=2, memory="2G").memory == 2 << 30
