"""Segments on a real Ray cluster of three nodes on this machine; skipped where Ray is not installed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.segments.runs import run, source
from vidsr.errors import OptionError

OPTIONS: dict[str, Any] = {"codec": "libx264", "cpus_per_worker": 1}
STORE = 80 << 20  # bytes of each node's object store


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    nodes.added = [nodes.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
    yield nodes
    nodes.shutdown()


def test_without_ray_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"--ray needs the package ray, .*: pip install ray"):
        run(source(tmp_path), tmp_path / "out.mp4", ray="auto", **OPTIONS)


def test_an_address_that_nobody_answers_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    with pytest.raises(OptionError, match=r"--ray 127.0.0.1:1 cannot be reached \(.*refused\)"):
        run(source(tmp_path), tmp_path / "out.mp4", ray="127.0.0.1:1", **OPTIONS)


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_writes_the_same_bytes(cluster: Any, tmp_path: Path) -> None:
    clip = source(tmp_path)
    run(clip, tmp_path / "alone.mp4", **OPTIONS)
    run(clip, tmp_path / "out.mp4", ray=cluster.address, **OPTIONS)
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_node_and_a_worker_that_end_in_the_middle(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    from vidsr.segments.ray_cluster import RayWorker

    clip = source(tmp_path)
    run(clip, tmp_path / "alone.mp4", "0.5s", **OPTIONS)
    call, started = RayWorker.call, []

    def call_and_end(self: Any, task: Any, *, on_event: Any) -> Any:
        started.append(task.index)
        if len(started) == 2:
            ray.kill(self._actor)
        elif len(started) == 4:
            cluster.remove_node(cluster.added.pop())
        return call(self, task, on_event=on_event)

    monkeypatch.setattr(RayWorker, "call", call_and_end)
    run(clip, tmp_path / "out.mp4", "0.5s", ray=cluster.address, **OPTIONS)
    assert len(started) > len(set(started))
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()
