"""The training sets of the recipes: every one has a writer, and only missing ones are written."""

import inspect
from pathlib import Path

import pytest

import vidsr.train
from vidsr.errors import OptionError
from vidsr.train.prepare.restoration_pairs import KINDS
from vidsr.train.prepare.training_sets import FOLDER, write_missing, writers
from vidsr.train.recipe import read

RECIPES = sorted((Path(vidsr.train.__file__).parent / "recipes").rglob("*.toml"))
SETS = writers(Path("data"), FOLDER)


def test_the_sets_with_a_writer_are_those_that_recipes_name() -> None:
    named = {shard for path in RECIPES for recipe in read(path) for shard in recipe.data}
    assert {str(FOLDER / f"{name}.safetensors") for name in SETS} == named


def test_every_kind_of_restoration_pairs_is_a_set() -> None:
    assert set(KINDS) <= set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_every_writer_has_all_arguments_but_the_path(name: str) -> None:
    inspect.signature(SETS[name].func).bind(*SETS[name].args, **SETS[name].keywords, out=FOLDER / name)  # type: ignore[attr-defined]


def test_only_missing_sets_are_written_in_order(tmp_path: Path) -> None:
    def write(out: Path) -> str:
        out.write_bytes(b"")
        return out.stem.upper()

    (tmp_path / "b.safetensors").write_bytes(b"kept")
    sets = dict.fromkeys("abcd", write)
    assert list(write_missing(sets, tmp_path, ["c", "a", "b"])) == [("a", "A"), ("c", "C")]
    assert (tmp_path / "b.safetensors").read_bytes() == b"kept"
    assert list(write_missing(sets, tmp_path)) == [("d", "D")]
    with pytest.raises(OptionError, match="unknown training set 'e': known are a, b, c, d"):
        list(write_missing(sets, tmp_path, ["e"]))
