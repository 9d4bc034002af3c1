"""Training runs end to end on synthetic images: the loss falls, a resumed run equals an uninterrupted one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from rich.console import Console

from vidsr.errors import DeviceError, InputError, OptionError
from vidsr.models import from_file
from vidsr.models.equivariant import apply_symmetry
from vidsr.train import loop, watch
from vidsr.train.checkpoint import load_checkpoint
from vidsr.train.observer import NullObserver, Report, Sample
from vidsr.train.prepare import dataset
from vidsr.train.recipe import parse, read
from vidsr.train.step import Losses, learning_rate, weighted_loss

TINY = """
name = "tiny"
architecture = "plain"
scale = 2
config = {{ channels = 8, layers = 1 }}
data = ["{shard}"]
steps = 60
batch = 4
patch = 16
learning_rate = 4e-3
warm_up = 5
validate_every = 15
checkpoint_every = 10
precision = "fp32"
{more}
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Use one thread: with networks this small, two would mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard of ten images of uniform blocks."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for index in range(10):
        coarse = rng.integers(0, 256, (14, 16, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(coarse, (128, 112), interpolation=cv2.INTER_NEAREST))
    path = folder / "set.safetensors"
    summary = dataset.build([folder], path)
    assert summary.images == {"train": 8, "validation": 1, "test": 1}
    return path


def write_recipe(folder: Path, shard: Path, more: str = "") -> Path:
    path = folder / "tiny-x2.toml"
    path.write_text(TINY.format(shard=shard, more=more))
    return path


class Notes(NullObserver):
    """Records the events of a run; raises KeyboardInterrupt at a given step."""

    def __init__(self, interrupt_at: int = -1) -> None:
        self.reports: list[Report] = []
        self.samples: list[Sample] = []
        self.interrupt_at = interrupt_at
        self.soft_targets_done = 0

    def soft_targets(self, done: int, images: int) -> None:
        self.soft_targets_done = done

    def step(self, step: int, losses: Losses) -> None:
        if step == self.interrupt_at:
            raise KeyboardInterrupt

    def saved(self) -> None:
        pass

    def report(self, report: Report, metrics: list[dict[str, float]]) -> None:
        self.reports.append(report)
        assert metrics[-1]["step"] == report.step

    def sample(self, sample: Sample) -> None:
        self.samples.append(sample)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return from_file(path).network.state_dict()


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


def test_the_loss_falls_and_the_network_exceeds_bicubic(tmp_path: Path, shard: Path) -> None:
    notes = Notes()
    loop.run(write_recipe(tmp_path, shard, "seed = 1"), tmp_path / "run", watch=notes)
    assert [r.step for r in notes.reports] == [15, 30, 45, 60]
    assert notes.reports[-1].loss < 0.9 * notes.reports[0].loss
    assert notes.reports[-1].psnr > notes.reports[-1].bicubic


@pytest.mark.parametrize("stop_at", [10, 37])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, shard: Path, stop_at: int) -> None:
    recipe = write_recipe(tmp_path, shard)
    whole = loop.run(recipe, tmp_path / "whole")
    loop.run(recipe, tmp_path / "parts", steps=stop_at)
    parts = loop.run(recipe, tmp_path / "parts", resume=True)
    assert_equal(weights(parts), weights(whole))


def test_a_resumed_run_with_the_optimiser_whitened_equals_an_uninterrupted_one(tmp_path: Path, shard: Path) -> None:
    recipe = write_recipe(tmp_path, shard, 'optimiser = "whitened"')
    whole = loop.run(recipe, tmp_path / "whole", steps=25)
    loop.run(recipe, tmp_path / "parts", steps=14)
    assert_equal(weights(loop.run(recipe, tmp_path / "parts", resume=True, steps=25)), weights(whole))


@pytest.mark.parametrize("kept", [True, False])
def test_a_resumed_run_with_teachers_equals_an_uninterrupted_one(tmp_path: Path, shard: Path, kept: bool) -> None:
    teacher = loop.run(write_recipe(tmp_path, shard), tmp_path / "teacher", steps=1)
    recipe = write_recipe(tmp_path, shard, f"teachers = ['{teacher}']")
    whole = loop.run(recipe, tmp_path / "whole", steps=20)
    notes, again = Notes(), Notes()
    loop.run(recipe, tmp_path / "parts", steps=12, watch=notes)
    if not kept:
        (tmp_path / "parts" / "soft_targets.safetensors").unlink()
    parts = loop.run(recipe, tmp_path / "parts", resume=True, steps=20, watch=again)
    assert notes.soft_targets_done > 0
    assert again.soft_targets_done == (0 if kept else notes.soft_targets_done)
    assert_equal(weights(parts), weights(whole))


def test_training_keeps_a_network_equivariant(tmp_path: Path, shard: Path) -> None:
    recipe = write_recipe(tmp_path, shard, 'equivariant = true\noptimiser = "whitened"\ncandidates = 2')
    network = from_file(loop.run(recipe, tmp_path / "run", steps=12)).network
    image = torch.rand(1, 1, 20, 24)
    with torch.no_grad():
        expected = apply_symmetry(network(image), 5)
        torch.testing.assert_close(network(apply_symmetry(image, 5)), expected, rtol=0, atol=1e-5)


def test_a_run_resumed_after_ctrl_c_equals_an_uninterrupted_one(tmp_path: Path, shard: Path) -> None:
    recipe = write_recipe(tmp_path, shard)
    whole = loop.run(recipe, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        loop.run(recipe, tmp_path / "cut", watch=Notes(interrupt_at=23))
    assert_equal(weights(loop.run(recipe, tmp_path / "cut", resume=True)), weights(whole))


def test_a_killed_run_resumes_from_the_last_checkpoint(tmp_path: Path, shard: Path) -> None:
    recipe = write_recipe(tmp_path, shard)
    whole = loop.run(recipe, tmp_path / "whole")
    loop.run(recipe, tmp_path / "killed", steps=20)
    (tmp_path / "killed" / "checkpoint.pt.part").write_bytes(b"half a checkpoint")
    assert_equal(weights(loop.run(recipe, tmp_path / "killed", resume=True)), weights(whole))


def test_a_finished_run_is_not_overwritten(tmp_path: Path, shard: Path) -> None:
    recipe = write_recipe(tmp_path, shard)
    loop.run(recipe, tmp_path / "run", steps=3)
    with pytest.raises(OptionError, match="--resume"):
        loop.run(recipe, tmp_path / "run")
    recipe.write_text(recipe.read_text() + "ema = 0.9\n")
    with pytest.raises(OptionError, match="ema differ"):
        loop.run(recipe, tmp_path / "run", resume=True)
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        loop.run(recipe, tmp_path / "run", resume=True)


def test_a_checkpoint_older_than_a_setting_continues(tmp_path: Path, shard: Path) -> None:
    recipe = write_recipe(tmp_path, shard)
    loop.run(recipe, tmp_path / "run", steps=2)
    content = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    del content["recipe"]["adversarial"], content["recipe"]["note"]
    torch.save(content, tmp_path / "run" / "checkpoint.pt")
    assert from_file(loop.run(recipe, tmp_path / "run", resume=True, steps=3)).metadata["steps"] == "3 of 60"


def test_a_budget_of_minutes_stops_early_and_still_writes_weights(tmp_path: Path, shard: Path) -> None:
    path = loop.run(write_recipe(tmp_path, shard), tmp_path / "run", minutes=0)
    assert from_file(path).metadata["steps"] == "1 of 60"


def test_an_error_names_absent_data(tmp_path: Path, shard: Path) -> None:
    recipe = write_recipe(tmp_path, tmp_path / "absent.safetensors")
    with pytest.raises(InputError, match="vidsr dataset"):
        loop.run(recipe, tmp_path / "run")
    with pytest.raises(InputError, match="not a shard"):
        loop.run(write_recipe(tmp_path, recipe), tmp_path / "other")
    with pytest.raises(InputError, match="vidsr dataset"):
        watch.train(recipe, tmp_path / "runs" / "first", console=Console(quiet=True))
    assert not any((tmp_path / name).exists() for name in ("run", "other", "runs")), "a failed run leaves no folder"


def test_initialising_from_another_scale_copies_tensors_of_equal_shape(tmp_path: Path, shard: Path) -> None:
    source = loop.run(write_recipe(tmp_path, shard), tmp_path / "x2", steps=20)
    recipe = replace(read(write_recipe(tmp_path, shard))[0], scale=3, init=str(source))
    network = loop.start(recipe, torch.device("cpu")).network
    x = torch.rand(1, 1, 12, 12)
    head = from_file(source).network.body[0]
    torch.testing.assert_close(network.body[0](x), head(x), atol=1e-5, rtol=0)
    with pytest.raises(OptionError, match="no tensor in it fits"):
        loop.load_initial(torch.nn.Linear(2, 2), source)


def test_the_plateau_schedule_halves_the_rate_and_cosine_ends_at_the_final_rate(tmp_path: Path, shard: Path) -> None:
    (recipe,) = parse(
        {"name": "a", "architecture": "plain", "scale": 2, "schedule": "plateau", "patience": 1, "warm_up": 1}, "test"
    )
    state = loop.start(recipe, torch.device("cpu"))
    for psnr in (30.0, 29.0, 29.5):
        loop.record_progress(recipe, state, psnr)
    assert learning_rate(recipe, state) == pytest.approx(recipe.learning_rate / 2)
    (cosine,) = parse({"name": "a", "architecture": "plain", "scale": 2, "steps": 100, "warm_up": 10}, "test")
    state.step = 0
    assert learning_rate(cosine, state) == pytest.approx(cosine.learning_rate / 10)
    state.step = 100
    assert learning_rate(cosine, state) == pytest.approx(cosine.final_learning_rate)


def test_the_last_steps_use_the_final_loss() -> None:
    (recipe,) = parse(
        {
            "name": "a",
            "architecture": "plain",
            "scale": 2,
            "steps": 100,
            "final_loss": {"l2": 2.0},
            "loss": {"l1": 1.0},
        },
        "test",
    )
    output, truth = torch.full((1, 1, 4, 4), 0.5), torch.zeros(1, 1, 4, 4)
    assert weighted_loss(recipe, 89, output, truth).item() == pytest.approx(0.5)
    assert weighted_loss(recipe, 90, output, truth).item() == pytest.approx(2 * 0.25)


@pytest.mark.parametrize("architecture", ["espcn", "srcnn"])
def test_networks_without_anchor_train_in_bf16(tmp_path: Path, shard: Path, architecture: str) -> None:
    recipe = tmp_path / "other.toml"
    text = TINY.format(shard=shard, more="").replace("plain", architecture).replace("steps = 60", "steps = 4")
    text = text.replace("config = { channels = 8, layers = 1 }", "").replace("fp32", "bf16").replace("= 15", "= 2")
    text = text.replace("4e-3", "1e-5")  # four steps must not destroy the chosen initial weights
    recipe.write_text(text)
    notes = Notes()
    loop.run(recipe, tmp_path / "run", watch=notes)
    assert len(notes.reports) == 2 and notes.reports[-1].psnr > 20


def test_a_run_writes_metrics_curves_and_samples(tmp_path: Path, shard: Path) -> None:
    pytest.importorskip("matplotlib")
    recipe = write_recipe(tmp_path, shard, "samples_every = 30")
    console = Console(file=(tmp_path / "console.txt").open("w"), width=200)
    watch.train(recipe, tmp_path / "run", steps=30, console=console)
    watch.train(recipe, tmp_path / "run", resume=True, console=console)
    console.file.close()
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert lines[0] == "step,loss,psnr,bicubic,rate,seconds"
    assert [line.split(",")[0] for line in lines[1:]] == ["15", "30", "45", "60"]
    assert cv2.imread(str(tmp_path / "run" / "curves.png")) is not None
    sample = cv2.imread(str(tmp_path / "run" / "samples" / "0000030.png"))
    assert sample.shape[1] == 3 * 128
    assert "step 60/60" in (tmp_path / "console.txt").read_text()


def test_exported_weights_carry_the_recipe(tmp_path: Path, shard: Path) -> None:
    recipe = write_recipe(tmp_path, shard)
    path = loop.run(recipe, tmp_path / "run")
    model = from_file(path)
    assert path.name == "tiny-clean-x2.safetensors"
    assert model.metadata["recipe"] == recipe.read_text()
    assert model.metadata["steps"] == "60 of 60"
    state = loop.start(read(recipe)[0], torch.device("cpu"))
    load_checkpoint(tmp_path / "run" / "checkpoint.pt", read(recipe)[0], state, torch.device("cpu"))
    x = torch.rand(1, 1, 20, 20)
    torch.testing.assert_close(model(x), state.average(x), atol=1e-4, rtol=0)


def test_an_error_names_an_absent_device(tmp_path: Path, shard: Path) -> None:
    with pytest.raises(DeviceError, match="cuda:99"):
        loop.run(write_recipe(tmp_path, shard), tmp_path / "run", device="cuda:99")


@pytest.mark.gpu
@pytest.mark.parametrize("task", ["upscale", "adversarial"])
def test_a_gpu_trains_compiled_in_half_precision_and_resumes(tmp_path: Path, shard: Path, task: str) -> None:
    recipe = write_recipe(tmp_path, shard, f'compile = true\ntask = "{task}"\nseed = 1')
    recipe.write_text(recipe.read_text().replace("fp32", "bf16"))
    loop.run(recipe, tmp_path / "run", steps=30, device="cuda")
    notes = Notes()
    path = loop.run(recipe, tmp_path / "run", resume=True, device="cuda", watch=notes)
    assert [r.step for r in notes.reports] == [45, 60]
    assert notes.reports[-1].psnr > notes.reports[-1].bicubic - 1
    assert from_file(path).metadata["steps"] == "60 of 60"
