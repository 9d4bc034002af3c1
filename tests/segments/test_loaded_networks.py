"""A process loads each network once for all of its segments, and segments share nothing but weights."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.segments.runs import SEGMENTS, begun, run, source
from tests.segments.test_resume import interrupted
from tests.temporal_model import temporal_file
from vidsr.errors import ModelError, ignore
from vidsr.models import load_model, weight_files
from vidsr.segments import run_segment
from vidsr.segments.job_folder import JobFolder
from vidsr.segments.tasks import MakeSegment, perform
from vidsr.stages import loaded_networks
from vidsr.stages.loaded_networks import loaded_frame_network, loaded_model
from vidsr.stages.specs import NetworkSpec

SIZE = (32, 16)


def forget() -> None:
    loaded_networks._model.cache_clear()
    loaded_networks._frame_network.cache_clear()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file became a network."""
    counted: Counter[str] = Counter()
    forget()

    def counting(load: Any) -> Any:
        def load_and_count(path: Path, *how: Any) -> Any:
            counted[path.name] += 1
            return load(path, *how)

        return load_and_count

    read_frame_network = loaded_networks.checkpoints.read_frame_network
    monkeypatch.setattr(loaded_networks, "from_file", counting(loaded_networks.from_file))
    monkeypatch.setattr(loaded_networks.checkpoints, "read_frame_network", counting(read_frame_network))
    return counted


def test_segments_load_each_network_once_and_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads: Counter[str]
) -> None:
    clip = source(tmp_path, size=SIZE)
    options: dict[str, Any] = {"scale": 6, "model": "fast", "fps": "2x", "interpolation": "net", "precision": "fp32"}
    options |= {"frames": 60, "log": "none"}  # two segments
    run(clip, tmp_path / "once.mkv", **options)
    assert len(loads) == 3 and set(loads.values()) == {1}

    def build_again(*given: Any, build: Any = run_segment.build_stages, **more: Any) -> Any:
        forget()
        return build(*given, **more)

    monkeypatch.setattr(run_segment, "build_stages", build_again)
    run(clip, tmp_path / "again.mkv", **options)
    assert set(loads.values()) == {1 + 2}
    assert (tmp_path / "once.mkv").read_bytes() == (tmp_path / "again.mkv").read_bytes()


def test_a_worker_may_make_segments_in_any_order(tmp_path: Path, loads: Counter[str]) -> None:
    """The state of a temporal network would leak from one segment to the next."""
    clip, output = source(tmp_path, size=SIZE), tmp_path / "out.mkv"
    model = temporal_file(tmp_path / "mine.safetensors")
    interrupted(clip, output, scale=2, model=str(model), precision="fp32", log="none")
    loads.clear()
    folder, packets = JobFolder.of(output), []
    for order in (range(SEGMENTS), reversed(range(SEGMENTS))):
        for index in order:
            perform(MakeSegment(folder.path, index, ""), ignore)
        packets.append([folder.packets(index).read_bytes() for index in range(SEGMENTS)])
    assert packets[0] == packets[1]
    assert not loads, "the plan of this process loaded it already"


def test_a_worker_with_other_weights_than_the_plan_is_refused(tmp_path: Path) -> None:
    clip, model = source(tmp_path, size=SIZE), temporal_file(tmp_path / "mine.safetensors")
    folder = begun(clip, scale=2, model=str(model)).folder
    temporal_file(model, keep=0.5)
    with pytest.raises(ModelError, match=r"mine\.safetensors is not the weights file of the plan"):
        run_segment.run_segment(folder, 0)
    assert not JobFolder(folder).report(0).exists()


def spec(path: Path, precision: Any = "fp32") -> NetworkSpec:
    return NetworkSpec("mine", 2, "", str(path), weight_files.sha256(path), "cpu", precision)


def test_a_precision_is_a_network_of_its_own_but_a_tile_is_not(tmp_path: Path) -> None:
    path = load_model("fast", 2).path
    one = loaded_model(spec(path))
    assert loaded_model(replace(spec(path), tile=64, batch=2, is_checked=True)) is one
    assert loaded_model(spec(path, "bf16")).network.dtype == torch.bfloat16
    assert one.network.dtype == torch.float32


def test_weights_that_change_or_disappear_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(load_model("fast", 2).path.read_bytes())
    planned = spec(path)
    loaded_model(planned)
    path.write_bytes(load_model("balanced", 2).path.read_bytes())
    with pytest.raises(ModelError, match=r"mine\.safetensors is not the weights file of the plan"):
        loaded_model(planned)
    assert loaded_model(spec(path)).path == path
    path.unlink()
    with pytest.raises(ModelError, match=r"mine\.safetensors is not a readable weights file: No such file"):
        loaded_model(planned)
    with pytest.raises(ModelError, match=r"mine\.safetensors is not a readable weights file: No such file"):
        loaded_frame_network(path, planned.compute)
