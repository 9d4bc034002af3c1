"""Architectures that vidsr does not know: by a stand-in for spandrel, and by the real library where it is installed."""

import copy
import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.clips import make_clip
from vidsr import enhance
from vidsr.errors import ModelError
from vidsr.models import from_file


class Doubler(nn.Module):
    """Doubles the size by one layer; takes sides that are multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.tail = nn.Conv2d(3, 12, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.constant_(self.tail.bias, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[0] == 1 and x.shape[-1] % 8 == x.shape[-2] % 8 == 0
        return F.pixel_shuffle(self.tail(x), 2)


class Unsupported(Exception):
    pass


class Descriptor:
    """The part of spandrel's descriptor that vidsr uses."""

    def __init__(self, model: nn.Module, scale: int = 2, planes: int = 3, square: bool = False) -> None:
        self.model, self.scale = model, scale
        self.input_channels = self.output_channels = planes
        self.supports_half = True
        self.architecture = SimpleNamespace(id="Doubler")
        self.size_requirements = SimpleNamespace(multiple_of=8, square=square)

    def __call__(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % 8, 0, -height % 8), mode="replicate")
        return self.model(padded)[..., : 2 * height, : 2 * width].clamp_(0, 1)


def stand_in(**facts: object) -> ModuleType:
    def load(state: dict[str, Tensor]) -> Descriptor:
        if "tail.weight" not in state:
            raise Unsupported
        model = Doubler()
        model.load_state_dict(state)
        return Descriptor(model, **facts)

    module = ModuleType("spandrel")
    module.__dict__.update(
        MAIN_REGISTRY=SimpleNamespace(load=load), UnsupportedModelError=Unsupported, ImageModelDescriptor=Descriptor
    )
    return module


def write(path: Path, **tensors: Tensor) -> Path:
    torch.save({"params_ema": {**Doubler().state_dict(), **tensors}}, path)
    return path


@pytest.fixture
def spandrel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", stand_in())


def test_scale_sizes_and_precision_come_from_spandrel(spandrel: None, tmp_path: Path) -> None:
    model = from_file(write(tmp_path / "net.pth"), dtype=torch.bfloat16)
    assert (model.metadata["architecture"], model.scale, model.channels) == ("spandrel:Doubler", 2, 3)
    assert model.alignment % 8 == 0 and model.halo % model.alignment == 0
    assert model.network.dtype == torch.float32  # without an anchor bf16 has too few digits
    assert from_file(tmp_path / "net.pth", dtype=torch.float16).network.dtype == torch.float16
    assert model(torch.rand(2, 3, 13, 22)).shape == (2, 3, 26, 44)


def test_a_copy_runs_its_own_weights(spandrel: None, tmp_path: Path) -> None:
    network = from_file(write(tmp_path / "net.pth")).network
    other = copy.deepcopy(network)
    other.network.tail.bias.fill_(0.25)
    x = torch.rand(1, 3, 8, 8)
    assert (network(x).mean(), other(x).mean()) == (0.5, 0.25)


def test_a_clip_is_enhanced(spandrel: None, tmp_path: Path) -> None:
    clip, path = make_clip(tmp_path / "a.mp4", frames=1, size=(32, 24)), write(tmp_path / "net.pth")
    report = enhance(clip, tmp_path / "b.mkv", scale=2, model=str(path), codec="ffv1", device="cpu")
    assert report.verification.ok and report.output.width == 64
    assert report.plan.weights == {str(path): report.plan.networks[0].sha256}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"planes": 1}, r"\(Doubler\) maps 1 planes to 1: vidsr runs networks from RGB to RGB"),
        ({"square": True}, r"\(Doubler\) is for square images"),
        ({"scale": 16}, r"a scale above 8: give a network for whole frames"),
    ],
)
def test_networks_for_other_tasks_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, facts: dict[str, object], message: str
) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", stand_in(**facts))
    with pytest.raises(ModelError, match=message):
        from_file(write(tmp_path / "net.pth"))


def test_files_that_spandrel_does_not_know_or_misjudges_are_one_line(spandrel: None, tmp_path: Path) -> None:
    torch.save({"classifier.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match=r"an unknown architecture: neither vidsr nor spandrel knows it$"):
        from_file(tmp_path / "other.pth")
    wrong = write(tmp_path / "wrong.pth", **{"tail.weight": torch.zeros(7, 3, 3, 3)})
    with pytest.raises(
        ModelError, match=r"wrong\.pth does not fit the architecture that spandrel recognises: .*7, 3"
    ) as caught:
        from_file(wrong)
    assert "\n" not in str(caught.value)


def refuse_spandrel(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Make the import of spandrel raise ``error``."""
    real = importlib.import_module

    def import_module(name: str, package: str | None = None) -> ModuleType:
        if name == "spandrel":
            raise error
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", import_module)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError(name="spandrel"), "the package spandrel knows more: pip install spandrel$"),
        (ModuleNotFoundError(name="einops"), "spandrel needs the package einops: pip install einops"),
        (
            RuntimeError("operator torchvision::nms does not exist"),
            r"nms does not exist\): install the torchvision that",
        ),
    ],
)
def test_a_missing_or_broken_spandrel_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, message: str
) -> None:
    refuse_spandrel(monkeypatch, error)
    with pytest.raises(ModelError, match=message):
        from_file(write(tmp_path / "net.pth"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "make", "settings"),
    [
        ("SAFMN", "SAFMN", {"dim": 16, "n_blocks": 2, "ffn_scale": 2.0, "upscaling_factor": 4}),
        ("PLKSR", "PLKSR", {"dim": 16, "n_blocks": 2, "upscaling_factor": 4}),
        ("SwinIR", "SwinIR", {"img_size": 32, "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 2], "upscale": 4,
                              "window_size": 8, "mlp_ratio": 2, "upsampler": "pixelshuffledirect"}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::UserWarning")  # of spandrel's architectures
def test_the_real_library_gives_the_output_of_its_network(
    tmp_path: Path, module: str, make: str, settings: dict[str, object]
) -> None:
    try:
        library = importlib.import_module(f"spandrel.architectures.{module}")
    except (ImportError, RuntimeError) as error:  # RuntimeError: the torchvision of another PyTorch
        pytest.skip(f"spandrel cannot be imported: {error}")
    torch.manual_seed(0)
    network = getattr(library, make)(**settings).eval()
    torch.save(network.state_dict(), tmp_path / "net.pth")
    x = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        expected = network(x).clamp(0, 1)
    torch.testing.assert_close(from_file(tmp_path / "net.pth")(x), expected, atol=1e-6, rtol=0)
    clip = make_clip(tmp_path / "a.mp4", frames=2, size=(52, 38))
    model = str(tmp_path / "net.pth")
    report = enhance(clip, tmp_path / "b.mkv", scale=4, model=model, codec="ffv1", device="cpu", tile=32)
    assert report.verification.ok and report.output.width == 208
    assert from_file(tmp_path / "net.pth").kmac_per_pixel > 1
