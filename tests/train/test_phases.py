"""Recipes with several phases: trained in order, stopped and resumed in any of them."""

from pathlib import Path

import pytest
import torch

from tests.train.test_loop import Notes, assert_equal, one_thread, shard, weights  # noqa: F401
from vidsr.errors import InputError, OptionError
from vidsr.models import from_file
from vidsr.train import loop, watch
from vidsr.train.recipe import Recipe

TWO_PHASES = """
name = "tiny"
architecture = "plain"
scale = 2
data = ["{shard}"]
batch = 4
patch = 16
learning_rate = 4e-3
warm_up = 2
validate_every = 5
checkpoint_every = 5
precision = "fp32"

[[phase]]
name = "small"
config = {{ channels = 8, layers = 1 }}
steps = 10

[[phase]]
name = "deeper"
config = {{ channels = 8, layers = 2 }}
teachers = ["small"]
steps = 15
"""


class PhaseNotes(Notes):
    """Notes that also hold the phases of the session and the steps they were to reach."""

    def __init__(self) -> None:
        super().__init__()
        self.phases: list[tuple[str, str, int]] = []

    def begin(self, recipe: Recipe, folder: Path, last: int) -> None:
        self.phases.append((recipe.phase, folder.name, last))


@pytest.fixture
def recipe(tmp_path: Path, shard: Path) -> Path:  # noqa: F811
    path = tmp_path / "tiny-x2.toml"
    path.write_text(TWO_PHASES.format(shard=shard))
    return path


def test_phases_run_in_order_and_each_starts_from_the_weights_of_the_phase_before(
    tmp_path: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    load_initial = loop.load_initial
    monkeypatch.setattr(loop, "load_initial", lambda n, path, tied: started.append(path) or load_initial(n, path, tied))
    notes = PhaseNotes()
    made = loop.run(recipe, tmp_path / "run", watch=notes)
    small = tmp_path / "run" / "small" / "weights.safetensors"
    assert notes.phases == [("small", "small", 10), ("deeper", "deeper", 15)]
    assert notes.soft_targets_done == 8
    assert started == [small]
    assert made == tmp_path / "run" / "tiny-clean-x2.safetensors"
    assert (from_file(small).metadata["steps"], from_file(made).metadata["steps"]) == ("10 of 10", "15 of 15")
    assert from_file(made).metadata["recipe"] == recipe.read_text()


@pytest.mark.parametrize("stop_at", [4, 10, 18])
def test_a_run_stopped_in_any_phase_resumes_as_if_uninterrupted(tmp_path: Path, recipe: Path, stop_at: int) -> None:
    whole = loop.run(recipe, tmp_path / "whole")
    first, second = PhaseNotes(), PhaseNotes()
    stopped = loop.run(recipe, tmp_path / "parts", steps=stop_at, watch=first)
    assert (stopped.name == "tiny-clean-x2.safetensors") == (stop_at > 10)
    (tmp_path / "parts").rename(tmp_path / "moved")
    resumed = loop.run(recipe, tmp_path / "moved", resume=True, watch=second)
    assert_equal(weights(resumed), weights(whole))
    assert [phase for phase, *_ in first.phases] == (["small", "deeper"] if stop_at > 10 else ["small"])
    assert [phase for phase, *_ in second.phases] == (["small", "deeper"] if stop_at < 10 else ["deeper"])


def test_minutes_end_a_session_within_a_phase(tmp_path: Path, recipe: Path) -> None:
    notes = PhaseNotes()
    loop.run(recipe, tmp_path / "run", minutes=0, watch=notes)
    assert notes.phases == [("small", "small", 10)]


def test_a_changed_recipe_is_refused_even_if_the_changed_phase_is_complete(tmp_path: Path, recipe: Path) -> None:
    loop.run(recipe, tmp_path / "run", steps=12)
    with pytest.raises(OptionError, match=r"checkpoint\.pt exists: add --resume"):
        loop.run(recipe, tmp_path / "run")
    recipe.write_text(recipe.read_text().replace("steps = 10", "steps = 11"))
    with pytest.raises(OptionError, match="steps differ"):
        loop.run(recipe, tmp_path / "run", resume=True)


def test_init_replaces_the_starting_weights_of_the_first_phase(tmp_path: Path, recipe: Path) -> None:
    first = loop.run(recipe, tmp_path / "first", steps=10)
    second = loop.run(recipe, tmp_path / "second", steps=1, init=str(first))
    assert torch.allclose(weights(second)["body.0.weight"], weights(first)["body.0.weight"], atol=0.05)


def test_every_phase_has_its_own_metrics(tmp_path: Path, recipe: Path) -> None:
    watch.train(recipe, tmp_path / "run")
    for phase, steps in (("small", ["5", "10"]), ("deeper", ["5", "10", "15"])):
        lines = (tmp_path / "run" / phase / "metrics.csv").read_text().splitlines()[1:]
        assert [line.split(",")[0] for line in lines] == steps


def test_weights_of_a_recipe_that_was_not_trained_yet_are_named(tmp_path: Path, recipe: Path) -> None:
    recipe.write_text('init = "runs/absent-x2/small/weights.safetensors"\n' + recipe.read_text())
    with pytest.raises(InputError, match="does not exist: train the recipe absent-x2 first"):
        loop.run(recipe, tmp_path / "run")
