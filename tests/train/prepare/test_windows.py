"""Triples of clips: which frames form one, and which clips are skipped."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidsr.train.prepare import windows


def pan(count: int) -> list[torch.Tensor]:
    """Frames of a smooth image that moves by two pixels per frame."""
    coarse = np.random.default_rng(0).integers(0, 256, (15, 25), np.uint8)
    wide = cv2.resize(coarse, (200, 120), interpolation=cv2.INTER_CUBIC)
    return [torch.from_numpy(wide[:, 2 * n : 2 * n + 160].copy()) for n in range(count)]


def triples_of(frames: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch) -> list[windows.FlowTriple]:
    def read_luma(path: Path) -> Iterator[torch.Tensor]:
        yield from frames

    monkeypatch.setattr(windows, "read_luma", read_luma)
    return [triple for _, triples in windows.clip_triples(Path("clip.mp4")) for triple in triples]


def test_the_true_frame_lies_between_the_two_frames_at_its_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    triples = triples_of(pan(9), monkeypatch)
    assert {triple.second - triple.first for triple in triples} == set(windows.DISTANCES)
    for triple in triples:
        assert triple.truth - triple.first == triple.phase * (triple.second - triple.first)
        assert triple.squared_error < windows.LARGE_ERROR


def test_no_pair_contains_a_scene_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pan(12)
    triples = triples_of([*frames[:6], *(255 - frame for frame in frames[6:])], monkeypatch)
    assert triples
    assert not [triple for triple in triples if triple.first < 6 <= triple.second]


def test_a_clip_with_repeated_frames_is_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    doubled = [frame for frame in pan(5) for _ in range(2)]
    assert triples_of(doubled, monkeypatch) == []
    assert "clip.mp4: 5 of 10 frames repeat the previous one: skipped" in capsys.readouterr().out


@pytest.mark.parametrize(("width", "height", "expected"), [(960, 540, (480, 270)), (161, 91, (160, 90))])
def test_frames_are_downscaled_to_even_sides(width: int, height: int, expected: tuple[int, int]) -> None:
    luma = windows.fit_width(np.zeros((height, width), np.uint8))
    assert luma.shape[::-1] == expected
