"""Checkpoints of other programs: their wrappers, and hostile files, which give one line and run nothing."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from vidsr.errors import ModelError
from vidsr.models import from_file
from vidsr.models.architectures import compact
from vidsr.models.checkpoints import build, read_checkpoint


def tensors(channels: int = 8) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return compact.Compact(compact.Config(2, channels, 1)).state_dict()


@pytest.mark.parametrize("wrapper", [None, "params", "params_ema", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers_and_prefixes_of_training_are_removed(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in tensors().items()}
    path = tmp_path / "net.pth"
    torch.save(state if wrapper is None else {wrapper: state, "step": 3}, path)
    model = from_file(path)
    assert (model.metadata["architecture"], model.scale, model.channels) == ("compact", 2, 3)
    assert all(torch.equal(model.network.state_dict()[name], tensor) for name, tensor in tensors().items())


def test_the_averaged_weights_are_preferred(tmp_path: Path) -> None:
    averaged = {name: tensor + 1 for name, tensor in tensors().items()}
    torch.save({"params": tensors(), "params_ema": averaged}, tmp_path / "net.pth")
    assert torch.equal(read_checkpoint(tmp_path / "net.pth")["body.0.weight"], averaged["body.0.weight"])


def test_safetensors_of_another_program_load(tmp_path: Path) -> None:
    half = {name: tensor.half() for name, tensor in tensors().items()}
    save_file(half, tmp_path / "net.safetensors")
    model = from_file(tmp_path / "net.safetensors")
    assert model.network.dtype == torch.float32
    assert model.metadata["architecture"] == "compact"


class Code:
    """A pickle that writes a file when it is loaded by a program that trusts it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def hostile_files(folder: Path) -> dict[str, str]:
    """Write one file of each kind; name -> part of the expected message."""
    mark = folder / "code_ran"
    torch.save({"body.0.weight": Code(mark)}, folder / "code.pth")
    (folder / "old_code.pth").write_bytes(pickle.dumps(Code(mark)))
    torch.save(tensors(), folder / "whole.pth")
    whole = (folder / "whole.pth").read_bytes()
    (folder / "truncated.pth").write_bytes(whole[: len(whole) // 2])
    save_file(tensors(), folder / "whole.safetensors")
    (folder / "truncated.safetensors").write_bytes((folder / "whole.safetensors").read_bytes()[:900])
    torch.save({**tensors(), "body.0.bias": torch.full((8,), float("nan"))}, folder / "nan.pth")
    torch.save({**tensors(), "body.0.weight": torch.zeros(1).expand(1 << 20, 1 << 20, 3, 3)}, folder / "huge.pth")
    (folder / "text.pth").write_text("these are not weights\n" * 9)
    (folder / "text.safetensors").write_text("these are not weights\n" * 9)
    (folder / "empty.pth").write_bytes(b"")
    torch.save({"classifier.weight": torch.zeros(3, 3)}, folder / "other.pth")
    torch.save([1, 2, 3], folder / "list.pth")
    torch.save({**tensors(), "body.4.weight": torch.zeros(13, 8, 3, 3)}, folder / "scale.pth")
    torch.save({**tensors(), "body.2.weight": torch.zeros(8, 8, 5, 5)}, folder / "shape.pth")
    with zipfile.ZipFile(folder / "whole.pth") as source, zipfile.ZipFile(folder / "bomb.pth", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name) + b"\0" * 100_000, zipfile.ZIP_DEFLATED)
    return {
        "code.pth": "holds code",
        "old_code.pth": "holds code",
        "truncated.pth": "not a readable weights file",
        "truncated.safetensors": "not a readable weights file",
        "nan.pth": "values that are not finite",
        "huge.pth": "a tensor of shape (1048576, 1048576, 3, 3)",
        "text.pth": "not a readable weights file",
        "text.safetensors": "not a readable weights file",
        "empty.pth": "not a readable weights file",
        "other.pth": "unknown architecture",
        "list.pth": "no weights of a network",
        "scale.pth": "13 channels, which no scale",
        "shape.pth": "does not fit the architecture compact",
        "bomb.pth": "unpacks to more bytes",
    }


def test_hostile_files_give_one_line_each_and_run_nothing(tmp_path: Path) -> None:
    for name, message in hostile_files(tmp_path).items():
        with pytest.raises(ModelError) as caught:
            from_file(tmp_path / name)
        text = str(caught.value)
        assert message in text, text
        assert name in text and "\n" not in text and len(text) < 400
    assert not (tmp_path / "code_ran").exists()


def test_an_absent_file_gives_one_line(tmp_path: Path) -> None:
    for name in ("absent.pth", "absent.safetensors"):
        with pytest.raises(ModelError, match="not a readable weights file"):
            from_file(tmp_path / name)


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="unknown architecture"):
        build(tmp_path / "net.pth", tensors(), ())
