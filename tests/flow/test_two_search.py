"""Two flow searches: candidate planes close to the truth, one of them the frame of the engine ``flow``."""

from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from vidsr.flow.bidirectional_flow import Array
from vidsr.flow.flow_engine import FlowEngine
from vidsr.flow.two_search import TwoSearchFlow, TwoSearchPair
from vidsr.frames import FrameBatch, Origin
from vidsr.stages.interpolation_engines import make_engine

PHASE = Fraction(2, 5)


def frame(time: Fraction | int, chroma: bool = False) -> FrameBatch:
    """Return a soft texture that moves to the right by 6 pixels and down by 3 in a second."""
    noise = np.random.default_rng(0).uniform(16, 235, (40, 50)).astype(np.float32)
    wide = cv2.resize(noise, (400, 320), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    x, y = np.meshgrid(np.arange(160, dtype=np.float32), np.arange(128, dtype=np.float32))
    luma = cv2.remap(wide, x + 100 - np.float32(6 * time), y + 100 - np.float32(3 * time), cv2.INTER_CUBIC)
    y_plane = torch.from_numpy(luma.round().clip(0, 255).astype(np.uint8))[None, None]
    uv = y_plane[..., ::2, ::2].expand(1, 2, -1, -1) if chroma else None
    return FrameBatch(y_plane, uv, (Fraction(time),), (Origin(0),))


def candidates(pair: TwoSearchPair, phase: Fraction, *sides: TwoSearchFlow | None) -> tuple[Array, list[Array]]:
    return pair.candidates(phase, pair.static_masks(*sides), *sides)


def test_last_candidate_is_the_frame_of_flow_and_all_are_close_to_the_truth() -> None:
    engine = FlowEngine()
    pairs = [engine.prepare(a, b) for a, b in pairwise([frame(time, chroma=True) for time in range(4)])]
    before, pair, after = (TwoSearchPair(quick) for quick in pairs)
    field, (luma, *chroma) = candidates(pair, PHASE, before.motion, after.motion)
    y, uv = pairs[1].interpolate([PHASE], pairs[0].motion, pairs[2].motion)
    assert np.array_equal(luma[2], y[0, 0].numpy())
    assert uv is not None
    assert len(chroma) == 2
    assert np.array_equal(chroma[1][2], uv[0, 1].numpy())
    assert field.shape == (64, 80, 6)
    truth = frame(1 + PHASE).y[0, 0].numpy().astype(np.float32)
    for plane in luma:
        assert np.abs(plane - truth)[12:-12, 12:-12].mean() < 1


def test_motion_on_one_side_alone_changes_no_candidate() -> None:
    engine = FlowEngine()
    pair, after = (TwoSearchPair(engine.prepare(frame(n), frame(n + 1))) for n in (0, 1))
    masks = pair.static_masks()
    (alone,), (one_sided,) = (pair.candidates(PHASE, masks, None, side)[1] for side in (None, after.motion))
    assert np.array_equal(alone, one_sided)


def test_reversed_time_gives_the_same_candidates() -> None:
    a, b = frame(0), frame(1)
    forward = candidates(TwoSearchPair(FlowEngine().prepare(a, b)), PHASE)[1][0]
    backward = candidates(TwoSearchPair(FlowEngine().prepare(b, a)), 1 - PHASE)[1][0]
    assert np.abs(forward - backward[[1, 0, 2]]).mean() < 0.1


def test_flow_confidence_is_that_of_the_thorough_search() -> None:
    pair = TwoSearchPair(FlowEngine().prepare(frame(0), frame(1)))
    assert pair.flow_confidence == pair.motion.thorough.flow_confidence == pytest.approx(1, abs=0.05)
    assert pair.motion.quick is pair.quick.motion


def test_net_adds_a_quarter_of_the_frame_of_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = frame(0, chroma=True), frame(1, chroma=True)
    flow, net = (make_engine(name, 8) for name in ("flow", "net"))
    assert flow is not None
    assert net is not None
    planes = flow.prepare(a, b).interpolate([PHASE])
    pair = net.prepare(a, b)
    results = {}
    for weight in (0.0, 0.25, 1.0):
        monkeypatch.setattr("vidsr.stages.network_engine.FLOW_WEIGHT", weight)
        results[weight] = pair.interpolate([PHASE])
    for n, plane in enumerate(planes):
        none, quarter, all_of_it = (results[weight][n] for weight in (0.0, 0.25, 1.0))
        assert plane is not None
        assert torch.allclose(all_of_it, plane, atol=1e-4)  # type: ignore[arg-type]
        assert torch.allclose(quarter, 0.75 * none + 0.25 * plane, atol=1e-3)  # type: ignore[arg-type, operator]
        assert not torch.allclose(none, plane, atol=1e-2)  # type: ignore[arg-type]
