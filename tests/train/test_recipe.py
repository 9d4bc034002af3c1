"""Recipes: what is accepted, and what an error says."""

from pathlib import Path

import pytest
import torch

import vidsr.train
from vidsr.errors import InputError, OptionError
from vidsr.models import build_network
from vidsr.train.loop import start
from vidsr.train.recipe import parse, read

SHIPPED = sorted((Path(vidsr.train.__file__).parent / "recipes").rglob("*.toml"))
MINIMAL = {"name": "fast", "architecture": "plain", "scale": 2}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_recipes_are_valid_and_named_after_what_they_make(path: Path) -> None:
    recipe = read(path)
    build_network(recipe.architecture, recipe.network_config)
    domain = "" if recipe.domain in ("clean", "any") else f"-{recipe.domain}"
    frames = recipe.task == "interpolate"
    assert path.stem == (recipe.name if frames else f"{recipe.name}{domain}-x{recipe.scale}")


FROM_SHIPPED = [path for path in SHIPPED if read(path).init.startswith("vidsr/")]


@pytest.mark.parametrize("path", FROM_SHIPPED, ids=lambda p: p.stem)
def test_shipped_weights_that_a_recipe_starts_from_fit_its_network(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(vidsr.train.__file__).parents[2])
    start(read(path), torch.device("cpu"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stepz": 3}, r"unknown key 'stepz'.*steps"),
        ({"steps": "many"}, r"steps = 'many' is not of type int"),
        ({"steps": True}, r"steps = True is not of type int"),
        ({"steps": 0}, r"steps = 0 must be at least 1"),
        ({"margin": -1}, r"margin = -1 must not be negative"),
        (
            {"task": "deblur", "teachers": ["a.safetensors"]},
            r"teachers are for networks that enlarge, not for 'deblur'",
        ),
        ({"architecture": "espcn", "equivariant": True}, "equivariant = true is for a plain network, not 'espcn'"),
        ({"candidates": 0}, "candidates = 0 must be at least 1"),
        ({"compile": True, "optimiser": "whitened"}, r"whitened looks into layers"),
        ({"loss": {"psnr": 1.0}}, r"unknown loss 'psnr'; known: l1"),
        ({"schedule": "steep"}, r"'steep'; one of cosine"),
        ({"precision": "int8"}, r"'int8'; one of bf16"),
        ({"half_precision": ["fp8"]}, r"half_precision = 'fp8'; of bf16, fp16"),
        ({"data": "a.safetensors"}, r"data = 'a.safetensors' is not of type tuple"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse({**MINIMAL, **change}, "test.toml")


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(OptionError, match="'scale' is missing"):
        parse({"name": "a", "architecture": "plain"}, "test.toml")


def test_files_that_are_no_recipe_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "absent.toml")
    for content in (b"steps = = 3", b"\xff\xfe"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(OptionError, match="not a TOML recipe"):
            read(tmp_path / "bad.toml")


def test_lists_and_tables_arrive_typed() -> None:
    recipe = parse({**MINIMAL, "betas": [0.9, 0.999], "config": {"channels": 8}, "final_loss": {"l2": 1}}, "test.toml")
    assert recipe.betas == (0.9, 0.999)
    assert recipe.config == {"channels": 8}
