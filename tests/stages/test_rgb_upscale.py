"""Networks on RGB within the pipeline: matrix, range, chroma, tiles and strength."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vidsr.color import rgb_to_ycbcr, to_rgb, with_defaults
from vidsr.device import Compute
from vidsr.errors import InputError, OptionError
from vidsr.evaluate.image_sets import read_image
from vidsr.frames import Chroma, ColorInfo, FrameBatch, Origin, VideoInfo
from vidsr.models import Model, from_file, load_model
from vidsr.models.architectures.compact import Compact, Config
from vidsr.options.community import find_models
from vidsr.options.enhance import parse_options
from vidsr.pipeline.plan import Plan, make_plan
from vidsr.stages.build import build_stages
from vidsr.stages.network_runner import Runner
from vidsr.stages.stopwatch import Stopwatch

CPU = Compute(torch.device("cpu"), torch.float32)
INFO = VideoInfo(width=24, height=20, fps=Fraction(25))


@pytest.fixture
def nearest(tmp_path: Path) -> Path:
    """A checkpoint of a network on RGB that upscales by 2 to the nearest neighbour: its layers answer zero."""
    network = Compact(Config(2, 4, 0))
    torch.save({name: torch.zeros_like(tensor) for name, tensor in network.state_dict().items()}, tmp_path / "near.pth")
    return tmp_path / "near.pth"


@pytest.fixture
def sharp(tmp_path: Path) -> Path:
    """A checkpoint of a network on RGB whose layers change something."""
    torch.manual_seed(0)
    torch.save(Compact(Config(2, 8, 1)).state_dict(), tmp_path / "sharp.pth")
    return tmp_path / "sharp.pth"


def frames(info: VideoInfo, low: int = 112, high: int = 144) -> FrameBatch:
    """Random luma, and chroma that RGB from 0 to 1 can hold, or other chroma from ``low`` to ``high`` at 8 bits."""
    generator = torch.Generator().manual_seed(0)
    dtype = torch.uint8 if info.depth == 8 else torch.uint16
    top = 1 << info.depth

    def plane(planes: int, w: int, h: int, low: int, high: int) -> Tensor:
        size = (2, planes, h, w)
        return torch.randint(low * top >> 8, high * top >> 8, size, generator=generator, dtype=torch.int32).to(dtype)

    uv = None if info.chroma == "gray" else plane(2, *info.chroma_size, low, high)
    y = plane(1, info.width, info.height, 64, 128)
    return FrameBatch(y, uv, (Fraction(0), Fraction(1)), (Origin(0), Origin(1)))


def plan_of(info: VideoInfo, **options: object) -> Plan:
    return make_plan(parse_options(**{"scale": 2, "device": "cpu", "precision": "fp32", **options}), info)


def upscaled(info: VideoInfo, **options: object) -> FrameBatch:
    """The output of the upscale alone, unrounded."""
    plan = plan_of(info, **options)
    assert plan.upscale is not None
    stages = build_stages((replace(plan.upscale, rounds=False),), info)
    (result,) = stages(iter([frames(info)]), Stopwatch())
    return result


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize("range", ["limited", "full"])
@pytest.mark.parametrize(("chroma", "depth"), [("420", 8), ("444", 8), ("420", 10), ("gray", 8)])
def test_a_network_that_keeps_rgb_keeps_the_frame(
    nearest: Path, matrix: str, range: str, chroma: Chroma, depth: int
) -> None:
    info = replace(INFO, color=ColorInfo(matrix=matrix, range=range), chroma=chroma, depth=depth)
    result = upscaled(info, model=str(nearest), chroma_from="kernel")
    expected = frames(info).y.float().repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert (result.y - expected).abs().max() < 0.01 * 2 ** (depth - 8)
    assert (result.uv is None) == (chroma == "gray")


def test_the_network_sees_rgb_of_the_clips_own_matrix_and_range(sharp: Path) -> None:
    for color in (ColorInfo("bt709", range="limited"), ColorInfo("smpte170m", range="full")):
        info = replace(INFO, color=color)
        rgb = from_file(sharp)(to_rgb(frames(info), info))
        y, uv = rgb_to_ycbcr(rgb, with_defaults(color, 24, 20), 8)
        result = upscaled(replace(info, chroma="420"), model=str(sharp), chroma_from="model")
        torch.testing.assert_close(result.y, y, atol=0.01, rtol=0)
        assert result.uv is not None and result.uv.shape == (2, 2, 20, 24)
        info = replace(info, chroma="444")
        y, uv = rgb_to_ycbcr(from_file(sharp)(to_rgb(frames(info), info)), with_defaults(color, 24, 20), 8)
        result = upscaled(info, model=str(sharp), chroma_from="model")
        torch.testing.assert_close(result.uv, uv, atol=0.01, rtol=0)


def test_colours_beyond_rgb_keep_their_brightness(nearest: Path) -> None:
    plan = plan_of(INFO, model=str(nearest), chroma_from="kernel")
    assert plan.upscale is not None
    source = frames(INFO, 16, 240)
    source = source.planes(torch.full_like(source.y, 90), torch.full_like(source.uv, 20))  # blue below 0
    (result,) = build_stages((replace(plan.upscale, rounds=False),), INFO)(iter([source]), Stopwatch())
    assert (result.y - 90).abs().max() < 0.01


def test_chroma_comes_from_the_source_unless_the_model_is_asked_for(sharp: Path) -> None:
    by_kernel, plain = (upscaled(INFO, model=m, chroma_from="kernel") for m in (str(sharp), "bicubic"))
    assert by_kernel.uv is not None and plain.uv is not None
    assert torch.equal(by_kernel.uv, plain.uv)
    by_model = upscaled(INFO, model=str(sharp), chroma_from="model")
    assert torch.equal(by_model.y, by_kernel.y)
    assert by_model.uv is not None and not torch.equal(by_model.uv, by_kernel.uv)
    with pytest.raises(OptionError, match="--chroma-from model needs a network on RGB, and fast works on luma"):
        plan_of(INFO, model="fast", chroma_from="model")


def test_two_networks_on_rgb_reach_a_larger_scale(nearest: Path) -> None:
    result = upscaled(INFO, scale=4, model=str(nearest), chroma_from="model")
    expected = frames(INFO).y.float().repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert (result.y - expected).abs().max() < 0.01


def test_a_matrix_without_conversion_to_rgb_is_refused_before_the_first_frame(nearest: Path) -> None:
    with pytest.raises(InputError, match="no linear conversion to RGB: choose a model that works on luma"):
        plan_of(replace(INFO, color=ColorInfo(matrix="ictcp")), model=str(nearest))


@pytest.mark.parametrize("model", ["fast", "rgb"])
@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_the_strength_blends_the_network_with_the_kernel(sharp: Path, model: str, strength: float) -> None:
    name = str(sharp) if model == "rgb" else model
    plain = upscaled(INFO, model="bicubic").y.float()
    full, part = (upscaled(INFO, model=name, strength=share).y.float() for share in (1.0, strength))
    torch.testing.assert_close(part, plain + strength * (full - plain), atol=1e-3, rtol=0)
    assert not torch.equal(full, plain)


def test_a_strength_without_a_network_and_a_wrong_one_are_refused() -> None:
    with pytest.raises(OptionError, match="--strength has no effect with the kernel lanczos"):
        plan_of(INFO, model="lanczos", strength=0.5)
    for wrong in ("2", "-1", "strong", "nan"):
        with pytest.raises(OptionError, match="is not a number from 0 to 1"):
            parse_options(scale=2, strength=wrong)


def test_the_plan_has_the_checksum_and_finds_the_file_again(sharp: Path) -> None:
    plan = plan_of(INFO, model=str(sharp))
    assert Plan.from_json(plan.to_json()) == plan
    assert plan.weights == {str(sharp): from_file(sharp).sha256}
    assert [(n.name, n.channels, n.domain) for n in plan.networks] == [("sharp", 3, "")]


def tiled_difference(model: Model, image: Tensor, tile: int) -> float:
    """Largest difference between whole and tiled output, code values."""
    whole, tiled = (Runner(model, CPU, tile=side)(image, 255) for side in (None, tile))
    return (whole - tiled).abs().max().item()


CHECKPOINTS = ["realesr-animevideov3-x4", "spanf_x4_ntire2025", "smfanet_x4"]
COMMUNITY = [
    ("waifu2x-anime", 2),
    ("waifu2x", 2),
    ("cugan", 2),
    pytest.param("cugan", 3, marks=pytest.mark.slow),
    pytest.param("cugan", 4, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_tiles_of_checkpoints_are_seamless(data: Path, name: str) -> None:
    image = torch.from_numpy(read_image(data / "set5" / "img_002.png")[:92, :110]).permute(2, 0, 1)[None]
    assert tiled_difference(from_file(data / "checkpoints" / f"{name}.pth"), image, 32) < 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x4plus", "x4plus-anime"])
def test_pixels_beyond_the_halo_of_a_deep_network_change_next_to_nothing(data: Path, name: str) -> None:
    if find_models(name)[0].path is None:
        pytest.skip("the extra community is not installed")
    model, image = load_model(name, 4), read_image(data / "set5" / "img_002.png")[100:124, 40:240]
    strip = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    whole, part = model(strip), model(strip[..., 80 - model.halo : 120 + model.halo])
    inner = part[..., 4 * model.halo : -4 * model.halo]
    assert (inner - whole[..., 320:480]).abs().max() < 0.5 / 255


@pytest.mark.parametrize(("name", "scale"), COMMUNITY)
def test_tiles_of_community_networks_are_seamless(data: Path, name: str, scale: int) -> None:
    if find_models(name)[0].path is None:
        pytest.skip("the extra community is not installed")
    image = torch.from_numpy(read_image(data / "set5" / "img_002.png")[:62, :75]).permute(2, 0, 1)[None]
    assert tiled_difference(load_model(name, scale), image, 32) < 1
