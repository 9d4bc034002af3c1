"""`vidsr dataset`: which files enter a shard, in which split, and with which pixels."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from tests.clips import make_clip
from vidsr.errors import InputError, OptionError
from vidsr.metrics import rgb_to_y
from vidsr.options.input_folder import CLIP_SUFFIXES
from vidsr.train.data import shards
from vidsr.train.prepare import dataset
from vidsr.video.luma import read_luma


def write_image(path: Path, height: int = 100, width: int = 120, seed: int = 0) -> np.ndarray:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rgb[:, :, ::-1])
    return rgb


def test_a_shard_holds_the_luma_of_each_image(tmp_path: Path) -> None:
    first = write_image(tmp_path / "in" / "a.png", 100, 120, 1)
    second = write_image(tmp_path / "in" / "deep" / "b.png", 130, 97, 2)
    (tmp_path / "in" / "notes.txt").write_text("no image")
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no image either")
    write_image(tmp_path / "in" / "tiny.png", 20, 200)
    shard = tmp_path / "out" / "set.safetensors"
    summary = dataset.build([tmp_path / "in"], shard, split=(100, 0, 0))
    assert sorted(Path(s).name for s in summary.skipped) == ["broken.jpg", "notes.txt", "tiny.png"]
    planes = shards.read_shard(shard, "train")
    assert summary.images == {"train": 2, "validation": 0, "test": 0}
    for plane, rgb in zip(planes, (first, second), strict=True):
        assert np.abs(plane.numpy() - rgb_to_y(rgb)).max() <= 0.5 + 1e-3


def test_the_split_is_by_file_seeded_and_80_10_10(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.png" for i in range(100)]
    splits = dataset.split_files(files, (80, 10, 10), seed=3)
    counts = [list(splits.values()).count(name) for name in shards.SPLITS]
    assert counts == [80, 10, 10]
    assert splits == dataset.split_files(files[::-1], (80, 10, 10), seed=3)
    assert splits != dataset.split_files(files, (80, 10, 10), seed=4)
    with pytest.raises(OptionError, match="sum to 100"):
        dataset.split_files(files, (80, 10, 20), seed=0)


def test_errors_name_an_empty_or_absent_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        dataset.build([tmp_path / "absent"], tmp_path / "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image"):
        dataset.build([tmp_path / "empty"], tmp_path / "x")


def test_a_shard_holds_frames_of_a_clip(samples: Path, tmp_path: Path) -> None:
    clips = sorted(p for p in samples.iterdir() if p.suffix in CLIP_SUFFIXES)
    summary = dataset.build([clips[0]], tmp_path / "set.safetensors", split=(100, 0, 0), every=20)
    first = next(read_luma(clips[0]))
    planes = shards.read_shard(tmp_path / "set.safetensors", "train")
    assert len(planes) == summary.images["train"] > 0
    assert tuple(planes[0].shape) == tuple(first.shape)
    assert torch.equal(planes[0], first)


def test_a_compact_shard_holds_the_same_images_in_fewer_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, shift in (("a", 0), ("b", 40)):
        ramp = np.add.outer(np.arange(150), np.arange(128 + shift)).astype(np.uint8) // 2
        cv2.imwrite(str(tmp_path / f"{name}.png"), ramp)
    for compact in (False, True):
        dataset.build([tmp_path], tmp_path / f"{compact}.safetensors", (100, 0, 0), compact=compact)
    exact = shards.read_shard(tmp_path / "False.safetensors", "train")
    near = shards.read_shard(tmp_path / "True.safetensors", "train")
    assert [p.shape for p in exact] == [p.shape for p in near]
    assert max((a.int() - b.int()).abs().max().item() for a, b in zip(exact, near, strict=True)) <= 8
    sizes = [(tmp_path / f"{compact}.safetensors").stat().st_size for compact in (True, False)]
    assert sizes[0] < sizes[1] / 3
    torchvision, io = ModuleType("torchvision"), ModuleType("torchvision.io")  # not installed for tests
    io.ImageReadMode = SimpleNamespace(GRAY="grey")
    io.decode_jpeg = lambda file, mode: torch.from_numpy(cv2.imdecode(file.numpy(), cv2.IMREAD_GRAYSCALE))[None]
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setitem(sys.modules, "torchvision.io", io)
    again = shards.read_shard(tmp_path / "True.safetensors", "train")
    assert all(torch.equal(a, b) for a, b in zip(near, again, strict=True))
    for name in ("torchvision", "torchvision.io", "cv2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match="needs torchvision or opencv"):
        shards.read_shard(tmp_path / "True.safetensors", "train")


def test_a_dataset_takes_every_clip_that_enhance_takes(tmp_path: Path) -> None:
    clips = [tmp_path / "in" / f"clip{suffix}" for suffix in sorted(CLIP_SUFFIXES)]
    clips[0].parent.mkdir()
    make_clip(tmp_path / "one.mkv", 1, (128, 96), codec="ffv1")
    for clip in clips:  # the reader goes by the content
        clip.write_bytes((tmp_path / "one.mkv").read_bytes())
    summary = dataset.build([tmp_path / "in"], tmp_path / "set.safetensors", (100, 0, 0))
    assert summary.skipped == ()
    assert summary.images["train"] == len(clips)


def test_kinds_and_shares_are_chosen_and_errors_name_wrong_ones(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    make_clip(tmp_path / "b.mkv", 1, (128, 96), codec="ffv1")
    for kinds in (("images",), ("clips",)):
        summary = dataset.build([tmp_path], tmp_path / "out" / f"{kinds[0]}.safetensors", (100, 0, 0), kinds=kinds)
        assert summary.images["train"] == 1
    assert dataset.parse_split("96,4,0") == (96, 4, 0)
    assert dataset.parse_kinds("images,clips") == ("images", "clips")
    with pytest.raises(OptionError, match=r"--split '90,10'"):
        dataset.parse_split("90,10")
    with pytest.raises(OptionError, match=r"'songs' is unknown; choose of images, clips"):
        dataset.parse_kinds("images,songs")
    with pytest.raises(OptionError, match="must be at least 1"):
        dataset.build([tmp_path], tmp_path / "out" / "x.safetensors", reduce=0)


def test_an_image_smaller_than_its_reduction_is_one_line(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    with pytest.raises(OptionError, match="--reduce 5000: an image has"):
        dataset.build([tmp_path], tmp_path / "x.safetensors", (100, 0, 0), reduce=5000)


def test_downscaling_by_two_removes_the_finest_detail(tmp_path: Path) -> None:
    checker = torch.zeros(32, 32, 3)
    checker[::2, ::2] = checker[1::2, 1::2] = 200.0
    small = dataset.downscale(checker, 2)
    assert tuple(small.shape) == (16, 16, 3)
    assert (small[4:-4, 4:-4] - 100).abs().max() < 12
