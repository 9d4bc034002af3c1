"""TileReuse: what is put together is what would have been computed."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from tests.tiers import examples
from vidsr.device import Compute
from vidsr.models import Model, load_model
from vidsr.stages.network_runner import Runner
from vidsr.stages.tile_reuse import SIDE, TileReuse, to_rectangles

CPU = Compute(torch.device("cpu"), torch.float32)
HEIGHT, WIDTH = 5 * SIDE - 20, 6 * SIDE + 9  # with squares that are not whole


class Counting(Runner):
    """A runner that says how many input pixels it took."""

    def __init__(self, network: Model, compute: Compute = CPU, tile: int | None = None) -> None:
        super().__init__(network, compute, tile=tile)
        self.pixels = 0

    def __call__(self, planes: Tensor, peak: int, rounded: bool = False) -> Tensor:
        self.pixels += planes.numel()
        return super().__call__(planes, peak, rounded)


def desktop(moves: list[tuple[int, int, int]], dtype: torch.dtype = torch.uint8) -> Tensor:
    """Pictures on which a window of the last number's side, black, stands at each place in turn."""
    still = torch.randint(0, 256, (HEIGHT, WIDTH), dtype=dtype, generator=torch.Generator().manual_seed(0))
    pictures = still.repeat(len(moves), 1, 1, 1)
    for picture, (top, left, side) in zip(pictures, moves, strict=True):
        picture[0, top : top + side, left : left + side] = 0
    return pictures


window = st.tuples(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.integers(0, 90))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@examples(8)
@given(moves=st.lists(window, min_size=1, max_size=6), rounded=st.booleans(), data=st.data())
def test_a_desktop_is_what_it_would_be_computed_whole(
    precision: torch.dtype, moves: list[tuple[int, int, int]], rounded: bool, data: st.DataObject
) -> None:
    model = load_model("fast", 2, "cpu", precision).fused()
    pictures = desktop(moves)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(moves)), max_size=3)) | {0, len(moves)})
    reuse, plain = TileReuse(Runner(model, CPU)), Runner(model, CPU)
    for first, last in itertools.pairwise(cuts):
        part = pictures[first:last]
        assert torch.equal(reuse(part, 255, rounded), plain(part, 255, rounded))


def test_a_small_window_costs_little() -> None:
    model = load_model("fast", 2).fused()
    runner = Counting(model)
    reuse = TileReuse(runner)
    pictures = desktop([(70, 10 + n, 20) for n in range(8)])
    whole = pictures[0].numel()
    reuse(pictures[:2], 255)
    assert reuse.possible
    assert 2 * whole < runner.pixels < 2.3 * whole  # the first, the second put together, and the second whole, to check
    runner.pixels = 0
    assert torch.equal(reuse(pictures[2:], 255), Runner(model, CPU)(pictures[2:], 255))
    assert runner.pixels < 6 * 0.3 * whole
    assert reuse.copied > 7 * 20


def test_each_shape_of_a_tile_is_checked_once() -> None:
    runner = Counting(load_model("fast", 2).fused())
    reuse = TileReuse(runner)
    inside, at_the_edge = (70, 70, 20), (0, 0, 20)
    pictures = desktop([inside, (80, 75, 20), (75, 80, 20), at_the_edge, inside, at_the_edge])
    checked = []
    for picture in pictures.split(1):
        runner.pixels = 0
        reuse(picture, 255)
        checked.append(runner.pixels >= picture.numel())
    assert checked == [True, True, False, True, False, False]  # the first is not put together at all


def test_tiles_of_the_runner_do_not_matter() -> None:
    model = load_model("fast", 2).fused()
    reuse, plain = (Runner(model, CPU, tile=48) for _ in range(2))
    pictures = desktop([(70, 10 + n, 20) for n in range(4)])
    one_by_one = torch.cat([plain(picture, 255) for picture in pictures.split(1)])
    assert torch.equal(TileReuse(reuse)(pictures, 255), one_by_one)


def test_a_network_that_sees_tiles_otherwise_is_found_out_at_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model("fast", 2)
    runner = Runner(model, CPU)
    call = runner._call
    monkeypatch.setattr(runner, "_call", lambda planes, *rest: call(planes, *rest) + planes.shape[-1])
    reuse = TileReuse(runner)
    pictures = desktop([(0, 0, 20), (3, 0, 20), (6, 0, 20), (9, 0, 20)])
    assert torch.equal(reuse(pictures, 255), runner(pictures, 255))
    assert not reuse.possible


def test_a_picture_of_another_size_or_depth_is_computed() -> None:
    model = load_model("fast", 2)
    reuse, plain = TileReuse(Runner(model, CPU)), Runner(model, CPU)
    first = desktop([(0, 0, 20)])
    for pictures, peak in ((first, 255), (first[..., 4:], 255), (first[..., 4:].to(torch.uint16), 1023)):
        assert torch.equal(reuse(pictures, peak), plain(pictures, peak))
    assert reuse.copied == 0


@pytest.mark.parametrize(
    ("device", "surveys", "possible"), [("cpu", False, True), ("cpu", True, False), ("cuda", False, False)]
)
def test_gpus_and_networks_that_survey_compute_all(device: str, surveys: bool, possible: bool) -> None:
    class Network:
        scale, halo, alignment = 1, 1, 1

        def global_features(self, x: Tensor) -> Tensor | None:
            return x.mean((1, 2, 3)) if surveys else None

        def __call__(self, x: Tensor, whole: Tensor | None = None) -> Tensor:
            return x.clone()

    assert TileReuse(Runner(Network(), Compute(torch.device(device), torch.float32))).possible == possible


def test_a_compiled_network_computes_all_as_each_shape_would_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(load_model("fast", 2), CPU)
    assert TileReuse(runner).possible
    monkeypatch.setattr(Model, "is_compiled", property(lambda model: True))
    assert not TileReuse(runner).possible


@examples(100)
@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_rectangles_cover_what_changed_once_and_nothing_else(changed: np.ndarray) -> None:
    covered = np.zeros(changed.shape, int)
    for rectangle in to_rectangles(changed):
        covered[rectangle] += 1
    assert np.array_equal(covered, changed)
