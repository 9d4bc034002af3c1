"""Stability measures: zero for a clip against itself, larger with more flicker."""

import numpy as np

from benchmarks._stability import flow_difference, flows, warped_difference


def moving(frames: int = 4, speed: int = 2) -> list[np.ndarray]:
    """Return a smooth random texture that moves to the right."""
    rng = np.random.default_rng(0)
    texture = rng.uniform(0, 255, (64, 100))
    for axis in (0, 1, 0, 1):
        texture = (np.roll(texture, 1, axis) + texture + np.roll(texture, -1, axis)) / 3
    return [texture[:, 20 - speed * i : 84 - speed * i].astype(np.uint8) for i in range(frames)]


def test_clip_does_not_differ_from_itself() -> None:
    truth = moving()
    true_flows = flows(truth)
    assert abs(float(np.median(true_flows[0][16:48, 16:48, 0])) + 2) < 0.2  # from the later frame to the earlier one
    assert flow_difference(truth, true_flows) == 0
    assert warped_difference(truth, truth, true_flows) < 3


def test_both_measures_grow_with_flicker() -> None:
    truth = [moving(1)[0]] * 5
    true_flows = flows(truth)
    rng = np.random.default_rng(1)
    measured = [(0.0, 0.0)]
    for sigma in (4, 12):
        clip = [np.clip(p + sigma * rng.standard_normal(p.shape), 0, 255).astype(np.uint8) for p in truth]
        measured.append((flow_difference(clip, true_flows), warped_difference(clip, truth, true_flows)))
    assert measured == sorted(measured)
    assert abs(measured[1][1] - 4 * 2**0.5) < 0.5  # both frames of a pair are noisy
    assert warped_difference(truth, truth, true_flows) == 0
