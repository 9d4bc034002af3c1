"""Temporal upscaling: tiles, batches and warps equal the plain way; a scene begins with what follows."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vidsr.device import Compute
from vidsr.models import Model
from vidsr.models.architectures.recurrent import Config, Recurrent
from vidsr.stages.network_runner import Runner
from vidsr.stages.temporal_upscale import LOOK_AHEAD, TemporalUpscaler, find_flow

CPU = Compute(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return Model("small", "clean", Path("none"), Recurrent(Config(2, channels=8, layers=2, hidden=8)).eval(), {})


def texture(seed: int, h: int = 64, w: int = 96) -> Tensor:
    """A smooth random frame, N x 1 x h x w codes in float32."""
    coarse = torch.rand(1, 1, h // 4, w // 4, generator=torch.Generator().manual_seed(seed)) * 200 + 20
    return torch.nn.functional.interpolate(coarse, size=(h, w), mode="bicubic").clamp(0, 255)


def pan(frames: int, dtype: torch.dtype = torch.uint8) -> Tensor:
    """Frames of a texture that moves one pixel a frame."""
    whole = texture(3, 64, 96 + 4 * frames)
    return torch.cat([whole[..., n : n + 96] for n in range(frames)]).round().to(dtype)


def run(model: Model, frames: Tensor, sizes: tuple[int, ...], tile: int | None = None, peak: int = 255) -> Tensor:
    upscaler = TemporalUpscaler(Runner(model, CPU, tile=tile))
    return torch.cat([upscaler(batch, peak) for batch in frames.split(list(sizes))])


def test_batches_of_any_size_give_the_same_frames(model: Model) -> None:
    frames = pan(6)
    assert torch.equal(run(model, frames, (6,)), run(model, frames, (1, 2, 3)))


def ahead(model: Model, frames: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """The frames upscaled, with those that follow each batch."""
    upscaler = TemporalUpscaler(Runner(model, CPU))
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    parts = zip(frames.split(list(sizes)), ends, strict=True)
    return torch.cat(
        [
            upscaler(part, 255, following=[frame[None] for frame in frames[end : end + LOOK_AHEAD]])
            for part, end in parts
        ]
    )


def test_a_scene_begins_as_if_it_came_back_from_the_frames_behind_its_first(model: Model) -> None:
    frames = pan(LOOK_AHEAD + 4)
    there_and_back = torch.cat([frames[1 : 1 + LOOK_AHEAD].flip(0), frames])
    slow = run(model, there_and_back, (len(there_and_back),))[LOOK_AHEAD:]
    assert not torch.equal(slow[0], run(model, frames[:1], (1,))[0])
    for sizes in ((9,), (1,) * 9, (2, 4, 3)):
        assert torch.equal(ahead(model, frames, sizes), slow)


@pytest.mark.parametrize("length", [1, 2, 4])
def test_a_scene_does_not_begin_with_frames_of_the_next_one(model: Model, length: int) -> None:
    first, second = pan(length), (255 - pan(3)).flip(-1)
    together = ahead(model, torch.cat([first, second]), (length + 3,))
    alone = [ahead(model, scene, (len(scene),)) for scene in (first, second)]
    assert torch.equal(together, torch.cat(alone))


def test_tiles_equal_whole_frames(model: Model) -> None:
    frames = pan(4)
    whole, tiled = run(model, frames, (4,)), run(model, frames, (4,), tile=32)
    assert torch.allclose(whole, tiled, atol=2e-2)


def test_the_past_changes_a_moving_frame_and_ends_at_a_cut(model: Model) -> None:
    frames, other = pan(3), (255 - texture(9)).round().to(torch.uint8).flip(-1)
    alone = run(model, frames[-1:], (1,))
    assert not torch.allclose(run(model, frames, (3,))[-1:], alone, atol=0.5)
    assert find_flow((frames[-1:], other), 255) is None
    assert torch.equal(run(model, torch.cat([frames, other]), (4,))[-1:], run(model, other, (1,)))


def test_ten_bits_and_floats_are_upscaled_as_eight_bits(model: Model) -> None:
    frames = pan(3)
    eight = run(model, frames, (3,))
    ten = run(model, (frames.int() * 1023 / 255).float(), (3,), peak=1023) * 255 / 1023
    assert torch.allclose(eight, ten, atol=0.5)


@pytest.mark.parametrize(("h", "w"), [(1, 1), (5, 40), (31, 33)])
def test_frames_too_small_for_a_flow_search_are_upscaled_alone(model: Model, h: int, w: int) -> None:
    frames = torch.randint(0, 256, (3, 1, h, w), dtype=torch.uint8)
    together = run(model, frames, (3,))
    assert torch.equal(together, torch.cat([run(model, frame[None], (1,)) for frame in frames]))


def test_rounded_codes_equal_rounding_the_output_later(model: Model) -> None:
    frames = pan(3)
    exact = run(model, frames, (3,)).round().clamp(0, 255)
    rounded = TemporalUpscaler(Runner(model, CPU))(frames, 255, rounded=True)
    assert rounded.dtype == torch.uint8
    assert (rounded.float() - exact).abs().max() <= 1


def test_half_precision_stays_near_float32_in_long_runs(model: Model) -> None:
    frames = pan(2).repeat(20, 1, 1, 1)
    half = replace(model, network=copy.deepcopy(model.network).to(torch.bfloat16))
    upscaler = TemporalUpscaler(Runner(half, Compute(torch.device("cpu"), torch.bfloat16)))
    error = (upscaler(frames, 255) - run(model, frames, (40,))).abs()
    assert error[-1].mean() < 0.5
    assert error.mean() < 0.5
