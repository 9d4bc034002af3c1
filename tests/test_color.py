"""Colour conversion: published code values, exact round trips, and chroma that stays in place."""

from itertools import product

import pytest
import torch

from vidsr.color import (
    LOCATIONS,
    WEIGHTS,
    convert_chroma,
    rgb_to_ycbcr,
    to_rgb,
    with_defaults,
    ycbcr_to_rgb,
)
from vidsr.errors import InputError
from vidsr.frames import Chroma, ColorInfo, FrameBatch, Origin, VideoInfo

LIMITED_601 = ColorInfo(matrix="smpte170m", range="limited")


@pytest.mark.parametrize(
    ("rgb", "ycbcr"),
    [  # ITU-R BT.601, limited, 8 bits
        ((0, 0, 0), (16, 128, 128)),
        ((1, 1, 1), (235, 128, 128)),
        ((1, 0, 0), (81.481, 90.203, 240)),
        ((0, 1, 0), (144.553, 53.797, 34.214)),
        ((0, 0, 1), (40.966, 240, 109.786)),
    ],
)
def test_bt601_primaries(rgb: tuple[float, ...], ycbcr: tuple[float, ...]) -> None:
    y, uv = rgb_to_ycbcr(torch.tensor(rgb).reshape(1, 3, 1, 1).float(), LIMITED_601, 8)
    assert [y.item(), *uv.flatten().tolist()] == pytest.approx(ycbcr, abs=2e-3)


@pytest.mark.parametrize(("range_", "black", "white"), [("limited", 64, 940), ("full", 0, 1023)])
def test_10_bit_black_and_white(range_: str, black: int, white: int) -> None:
    color = ColorInfo(matrix="bt2020nc", range=range_)  # type: ignore[arg-type]
    y, uv = rgb_to_ycbcr(torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2), color, 10)
    assert y.flatten().tolist() == pytest.approx([black, white], abs=1e-3)
    assert uv.flatten().tolist() == pytest.approx([512] * 4, abs=1e-3)


@pytest.mark.parametrize(("matrix", "range_", "depth"), list(product(WEIGHTS, ["limited", "full"], [8, 10, 12])))
def test_every_code_value_survives_rgb(matrix: str, range_: str, depth: int) -> None:
    color = ColorInfo(matrix=matrix, range=range_)  # type: ignore[arg-type]
    codes = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(depth)) * ((1 << depth) - 1)
    y, uv = rgb_to_ycbcr(ycbcr_to_rgb(codes[:, :1], codes[:, 1:], color, depth), color, depth)
    assert (torch.cat([y, uv], 1) - codes).abs().max() < 0.01


def smooth(n: int, h: int, w: int, depth: int) -> torch.Tensor:
    x, y = torch.arange(w) / w, torch.arange(h)[:, None] / h
    waves = [0.5 + 0.3 * torch.sin(3 * x + 2 * y + k) for k in range(n)]
    return (torch.stack(waves)[None] * ((1 << depth) - 1)).round()


def from_rgb(rgb: torch.Tensor, info: VideoInfo) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The inverse of `to_rgb`: float32 planes of ``info``, not rounded."""
    color = with_defaults(info.color, info.width, info.height)
    y, uv = rgb_to_ycbcr(rgb, color, info.depth)
    return y, None if info.chroma == "gray" else downsample_chroma(uv, info.chroma, color.chroma_location)


def downsample_chroma(uv: torch.Tensor, chroma: Chroma, location: str | None) -> torch.Tensor:
    return convert_chroma(uv, "444", chroma, (uv.shape[-1], uv.shape[-2]), location)


CHROMAS: list[Chroma] = ["gray", "420", "422", "444"]


@pytest.mark.parametrize(
    ("matrix", "range_", "chroma", "depth"),
    list(product(["smpte170m", "bt709", "bt2020nc"], ["limited", "full"], CHROMAS, [8, 10, 12])),
)
@pytest.mark.parametrize("size", [(64, 48), (65, 49)])
def test_planes_survive_rgb(matrix: str, range_: str, chroma: Chroma, depth: int, size: tuple[int, int]) -> None:
    info = VideoInfo(*size, None, chroma, depth, ColorInfo(matrix, range=range_))  # type: ignore[arg-type]
    width, height = info.chroma_size
    uv = None if chroma == "gray" else smooth(2, height, width, depth)
    batch = FrameBatch(smooth(1, info.height, info.width, depth), uv, (0,), (Origin(0),))  # type: ignore[arg-type]
    y, chroma_planes = from_rgb(to_rgb(batch, info), info)
    errors = [(y.round() - batch.y).abs()]
    if uv is not None and chroma_planes is not None:
        inside = (..., slice(info.height // 2), slice(info.width // 2)) if chroma == "420" else ...
        errors.append((chroma_planes.round() - uv)[inside].abs())  # an odd side's last sample lies half outside
    unit = 2 ** (depth - 8)  # one 8-bit code value; the planes are equally smooth at each depth
    assert all(error.mean() <= 0.5 * unit and error.max() <= 2 * unit for error in errors)
    assert errors[0].max() == 0, "luma is not resampled"


@pytest.mark.parametrize("location", LOCATIONS)
def test_chroma_stays_in_place_when_resampled(location: str) -> None:
    """A plane that is linear in position has the same value at the same place, whatever the sampling."""
    height, width = 12, 20
    across, down = LOCATIONS[location]
    x = torch.arange(width // 2) * 2 + across
    y = torch.arange(height // 2)[:, None] * 2 + down
    uv = (3 * x + 5 * y).expand(1, 2, -1, -1)
    full = convert_chroma(uv, "420", "444", (width, height), location)
    expected = 3 * torch.arange(width) + 5 * torch.arange(height)[:, None]
    inside = (..., slice(2, -2), slice(2, -2))
    assert torch.allclose(full[inside], expected.expand_as(full)[inside].float())
    back = downsample_chroma(full, "420", location)
    assert torch.allclose(back[inside], uv[inside].float())


@pytest.mark.parametrize("location", [None, *LOCATIONS])
@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 5), (8, 8)])
@pytest.mark.parametrize("chroma", ["420", "422", "444"])
def test_flat_chroma_stays_flat_at_any_size(location: str | None, size: tuple[int, int], chroma: Chroma) -> None:
    width, height = VideoInfo(*size, None, chroma).chroma_size
    full = convert_chroma(torch.full((1, 2, height, width), 77), chroma, "444", size, location)
    assert full.shape == (1, 2, size[1], size[0])
    back = downsample_chroma(full, chroma, location)
    assert back.shape == (1, 2, height, width)
    assert full.unique().tolist() == back.unique().tolist() == [77]


@pytest.mark.parametrize(
    ("size", "matrix"), [((720, 576), "smpte170m"), ((1280, 720), "bt709"), ((1920, 800), "bt709")]
)
def test_untagged_clips_are_bt601_for_sd_and_bt709_for_hd(size: tuple[int, int], matrix: str) -> None:
    assert with_defaults(ColorInfo(), *size) == ColorInfo(matrix=matrix, range="limited")
    tagged = ColorInfo(matrix="bt2020nc", range="full")
    assert with_defaults(tagged, *size) == tagged


def test_nonlinear_matrix_is_refused() -> None:
    with pytest.raises(InputError, match="ycgco"):
        ycbcr_to_rgb(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, 2), ColorInfo("ycgco", range="full"), 8)
