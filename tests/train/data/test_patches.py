"""Shards and patches."""

import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from tests.clips import make_clip, picture
from vidsr.errors import InputError, OptionError
from vidsr.evaluate.protocol import imresize
from vidsr.metrics import rgb_to_y
from vidsr.models.layers import inside
from vidsr.train.data.patches import Pair, Patches, centre_crops, make_pair, with_margin
from vidsr.train.losses import LOSSES, charbonnier, fft
from vidsr.train.prepare import dataset
from vidsr.train.prepare import video_shard as video_set


def write_picture(path: Path, height: int = 100, width: int = 120, seed: int = 0) -> np.ndarray:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rgb[:, :, ::-1])
    return rgb


def test_a_shard_gives_back_the_luma_of_each_picture(tmp_path: Path) -> None:
    first = write_picture(tmp_path / "in" / "a.png", 100, 120, 1)
    second = write_picture(tmp_path / "in" / "deep" / "b.png", 130, 97, 2)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no picture either")
    write_picture(tmp_path / "in" / "tiny.png", 20, 200)
    shard = tmp_path / "out" / "set.safetensors"
    summary = dataset.build([tmp_path / "in"], shard, split=(100, 0, 0))
    assert sorted(Path(s).name for s in summary.skipped) == ["broken.jpg", "notes.txt", "tiny.png"]
    planes = dataset.read_shard(shard, "train")
    assert summary.pictures == {"train": 2, "validation": 0, "test": 0}
    for plane, rgb in zip(planes, (first, second), strict=True):
        assert np.abs(plane.numpy() - rgb_to_y(rgb)).max() <= 0.5 + 1e-3


def test_the_split_is_by_file_seeded_and_80_10_10(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(100)]
    splits = dataset.split_files(files, (80, 10, 10), seed=3)
    counts = [list(splits.values()).count(name) for name in dataset.SPLITS]
    assert counts == [80, 10, 10]
    assert splits == dataset.split_files(files[::-1], (80, 10, 10), seed=3)
    assert splits != dataset.split_files(files, (80, 10, 10), seed=4)
    with pytest.raises(OptionError, match="sum to 100"):
        dataset.split_files(files, (80, 10, 20), seed=0)


def test_an_empty_or_absent_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        dataset.build([tmp_path / "absent"], tmp_path / "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no picture"):
        dataset.build([tmp_path / "empty"], tmp_path / "x")


def test_frames_of_a_clip_enter_a_shard(samples: Path, tmp_path: Path) -> None:
    clips = sorted(p for p in samples.iterdir() if p.suffix in dataset.CLIPS)
    summary = dataset.build([clips[0]], tmp_path / "set.safetensors", split=(100, 0, 0), every=20)
    first = next(dataset.clip_luma(clips[0]))
    planes = dataset.read_shard(tmp_path / "set.safetensors", "train")
    assert len(planes) == summary.pictures["train"] > 0
    assert tuple(planes[0].shape) == tuple(first.shape)
    assert torch.equal(planes[0], first)


@pytest.mark.parametrize(
    ("pix_fmt", "tag", "black", "white"),
    [("yuv420p", 1, 0, 255), ("yuvj420p", 2, 16, 235), ("yuv420p10le", 1, 0, 255), ("yuv420p10le", 2, 16, 235)],
)
def test_full_range_and_ten_bit_clips_enter_as_limited_8_bit(
    tmp_path: Path, pix_fmt: str, tag: int, black: int, white: int
) -> None:
    clip = make_clip(tmp_path / "clip.mkv", 1, (128, 96), pix_fmt=pix_fmt, codec="ffv1", tags={"color_range": tag})
    depth = 10 if "10" in pix_fmt else 8
    largest = (1 << depth) - 1 if tag == 2 else 255 << (depth - 8)
    expected = black + picture(0, (128, 96), depth) / largest * (white - black)
    assert np.abs(next(dataset.clip_luma(clip)).numpy() - expected).max() <= 0.5 + 1e-6


def test_a_compact_shard_holds_the_same_pictures_in_fewer_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, shift in (("a", 0), ("b", 40)):
        ramp = np.add.outer(np.arange(150), np.arange(128 + shift)).astype(np.uint8) // 2
        cv2.imwrite(str(tmp_path / f"{name}.png"), ramp)
    for compact in (False, True):
        dataset.build([tmp_path], tmp_path / f"{compact}.safetensors", (100, 0, 0), compact=compact)
    exact = dataset.read_shard(tmp_path / "False.safetensors", "train")
    near = dataset.read_shard(tmp_path / "True.safetensors", "train")
    assert [p.shape for p in exact] == [p.shape for p in near]
    assert max((a.int() - b.int()).abs().max().item() for a, b in zip(exact, near, strict=True)) <= 8
    sizes = [(tmp_path / f"{compact}.safetensors").stat().st_size for compact in (True, False)]
    assert sizes[0] < sizes[1] / 3
    torchvision, io = ModuleType("torchvision"), ModuleType("torchvision.io")  # not there to test with
    io.ImageReadMode = SimpleNamespace(GRAY="grey")
    io.decode_jpeg = lambda file, mode: torch.from_numpy(cv2.imdecode(file.numpy(), cv2.IMREAD_GRAYSCALE))[None]
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setitem(sys.modules, "torchvision.io", io)
    again = dataset.read_shard(tmp_path / "True.safetensors", "train")
    assert all(torch.equal(a, b) for a, b in zip(near, again, strict=True))
    for name in ("torchvision", "torchvision.io", "cv2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match="needs torchvision or opencv"):
        dataset.read_shard(tmp_path / "True.safetensors", "train")


def test_kinds_and_shares_are_chosen_and_wrong_ones_named(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    make_clip(tmp_path / "b.mkv", 1, (128, 96), codec="ffv1")
    for kinds in (("images",), ("clips",)):
        summary = dataset.build([tmp_path], tmp_path / "out" / "x.safetensors", (100, 0, 0), kinds=kinds)
        assert summary.pictures["train"] == 1
    assert dataset.parse_split("96,4,0") == (96, 4, 0)
    assert dataset.parse_kinds("images,clips") == ("images", "clips")
    with pytest.raises(OptionError, match=r"--split '90,10'"):
        dataset.parse_split("90,10")
    with pytest.raises(OptionError, match=r"'songs' is unknown; choose of images, clips"):
        dataset.parse_kinds("images,songs")
    with pytest.raises(OptionError, match="must be at least 1"):
        dataset.build([tmp_path], tmp_path / "out" / "x.safetensors", reduce=0)


def test_reduction_by_two_removes_what_is_too_fine(tmp_path: Path) -> None:
    checker = torch.zeros(32, 32, 3)
    checker[::2, ::2] = checker[1::2, 1::2] = 200.0
    small = dataset.reduce_picture(checker, 2)
    assert tuple(small.shape) == (16, 16, 3)
    assert (small[4:-4, 4:-4] - 100).abs().max() < 12


def test_pairs_of_a_shard_keep_their_own_lr(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    pairs = [
        Pair(
            torch.randint(0, 256, (20, 20), generator=rng, dtype=torch.uint8),
            torch.randint(0, 256, (80, 80), generator=rng, dtype=torch.uint8),
        )
        for _ in range(video_set.SPARE + 2)
    ]
    video_set.write(pairs, tmp_path / "video.safetensors", scale=4)
    train = dataset.read_pairs(tmp_path / "video.safetensors", "train", 4)
    spare = dataset.read_pairs(tmp_path / "video.safetensors", "validation", 4)
    expected = [p for i, p in enumerate(pairs) if i % video_set.SPARE]
    assert len(train) == len(expected) and len(spare) == 2
    for pair, truth in zip(train, expected, strict=True):
        assert torch.equal(pair.lr, truth.lr) and torch.equal(pair.hr, truth.hr)
    with pytest.raises(InputError, match="pairs for x4, x2 is needed"):
        dataset.read_pairs(tmp_path / "video.safetensors", "train", 2)


def coordinates(scale: int, side: int = 40) -> Pair:
    """HR whose code is the HR row, LR whose code is the first of the HR rows it covers."""
    hr = torch.arange(side * scale)[:, None].expand(-1, side * scale).to(torch.uint8)
    return Pair(hr[::scale, ::scale].clone(), hr)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_and_hr_patches_show_the_same_place_turned_the_same_way(scale: int) -> None:
    lr, hr = Patches([coordinates(scale)], scale, batch=24, patch=10, seed=5).batch_at(7)
    assert lr.shape == (24, 1, 10, 10) and hr.shape == (24, 1, 10 * scale, 10 * scale)
    codes_lr, codes_hr = lr * 255, hr * 255
    blocks = codes_hr.view(24, 10, scale, 10, scale).mean((2, 4))
    middle = (scale - 1) / 2
    torch.testing.assert_close(blocks, codes_lr[:, 0] + middle, atol=1e-3, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_patches_gathered_at_once_equal_those_cut_one_by_one(scale: int) -> None:
    rng = torch.Generator().manual_seed(scale)
    sizes = [(50, 61), (97, 50), (70, 70)]
    pictures = [torch.randint(0, 256, (h * scale, w * scale), generator=rng, dtype=torch.uint8) for h, w in sizes]
    patches = Patches([make_pair(p, scale) for p in pictures], scale, batch=40, patch=50, seed=3)
    windows = patches.draw(11)
    assert set(windows[:, 3]) == set(range(8)) and set(windows[:, 0]) == {0, 1, 2}
    for cut, gathered in zip(patches.cropped(windows), patches.gathered(windows), strict=True):
        assert torch.equal(cut, gathered)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_what_networks_learn_from_is_reduced_as_what_they_are_measured_on_edges_too(scale: int) -> None:
    hr = torch.randint(0, 256, (47, 61), generator=torch.Generator().manual_seed(scale), dtype=torch.uint8)
    pair = make_pair(hr, scale)
    assert np.array_equal(pair.lr.numpy(), imresize(pair.hr.numpy(), *pair.lr.shape))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_margin_is_what_reducing_the_mirrored_picture_gives(scale: int) -> None:
    hr = torch.randint(0, 256, (24 * scale, 9 * scale), generator=torch.Generator().manual_seed(7), dtype=torch.uint8)
    pair = make_pair(hr, scale)
    wider = with_margin(pair, scale, margin=4, patch=20)
    assert wider.lr.shape == (24 + 2 * 4, 9 + 2 * 6) and wider.hr.shape == (32 * scale, 21 * scale)
    reach = 2  # LR pixels that the reduction looks beyond the margin itself
    assert torch.equal(inside(make_pair(wider.hr, scale).lr, reach), inside(wider.lr, reach))
    assert torch.equal(wider.lr[4:-4, 6:-6], pair.lr)
    assert torch.equal(wider.lr[:4], wider.lr[4:8].flip(0)), "the last pixel is repeated"


@pytest.mark.gpu
def test_a_gpu_gets_the_patches_of_a_cpu() -> None:
    pictures = [make_pair(torch.randint(0, 256, (60, 64), dtype=torch.uint8), 2) for _ in range(3)]
    on_gpu = [Pair(p.lr.cuda(), p.hr.cuda()) for p in pictures]
    batches = (Patches(pairs, 2, 8, 16, seed=1).batch_at(5) for pairs in (pictures, on_gpu))
    for cpu, gpu in zip(*batches, strict=True):
        assert torch.equal(cpu, gpu.cpu())


def test_patches_depend_on_seed_and_step_alone() -> None:
    pictures = [make_pair(torch.randint(0, 256, (60, 64), dtype=torch.uint8), 2) for _ in range(3)]
    one, other = Patches(pictures, 2, 4, 16, seed=1), Patches(pictures, 2, 4, 16, seed=1)
    one.batch_at(0)
    assert all(torch.equal(a, b) for a, b in zip(one.batch_at(9), other.batch_at(9), strict=True))
    assert not torch.equal(one.batch_at(9)[0], one.batch_at(10)[0])
    with pytest.raises(ValueError, match="no picture holds"):
        Patches(pictures, 2, 4, 31, seed=1)


def test_of_all_that_are_drawn_the_patches_with_the_most_detail_are_learnt_from() -> None:
    rng = torch.Generator().manual_seed(4)
    noise = torch.randint(0, 256, (60, 64), generator=rng)
    pictures = [make_pair((128 + (noise - 128) * share // 9).to(torch.uint8), 2) for share in range(10)]
    drawn = Patches(pictures, 2, 12, 16, seed=1).batch_at(3)
    kept = Patches(pictures, 2, 4, 16, seed=1, draws=3).batch_at(3)
    changes = [float(abs(np.diff(p[0], axis=0)).mean() + abs(np.diff(p[0], axis=1)).mean()) for p in drawn[0].numpy()]
    busiest = sorted(np.argsort(changes)[-4:].tolist())
    assert all(torch.equal(few, many[busiest]) for few, many in zip(kept, drawn, strict=True))


def test_larger_pictures_are_drawn_in_proportion_to_the_root_of_their_area() -> None:
    pairs = [make_pair(torch.full((s, s), s, dtype=torch.uint8), 2) for s in (40, 120)]
    patches = Patches(pairs, 2, batch=4000, patch=16, seed=0)
    lr, _ = patches.batch_at(0)
    share = (lr[:, 0, 0, 0] * 255 > 80).float().mean().item()
    assert abs(share - 0.75) < 0.03


def test_centre_crops_keep_lr_and_hr_together() -> None:
    (crop,) = centre_crops([coordinates(3, side=80)], 3, side=60)
    assert tuple(crop.lr.shape) == (20, 20) and tuple(crop.hr.shape) == (60, 60)
    assert crop.lr[0, 0] == crop.hr[0, 0] == 90


def test_losses_have_their_published_values() -> None:
    a, b = torch.zeros(2, 1, 8, 8), torch.full((2, 1, 8, 8), 0.3)
    assert LOSSES["l1"](b, a).item() == pytest.approx(0.3)
    assert LOSSES["l2"](b, a).item() == pytest.approx(0.09)
    assert charbonnier(b, a).item() == pytest.approx(math.sqrt(0.09 + 1e-6))
    assert charbonnier(a, a).item() == pytest.approx(1e-3)
    # a constant error of 0.3 is one coefficient of 0.3 * 8, among 8 x 5 complex ones
    assert fft(b, a).item() == pytest.approx(0.3 * 8 / (8 * 5 * 2), rel=1e-5)
    for loss in LOSSES.values():
        x = torch.rand(1, 1, 8, 8, requires_grad=True)
        loss(x, torch.rand(1, 1, 8, 8)).backward()
        assert x.grad is not None and torch.isfinite(x.grad).all()
