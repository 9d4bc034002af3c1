"""Training patches: position, symmetry, selection, and independence of earlier batches."""

import numpy as np
import pytest
import torch

from vidsr.evaluate.protocol import imresize
from vidsr.models.layers import crop_border
from vidsr.train.data.patches import Pair, Patches, centre_crops, make_pair, with_margin


def coordinates(scale: int, side: int = 40) -> Pair:
    """Return a pair whose codes are HR rows: in LR the first of the HR rows that a pixel covers."""
    hr = torch.arange(side * scale)[:, None].expand(-1, side * scale).to(torch.uint8)
    return Pair(hr[::scale, ::scale].clone(), hr)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_and_hr_patches_show_the_same_place_with_the_same_symmetry(scale: int) -> None:
    lr, hr = Patches([coordinates(scale)], scale, batch=24, patch=10, seed=5).batch_at(7)
    assert lr.shape == (24, 1, 10, 10) and hr.shape == (24, 1, 10 * scale, 10 * scale)
    codes_lr, codes_hr = lr * 255, hr * 255
    blocks = codes_hr.view(24, 10, scale, 10, scale).mean((2, 4))
    middle = (scale - 1) / 2
    torch.testing.assert_close(blocks, codes_lr[:, 0] + middle, atol=1e-3, rtol=0)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_patches_gathered_at_once_equal_patches_cropped_one_by_one(scale: int) -> None:
    rng = torch.Generator().manual_seed(scale)
    sizes = [(50, 61), (97, 50), (70, 70)]
    images = [torch.randint(0, 256, (h * scale, w * scale), generator=rng, dtype=torch.uint8) for h, w in sizes]
    patches = Patches([make_pair(p, scale) for p in images], scale, batch=40, patch=50, seed=3)
    windows = patches.draw(11)
    assert set(windows[:, 3]) == set(range(8)) and set(windows[:, 0]) == {0, 1, 2}
    for cut, gathered in zip(patches.crop(windows), patches.gather(windows), strict=True):
        assert torch.equal(cut, gathered)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_training_lr_equals_evaluation_lr_edges_included(scale: int) -> None:
    hr = torch.randint(0, 256, (47, 61), generator=torch.Generator().manual_seed(scale), dtype=torch.uint8)
    pair = make_pair(hr, scale)
    assert np.array_equal(pair.lr.numpy(), imresize(pair.hr.numpy(), *pair.lr.shape))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_margin_equals_the_downscaled_mirrored_image(scale: int) -> None:
    hr = torch.randint(0, 256, (24 * scale, 9 * scale), generator=torch.Generator().manual_seed(7), dtype=torch.uint8)
    pair = make_pair(hr, scale)
    wider = with_margin(pair, scale, margin=4, patch=20)
    assert wider.lr.shape == (24 + 2 * 4, 9 + 2 * 6) and wider.hr.shape == (32 * scale, 21 * scale)
    reach = 2  # LR pixels by which the downscaling kernel reaches beyond the margin
    assert torch.equal(crop_border(make_pair(wider.hr, scale).lr, reach), crop_border(wider.lr, reach))
    assert torch.equal(wider.lr[4:-4, 6:-6], pair.lr)
    assert torch.equal(wider.lr[:4], wider.lr[4:8].flip(0)), "the last pixel is repeated"


@pytest.mark.gpu
def test_a_gpu_gets_the_patches_of_a_cpu() -> None:
    images = [make_pair(torch.randint(0, 256, (60, 64), dtype=torch.uint8), 2) for _ in range(3)]
    on_gpu = [Pair(p.lr.cuda(), p.hr.cuda()) for p in images]
    batches = (Patches(pairs, 2, 8, 16, seed=1).batch_at(5) for pairs in (images, on_gpu))
    for cpu, gpu in zip(*batches, strict=True):
        assert torch.equal(cpu, gpu.cpu())


def test_patches_depend_on_seed_and_step_alone() -> None:
    images = [make_pair(torch.randint(0, 256, (60, 64), dtype=torch.uint8), 2) for _ in range(3)]
    one, other = Patches(images, 2, 4, 16, seed=1), Patches(images, 2, 4, 16, seed=1)
    one.batch_at(0)
    assert all(torch.equal(a, b) for a, b in zip(one.batch_at(9), other.batch_at(9), strict=True))
    assert not torch.equal(one.batch_at(9)[0], one.batch_at(10)[0])
    with pytest.raises(ValueError, match="no image holds"):
        Patches(images, 2, 4, 31, seed=1)


def test_the_candidates_with_the_most_detail_are_kept() -> None:
    rng = torch.Generator().manual_seed(4)
    noise = torch.randint(0, 256, (60, 64), generator=rng)
    images = [make_pair((128 + (noise - 128) * share // 9).to(torch.uint8), 2) for share in range(10)]
    drawn = Patches(images, 2, 12, 16, seed=1).batch_at(3)
    kept = Patches(images, 2, 4, 16, seed=1, candidates=3).batch_at(3)
    changes = [float(abs(np.diff(p[0], axis=0)).mean() + abs(np.diff(p[0], axis=1)).mean()) for p in drawn[0].numpy()]
    busiest = sorted(np.argsort(changes)[-4:].tolist())
    assert all(torch.equal(few, many[busiest]) for few, many in zip(kept, drawn, strict=True))


def test_images_are_drawn_in_proportion_to_the_root_of_their_area() -> None:
    pairs = [make_pair(torch.full((s, s), s, dtype=torch.uint8), 2) for s in (40, 120)]
    patches = Patches(pairs, 2, batch=4000, patch=16, seed=0)
    lr, _ = patches.batch_at(0)
    share = (lr[:, 0, 0, 0] * 255 > 80).float().mean().item()
    assert abs(share - 0.75) < 0.03


def test_centre_crops_keep_lr_and_hr_together() -> None:
    (crop,) = centre_crops([coordinates(3, side=80)], 3, side=60)
    assert tuple(crop.lr.shape) == (20, 20) and tuple(crop.hr.shape) == (60, 60)
    assert crop.lr[0, 0] == crop.hr[0, 0] == 90
