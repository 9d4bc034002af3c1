"""Recipes: the ones in the repository, phases, and the messages of errors."""

from pathlib import Path

import pytest
import torch

import vidsr.train
from vidsr.errors import InputError, OptionError
from vidsr.models import build_network
from vidsr.models.weight_files import WEIGHTS
from vidsr.train.checkpoint import export
from vidsr.train.loop import start
from vidsr.train.recipe import PHASE_WEIGHTS, in_training_order, needed_weights, parse, phase_weights, read, recipe_of

RECIPES = Path(vidsr.train.__file__).parent / "recipes"
RECIPE_FILES = sorted(RECIPES.rglob("*.toml"))
CPU_RECIPES = sorted(RECIPES.glob("*.toml"))
SHIPPED = sorted(WEIGHTS.glob("*.safetensors"))
CPU = torch.device("cpu")
MINIMAL = {"name": "fast", "architecture": "plain", "scale": 2}
PHASES = {**MINIMAL, "phase": [{"name": "one", "steps": 5}, {"name": "two"}, {"name": "three", "init": "one"}]}


def name_of(path: Path) -> str:
    return path.relative_to(RECIPES).with_suffix("").as_posix()


@pytest.mark.parametrize("path", RECIPE_FILES, ids=name_of)
def test_recipes_in_the_repository_are_valid_and_named_after_their_weights(path: Path) -> None:
    for recipe in read(path):
        build_network(recipe.architecture, recipe.network_config)
    domain = "" if recipe.domain in ("clean", "any") else f"-{recipe.domain}"
    frames = recipe.task == "interpolate"
    assert path.stem == (recipe.name if frames else f"{recipe.name}{domain}-x{recipe.scale}")


@pytest.mark.parametrize("weights", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_weights_file_has_a_recipe_that_makes_it(weights: Path) -> None:
    path = RECIPES / f"{recipe_of(weights.name)}.toml"
    assert read(path)[-1].file_name == weights.name


def test_every_cpu_recipe_makes_a_shipped_weights_file() -> None:
    assert {path.stem for path in CPU_RECIPES} == {recipe_of(path.name) for path in SHIPPED}


@pytest.mark.parametrize("path", RECIPE_FILES, ids=name_of)
def test_starting_weights_and_teachers_are_made_by_recipes_in_the_repository(path: Path) -> None:
    for file in needed_weights(read(path)):
        *earlier, last = read(RECIPES / f"{recipe_of(file)}.toml")
        if Path(file).name == PHASE_WEIGHTS:
            assert Path(file).parent.name in [recipe.phase for recipe in earlier]
        else:
            assert Path(file).name == last.file_name
            assert Path(file).parent in (Path("vidsr/weights"), Path("runs", recipe_of(file)))


FROM_SHIPPED = [path for path in RECIPE_FILES if read(path)[0].init.startswith("vidsr/")]


@pytest.mark.parametrize("path", FROM_SHIPPED, ids=name_of)
def test_shipped_weights_that_a_recipe_starts_from_fit_its_network(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(vidsr.train.__file__).parents[2])
    start(read(path)[0], CPU)


@pytest.mark.slow
def test_every_phase_can_start_from_the_weights_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vidsr").mkdir()
    (tmp_path / "vidsr" / "weights").symlink_to(WEIGHTS)
    monkeypatch.chdir(tmp_path)
    for path in in_training_order(RECIPES):
        *_, last = phases = read(path)
        run = Path("runs", path.stem)
        for recipe in phases:
            (run / recipe.phase).mkdir(parents=True, exist_ok=True)
            weights = run / last.file_name if recipe is last else phase_weights(recipe.phase, run)
            export(weights, recipe, path.read_text(), start(recipe.with_paths(run), CPU))


def test_training_order_puts_starting_weights_and_teachers_first() -> None:
    order = in_training_order(RECIPES)
    assert sorted(order) == CPU_RECIPES
    for number, path in enumerate(order):
        made = {earlier.stem for earlier in order[:number]}
        assert {recipe_of(file) for file in needed_weights(read(path))} <= made


def test_a_recipe_without_phases_is_one_phase_without_a_name() -> None:
    (recipe,) = parse(MINIMAL, "test.toml")
    assert (recipe.phase, recipe.init) == ("", "")


def test_phases_override_the_common_settings_and_start_from_the_phase_before_or_from_init() -> None:
    one, two, three = parse(PHASES, "test.toml")
    assert (one.steps, two.steps) == (5, parse(MINIMAL, "test.toml")[0].steps)
    assert [recipe.phase for recipe in (one, two, three)] == ["one", "two", "three"]
    assert [recipe.init for recipe in (one, two, three)] == ["", "one", "one"]
    assert three.with_paths(Path("runs/a")).init == str(Path("runs/a/one") / PHASE_WEIGHTS)


def test_a_later_phase_may_start_from_random_weights() -> None:
    phases = [{"name": "one"}, {"name": "two", "init": "random"}]
    assert parse({**MINIMAL, "phase": phases}, "test.toml")[1].init == ""


@pytest.mark.parametrize(
    ("phases", "message"),
    [
        ({"name": "one"}, r"write \[\[phase\]\]"),
        ([{"steps": 5}], "needs a name"),
        ([{"name": "One"}], "needs a name of lower-case letters"),
        ([{"name": "one"}, {"name": "one"}], "two phases are named 'one'"),
        ([{"name": "one", "domain": "video"}], "'domain' is the same in all phases"),
        ([{"name": "one", "teachers": ["one"]}], "'one' is neither a .safetensors file nor an earlier phase"),
        ([{"name": "one", "init": "two"}, {"name": "two"}], "'two' is neither"),
        ([{"name": "one", "stepz": 5}], "test.toml, phase one: unknown key 'stepz'"),
    ],
)
def test_an_invalid_phase_is_named(phases: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse({**MINIMAL, "phase": phases}, "test.toml")


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
            r"teachers are for networks that upscale, not for 'deblur'",
        ),
        ({"architecture": "espcn", "equivariant": True}, "equivariant = true is for a plain network, not 'espcn'"),
        ({"candidates": 0}, "candidates = 0 must be at least 1"),
        ({"compile": True, "optimiser": "whitened"}, r"whitened optimiser reads layer inputs"),
        ({"loss": {"psnr": 1.0}}, r"unknown loss 'psnr'; known: l1"),
        ({"schedule": "steep"}, r"'steep'; one of cosine"),
        ({"precision": "int8"}, r"'int8'; one of bf16"),
        ({"half_precision": ["fp8"]}, r"half_precision = 'fp8'; of bf16, fp16"),
        ({"data": "a.safetensors"}, r"data = 'a.safetensors' is not of type tuple"),
    ],
)
def test_an_invalid_setting_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse({**MINIMAL, **change}, "test.toml")


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(OptionError, match="'scale' is missing"):
        parse({"name": "a", "architecture": "plain"}, "test.toml")


def test_an_unreadable_recipe_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "absent.toml")
    for content in (b"steps = = 3", b"\xff\xfe"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(OptionError, match="not a TOML recipe"):
            read(tmp_path / "bad.toml")


def test_lists_and_tables_have_the_types_of_their_fields() -> None:
    (recipe,) = parse(
        {**MINIMAL, "betas": [0.9, 0.999], "config": {"channels": 8}, "final_loss": {"l2": 1}}, "test.toml"
    )
    assert recipe.betas == (0.9, 0.999)
    assert recipe.config == {"channels": 8}
