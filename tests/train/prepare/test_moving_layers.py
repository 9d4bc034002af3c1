"""Synthetic scenes of moving layers."""

import numpy as np

from vidsr.train.prepare import moving_layers


def test_a_scene_gives_the_same_frame_at_the_same_time_and_moves() -> None:
    photos = [np.random.default_rng(0).integers(0, 256, (400, 600), np.uint8)]
    scene = moving_layers.draw_scene(photos, np.random.default_rng(5))
    assert np.array_equal(scene.at(0.25), scene.at(0.25))
    assert not np.array_equal(scene.at(0.0), scene.at(1.0))
